"""The outcome of ``tl-relay verify``."""

from relay.console.words import count
from relay.index.verify import Contents


def outcome_line(contents: Contents, differences: int, compared: int) -> str:
    """Return what was compared, where, and how many differences there were."""
    if contents.block is None:
        return "nothing has been indexed yet: there is nothing to compare"
    where = f"block {contents.block.number} (0x{contents.block.hash.hex()})"
    what = f"{count(compared, 'trustline')} in {count(len(contents.networks), 'network')}"
    found = count(differences, "difference") if differences else "no difference"
    return f"{what} compared with the chain at {where}: {found}"
