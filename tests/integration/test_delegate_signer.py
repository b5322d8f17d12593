"""The relay's own transactions under everything that can happen to them on their way."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from web3 import Web3

from relay import app
from relay.addresses import Address, parse_address
from relay.api.app import create_app
from relay.chain.identity import EXECUTION_TOPIC
from relay.chain.node import Node
from relay.chain.signing import Call, Fee
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.outgoing import build_outgoing
from relay.settings import build
from relay.store.connection import Pool
from relay.store.operations import Turn
from tests.support.delegating import Delegating, Wallet, World, account_section, delegating, relay_meta, settle
from tests.support.fake_services import services
from tests.support.identity_world import deploy_identity_world, make_wallets

GIFT = 10**15


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


class Clock:
    """The time in Unix seconds, as we say."""

    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay(world: World, database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Delegating]:
    """A relay whose keeper does nothing by itself, its clock ours."""
    with serving(world, database_url, tmp_path, clock=clock) as served:
        yield served


@contextmanager
def serving(world: World, url: str, folder: Path, **more: Any) -> Iterator[Delegating]:
    faucet = {"enable": True, "amount": GIFT, "enough": GIFT, "per_address_and_day": 10**18, "per_day": 10**21}
    with delegating(world, url, folder, start=False, **{"faucet": faucet, **more}) as served:
        yield served


@contextmanager
def no_blocks(world: World) -> Iterator[None]:
    """Keep transactions waiting until the end, when a block takes what is there."""
    world.anvil.rpc("evm_setAutomine", False)
    try:
        yield
    finally:
        world.anvil.rpc("evm_setAutomine", True)
        world.anvil.mine()


def give(relay: Delegating) -> tuple[str, str]:
    """Ask for a gift for a new address; return the address and the transaction's hash."""
    address = Account.create().address
    return address, relay.tell("request-ether", address=address)


def has(relay: Delegating, address: str) -> int:
    return relay.balance(address)


def status(relay: Delegating, transaction: str) -> dict[str, Any]:
    answer: dict[str, Any] = relay.ask(f"transactions/{transaction}/status")
    return answer


def waiting(relay: Delegating) -> dict[int, Any]:
    """What waits in the node's pool of the relay's account, by nonce."""
    content = relay.world.anvil.rpc("txpool_content")
    mine: dict[str, Any] = {}
    for kind in ("pending", "queued"):
        by_sender = {sender.lower(): found for sender, found in content[kind].items()}
        mine |= by_sender.get(relay.account.address.lower(), {})
    return {int(nonce): found for nonce, found in mine.items()}


def nonce_of(relay: Delegating) -> int:
    settle(relay.world.anvil)
    return relay.world.w3.eth.get_transaction_count(relay.account.address)


def test_a_dropped_transaction_is_sent_again_and_leaves_no_gap(relay: Delegating, world: World) -> None:
    with no_blocks(world):
        gifts = [give(relay) for _ in range(5)]
        for place in (3, 2, 0):
            world.anvil.rpc("anvil_dropTransaction", gifts[place][1])
        assert {0, 2, 3}.isdisjoint(waiting(relay))
        # Whoever asks is not told that it was lost: it is not.
        assert {status(relay, transaction)["status"] for _, transaction in gifts} == {"pending"}
        relay.tend()
        assert sorted(waiting(relay)) == [0, 1, 2, 3, 4]
    assert [has(relay, address) for address, _ in gifts] == [GIFT] * 5
    assert {status(relay, transaction)["status"] for _, transaction in gifts} == {"success"}


