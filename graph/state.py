"""Where a graph keeps what its trustlines say: the compiled kernel's arrays, or else dictionaries."""

from typing import Protocol

from graph.trustline import Row, Seen, Side, User, View


class State(Protocol):
    """The open trustlines of a network; the kernel's ``Network`` is one, and ``PlainState`` the other.

    ``get`` and ``around`` return what was put last, turned toward ``user``. Users are exact bytes.
    """

    def put(self, *row: *Row) -> None:
        """Take over a trustline as its lower user sees it; raises ValueError if the users are not in order."""

    def drop(self, lower: User, higher: User, /) -> None:
        """Forget the trustline of two users, if there is one."""

    def get(self, user: User, other: User, /) -> Side | None:
        """Return the trustline of two users as the first of them sees it, or None."""

    def around(self, user: User, /) -> list[tuple[User, Side]]:
        """Return whom a user has a trustline with, in no particular order, and how the user sees it."""

    def views(self, user: User, at: int, /) -> list[Seen]:
        """Return how a user sees its trustlines at the time ``at`` (Unix seconds), in no particular order."""


class PlainState:
    """The trustlines in dictionaries, each as both of its users see it."""

    def __init__(self) -> None:
        self._sides: dict[User, dict[User, Side]] = {}

    def put(self, *row: *Row) -> None:  # noqa: D102
        lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime = row
        if lower >= higher:
            raise ValueError("a trustline names its lower user first")
        here = (balance, given, received, rate_given, rate_received, is_frozen, mtime)
        there = (-balance, received, given, rate_received, rate_given, is_frozen, mtime)
        self._sides.setdefault(lower, {})[higher] = here
        self._sides.setdefault(higher, {})[lower] = there

    def drop(self, lower: User, higher: User, /) -> None:  # noqa: D102
        for user, other in ((lower, higher), (higher, lower)):
            sides = self._sides.get(user, {})
            sides.pop(other, None)
            if not sides:
                self._sides.pop(user, None)

    def get(self, user: User, other: User, /) -> Side | None:  # noqa: D102
        sides = self._sides.get(user)
        return None if sides is None else sides.get(other)

    def around(self, user: User, /) -> list[tuple[User, Side]]:  # noqa: D102
        return list(self._sides.get(user, {}).items())

    def views(self, user: User, at: int, /) -> list[Seen]:  # noqa: D102
        return [View.of_side(user, other, side, at) for other, side in self.around(user)]
