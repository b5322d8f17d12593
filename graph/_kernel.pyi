"""The compiled kernel: path search over flat arrays, built by setup.py from graph/kernel/."""

from collections.abc import Iterable
from typing import final

from graph.trustline import Seen, Side

FOUND: int
NOT_FOUND: int
SPENT: int

@final
class Network:
    """The trustlines of a network in flat arrays; users are bytes keys.

    A method raises TypeError, OverflowError or ValueError for an argument that it cannot take, KeyError for a user
    that it does not know, and MemoryError.
    """

    def __init__(self, fee_divisor: int, prevent_mediator_interests: bool = False) -> None: ...
    def put(
        self,
        lower: bytes,
        higher: bytes,
        balance: int,
        given: int,
        received: int,
        rate_given: int,
        rate_received: int,
        is_frozen: bool,
        mtime: int,
        /,
    ) -> None: ...
    def drop(self, lower: bytes, higher: bytes, /) -> None: ...
    def get(self, user: bytes, other: bytes, /) -> Side | None: ...
    def around(self, user: bytes, /) -> list[tuple[bytes, Side]]: ...
    def views(self, user: bytes, at: int, /) -> list[Seen]: ...
    def cheapest(
        self,
        receiver_pays: bool,
        begun: Iterable[bytes],
        target: bytes,
        value: int,
        at: int,
        *,
        max_fees: int = ...,
        max_hops: int = ...,
        avoid: Iterable[bytes] = (),
        not_next: Iterable[bytes] = (),
        budget: int = ...,
        deadline: float = 0.0,
    ) -> tuple[int, tuple[bytes, ...] | None, bool, int]: ...
    def widest(
        self,
        sender: bytes,
        receiver: bytes,
        at: int,
        *,
        max_hops: int = ...,
        avoid: Iterable[bytes] = (),
        budget: int = ...,
        deadline: float = 0.0,
    ) -> tuple[int, int, int]: ...
    def largest(
        self,
        sender: bytes,
        receiver: bytes,
        at: int,
        *,
        max_hops: int = ...,
        avoid: Iterable[bytes] = (),
        budget: int = ...,
        deadline: float = 0.0,
    ) -> tuple[int, int, tuple[bytes, ...] | None, int]: ...
    def flow(
        self,
        sender: bytes,
        receiver: bytes,
        at: int,
        *,
        amount: int | None = None,
        is_sent: bool = False,
        ignores_fees: bool = False,
        narrowest: int = 0,
        avoid: Iterable[bytes] = (),
        budget: int = ...,
        deadline: float = 0.0,
    ) -> tuple[int, tuple[tuple[bytes, bytes, int, int], ...], tuple[int, int], bool, int]: ...
    def sweep(self, at: int, /) -> int: ...