def test_a_stuck_transaction_is_replaced_by_one_that_offers_an_eighth_more(
    world: World, database_url: str, tmp_path: Path
) -> None:
    now = [int(time.time())]
    with serving(world, database_url, tmp_path, clock=lambda: now[0]) as relay:
        with no_blocks(world):
            (address, first), (_, second) = give(relay), give(relay)
            before = waiting(relay)
            relay.tend()
            now[0] += 31
            relay.tend()
            assert waiting(relay) == before, "no block came that could have taken it"
            # Blocks come, but pass the first one over.
            for transaction in (first, second):
                world.anvil.rpc("anvil_dropTransaction", transaction)
            for _ in range(3):
                world.anvil.mine()
            relay.tend()
            relay.tend()
            after = waiting(relay)
        assert after[0]["hash"] != first
        assert after[1]["hash"] == second, "the one behind it only waited for it"
        for price in ("maxFeePerGas", "maxPriorityFeePerGas"):
            assert int(after[0][price], 16) * 8 >= int(before[0][price], 16) * 9
        relay.tend()
        assert has(relay, address) == GIFT
        # The hash that was told first leads to the one that counts.
        assert status(relay, first) == {"status": "success", "transactionHash": after[0]["hash"]}


def test_a_transaction_written_down_but_never_sent_is_sent_at_the_next_start(
    world: World, database_url: str, tmp_path: Path
) -> None:
    key = Account.create().key.hex()
    with serving(world, database_url, tmp_path, key=key) as relay:
        # The process ends between the commit and the node: the node never hears of it.
        assert relay.outgoing.faucet is not None
        signer = relay.outgoing.faucet._signer
        signer._hand_over = lambda _: None
        address, transaction = give(relay)
        assert has(relay, address) == 0
        assert not waiting(relay)
    with serving(world, database_url, tmp_path, key=key) as relay:
        assert status(relay, transaction)["status"] == "pending"
        relay.tend()
        assert has(relay, address) == GIFT
        assert status(relay, transaction)["status"] == "success"
        assert give(relay)[1] != transaction


def test_no_more_are_in_the_nodes_hands_than_allowed(world: World, database_url: str, tmp_path: Path) -> None:
    sections = {"delegate": {"enable": True, "max_in_flight": 3, "max_waiting": 6}}
    with serving(world, database_url, tmp_path, **sections) as relay:
        world.anvil.rpc("evm_setAutomine", False)
        gifts = [give(relay) for _ in range(6)]
        assert len(waiting(relay)) == 3
        refused, answer = relay.post("request-ether", {"address": Account.create().address})
        assert (refused, "wait" in answer["message"]) == (503, True)
        for _ in range(3):
            relay.tend()
            assert len(waiting(relay)) <= 3
            world.anvil.mine()
        world.anvil.rpc("evm_setAutomine", True)
        assert [has(relay, address) for address, _ in gifts] == [GIFT] * 6
        relay.tend()
        assert give(relay)


def test_a_nonce_that_was_used_elsewhere_is_not_waited_for(
    world: World, database_url: str, tmp_path: Path
) -> None:
    now = [int(time.time())]
    with serving(world, database_url, tmp_path, clock=lambda: now[0]) as relay:
        with no_blocks(world):
            address, transaction = give(relay)
            world.anvil.rpc("anvil_dropTransaction", transaction)
            # An operator sends by hand with the same key.
            elsewhere = {
                "to": relay.account.address,
                "nonce": 0,
                "gas": 21_000,
                "gasPrice": 10**11,
                "chainId": CHAIN_ID,
            }
            raw = relay.account.sign_transaction(elsewhere).raw_transaction
            world.w3.eth.send_raw_transaction(raw)
        for seconds in (0, 61, 1):
            relay.tend()
            now[0] += seconds
        relay.tend()
        assert has(relay, address) == GIFT
        assert nonce_of(relay) == 2
        assert status(relay, transaction)["status"] == "success"


def test_what_a_reorg_undoes_comes_into_a_block_again(relay: Delegating, world: World) -> None:
    address, transaction = give(relay)
    relay.tend()
    before = world.w3.eth.get_transaction_receipt(transaction)["blockHash"]
    world.anvil.rpc("anvil_reorg", 1, [])
    assert world.w3.eth.get_block(world.w3.eth.get_transaction_count(address) or "latest")["hash"] != before
    if nonce_of(relay) == 0:  # the reorg threw it away
        assert has(relay, address) == 0
        relay.tend()
        relay.tend()
    world.anvil.mine()
    relay.tend()
    assert has(relay, address) == GIFT
    told = status(relay, transaction)
    assert told["status"] == "success"
    assert world.w3.eth.get_transaction_receipt(told["transactionHash"])["blockHash"] != before


