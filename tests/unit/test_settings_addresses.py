"""The address file names the contracts; a mistake in it is named with file, key and value."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import to_checksum
from relay.settings import (
    Addresses,
    RelaySettings,
    Settings,
    SettingsError,
    find_addresses,
    load_addresses,
    read_addresses,
)
from relay.settings.addresses import KEYS

PATH = Path("/etc/relay/addresses.json")
EXAMPLE = Path(__file__).parents[2] / "config" / "addresses.example.json"
ONE, TWO, THREE = (bytes([number]) * 20 for number in (0xA1, 0xB2, 0xC3))


def fault_of(document: object) -> str:
    with pytest.raises(SettingsError) as caught:
        read_addresses(document, PATH)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_the_example_has_every_key() -> None:
    assert tuple(json.loads(EXAMPLE.read_text())) == KEYS
    addresses = load_addresses(EXAMPLE)
    assert len(addresses.networks) == 2
    assert len(addresses.identity_implementations) == 2
    assert addresses.exchange is not None
    assert set(addresses.contracts.values()) == {"Exchange", "UnwETH", "Token"}


def test_networks_alone_suffice_and_null_counts_as_not_given() -> None:
    document = {"networks": [to_checksum(ONE)], "exchange": None, "identityImplementations": None}
    assert read_addresses(document, PATH) == Addresses(networks=(ONE,))


def test_addresses_may_be_in_lower_case_and_a_repetition_counts_once() -> None:
    document = {"networks": [to_checksum(ONE), f"0x{TWO.hex()}", f"0x{ONE.hex()}"]}
    assert read_addresses(document, PATH).networks == (ONE, TWO)


def test_factories_may_be_one_or_many_and_implementations_are_put_together() -> None:
    document = {
        "networks": [],
        "identityProxyFactory": to_checksum(ONE),
        "identityImplementation": to_checksum(TWO),
        "identityImplementations": [to_checksum(THREE), to_checksum(TWO)],
    }
    addresses = read_addresses(document, PATH)
    assert addresses.identity_proxy_factories == (ONE,)
    assert addresses.identity_implementations == (TWO, THREE)
    document["identityProxyFactory"] = [to_checksum(ONE), to_checksum(TWO)]
    assert read_addresses(document, PATH).identity_proxy_factories == (ONE, TWO)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the address file /etc/relay/addresses.json must hold an object with the key networks"),
        ({}, "/etc/relay/addresses.json: networks: expected a list of addresses, got nothing"),
        ({"networks": None}, "/etc/relay/addresses.json: networks: expected a list of addresses, got null"),
        ({"networks": "0x"}, '/etc/relay/addresses.json: networks: expected a list of addresses, got "0x"'),
        (
            {"networks": [to_checksum(ONE), 7]},
            "/etc/relay/addresses.json: networks entry 2: "
            "expected an address (0x and 40 hexadecimal digits), got 7",
        ),
        (
            {"networks": ["0x12"]},
            '/etc/relay/addresses.json: networks entry 1: "0x12" is not an address: '
            "expected 0x followed by 40 hexadecimal digits",
        ),
        (
            {"networks": [], "exchange": "0xC0B33D88C704455075a0724AA167a286da778DDe"},
            '/etc/relay/addresses.json: exchange: "0xC0B33D88C704455075a0724AA167a286da778DDe" is not an address: '
            "the capitals of the address do not match its EIP-55 checksum",
        ),
        ({"network": []}, '/etc/relay/addresses.json: unknown key "network"; did you mean networks?'),
        (
            {"networks": [], "exchange": [to_checksum(ONE), []]},
            "/etc/relay/addresses.json: exchange entry 2: "
            "expected an address (0x and 40 hexadecimal digits), got a list",
        ),
        (
            {"networks": [to_checksum(ONE)], "tokens": [to_checksum(TWO), to_checksum(ONE)]},
            f"/etc/relay/addresses.json: tokens: {to_checksum(ONE)} stands under networks as well",
        ),
    ],
)
def test_a_mistake_is_named(document: object, message: str) -> None:
    assert fault_of(document) == message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    with pytest.raises(SettingsError, match=r"the address file .*addresses\.json does not exist"):
        load_addresses(path)
    path.write_text('{"networks": [\n')
    with pytest.raises(SettingsError, match=r"addresses\.json is not JSON: .*line 2"):
        load_addresses(path)
    path.write_text("")
    with pytest.raises(SettingsError, match=r"addresses\.json is not JSON"):
        load_addresses(path)
    path.write_bytes(b'"\xff"')
    with pytest.raises(SettingsError, match=r"addresses\.json is not JSON: not text"):
        load_addresses(path)


def test_networks_of_the_settings_come_after_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    path.write_text(json.dumps({"networks": [to_checksum(TWO)], "exchange": to_checksum(THREE)}))
    settings = Settings(relay=RelaySettings(addresses_filepath=path, networks=(ONE, TWO)))
    assert find_addresses(settings) == Addresses(networks=(TWO, ONE), exchanges=(THREE,))


def test_the_file_may_be_missing_only_where_the_settings_name_networks(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    assert find_addresses(Settings(relay=RelaySettings(path, networks=(ONE,)))).networks == (ONE,)
    with pytest.raises(SettingsError, match="does not exist"):
        find_addresses(Settings(relay=RelaySettings(path)))
    path.write_text('{"networks": []}')
    with pytest.raises(SettingsError, match="there is no currency network to serve"):
        find_addresses(Settings(relay=RelaySettings(path)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(to_checksum(ONE)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.one_of(json_values, st.dictionaries(st.sampled_from(KEYS), json_values)))
def test_any_json_gives_addresses_or_one_sentence_that_names_the_file(document: object) -> None:
    try:
        addresses = read_addresses(document, PATH)
    except SettingsError as error:
        message = str(error)
    else:
        message = str(PATH)
        assert all(len(address) == 20 for address in addresses.networks)
    assert str(PATH) in message
    assert message.isprintable()
