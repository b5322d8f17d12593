"""The settings of what is done when more is asked for than can be answered at once."""

from dataclasses import dataclass

from relay.settings.reading import Seconds, WholeNumber, key


@dataclass(frozen=True, slots=True)
class OverloadSettings:
    """[overload]: how many expensive calls of a kind are answered at once, half of [rest] ``threads`` where None.

    Searches are no more than there are processors, where None.
    Further ones wait, ``max_waiting`` of all kinds for ``wait_seconds`` each, and are refused then.
    """

    max_searches: int | None = key(WholeNumber(1, 1024), None)
    max_database_calls: int | None = key(WholeNumber(1, 1024), None)
    max_node_calls: int | None = key(WholeNumber(1, 1024), None)
    max_whole_networks: int | None = key(WholeNumber(1, 1024), None)
    max_waiting: int = key(WholeNumber(0, 1024), 32)
    wait_seconds: float = key(Seconds(), 1.0)
