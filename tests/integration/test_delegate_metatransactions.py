"""Identities and their meta-transactions: what is executed, and what is refused before it costs anything."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3
from web3.contract import Contract

from relay.addresses import parse_address, to_checksum
from relay.chain.identity import MetaTransaction
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import contract_at
from relay.devnet.postgres import create_database, drop_database
from tests.support.commands import until
from tests.support.delegating import (
    Delegating,
    Wallet,
    World,
    as_json,
    delegating,
    new_wallet,
    relay_meta,
    sign_hash,
)
from tests.support.identity_world import deploy_identity_world

FEE = {"base_fee": 3, "gas_price": 1_000_000}


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


@pytest.fixture(scope="module")
def relay(world: World, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delegating]:
    """A relay that executes meta-transactions for nothing."""
    url = create_database(postgres_url, "delegating")
    with delegating(world, url, tmp_path_factory.mktemp("delegating")) as served:
        yield served
    drop_database(postgres_url, "delegating")


@pytest.fixture(scope="module")
def ada(relay: Delegating) -> Wallet:
    return new_wallet(relay)


@pytest.fixture(scope="module")
def bo(relay: Delegating) -> Wallet:
    return new_wallet(relay)


def offer(network: Contract, other: Wallet, given: int = 100) -> str:
    """The calldata that offers a credit line to somebody."""
    return network.encode_abi("updateTrustline", [other.address, given, 200, 0, 0, False])


def spent(relay: Delegating) -> int:
    """What the relay's account has left, in wei."""
    return relay.balance(relay.account.address)


def refused(relay: Delegating, meta: MetaTransaction, said: str, status: int = 400) -> None:
    """Check that a meta-transaction is refused, with the reason, for no gas."""
    before = spent(relay)
    found, answer = relay_meta(relay, meta)
    assert found == status, answer
    assert said in answer["message"]
    assert spent(relay) == before


def status_of(relay: Delegating, wallet: Wallet, meta: MetaTransaction) -> Any:
    return relay.ask(f"identities/{wallet.address}/meta-transactions/0x{meta.hash.hex()}/status")


def test_an_identity_is_deployed_where_its_owner_computed_it(relay: Delegating, ada: Wallet) -> None:
    info = relay.ask(f"identities/{ada.address}")
    assert info == {
        "identity": ada.address,
        "nextNonce": 1,
        "balance": "0",
        "implementationAddress": relay.world.implementation,
    }
    proxy = contract_at(relay.world.w3, "Identity", Web3.to_checksum_address(ada.address))
    assert proxy.functions.owner().call() == ada.owner.address


def test_the_factories_are_listed(relay: Delegating) -> None:
    assert relay.ask("factories") == [relay.world.factory]


def test_an_address_without_identity_is_not_found(relay: Delegating) -> None:
    for address in (Account.create().address, relay.world.network.address):
        answer = relay.client.get(f"/api/v1/identities/{address}")
        assert answer.status_code == 404
        assert "Contract not found" in answer.json["message"]


@pytest.mark.parametrize("fault", ["factory", "implementation", "signature", "again"])
def test_a_deployment_that_is_at_fault_is_refused_for_no_gas(relay: Delegating, fault: str) -> None:
    owner = Account.create()
    factory, implementation = relay.world.factory, relay.world.implementation
    if fault == "factory":
        factory = relay.world.network.address
    if fault == "implementation":
        implementation = relay.world.network.address
    digest = Web3.keccak(b"\x19\x00" + parse_address(factory) + parse_address(implementation))
    signature = "0x1234" if fault == "signature" else "0x" + sign_hash(owner, digest).hex()
    body = {"factoryAddress": factory, "implementationAddress": implementation, "signature": signature}
    if fault == "again":
        relay.tell("identities", **body)
    before = spent(relay)
    status, answer = relay.post("identities", body)
    assert status == 400, answer
    assert {"again": "deployed already"}.get(fault, fault) in answer["message"]
    assert spent(relay) == before


