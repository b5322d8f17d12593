"""Addresses of a deployment that need not exist."""

from eth_utils.address import to_checksum_address

from relay.devnet.deploy import Addresses

_SOME = [to_checksum_address(f"0x{number:040x}") for number in range(1, 10)]
ADDRESSES = Addresses(
    networks=tuple(_SOME[:4]),
    exchange=_SOME[4],
    unw_eth=_SOME[5],
    identity_proxy_factory=_SOME[6],
    identity_implementations=tuple(_SOME[7:9]),
)