def test_a_transaction_that_the_node_never_takes_does_not_block_the_others(
    relay: Delegating, world: World, clock: Clock
) -> None:
    assert relay.outgoing.faucet is not None
    signer = relay.outgoing.faucet._signer
    with no_blocks(world):
        # One with too little gas even to begin: no node takes it.
        taken = signer.store.writing
        address, transaction = give(relay)
        world.anvil.rpc("anvil_dropTransaction", transaction)
        following = give(relay)[0]
        with taken() as writing:
            raw, wrong = signer.key.sign(_too_small(parse_address(address)), 0, Fee(10**10, 1))
            writing._cursor.execute(
                "UPDATE signed_attempts SET raw = %s, hash = %s WHERE hash = %s",
                (raw, wrong, bytes.fromhex(transaction[2:])),
            )
        for _ in range(8):
            relay.tend()
        assert sorted(waiting(relay)) == [1], "nodes that are busy refuse as well"
        clock.now += 61
        for _ in range(2):
            relay.tend()
        assert sorted(waiting(relay)) == [0, 1]
    relay.tend()
    assert has(relay, following) == GIFT
    assert has(relay, address) == 0
    assert status(relay, "0x" + wrong.hex()) == {"status": "not found", "reason": "withdrawn"}


def test_an_expired_meta_transaction_gives_its_nonce_to_nothing(
    world: World, database_url: str, tmp_path: Path
) -> None:
    now = [int(time.time())]
    with serving(world, database_url, tmp_path, clock=lambda: now[0]) as relay:
        (wallet,) = make_wallets(world, 1)
        with no_blocks(world):
            meta = wallet.meta(world.network.address, _offer(world), time_limit=now[0] + 600)
            taken, envelope = relay_meta(relay, meta)
            assert taken == 200, envelope
            world.anvil.rpc("anvil_dropTransaction", envelope)
            now[0] += 700
            for _ in range(3):
                relay.tend()
            assert int(waiting(relay)[0]["gas"], 16) == 21_000
        relay.tend()
        path = f"identities/{wallet.address}/meta-transactions/0x{meta.hash.hex()}/status"
        assert relay.ask(path) == {"status": "not found", "reason": "withdrawn"}


def test_one_keeper_at_a_time_has_its_turn(database_url: str) -> None:
    first, second = Turn(database_url), Turn(database_url)
    assert first.is_ours()
    assert not second.is_ours()
    assert first.is_ours()
    first.release()
    deadline = time.monotonic() + 5
    while not second.is_ours():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second.release()


def test_two_processes_with_one_key_never_take_the_same_nonce(
    world: World, database_url: str, tmp_path: Path
) -> None:
    key = Account.create().key.hex()
    with (
        serving(world, database_url, tmp_path, key=key) as one,
        ThreadPoolExecutor(16) as threads,
    ):
        with beside(one, database_url, tmp_path) as second:
            given = list(threads.map(lambda place: give((one, second)[place % 2]), range(60)))
            for _ in range(3):
                one.tend()
        assert len({transaction for _, transaction in given}) == 60
        assert nonce_of(one) == 60
        assert [has(one, address) for address, _ in given] == [GIFT] * 60


@contextmanager
def beside(relay: Delegating, url: str, folder: Path, clock: Callable[[], int] = app.now) -> Iterator[Delegating]:
    """A second relay's sending parts over the same database, chain and key."""
    faucet = {"enable": True, "amount": GIFT, "enough": GIFT, "per_address_and_day": 10**18, "per_day": 10**21}
    settings = build(
        {
            "relay": {"addresses_filepath": str(folder / "addresses.json")},
            "database": {"url": url, "pool_size": 16, "wait_seconds": 30.0},
            "account": account_section(folder),
            "faucet": faucet,
        },
        None,
    )
    node = Node(relay.world.anvil.url, timeout=60)
    outgoing = build_outgoing(settings, node, CHAIN_ID, app.load_account(settings, CHAIN_ID), Pool(url), clock)
    usual = services(faucet=outgoing.faucet, statuses=outgoing.statuses)
    flask = create_app(usual, max_body_bytes=2**17)
    yield replace(relay, outgoing=outgoing, app=flask)
    outgoing.stop()


