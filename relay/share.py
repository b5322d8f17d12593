"""Which networks a process holds, where several processes share them."""

import re
from dataclasses import dataclass
from typing import Self

from relay.addresses import Address

_DIGITS = "0123456789abcdef"
_PART = re.compile(r"([0-9a-f])(?:-([0-9a-f]))?")


@dataclass(frozen=True, slots=True)
class Share:
    """The networks whose address ends with one of some hexadecimal digits.

    Of an address nothing else counts, so a proxy finds the process by a pattern, and a network that comes later
    has its place already.
    """

    digits: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read digits and ranges of them with commas in between, as in ``0-7`` or ``3,a-f``; raises ValueError."""
        digits: set[int] = set()
        for part in text.lower().split(","):
            found = _PART.fullmatch(part.strip())
            if found is None:
                raise ValueError(f"{part.strip()!r} is neither a hexadecimal digit nor two of them with - between")
            first, last = (_DIGITS.index(digit) for digit in (found[1], found[2] or found[1]))
            if first > last:
                raise ValueError(f"{part.strip()!r} ends before it begins")
            digits.update(range(first, last + 1))
        return cls(frozenset(digits))

    def holds(self, network: Address) -> bool:
        """Say whether a network belongs to this share."""
        return network[-1] & 0x0F in self.digits

    def __str__(self) -> str:
        return "".join(_DIGITS[digit] for digit in sorted(self.digits))


def is_share(text: str) -> bool:
    """Tell whether a text names a share; an empty one names none."""
    try:
        return not text or bool(Share.parse(text))
    except ValueError:
        return False
