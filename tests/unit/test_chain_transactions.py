"""Raw transactions are read, or refused in one sentence, before a node is asked."""

from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from relay.chain.errors import MalformedTransaction, WrongChain
from relay.chain.transactions import MAX_BYTES, ParsedTransaction, parse_raw_transaction

CHAIN = 1337
KEY = Account.from_key("0x" + "1f" * 32)
SENDER = bytes.fromhex(KEY.address[2:])
TO = b"\x11" * 20
KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "legacy": (0, {"gasPrice": 9, "chainId": CHAIN}),
    "access list": (1, {"type": 1, "gasPrice": 9, "chainId": CHAIN, "accessList": []}),
    "dynamic fee": (2, {"type": 2, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1, "chainId": CHAIN}),
    "set code": (
        4,
        {
            "type": 4,
            "maxFeePerGas": 9,
            "maxPriorityFeePerGas": 1,
            "chainId": CHAIN,
            "authorizationList": [
                KEY.sign_authorization({"chainId": CHAIN, "address": "0x" + "22" * 20, "nonce": 4})
            ],
        },
    ),
}


def signed(**fields: Any) -> bytes:
    transaction = {"nonce": 3, "gas": 90_000, "to": TO, "value": 7, "data": b"\x00\x01" * 30, **fields}
    return bytes(KEY.sign_transaction(transaction).raw_transaction)


@pytest.mark.parametrize("prefix", ["", "0x", "0X"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_transaction_is_read(kind: str, prefix: str) -> None:
    number, fields = KINDS[kind]
    raw = signed(**fields)
    assert parse_raw_transaction(prefix + raw.hex(), CHAIN) == ParsedTransaction(
        raw=raw,
        hash=keccak(raw),
        type=number,
        sender=SENDER,
        nonce=3,
        chain_id=CHAIN,
        to=TO,
        value=7,
        gas_limit=90_000,
        max_gas_price=9,
        data=b"\x00\x01" * 30,
    )


def test_capital_digits_are_read_too() -> None:
    raw = signed(**KINDS["legacy"][1])
    assert parse_raw_transaction("0x" + raw.hex().upper(), CHAIN).raw == raw


def test_a_transaction_without_chain_id_is_accepted() -> None:
    parsed = parse_raw_transaction(signed(gasPrice=9).hex(), CHAIN)
    assert (parsed.chain_id, parsed.sender) == (None, SENDER)


def test_a_contract_creation_has_no_recipient() -> None:
    assert parse_raw_transaction(signed(gasPrice=9, chainId=CHAIN, to=b"").hex(), CHAIN).to is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_transaction_of_another_chain_is_refused(kind: str) -> None:
    raw = signed(**{**KINDS[kind][1], "chainId": 5})
    with pytest.raises(WrongChain, match="signed for chain 5, but this relay serves chain 1337") as caught:
        parse_raw_transaction(raw.hex(), CHAIN)
    assert (caught.value.signed_for, caught.value.expected) == (5, CHAIN)


LEGACY = signed(**KINDS["legacy"][1])
DYNAMIC = signed(**KINDS["dynamic fee"][1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("0x", "is empty"),
        ("0", "two digits per byte"),
        ("0x123", "two digits per byte"),
        ("zz", "no hexadecimal"),
        (" " + LEGACY.hex(), "no hexadecimal"),
        (LEGACY.hex() + "\n", "no hexadecimal"),
        ("0x0x" + LEGACY.hex(), "no hexadecimal"),
        ("٣٣", "no hexadecimal"),
        (None, "no text"),
        (17, "no text"),
        ("00" * (MAX_BYTES + 1), "128 KiB"),
        ("0x" + "00" * (MAX_BYTES + 1), "128 KiB"),
        ("0" * 2 * MAX_BYTES + "00", "128 KiB"),
        ("00", "begins with byte 0x00"),
        ("05" + DYNAMIC.hex()[2:], "begins with byte 0x05"),
        ("80", "begins with byte 0x80"),
        ("03" + DYNAMIC.hex()[2:], "blob"),
        ("c0", "legacy"),
        ("02", "EIP-1559"),
        ("01c0", "EIP-2930"),
        ("04c0", "EIP-7702"),
        (LEGACY.hex()[:-2], "legacy"),
        (LEGACY.hex() + "00", "legacy"),
        (DYNAMIC.hex()[:-2], "EIP-1559"),
        (DYNAMIC.hex() + "00", "EIP-1559"),
        ("01" + DYNAMIC.hex()[2:], "EIP-2930"),
    ],
)
def test_what_is_no_transaction_is_refused_in_a_sentence(text: Any, words: str) -> None:
    with pytest.raises(MalformedTransaction, match=words):
        parse_raw_transaction(text, CHAIN)


@pytest.mark.parametrize(("r", "s"), [(0, 0), (0, 1), (1, 0), (2**256 - 1, 1), (5, 1)])
def test_a_signature_of_nobody_is_refused(r: int, s: int) -> None:
    fields = rlp.decode(LEGACY)
    fields[7:] = [r.to_bytes(32, "big").lstrip(b"\0"), s.to_bytes(32, "big").lstrip(b"\0")]
    with pytest.raises(MalformedTransaction, match="signature"):
        parse_raw_transaction(rlp.encode(fields).hex(), CHAIN)


def test_a_v_of_no_signature_scheme_is_refused() -> None:
    fields = rlp.decode(LEGACY)
    fields[6] = b"\x1e"
    with pytest.raises(MalformedTransaction):
        parse_raw_transaction(rlp.encode(fields).hex(), CHAIN)


def nested_lists(size: int) -> bytes:
    headers, length = [], 1
    while length < size:
        header = rlp.codec.length_prefix(length, 0xC0)
        headers.append(header)
        length += len(header)
    return b"".join(reversed(headers)) + b"\xc0"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (nested_lists(MAX_BYTES - 8), "nests lists deeper"),
        (b"\x02" + nested_lists(MAX_BYTES - 8), "nests lists deeper"),
        (rlp.encode([b""] * (MAX_BYTES - 8)), "more parts"),
    ],
    ids=["nested", "nested in a typed one", "many parts"],
)
def test_what_would_keep_the_decoder_busy_is_refused_by_its_shape(raw: bytes, words: str) -> None:
    assert len(raw) <= MAX_BYTES
    with pytest.raises(MalformedTransaction, match=words):
        parse_raw_transaction(raw.hex(), CHAIN)


