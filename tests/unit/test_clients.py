"""What a client is known by."""

import pytest

from relay.clients import Clients

HEADER = "X-Forwarded-For"


def name(told: str, connected: str, *trusted: str, header: str = HEADER) -> str:
    clients = Clients(header, trusted) if trusted else Clients(header)
    return clients.of({"HTTP_X_FORWARDED_FOR": told, "REMOTE_ADDR": connected})


@pytest.mark.parametrize(
    ("told", "connected", "client"),
    [
        ("", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "127.0.0.1", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "127.0.0.1", "203.0.113.7"),
        ("203.0.113.7", "::ffff:127.0.0.1", "203.0.113.7"),
        ("", "127.0.0.1", "127.0.0.1"),
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
    assert name(told, connected) == client


def test_a_header_that_is_not_configured_names_nobody() -> None:
    assert name("203.0.113.7", "127.0.0.1", header="") == "127.0.0.1"


def test_what_anybody_else_than_a_trusted_proxy_writes_names_nobody() -> None:
    assert name("203.0.113.7", "198.51.100.1") == "198.51.100.1"
    assert name("203.0.113.7", "127.0.0.1", "10.0.0.0/8") == "127.0.0.1"


def test_behind_several_trusted_proxies_the_client_is_who_the_first_of_them_saw() -> None:
    assert name("6.6.6.6, 203.0.113.7, 10.0.0.9", "10.0.0.2", "10.0.0.0/8") == "203.0.113.7"


def test_where_there_are_only_trusted_proxies_the_farthest_is_the_client() -> None:
    assert name("10.0.0.8, 10.0.0.9", "10.0.0.2", "10.0.0.0/8") == "10.0.0.8"
