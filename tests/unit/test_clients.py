"""What a client is known by."""

import pytest

from relay.clients import client_of


@pytest.mark.parametrize(
    ("told", "connected", "client"),
    [
        ("", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "127.0.0.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "127.0.0.1", "203.0.113.7"),
        ("", "::ffff:203.0.113.7", "203.0.113.7"),
        ("", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "::1", "2001:db8:1:2::/64"),
        ("", "fe80::1%eth0", "fe80::/64"),
        ("unknown", "127.0.0.1", "unknown"),
        ("", "", ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_addresses_of_its_own(
    told: str, connected: str, client: str
) -> None:
    assert client_of(told, connected) == client