def test_the_largest_access_list_is_read() -> None:
    entries = [{"address": "0x" + "22" * 20, "storageKeys": []}] * 5600
    raw = signed(type=1, gasPrice=9, chainId=CHAIN, accessList=entries)
    assert 125_000 < len(raw) <= MAX_BYTES
    assert parse_raw_transaction(raw.hex(), CHAIN).sender == SENDER


def test_a_transaction_of_just_the_largest_size_is_read() -> None:
    overhead = len(signed(gasPrice=9, chainId=CHAIN, data=bytes(100_000))) - 100_000
    raw = signed(gasPrice=9, chainId=CHAIN, data=bytes(MAX_BYTES - overhead))
    assert len(raw) == MAX_BYTES
    assert parse_raw_transaction("0x" + raw.hex(), CHAIN).sender == SENDER


def parses_or_refuses(text: str) -> None:
    try:
        parsed = parse_raw_transaction(text, CHAIN)
    except (MalformedTransaction, WrongChain):
        return
    assert parsed.hash == keccak(parsed.raw)
    assert len(parsed.sender) == 20


@given(st.text())
def test_any_text_gives_a_transaction_or_a_refusal(text: str) -> None:
    parses_or_refuses(text)


@given(st.sampled_from([b"", b"\x01", b"\x02", b"\x04"]), st.binary(max_size=300))
def test_any_bytes_give_a_transaction_or_a_refusal(prefix: bytes, raw: bytes) -> None:
    parses_or_refuses((prefix + raw).hex())


RLP = st.recursive(st.binary(max_size=40), lambda inner: st.lists(inner, max_size=6), max_leaves=20)


@given(st.sampled_from([(b"", 9), (b"\x01", 11), (b"\x02", 12), (b"\x04", 13)]), st.data())
def test_any_fields_give_a_transaction_or_a_refusal(kind: tuple[bytes, int], data: st.DataObject) -> None:
    prefix, count = kind
    fields = data.draw(st.lists(RLP, min_size=count, max_size=count))
    parses_or_refuses((prefix + rlp.encode(fields)).hex())


@given(st.sampled_from([LEGACY, DYNAMIC]), st.integers(0, 10**4), st.integers(0, 255))
def test_any_changed_byte_gives_a_transaction_or_a_refusal(raw: bytes, place: int, value: int) -> None:
    changed = bytearray(raw)
    changed[place % len(raw)] = value
    parses_or_refuses(changed.hex())
