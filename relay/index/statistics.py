"""When the database is to look anew at what is in its tables, by which it plans queries. Pure."""

_GROWTH = 8


class Statistics:
    """Counts what was filled in since the database looked.

    By itself it does so once a minute at most, and who asks a new relay would be answered slowly until then. While
    much is still to come it looks whenever there is several times as much as before: seldom, as it takes time.
    """

    def __init__(self, enough: int) -> None:
        """Fewer than ``enough`` events are not worth a look."""
        self._enough = enough
        self._known = 0
        self._since = 0

    def filled_in(self, events: int) -> None:
        """Note that so many events came in at once; those of single new blocks need not be told."""
        self._since += events

    def is_due(self, *, is_level: bool) -> bool:
        """Return whether to look now; ``is_level`` if nothing more is to be filled in."""
        return self._since >= (self._enough if is_level else max(self._enough, _GROWTH * self._known))

    def renewed(self) -> None:
        """Note that the database has looked."""
        self._known += self._since
        self._since = 0
