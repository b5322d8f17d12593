"""The relay's key: read from its keystore, signing, and shown to nobody."""

import json
import logging
from pathlib import Path

import pytest
from eth_account import Account

from relay.chain.signing import Call, Fee, KeystoreFault, SigningKey, load_key
from relay.chain.transactions import parse_raw_transaction

KEY = bytes(range(1, 33))
PASSWORD = "open-sesame-7531"
CALL = Call(to=bytes([7]) * 20, data=b"data", value=11, gas=90_000)


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=2)))
    return path


def password(folder: Path, text: str = PASSWORD + "\n") -> Path:
    path = folder / "password.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", [PASSWORD, PASSWORD + "\n", PASSWORD + "\r\nsecond line\n"])
def test_the_first_line_of_a_file_opens_the_keystore(keystore: Path, tmp_path: Path, text: str) -> None:
    key = load_key(keystore, password(tmp_path, text), 1337)
    assert key.address == bytes.fromhex(Account.from_key(KEY).address[2:])


def test_what_it_signs_is_its_own_and_of_its_chain() -> None:
    key = SigningKey(KEY, 1337)
    for fee, kind, price in ((Fee(9, 3), 2, 9), (Fee(8, None), 0, 8)):
        raw, transaction_hash = key.sign(CALL, 5, fee)
        signed = parse_raw_transaction(raw.hex(), 1337)
        assert (signed.sender, signed.nonce, signed.hash) == (key.address, 5, transaction_hash)
        assert (signed.type, signed.max_gas_price, signed.gas_limit) == (kind, price, CALL.gas)
        assert (signed.to, signed.value, signed.data) == (CALL.to, CALL.value, CALL.data)


@pytest.mark.parametrize(
    ("content", "secret", "said"),
    [
        (None, "wrong-horse", "password does not open it"),
        (None, "", "password does not open it"),
        ("{}", PASSWORD, "cannot be understood"),
        ('{"crypto": 7}', PASSWORD, "cannot be understood"),
        ("[]", PASSWORD, "no JSON object"),
        ("0xdeadbeef", PASSWORD, "no JSON object"),
    ],
)
def test_a_fault_names_the_file_and_no_secret(
    keystore: Path, tmp_path: Path, content: str | None, secret: str, said: str
) -> None:
    if content is not None:
        keystore.write_text(content)
    with pytest.raises(KeystoreFault, match=said) as caught:
        load_key(keystore, password(tmp_path, secret), 1337)
    assert str(keystore) in str(caught.value)
    assert not secret or secret not in str(caught.value)
    # What the libraries said may quote what they were given.
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("absent", ["keystore.json", "password.txt"])
def test_a_file_that_is_not_there_is_named(keystore: Path, tmp_path: Path, absent: str) -> None:
    password(tmp_path)
    (tmp_path / absent).unlink()
    with pytest.raises(KeystoreFault, match=absent):
        load_key(keystore, tmp_path / "password.txt", 1337)


def test_nothing_shows_the_key(
    keystore: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        key = load_key(keystore, password(tmp_path), 1337)
        key.sign(CALL, 0, Fee(1, 1))
    shown = repr(key) + str(key) + caplog.text + "".join(capsys.readouterr())
    assert KEY.hex() not in shown
    assert PASSWORD not in shown
    assert "SigningKey of 0x" in shown
