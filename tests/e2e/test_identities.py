"""Identities: deployed by the relay, acting by meta-transactions whose gas the relay pays."""

import pytest

from tests.support.wallet_program import ClientError, WalletProgram
from tests.support.wallet_world import DEBT_FEE, Person, World, amount, befriend

NONCES = ("random", "counting")


@pytest.fixture(params=NONCES)
def pair(request: pytest.FixtureRequest, program: WalletProgram, world: World) -> tuple[Person, Person]:
    """Two deployed identities with a trustline, whose meta-transactions have random or ordered nonces."""
    one, other = (Person(program, world, "identity", nonceMechanism=request.param) for _ in range(2))
    for person in (one, other):
        person.settle_in()
    befriend(one, other, "BEER", 100, 100)
    return one, other


def new_identity(program: WalletProgram, world: World, **config: object) -> Person:
    return Person(program, world, "identity", **config)


def test_an_identity_is_deployed_where_the_client_expected_it(program: WalletProgram, world: World) -> None:
    person = new_identity(program, world)
    assert person.call("user.isIdentityDeployed") is False
    assert person.call("user.deployIdentity") == person.address
    world.follow()
    assert person.call("user.isIdentityDeployed") is True
    assert len(world.w3.eth.get_code(person.address)) > 0  # type: ignore[arg-type]
    identity = person.call("relayProvider.fetchEndpoint", f"identities/{person.address}")
    assert identity == {
        "identity": person.address,
        "nextNonce": 1,
        "balance": "0",
        "implementationAddress": world.addresses.identity_implementations[0],
    }
    assert person.call("wallet.isIdentityImplementationUpToDate") is True


def test_the_factories_of_the_relay_are_told(program: WalletProgram, world: World) -> None:
    person = new_identity(program, world)
    factories = person.call("relayProvider.fetchEndpoint", "factories")
    assert factories == [world.addresses.identity_proxy_factory]


def test_a_factory_of_somebody_else_is_refused(program: WalletProgram, world: World) -> None:
    person = new_identity(program, world, identityFactoryAddress=world.addresses.exchange)
    with pytest.raises(ClientError, match="Status 400"):
        person.call("user.deployIdentity")


def test_an_identity_that_is_not_deployed_cannot_act(program: WalletProgram, world: World) -> None:
    one, other = new_identity(program, world), new_identity(program, world)
    with pytest.raises(ClientError, match="Status 400"):
        one.do("trustline.prepareUpdate", world.networks["BEER"], other.address, 1, 1)


def test_meta_transactions_cost_an_identity_nothing(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, 3)
    assert prepared.value["txFees"]["totalFee"]["raw"] == "0"
    receipt = world.settle(one.confirm(prepared))
    assert receipt["from"] == world.delegate
    assert world.w3.eth.get_balance(one.address) == 0  # type: ignore[arg-type]
    assert other.call("trustline.get", world.networks["BEER"], one.address)["balance"] == amount(3, 0)
    assert one.call("transaction.getTxStatus", prepared["rawTx"])["status"] == "success"


def test_one_meta_transaction_after_another_is_executed(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    for value in (1, 2, 3):
        one.do("payment.prepare", world.networks["BEER"], other.address, value)
    assert other.call("trustline.get", world.networks["BEER"], one.address)["balance"] == amount(6, 0)


def test_meta_transactions_need_not_wait_for_each_other(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    world.chain.rpc("evm_setAutomine", False)
    try:
        transactions = []
        for value in (1, 2, 3):
            prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, value)
            transactions.append(one.confirm(prepared))
    finally:
        world.chain.rpc("evm_setAutomine", True)
        world.chain.mine()
    for transaction in transactions:
        world.settle(transaction)
    assert other.call("trustline.get", world.networks["BEER"], one.address)["balance"] == amount(6, 0)


def test_a_meta_transaction_is_executed_once(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    prepared = one.prepare("payment.prepare", world.networks["BEER"], other.address, 3)
    world.settle(one.confirm(prepared))
    with pytest.raises(ClientError, match="Status 400"):
        one.confirm(prepared)
    assert other.call("trustline.get", world.networks["BEER"], one.address)["balance"] == amount(3, 0)


def test_what_would_fail_is_refused_before_gas_is_spent(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    network = world.networks["BEER"]
    prepared = one.prepare("payment.prepare", network, other.address, 80)
    other.do("trustline.prepareUpdate", network, one.address, 10, 100)
    before = world.w3.eth.get_balance(world.delegate)
    with pytest.raises(ClientError, match="Status 400"):
        one.confirm(prepared)
    assert world.w3.eth.get_balance(world.delegate) == before


def test_a_meta_transaction_for_another_chain_is_refused(program: WalletProgram, world: World) -> None:
    one, other = new_identity(program, world, chainId=1), new_identity(program, world)
    one.settle_in()
    with pytest.raises(ClientError, match="Status 400"):
        one.do("trustline.prepareUpdate", world.networks["BEER"], other.address, 1, 1)


def test_an_identity_may_pay_a_fee_in_a_network_instead(world: World, pair: tuple[Person, Person]) -> None:
    one, other = pair
    befriend(one, other, "HOU", 10, 10)
    hours = world.networks["HOU"]
    fee = {"baseFee": str(DEBT_FEE["base_fee"]), "gasPrice": str(DEBT_FEE["gas_price"])}
    arguments = [other.address, "0x01", "0x01"]
    prepared = one.prepare(
        "transaction.prepareContractTransaction",
        one.address,
        world.networks["BEER"],
        "CurrencyNetworkV2",
        "updateCreditlimits",
        arguments,
        {**fee, "currencyNetworkOfFees": hours},
    )
    assert prepared.value["txFees"]["baseFee"] == amount(DEBT_FEE["base_fee"], 4)
    receipt = world.settle(one.confirm(prepared))
    assert receipt["from"] == world.delegate
    owed = world.network("HOU").functions.getDebt(one.address, world.delegate).call()
    assert 0 < owed <= int(prepared.value["txFees"]["totalFee"]["raw"])
