"""Addresses at the relay's edges."""

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import MalformedAddress, parse_address, to_checksum, trustline_id

addresses = st.binary(min_size=20, max_size=20)


@given(addresses)
def test_an_address_is_written_as_eip_55_says(address: bytes) -> None:
    assert to_checksum(address) == to_checksum_address(address)


@given(addresses)
def test_an_address_is_read_in_both_its_forms(address: bytes) -> None:
    assert parse_address(to_checksum(address)) == address
    assert parse_address("0x" + address.hex()) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "7Ec3543702FA8F2C7b2bD84C034aAc36C263cA8b",
        "0x7Ec3543702FA8F2C7b2bD84C034aAc36C263cA8",
        "0x7Ec3543702FA8F2C7b2bD84C034aAc36C263cA8b0",
        "0X7Ec3543702FA8F2C7b2bD84C034aAc36C263cA8b",
        "0x7ec3543702fa8f2c7b2bd84c034aac36c263ca8\n",
        "0x" + "\N{FULLWIDTH DIGIT ONE}" * 40,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedAddress, match="40 hexadecimal digits"):
        parse_address(text)


def test_capitals_that_contradict_the_checksum_are_refused() -> None:
    with pytest.raises(MalformedAddress, match="EIP-55"):
        parse_address("0x7EC3543702FA8F2C7b2bD84C034aAc36C263cA8b")


def test_the_id_of_a_trustline_is_that_of_the_rest_document_from_both_sides() -> None:
    network = parse_address("0xC0B33D88C704455075a0724AA167a286da778DDE")
    one = parse_address("0xcbF1153F6e5AC01D363d432e24112e8aA56c55ce")
    other = parse_address("0x7Ec3543702FA8F2C7b2bD84C034aAc36C263cA8b")
    expected = "314338891c370d4c77657386c676b6cd2e4862af1244820f9e7b9166d181057f"
    assert trustline_id(network, one, other).hex() == expected
    assert trustline_id(network, other, one).hex() == expected
