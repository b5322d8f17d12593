"""Wallets are made, kept and recovered as the client does it; the address of an identity is known beforehand."""

import pytest

from tests.support.wallet_program import ClientError, WalletProgram
from tests.support.wallet_world import Person, World

pytestmark = pytest.mark.parametrize("kind", ["ethers", "identity"])


@pytest.fixture
def person(program: WalletProgram, world: World, kind: str) -> Person:
    return Person(program, world, kind)


def test_a_new_wallet_has_an_address_a_key_and_a_seed(person: Person, kind: str) -> None:
    assert person.wallet["type"] == kind
    assert person.call("user.getAddress") == person.address
    assert person.call("user.getWalletData") == person.wallet
    assert len(person.call("user.showSeed").split()) == 12
    assert person.call("user.exportPrivateKey") == person.wallet["meta"]["signingKey"]["privateKey"]


def test_a_wallet_is_recovered_from_its_seed(person: Person) -> None:
    recovered = person.call("user.recoverFromSeed", person.call("user.showSeed"))
    assert recovered == person.wallet


def test_a_wallet_is_recovered_from_its_private_key(person: Person) -> None:
    recovered = person.call("user.recoverFromPrivateKey", person.call("user.exportPrivateKey"))
    assert recovered["address"] == person.address


def test_a_wallet_is_recovered_from_its_encrypted_keystore(person: Person) -> None:
    keystore = person.call("user.encryptToSerializedKeystore", person.wallet, "secret words")
    assert person.call("user.recoverFromEncryptedKeystore", keystore, "secret words") == person.wallet
    with pytest.raises(ClientError, match="invalid password"):
        person.call("user.recoverFromEncryptedKeystore", keystore, "other words")
