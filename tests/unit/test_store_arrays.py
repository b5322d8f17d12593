"""Columns of values as Postgres reads arrays."""

from relay.store.arrays import flags, numbers, octets


def test_numbers_of_any_size_stand_side_by_side() -> None:
    assert numbers([1, -(2**71), 0]) == "{1,-2361183241434822606848,0}"


def test_octets_are_quoted_hex_with_the_backslash_doubled_as_array_literals_have_it() -> None:
    assert octets([b"\x00\xff", b""]) == '{"\\\\x00ff","\\\\x"}'


def test_flags_are_letters() -> None:
    assert flags([True, False]) == "{t,f}"


def test_nothing_is_an_empty_array() -> None:
    assert numbers([]) == octets([]) == flags([]) == "{}"
