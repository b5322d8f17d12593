"""What is derived from events and kept as lists: interest, transfers and what their mediators earned."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graph.transfer import FeePayer
from graph.trustline import Pair
from relay.addresses import Address, to_checksum

PAGE_ENTRIES = 64
"""A page that holds so many entries is full, and the next one begins."""

Entry = tuple[int, int, str]
"""An entry of a list: its block's number and timestamp, and its text."""


@dataclass(frozen=True, slots=True)
class Accrual:
    """Interest that was added to the balance of a trustline.

    ``value`` is in the smallest unit, positive where the lower of ``pair`` gained it. ``rate`` is the one that the
    balance bore, in 0.01 % a year; ``timestamp`` that of the block, in Unix seconds.
    """

    network_id: int
    pair: Pair
    block_number: int
    timestamp: int
    value: int
    rate: int


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """A transfer as it was executed.

    Its events have the log indexes from ``first_index`` to ``log_index``, the last one being that of its Transfer.
    ``amounts`` is what moved on each hop of ``path``, in the smallest unit.
    """

    network_id: int
    block_number: int
    timestamp: int
    transaction_hash: bytes
    first_index: int
    log_index: int
    fee_payer: FeePayer
    path: tuple[Address, ...]
    amounts: tuple[int, ...]

    @property
    def fees(self) -> tuple[int, ...]:
        """What each mediator kept, in the order of the path."""
        return fees_of(self.amounts)


def fees_of(amounts: Sequence[int]) -> tuple[int, ...]:
    """Return what each mediator kept of the amounts that came to it and left it."""
    return tuple(came - left for came, left in pairwise(amounts))


@dataclass(slots=True)
class Page:
    """Entries of a list in the order of the chain; ``entries`` are their texts, separated by commas."""

    blocks: list[int]
    times: list[int]
    sizes: list[int]
    entries: str

    def __iter__(self) -> Iterator[Entry]:
        """Go through the entries, each as its block's number and timestamp, and its text."""
        start = 0
        for block, time, size in zip(self.blocks, self.times, self.sizes, strict=True):
            yield block, time, self.entries[start : start + size]
            start += size + 1

    def between(self, first: int, end: int) -> "Page":
        """Return the entries from number ``first`` up to before number ``end``."""
        start = sum(self.sizes[:first]) + first
        length = sum(self.sizes[first:end]) + max(end - first - 1, 0)
        kept = slice(first, end)
        text = self.entries[start : start + length]
        return Page(self.blocks[kept], self.times[kept], self.sizes[kept], text)


def pages_after(page: int, held: int, entries: Sequence[Entry]) -> Iterator[tuple[int, Sequence[Entry]]]:
    """Divide entries that follow the ``held`` ones of a list's last page among it and those after it.

    Each part comes with its page's number; that of the last page is ``page``.
    """
    start = 0
    while start < len(entries):
        if held >= PAGE_ENTRIES:
            page, held = page + 1, 0
        end = start + PAGE_ENTRIES - held
        yield page, entries[start:end]
        start, held = end, PAGE_ENTRIES


def interest_entry(accrual: Accrual) -> str:
    """Return the text of an entry of the table ``interests``."""
    gainer = ">" if accrual.value > 0 else "<"
    return (
        f'{{"value":"{gainer}{abs(accrual.value)}","interestRate":{accrual.rate},"timestamp":{accrual.timestamp}}}'
    )


_SEEN_BY_LOWER = bytes.maketrans(b"<", b"-"), b">"
_SEEN_BY_HIGHER = bytes.maketrans(b">", b"-"), b"<"


def interests_seen(entries: str, *, by_lower: bool) -> bytes:
    """Return entries of the table ``interests`` as JSON, with the sign that one of the two users sees."""
    table, gone = _SEEN_BY_LOWER if by_lower else _SEEN_BY_HIGHER
    return entries.encode("ascii").translate(table, gone)


def mediation_entries(transfer: TransferRecord) -> list[tuple[Address, str]]:
    """Return, for each mediator of a transfer, its entry in the table ``mediations``, which is JSON."""
    path = transfer.path
    return [
        (
            mediator,
            f'{{"value":"{fee}","from":"{to_checksum(payer)}","to":"{to_checksum(payee)}",'
            f'"transactionHash":"0x{transfer.transaction_hash.hex()}","timestamp":{transfer.timestamp}}}',
        )
        for payer, mediator, payee, fee in zip(path, path[1:], path[2:], transfer.fees, strict=False)
    ]