@pytest.mark.parametrize("gas_limit", [0, 600_000, 850_000])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "random"])
def test_a_meta_transaction_is_executed_and_its_events_are_the_identitys(
    relay: Delegating, bo: Wallet, ordered: bool, gas_limit: int
) -> None:
    wallet, network = new_wallet(relay), relay.world.network
    nonce = relay.ask(f"identities/{wallet.address}")["nextNonce"]
    changed = {"gas_limit": gas_limit} | ({"nonce": nonce} if ordered else {})
    meta = wallet.meta(network.address, offer(network, bo), **changed)
    status, envelope = relay_meta(relay, meta)
    assert status == 200, envelope
    receipt = relay.world.w3.eth.wait_for_transaction_receipt(envelope, timeout=10)
    assert receipt["status"] == 1
    assert status_of(relay, wallet, meta)["status"] == "success"
    assert relay.ask(f"transactions/{envelope}/status")["status"] == "success"
    relay.update()
    (event,) = relay.ask(f"users/{wallet.address}/events?type=TrustlineUpdateRequest")
    assert (event["from"], event["to"], event["transactionHash"]) == (wallet.address, bo.address, envelope)
    assert relay.ask(f"identities/{wallet.address}")["nextNonce"] == (2 if ordered else 1)


def test_where_nothing_is_asked_for_there_is_still_a_fee_to_choose(relay: Delegating, ada: Wallet) -> None:
    meta = as_json(ada.meta(relay.world.network.address)) | {"signature": None}
    assert relay.tell("meta-transaction-fees", metaTransaction=meta) == [
        {
            "baseFee": "0",
            "gasPrice": "0",
            "feeRecipient": relay.account.address,
            "currencyNetworkOfFees": "0x" + "0" * 40,
        }
    ]


def test_faults_of_the_meta_transaction_itself_are_named(relay: Delegating, ada: Wallet, bo: Wallet) -> None:
    network = relay.world.network
    call = (network.address, offer(network, bo))
    refused(relay, ada.meta(*call, chain_id=1), "chain id")
    refused(relay, ada.meta(*call, version=2), "version")
    for time_limit in (1, int(time.time()), int(time.time()) + 5):
        refused(relay, ada.meta(*call, time_limit=time_limit), "time limit")
    refused(relay, ada.meta(*call, nonce=7), "nonce of the meta-transaction is 7, expected 1")
    stranger = Wallet(bo.owner, ada.identity)
    refused(relay, stranger.meta(*call), "signature")
    nobody = Wallet(ada.owner, bytes([9]) * 20)
    refused(relay, nobody.meta(*call), "no identity contract")
    refused(relay, nobody.meta(*call, nonce=1), "no identity contract")
    refused(relay, Wallet(ada.owner, parse_address(network.address)).meta(*call), "no identity contract")


@pytest.mark.parametrize(
    "changed", [{"value": "-1"}, {"nonce": str(2**256)}, {"operationType": 4}, {"to": "0x12"}]
)
def test_what_is_no_meta_transaction_at_all_is_refused(
    relay: Delegating, ada: Wallet, changed: dict[str, Any]
) -> None:
    body = as_json(ada.meta(relay.world.network.address)) | changed
    for path in ("relay-meta-transaction", "meta-transaction-fees"):
        assert relay.post(path, {"metaTransaction": body})[0] == 422


def test_a_call_that_would_fail_is_refused_with_the_contracts_reason(relay: Delegating, ada: Wallet) -> None:
    network = relay.world.network
    transfer = network.encode_abi("transfer", [10, 1, [ada.address, to_checksum(bytes([8]) * 20)], b""])
    refused(relay, ada.meta(network.address, transfer), "the call of the meta-transaction would fail")
    refused(relay, ada.meta(network.address, value=5), "the call of the meta-transaction would fail")


def test_more_gas_than_is_allowed_is_refused(relay: Delegating, ada: Wallet, bo: Wallet) -> None:
    network = relay.world.network
    refused(relay, ada.meta(network.address, offer(network, bo), gas_limit=1_000_001), "would revert")


def test_a_call_that_burns_gas_is_refused(relay: Delegating, ada: Wallet, world: World) -> None:
    # JUMPDEST PUSH1 0 JUMP, for ever.
    burner = to_checksum(bytes([0xBB]) * 20)
    world.anvil.rpc("anvil_setCode", burner, "0x5b600056")
    refused(relay, ada.meta(burner), "would")
    # Deep in one loop over storage: succeeds, but only above the limit.
    writer = to_checksum(bytes([0xBC]) * 20)
    code = "6000" + "5b" + "6001" + "01" + "80" + "80" + "55" + "80" + "6103e8" + "11" + "6002" + "57" + "00"
    world.anvil.rpc("anvil_setCode", writer, "0x" + code)
    refused(relay, ada.meta(writer), "would")


