"""Who is connected: what rates and numbers of connections are counted by."""

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

_NETWORK_BITS = 64
"""Who has an IPv6 address most often has all of this network, and could be somebody else with every request."""

_LONGEST_TOLD = 256
"""More entries than fit into so many characters no chain of proxies adds; what stands before is a client's own."""

LOOPBACK = ("127.0.0.0/8", "::1/128")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Clients:
    """Names the clients of HTTP requests, also of those that come by way of reverse proxies."""

    def __init__(self, header: str = "", trusted_proxies: Iterable[str] = LOOPBACK) -> None:
        """Believe what a header says if it comes from a trusted proxy.

        Arguments:
            header: in which a reverse proxy names the client, each proxy adding an entry to those that it was
                sent; empty without a proxy.
            trusted_proxies: their addresses and networks. Of the entries the last counts that is none of them:
                those before it can be anybody's.

        """
        self._variable = f"HTTP_{header.upper().replace('-', '_')}" if header else ""
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted_proxies]
        # Most requests come from clients that have just been here.
        self._name = lru_cache(maxsize=4096)(self._find_name)

    def of(self, environ: Mapping[str, Any]) -> str:
        """Return what names the client of a WSGI request; an IPv6 address counts as its network of 64 bits."""
        told = str(environ.get(self._variable, "")) if self._variable else ""
        return self._name(told[-_LONGEST_TOLD:], str(environ.get("REMOTE_ADDR", "")))

    def _find_name(self, told: str, connected: str) -> str:
        named = connected
        entries = [entry.strip() for entry in told.split(",")]
        while self._is_trusted(named) and entries:
            named = entries.pop() or named
        return _name_of(named)

    def _is_trusted(self, text: str) -> bool:
        address = _address_of(text)
        return address is not None and any(address in network for network in self._trusted)


def _address_of(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _name_of(text: str) -> str:
    address = _address_of(text)
    if address is None:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
