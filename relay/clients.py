"""Who is connected: what rates and numbers of connections are counted by."""

import ipaddress

_NETWORK_BITS = 64
"""Who has an IPv6 address most often has all of this network, and could be somebody else with every request."""


def client_of(told: str, connected: str) -> str:
    """Return what names a client.

    Arguments:
        told: what a reverse proxy says in the header that is set for it, of which the last entry counts; empty
            without a proxy.
        connected: the address that the connection comes from.

    An IPv6 address counts as the network of 64 bits that it is in.

    """
    text = told.rpartition(",")[2].strip() or connected
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _NETWORK_BITS), strict=False))
