"""How values cross the edge of the relay: marshmallow fields between plain data inside and JSON outside."""
# ruff: noqa: ARG002 - signatures are those of the library

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields

from relay.addresses import Address, MalformedAddress, parse_address, to_checksum

MAX_UINT64 = 2**64 - 1
MAX_UINT256 = 2**256 - 1

_DIGITS = re.compile(r"[0-9]{1,78}")
_POWERS: dict[int, str] = {MAX_UINT64: "2^64 - 1", MAX_UINT256: "2^256 - 1"}
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


class AddressField(fields.Field[Address]):
    """20 bytes inside; outside EIP-55 text. All lower case is read as well, a wrong checksum is refused."""

    @staticmethod
    def write(value: Address | None) -> str | None:
        """Return an address as it is written outside."""
        return None if value is None else to_checksum(value)

    def _serialize(self, value: Address | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return self.write(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Address:
        try:
            return parse_address(value)
        except MalformedAddress as error:
            raise self.make_error("malformed", reason=str(error)) from error

    default_error_messages = {"malformed": "{reason}"}  # noqa: RUF012 - the form marshmallow reads


class HexField(fields.Field[bytes]):
    """Bytes inside, 0x and two hexadecimal digits a byte outside."""

    @staticmethod
    def write(value: bytes | None) -> str | None:
        """Return bytes as they are written outside."""
        return None if value is None else "0x" + value.hex()

    def _serialize(self, value: bytes | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return self.write(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bytes:
        if not isinstance(value, str) or _HEX.fullmatch(value) is None:
            raise self.make_error("malformed")
        return bytes.fromhex(value[2:])

    default_error_messages = {  # noqa: RUF012 - the form marshmallow reads
        "malformed": "expected 0x followed by two hexadecimal digits for every byte"
    }


class HashField(HexField):
    """32 bytes."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bytes:
        decoded = super()._deserialize(value, attr, data, **kwargs)
        if len(decoded) != 32:
            raise ValidationError("expected 0x followed by 64 hexadecimal digits")
        return decoded


class WholeNumber(fields.Field[int]):
    """An int inside; read from a JSON number or a string of decimal digits, written as a number.

    What is read lies from ``lowest`` to ``highest``, by default from 0 to 2^64 - 1.
    """

    def __init__(self, *, lowest: int = 0, highest: int = MAX_UINT64, **options: Any) -> None:
        super().__init__(**options)
        self.lowest = lowest
        self.highest = highest

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        # bool is an int to Python, but true is no number to JSON.
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self._malformed()
        if isinstance(value, str) and _DIGITS.fullmatch(value) is None:
            raise self._malformed()
        number = int(value)
        if not self.lowest <= number <= self.highest:
            raise self._malformed()
        return number

    def _malformed(self) -> ValidationError:
        highest = _POWERS.get(self.highest, self.highest)
        return self.make_error("malformed", lowest=self.lowest, highest=highest)

    default_error_messages = {  # noqa: RUF012 - the form marshmallow reads
        "malformed": "expected a whole number from {lowest} to {highest}, in decimal digits"
    }


class Amount(WholeNumber):
    """A whole number written as a string, as readers of JSON lose digits beyond 2^53; there it may be negative."""

    @staticmethod
    def write(value: int | None) -> str | None:
        """Return a number as it is written outside."""
        return None if value is None else str(value)

    def _serialize(self, value: int | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return self.write(value)


class PreparedList(fields.Field[Sequence[bytes]]):
    """A list whose objects were written as JSON beforehand.

    Inside it is pieces of text, in each of which objects stand separated by commas. ``shape`` says what they look
    like; they are not looked at again, which is what makes long lists quick.
    """

    def __init__(self, shape: Schema, **options: Any) -> None:
        super().__init__(**options)
        self.shape = shape

    def _serialize(
        self, value: Sequence[bytes] | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> orjson.Fragment:
        # Brackets come to the pieces, not to the whole: a copy of 20 MB takes longer than anything else here.
        *others, last = value or (b"",)
        pieces = [*others, last + b"]"]
        pieces[0] = b"[" + pieces[0]
        return orjson.Fragment(b",".join(pieces))
