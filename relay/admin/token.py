"""The secret by which operators are known."""

import stat
from pathlib import Path

from relay.admin.errors import TokenFault

SHORTEST_TOKEN = 16


def read_token(path: Path) -> str:
    """Return the first line of the file with the token.

    Raises:
        TokenFault: if it cannot be read, could be read by everybody, or holds what can be guessed.

    """
    place = f"[admin] token_path: {path}"
    try:
        if stat.S_IMODE(path.stat().st_mode) & (stat.S_IROTH | stat.S_IWOTH):
            raise TokenFault(f"{place} can be read or written by everybody on this machine: chmod 600 it")
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds more than ASCII"
        raise TokenFault(f"{place} cannot be read: {reason}") from None
    token = text.partition("\n")[0].strip()
    if len(token) < SHORTEST_TOKEN:
        raise TokenFault(f"{place} holds a token of less than {SHORTEST_TOKEN} characters: openssl rand -hex 32")
    return token