@pytest.mark.parametrize("count", [int(os.environ.get("META_TRANSACTIONS", "200"))])
def test_meta_transactions_of_which_a_tenth_is_dropped_land_exactly_once_each(
    world: World, database_url: str, tmp_path: Path, count: int
) -> None:
    """META_TRANSACTIONS=1000 in the environment does it with so many."""
    seconds = land_all(world, database_url, tmp_path, count)
    print(f"{count} meta-transactions landed in {seconds:.1f} s")  # noqa: T201


def land_all(world: World, url: str, folder: Path, count: int) -> float:
    """Send ``count`` meta-transactions at once, dropping a tenth; return the seconds until all have landed."""
    sections = {"delegate": {"enable": True, "max_in_flight": 64, "max_waiting": count}}
    wallets = make_wallets(world, count // 20)
    metas = [
        (wallet, wallet.meta(world.network.address, _offer(world, 1 + number)))
        for number in range(20)
        for wallet in wallets
    ]
    stopping, dropped = threading.Event(), set()

    def drop() -> None:
        """Throw a tenth of the relay's transactions out of the pool once, wherever they are seen waiting."""
        while not stopping.is_set():
            for nonce, found in waiting(relay).items():
                is_next = nonce % 5 == 3 and nonce not in dropped and len(dropped) < count // 10
                if is_next and world.anvil.rpc("anvil_dropTransaction", found["hash"]):
                    dropped.add(nonce)
            stopping.wait(0.05)

    with delegating(world, url, folder, **sections) as relay, ThreadPoolExecutor(16) as threads:
        world.anvil.rpc("evm_setAutomine", False)
        world.anvil.rpc("evm_setIntervalMining", 1)
        begun = time.monotonic()
        dropper = threading.Thread(target=drop)
        dropper.start()
        try:
            answers = list(threads.map(lambda one: relay_meta(relay, one[1]), metas))
            assert [taken for taken, _ in answers] == [200] * count, answers[0]
            deadline = time.monotonic() + 60 + count / 5
            while nonce_of(relay) < count:
                assert time.monotonic() < deadline, f"{nonce_of(relay)} of {count} landed"
                time.sleep(0.2)
            seconds = time.monotonic() - begun
        finally:
            stopping.set()
            dropper.join()
            world.anvil.rpc("evm_setIntervalMining", 0)
            world.anvil.rpc("evm_setAutomine", True)
        assert len(dropped) == count // 10
        assert nonce_of(relay) == count
        _require_once_each(world, wallets, metas)
        for _, envelope in answers[:: max(1, count // 20)]:
            assert status(relay, envelope)["status"] == "success"
    return seconds


def _require_once_each(world: World, wallets: list[Wallet], metas: list[Any]) -> None:
    """Check by the identities' own logs that every meta-transaction was executed once, and with success."""
    executed: list[bytes] = []
    for wallet in wallets:
        for log in world.w3.eth.get_logs({"address": wallet.address, "fromBlock": 0}):
            if log["topics"][0] == EXECUTION_TOPIC:
                assert int.from_bytes(log["data"], "big") == 1
                executed.append(bytes(log["topics"][1]))
    assert sorted(executed) == sorted(meta.hash for _, meta in metas)


def _offer(world: World, given: int = 100) -> str:
    """The calldata that offers a credit line to somebody."""
    data: str = world.network.encode_abi("updateTrustline", [world.factory, given, 200, 0, 0, False])
    return data


def _too_small(address: Address) -> Call:
    return Call(address, b"", GIFT, 1000)