def test_a_meta_transaction_is_not_executed_twice(relay: Delegating, bo: Wallet) -> None:
    wallet, network = new_wallet(relay), relay.world.network
    for changed in ({}, {"nonce": 1}):
        meta = wallet.meta(network.address, offer(network, bo, 7), **changed)
        assert relay_meta(relay, meta)[0] == 200
        # The node mines in its own time, and what was spent is looked at.
        until("it is executed", lambda meta=meta: status_of(relay, wallet, meta)["status"] == "success")
        refused(relay, meta, "relayed already" if not changed else "nonce")


def test_several_ordered_meta_transactions_of_an_identity_wait_at_the_same_time(
    relay: Delegating, bo: Wallet, world: World
) -> None:
    wallet, network = new_wallet(relay), world.network
    metas = []
    world.anvil.rpc("evm_setAutomine", False)
    try:
        for given in (10, 20, 30):
            nonce = relay.ask(f"identities/{wallet.address}")["nextNonce"]
            metas.append(wallet.meta(network.address, offer(network, bo, given), nonce=nonce))
            assert relay_meta(relay, metas[-1])[0] == 200
        assert [meta.nonce for meta in metas] == [1, 2, 3]
        assert [status_of(relay, wallet, meta)["status"] for meta in metas] == ["pending"] * 3
        refused(relay, metas[1], "nonce")
        events = relay.ask(f"users/{wallet.address}/events?type=TrustlineUpdateRequest")
        assert [(event["given"], event["status"]) for event in events] == [
            ("10", "sent"),
            ("20", "sent"),
            ("30", "sent"),
        ]
        assert all(isinstance(event["blockNumber"], int) and event["timestamp"] for event in events)
    finally:
        world.anvil.rpc("evm_setAutomine", True)
        world.anvil.mine()
    assert [status_of(relay, wallet, meta)["status"] for meta in metas] == ["success"] * 3
    relay.update()
    events = relay.ask(f"users/{wallet.address}/events?type=TrustlineUpdateRequest")
    assert [(event["given"], event["status"]) for event in events] == [
        ("10", "pending"),
        ("20", "pending"),
        ("30", "pending"),
    ]


def test_an_execution_by_somebody_else_is_known_as_well(relay: Delegating, ada: Wallet, bo: Wallet) -> None:
    world = relay.world
    meta = ada.meta(world.network.address, offer(world.network, bo, 55))
    assert status_of(relay, ada, meta)["status"] == "not found"
    world.w3.eth.wait_for_transaction_receipt(
        world.w3.eth.send_transaction(
            {"from": world.w3.eth.accounts[1], "to": ada.address, "data": meta.execution(), "gas": 10**6}
        )
    )
    relay.update()
    assert status_of(relay, ada, meta)["status"] == "success"
    refused(relay, meta, "relayed already")


@pytest.fixture(scope="module")
def paid(world: World, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delegating]:
    """A relay that takes fees in one network."""
    url = create_database(postgres_url, "delegating_paid")
    fees = [
        FEE | {"currency_network": world.network.address},
        {"base_fee": 9**9, "currency_network": world.factory},
    ]
    sections = {"delegate": {"enable": True, "fees": fees}}
    with delegating(world, url, tmp_path_factory.mktemp("paid"), **sections) as served:
        yield served
    drop_database(postgres_url, "delegating_paid")


