"""Where it is written which networks are to be followed: what was configured, and a registry on the chain."""

import logging
import time
from collections.abc import Callable, Sequence

from relay.addresses import Address
from relay.chain.errors import ChainError

logger = logging.getLogger(__name__)

_ASK_REGISTRY_SECONDS = 5.0


class WantedNetworks:
    """Tells the networks that are to be followed, as of now; cheap enough to be asked every second."""

    def __init__(
        self,
        configured: Callable[[], Sequence[Address]],
        registered: Callable[[], Sequence[Address]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``configured`` is asked each time; ``registered`` asks the chain, every few seconds."""
        self._configured = configured
        self._registered = registered
        self._clock = clock
        self._listed: tuple[Address, ...] | None = None
        self._asked_at = 0.0

    def __call__(self) -> list[Address]:
        """Return them without repetitions, the configured ones first.

        A registry that cannot be asked is believed to list what it did.

        Raises:
            ChainError: if it has never been asked with success.

        """
        if self._registered is not None:
            self._ask(self._registered)
        return list(dict.fromkeys((*self._configured(), *(self._listed or ()))))

    def _ask(self, registered: Callable[[], Sequence[Address]]) -> None:
        now = self._clock()
        if self._listed is not None and now - self._asked_at < _ASK_REGISTRY_SECONDS:
            return
        try:
            self._listed = tuple(registered())
        except ChainError as error:
            if self._listed is None:
                raise
            logger.warning("the registry cannot be asked: %s", error)
        self._asked_at = now
