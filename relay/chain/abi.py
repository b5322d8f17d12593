"""The contracts of the Trustlines protocol: ABIs and bytecode as trustlines-contracts-bin ships them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

AbiEntry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract by ``name``: its ``abi`` entries (JSON) and creation ``bytecode`` (empty for interfaces)."""

    name: str
    abi: tuple[AbiEntry, ...]
    bytecode: bytes

    def entry(self, kind: str, name: str) -> AbiEntry:
        """Return the ABI entry of a ``kind`` (function, event) and name; KeyError if there is none."""
        for entry in self.abi:
            if entry["type"] == kind and entry.get("name") == name:
                return entry
        raise KeyError(f"the contract {self.name} has no {kind} {name}")


@cache
def contracts() -> dict[str, Contract]:
    """Return all contracts of trustlines-contracts-bin by name.

    Raises:
        FileNotFoundError: if that package is not installed.

    """
    # Importing tlbin needs pkg_resources, which setuptools no longer has; the file beside it does not.
    spec = find_spec("tlbin")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package trustlines-contracts-bin is not installed")
    shipped = json.loads(Path(spec.origin).with_name("contracts.json").read_text(encoding="utf-8"))
    return {
        name: Contract(name, tuple(entry["abi"]), bytes.fromhex(entry["bytecode"].removeprefix("0x")))
        for name, entry in shipped.items()
    }


def contract(name: str) -> Contract:
    """Return a contract by name; KeyError if trustlines-contracts-bin has none of that name."""
    return contracts()[name]


def signature(entry: AbiEntry) -> str:
    """Return the canonical signature of a function or event, such as ``transfer(uint64,bytes)``."""
    return f"{entry['name']}({','.join(types(entry['inputs']))})"


def selector(entry: AbiEntry) -> bytes:
    """Return the 4 bytes that call a function."""
    return keccak(text=signature(entry))[:4]


def topic(entry: AbiEntry) -> bytes:
    """Return the 32-byte first topic of an event."""
    return keccak(text=signature(entry))


def types(parameters: Sequence[AbiEntry]) -> list[str]:
    """Return the types of ABI parameters; the contracts here use no tuples."""
    return [parameter["type"] for parameter in parameters]


def encode_call(entry: AbiEntry, arguments: Sequence[Any] = ()) -> bytes:
    """Return the calldata of a function call."""
    return selector(entry) + abi_encode(types(entry["inputs"]), arguments)


def decode_result(entry: AbiEntry, data: bytes) -> tuple[Any, ...]:
    """Return the values that a function returned.

    Raises:
        ValueError: if the data does not fit the function's outputs.

    """
    try:
        return abi_decode(types(entry["outputs"]), data)
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"{entry['name']}() returned data of a wrong shape") from error
