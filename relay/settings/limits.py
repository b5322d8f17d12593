"""How often a client may ask."""

from dataclasses import dataclass

from relay.settings.reading import WholeNumber, key

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class LimitsSettings:
    """[limits]: requests a minute of one client to one process, by what answering costs; 0 for any number.

    What may be asked in ``burst_seconds`` may also be asked at once.
    """

    reading_per_minute: int = key(WholeNumber(0, _MOST), 0)
    lists_per_minute: int = key(WholeNumber(0, _MOST), 0)
    searches_per_minute: int = key(WholeNumber(0, _MOST), 0)
    sending_per_minute: int = key(WholeNumber(0, _MOST), 0)
    burst_seconds: int = key(WholeNumber(1, 3600), 60)
