"""Ether for whoever has none, by the client's request."""

from tests.support.wallet_program import WalletProgram
from tests.support.wallet_world import Person, World


def test_who_has_no_ether_is_given_some_and_who_has_enough_is_not(
    world: World, program: WalletProgram, kind: str
) -> None:
    person = Person(program, world, kind)
    assert person.call("user.getBalance")["raw"] == "0"
    world.settle(person.call("user.requestEth"))
    assert int(person.call("user.getBalance")["raw"]) > 0
    world.give_ether(person.address)
    assert person.call("user.requestEth") is None


def test_the_first_payment_of_a_plain_wallet_is_made_with_the_ether_it_was_given(
    world: World, program: WalletProgram
) -> None:
    one, other = (Person(program, world, "ethers") for _ in range(2))
    for person in (one, other):
        world.settle(person.call("user.requestEth"))
    network = world.networks["BEER"]
    one.do("trustline.prepareUpdate", network, other.address, 5, 5)
    other.do("trustline.prepareAccept", network, one.address, 5, 5)
    one.do("payment.prepare", network, other.address, 2)
    assert other.call("trustline.get", network, one.address)["balance"]["value"] == "2"
