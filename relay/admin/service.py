"""What operators do, by command or by the API; each of it is logged with who did it."""

import logging
from collections.abc import Callable, Sequence

from relay.addresses import Address, to_checksum
from relay.chain.nodes import NodeState
from relay.store.admin import AdminStore, Ban, Part, Pause

logger = logging.getLogger("relay.admin")

_SHOWN_OF_TOKEN = 8


class Administration:
    """Everything an operator can do; ``who`` is for the log. All but the nodes raises StoreError."""

    def __init__(
        self,
        store: AdminStore,
        nodes: Callable[[], Sequence[NodeState]],
        reconnect: Callable[[], object] | None = None,
        refresh: Callable[[], None] | None = None,
    ) -> None:
        """Prepare.

        Arguments:
            store: where decisions are kept.
            nodes: looks at the nodes.
            reconnect: chooses the node of this process anew; None where it serves nobody.
            refresh: has this process heed at once what was decided.

        """
        self._store = store
        self._nodes = nodes
        self._reconnect = reconnect
        self._refresh = refresh

    def nodes(self) -> Sequence[NodeState]:
        """Return how the nodes are at this moment, which takes up to 3 s."""
        return self._nodes()

    def reconnect(self, who: str) -> None:
        """Have all processes forget what went wrong with their nodes and choose anew; this one at once."""
        logger.warning("%s has the nodes chosen anew", who)
        if self._reconnect is not None:
            self._reconnect()
        self._store.ask_to_reconnect()

    def pauses(self) -> list[Pause]:
        """Return what stands still."""
        return self._store.pauses()

    def pause(self, part: Part, who: str) -> bool:
        """Let a part stand still, in all processes and after every start; return False if it does already."""
        logger.warning("%s pauses the %s", who, part)
        return self._heeded(self._store.pause(part, who))

    def resume(self, part: Part, who: str) -> bool:
        """Let a part go on; return False if it did not stand still."""
        logger.warning("%s resumes the %s", who, part)
        return self._heeded(self._store.resume(part))

    def bans(self) -> list[Ban]:
        """Return who is not served."""
        return self._store.bans()

    def ban(self, address: Address, reason: str, who: str) -> bool:
        """Serve an identity or a sender no more; return False if they were banned before."""
        logger.warning("%s bans %s: %s", who, to_checksum(address), reason or "no reason given")
        return self._heeded(self._store.ban(address, reason, who))

    def unban(self, address: Address, who: str) -> bool:
        """Serve somebody again; return False if they were not banned."""
        logger.warning("%s lifts the ban of %s", who, to_checksum(address))
        return self._heeded(self._store.unban(address))

    def revoke_token(self, token: str, who: str) -> int:
        """Forget a device; return for how many users it was registered."""
        removed = self._store.revoke_token(token)
        shown = token[: min(_SHOWN_OF_TOKEN, len(token) // 4)]
        logger.warning("%s revokes the push token %s..., registered for %d users", who, shown, removed)
        return removed

    def prune_messages(self, older_than_seconds: int | None, user: Address | None, who: str) -> int:
        """Remove messages of some age, or to a user, or both; return how many there were.

        Raises:
            ValueError: without an age and a user, which would be all messages.

        """
        if older_than_seconds is None and user is None:
            raise ValueError("which messages? an age or a user is needed")
        removed = self._store.prune_messages(older_than_seconds, user)
        of_user = "" if user is None else f" to {to_checksum(user)}"
        age = "" if older_than_seconds is None else f" older than {older_than_seconds} s"
        logger.warning("%s removes %d messages%s%s", who, removed, of_user, age)
        return removed

    def _heeded(self, has_changed: bool) -> bool:
        if self._refresh is not None:
            self._refresh()
        return has_changed