class TestFees:
    """Fees are taken where they are accepted, and only as debts that can be claimed."""

    def test_all_fees_accepted_are_listed(self, paid: Delegating, world: World) -> None:
        wallet = new_wallet(paid)
        offers = paid.tell("meta-transaction-fees", metaTransaction=as_json(wallet.meta(world.factory)))
        assert [one["currencyNetworkOfFees"] for one in offers] == [world.network.address, world.factory]
        assert (offers[0]["baseFee"], offers[0]["gasPrice"]) == ("3", "1000000")
        assert {one["feeRecipient"] for one in offers} == {paid.account.address}

    def test_a_fee_becomes_a_debt_to_the_relay(self, paid: Delegating, world: World) -> None:
        wallet, other, network = new_wallet(paid), new_wallet(paid), world.network
        debts = [0]
        # The zero address stands for the relay.
        for changed in ({}, {"fee_recipient": bytes(20)}):
            terms = self._terms(paid, network.address) | changed
            meta = wallet.meta(network.address, offer(network, other, len(debts)), **terms)
            status, envelope = relay_meta(paid, meta)
            assert status == 200, envelope
            world.w3.eth.wait_for_transaction_receipt(envelope)
            debts.append(network.functions.getDebt(wallet.address, paid.account.address).call())
        assert 3 < debts[1] < debts[2]

    def test_fees_that_are_not_accepted_are_refused(self, paid: Delegating, world: World) -> None:
        wallet, network = new_wallet(paid), world.network
        call = (network.address, offer(network, wallet))
        refused(paid, wallet.meta(*call), "fees")
        good = self._terms(paid, network.address)
        refused(paid, wallet.meta(*call, **(good | {"base_fee": 2})), "fees")
        refused(paid, wallet.meta(*call, **(good | {"gas_price": 999_999})), "fees")
        refused(paid, wallet.meta(*call, **(good | {"fee_recipient": wallet.identity})), "fees")
        refused(paid, wallet.meta(*call, **(good | {"currency_network_of_fees": bytes([3]) * 20})), "fees")

    def test_a_fee_that_cannot_be_booked_is_refused(self, paid: Delegating, world: World) -> None:
        # The relay was told to take fees in a contract that is no currency network.
        wallet, other, network = new_wallet(paid), new_wallet(paid), world.network
        terms = self._terms(paid, world.factory) | {"base_fee": 9**9, "gas_price": 0}
        refused(paid, wallet.meta(network.address, offer(network, other), **terms), "would revert")
        # More than can be claimed; beyond 2^255 the contract would book it the other way round.
        for fee in (2**64, 2**255 - 1, 2**255, 2**255 + 1, 2**256 - 1):
            terms = self._terms(paid, network.address) | {"base_fee": fee}
            refused(paid, wallet.meta(network.address, offer(network, other), **terms), "the ")
        assert network.functions.getDebt(paid.account.address, wallet.address).call() == 0

    @staticmethod
    def _terms(paid: Delegating, network: str) -> dict[str, Any]:
        return FEE | {
            "fee_recipient": parse_address(paid.account.address),
            "currency_network_of_fees": parse_address(network),
        }


def test_identities_of_a_day_are_capped(world: World, database_url: str, tmp_path: Path) -> None:
    now = [int(time.time())]
    sections = {"delegate": {"enable": True, "max_identities_per_day": 2}}
    with delegating(world, database_url, tmp_path, start=False, clock=lambda: now[0], **sections) as relay:
        assert new_wallet(relay) != new_wallet(relay)
        with pytest.raises(AssertionError, match="as many identities as a day allows"):
            new_wallet(relay)
        now[0] += 86_400
        assert new_wallet(relay)


def test_gas_that_an_identity_loses_in_a_day_is_capped(world: World, database_url: str, tmp_path: Path) -> None:
    """A contract that succeeds while it is tried and fails in the block: what no simulation can foresee."""
    now = [int(time.time())]
    sections = {"delegate": {"enable": True, "max_lost_gas_per_day": 700_000}}
    # PUSH4 2^31 TIMESTAMP LT PUSH1 .. JUMPI: reverts from a time on, which the chain reaches in one step.
    trap = to_checksum(bytes([0xBD]) * 20)
    world.anvil.rpc("anvil_setCode", trap, "0x6000546009575b005bfd".replace("5b005bfd", "005b6000600020fe"))
    with delegating(world, database_url, tmp_path, start=False, clock=lambda: now[0], **sections) as relay:
        wallet = new_wallet(relay)
        lost = 0
        for _ in range(20):
            world.anvil.rpc("anvil_setStorageAt", trap, "0x0", "0x" + "00" * 32)
            world.anvil.rpc("evm_setAutomine", False)
            try:
                status, answer = relay_meta(relay, wallet.meta(trap))
                world.anvil.rpc("anvil_setStorageAt", trap, "0x0", "0x" + "00" * 31 + "01")
            finally:
                world.anvil.mine()
                world.anvil.rpc("evm_setAutomine", True)
            if status != 200:
                break
            receipt = world.w3.eth.wait_for_transaction_receipt(answer)
            lost += receipt["gasUsed"]
            relay.tend()
        assert status == 429, answer
        assert "may lose 700000 gas in a day" in answer["message"]
        assert 0 < lost <= 700_000
        assert new_wallet(relay) != wallet  # others are still served
        now[0] += 86_400
        world.anvil.rpc("anvil_setStorageAt", trap, "0x0", "0x" + "00" * 32)
        assert relay_meta(relay, wallet.meta(trap))[0] == 200
