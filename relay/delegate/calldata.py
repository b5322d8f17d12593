"""The events that calls of a currency network lead to, read off them; for nodes that cannot simulate. Pure."""

from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from relay.addresses import Address
from relay.chain import abi
from relay.chain.signing import Call
from relay.model import Event, EventType, Terms


def read_events(sender: Address, call: Call) -> tuple[Event, ...]:
    """Return the events that a call, if it succeeds, leaves in a currency network; none for other calls.

    An offer of a trustline is taken for a request, though it may accept one of the other side. Transfers whose
    receiver pays are left out: what arrives is not in the call.
    """
    found = _CALLS.get(call.data[:4])
    if found is None:
        return ()
    name, types = found
    try:
        given = abi_decode(types, call.data[4:])
    except (DecodingError, OverflowError):
        return ()
    match name:
        case "transfer" if len(given[2]) > 1:
            value, _, path, extra_data = given
            return (_event(call, EventType.TRANSFER, path[0], path[-1], value=value, extra_data=extra_data),)
        case "updateTrustline":
            return (_event(call, EventType.TRUSTLINE_UPDATE_REQUEST, sender, given[0], terms=Terms(*given[1:])),)
        case "cancelTrustlineUpdate":
            return (_event(call, EventType.TRUSTLINE_UPDATE_CANCEL, sender, given[0]),)
        case _:
            return ()


def _event(call: Call, kind: EventType, sender: Any, receiver: Any, **more: Any) -> Event:
    return Event(
        network=call.to,
        type=kind,
        block_number=0,
        block_hash=bytes(32),
        timestamp=0,
        transaction_hash=bytes(32),
        transaction_index=0,
        log_index=0,
        sender=_address(sender),
        receiver=_address(receiver),
        **more,
    )


def _address(value: bytes | str) -> Address:
    return bytes.fromhex(value[2:]) if isinstance(value, str) else value


def _layouts() -> dict[bytes, tuple[str, list[str]]]:
    """Return name and types of the calls that are read, by their first four bytes."""
    wanted = {"transfer": 4, "updateTrustline": 6, "cancelTrustlineUpdate": 1}
    return {
        abi.selector(entry): (entry["name"], abi.types(entry["inputs"]))
        for entry in abi.contract("CurrencyNetwork").abi
        if entry["type"] == "function" and wanted.get(entry.get("name", "")) == len(entry["inputs"])
    }


_CALLS = _layouts()
