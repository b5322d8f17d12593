"""Lists kept in pages of text."""

import json

from graph.transfer import FeePayer
from relay.addresses import to_checksum
from relay.store.history_rows import (
    PAGE_ENTRIES,
    Accrual,
    Entry,
    Page,
    TransferRecord,
    interest_entry,
    interests_seen,
    mediation_entries,
    pages_after,
)

A, B, C, D = (bytes([letter]) * 20 for letter in (0xA1, 0xB2, 0xC3, 0xD4))


def test_pages_are_cut_between_entries() -> None:
    page = Page([1, 2, 2, 9], [10, 20, 20, 90], [1, 3, 2, 1], "a,bcd,ef,g")
    assert list(page) == [(1, 10, "a"), (2, 20, "bcd"), (2, 20, "ef"), (9, 90, "g")]
    assert page.between(0, 4) == page
    assert page.between(1, 3) == Page([2, 2], [20, 20], [3, 2], "bcd,ef")
    assert page.between(3, 4) == Page([9], [90], [1], "g")
    assert page.between(2, 2) == Page([], [], [], "")


def test_a_page_is_filled_before_the_next_one_begins() -> None:
    entries: list[Entry] = [(number, 10 * number, str(number)) for number in range(2 * PAGE_ENTRIES + 3)]

    def numbers_and_sizes(page: int, held: int, count: int) -> list[tuple[int, int]]:
        divided = list(pages_after(page, held, entries[:count]))
        assert [entry for _, part in divided for entry in part] == entries[:count]
        return [(number, len(part)) for number, part in divided]

    assert numbers_and_sizes(0, 0, 0) == []
    assert numbers_and_sizes(0, 0, 5) == [(0, 5)]
    assert numbers_and_sizes(4, PAGE_ENTRIES - 5, 5) == [(4, 5)]
    assert numbers_and_sizes(4, PAGE_ENTRIES - 5, 6) == [(4, 5), (5, 1)]
    assert numbers_and_sizes(4, PAGE_ENTRIES, 1) == [(5, 1)]
    assert numbers_and_sizes(4, 10 * PAGE_ENTRIES, 1) == [(5, 1)], "a large one of before"
    assert numbers_and_sizes(7, 1, len(entries)) == [(7, PAGE_ENTRIES - 1), (8, PAGE_ENTRIES), (9, 4)]


def test_each_side_sees_interest_with_its_own_sign() -> None:
    entries = ",".join(
        interest_entry(Accrual(1, (A, B), 5, 77, value, rate)) for value, rate in ((12, 5), (-9, -20))
    )

    def seen(*, by_lower: bool) -> list[tuple[str, int, int]]:
        found = json.loads(b"[" + interests_seen(entries, by_lower=by_lower) + b"]")
        return [(each["value"], each["interestRate"], each["timestamp"]) for each in found]

    assert seen(by_lower=True) == [("12", 5, 77), ("-9", -20, 77)]
    assert seen(by_lower=False) == [("-12", 5, 77), ("9", -20, 77)]


def test_every_mediator_of_a_transfer_has_an_entry_with_its_neighbours() -> None:
    transfer = TransferRecord(1, 5, 77, b"\x0f" * 32, 0, 3, FeePayer.SENDER, (A, B, C, D), (125, 112, 100))
    assert transfer.fees == (13, 12)
    (first, one), (second, other) = mediation_entries(transfer)
    assert (first, second) == (B, C)
    assert json.loads(one) == {
        "value": "13",
        "from": to_checksum(A),
        "to": to_checksum(C),
        "transactionHash": "0x" + "0f" * 32,
        "timestamp": 77,
    }
    assert json.loads(other)["value"] == "12"
