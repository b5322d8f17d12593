"""What keeps the relay's own transactions going while nodes lie or refuse, keepers die and chains go back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from eth_account import Account
from web3 import Web3

from relay import app
from relay.addresses import parse_address
from relay.chain.errors import NodeMisbehaved
from relay.chain.node import Node
from relay.chain.sending import Sending
from relay.chain.signing import SigningKey
from relay.delegate.errors import Overloaded
from relay.delegate.pricing import by_node
from relay.delegate.pushing import Patience
from relay.delegate.signer import Limits, Signer
from relay.delegate.upkeep import Upkeep
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.outgoing import build_outgoing
from relay.settings import build
from relay.store.connection import Pool
from relay.store.migrate import migrate
from relay.store.operations import WritingPool
from relay.store.sending import Sendings
from relay.store.sent import FAUCET, META, Attempt, NewTransaction, Repeated
from tests.integration.test_delegate_signer import (
    GIFT,
    Clock,
    beside,
    give,
    has,
    no_blocks,
    nonce_of,
    serving,
    status,
    waiting,
)
from tests.support.commands import until
from tests.support.delegating import Delegating, World, relay_meta
from tests.support.faulty_node import FaultyNode
from tests.support.identity_world import deploy_identity_world, make_wallets

DAY = 86_400


@pytest.fixture(scope="module")
def world(chain: Anvil, web3: Web3) -> World:
    return deploy_identity_world(chain, web3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def faulty(world: World, url: str, folder: Path, **more: Any) -> Iterator[tuple[Delegating, FaultyNode]]:
    """A relay whose node may be made to fail."""
    made: list[FaultyNode] = []

    def between(node: Node) -> FaultyNode:
        made.append(FaultyNode(node))
        return made[0]

    with serving(world, url, folder, through=between, **more) as relay:
        yield relay, made[0]


def spend_by_hand(relay: Delegating, nonce: int) -> None:
    """Send something with the relay's key that it knows nothing of."""
    fields = {"to": relay.account.address, "nonce": nonce, "gas": 21_000, "gasPrice": 10**11, "chainId": CHAIN_ID}
    relay.world.w3.eth.send_raw_transaction(relay.account.sign_transaction(fields).raw_transaction)


def noted(url: str, question: str) -> Any:
    """What the database says."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    connection.close()
    return row and row[0]


class TestGaps:
    """A nonce that nobody has keeps everything behind it waiting."""

    def test_one_that_a_reorg_freed_is_filled_for_those_behind_it(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        with serving(world, database_url, tmp_path, clock=clock) as relay:
            spend_by_hand(relay, 0)
            relay.tend()
            world.anvil.rpc("anvil_rollback", 1)
            assert nonce_of(relay) == 0
            address, transaction = give(relay)
            relay.tend()
            assert has(relay, address) == 0, "it has the nonce behind the one that is free again"
            clock.now += 61
            for _ in range(3):
                relay.tend()
            assert has(relay, address) == GIFT
            assert nonce_of(relay) == 2
            assert status(relay, transaction)["status"] == "success"

    def test_one_that_nobody_waits_behind_is_used_again(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        with serving(world, database_url, tmp_path, clock=clock) as relay:
            spend_by_hand(relay, 0)
            relay.tend()
            world.anvil.rpc("anvil_rollback", 1)
            relay.tend()
            clock.now += 61
            relay.tend()
            assert has(relay, give(relay)[0]) == GIFT
            assert nonce_of(relay) == 1

    def test_a_chain_that_goes_back_further_than_is_watched_stops_nothing(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        with serving(world, database_url, tmp_path, clock=clock) as relay:
            give(relay)
            relay.tend()
            for _ in range(13):
                world.anvil.mine()
            relay.tend()
            world.anvil.rpc("anvil_rollback", 14)
            assert nonce_of(relay) == 0
            later, _ = give(relay)
            relay.tend()
            clock.now += 61
            for _ in range(3):
                relay.tend()
            assert has(relay, later) == GIFT

    def test_a_node_that_claims_absurdly_many_used_nonces_is_not_believed(
        self, world: World, database_url: str, tmp_path: Path
    ) -> None:
        with faulty(world, database_url, tmp_path) as (relay, node):
            for lie in (5000, 2**63, 2**200):
                node.interfere = lambda method, _, lie=lie: (
                    hex(lie) if method == "eth_getTransactionCount" else None
                )
                with pytest.raises(NodeMisbehaved, match=str(lie)):
                    relay.tend()
            node.obey()
            relay.tend()
            assert has(relay, give(relay)[0]) == GIFT


class TestRefusals:
    """What a node says when it does not take a transaction."""

    @pytest.mark.parametrize(
        ("words", "code"), [("txpool is full", -32000), ("limit exceeded", -32005), ("please try again", -32603)]
    )
    def test_a_busy_node_costs_nobody_a_transaction(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock, words: str, code: int
    ) -> None:
        with faulty(world, database_url, tmp_path, clock=clock) as (relay, node):
            node.refuse("eth_sendRawTransaction", words, code)
            address, transaction = give(relay)
            for _ in range(10):
                clock.now += 61
                relay.tend()
            node.obey()
            relay.tend()
            until("the gift", lambda: has(relay, address) == GIFT)
            assert status(relay, transaction)["status"] == "success"

    def test_what_was_given_up_may_get_through_after_its_user_sent_it_again(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        (wallet,) = make_wallets(world, 1)
        data = world.network.encode_abi("updateTrustline", [world.factory, 5, 6, 0, 0, False])
        meta = wallet.meta(world.network.address, data)
        with faulty(world, database_url, tmp_path, clock=clock) as (relay, node):
            node.refuse("eth_sendRawTransaction", "invalid sender of some kind")
            _, envelope = relay_meta(relay, meta)
            raw = noted(database_url, "SELECT raw FROM signed_attempts")
            for _ in range(6):
                clock.now += 61
                relay.tend()
            assert status(relay, envelope)["reason"] == "withdrawn"
            assert relay_meta(relay, meta)[0] == 200
            # The node had it all the time.
            world.w3.eth.send_raw_transaction(bytes(raw))
            node.obey()
            for _ in range(4):
                relay.tend()
            assert nonce_of(relay) == 2
            relay.update()
            path = f"identities/{wallet.address}/meta-transactions/0x{meta.hash.hex()}/status"
            assert relay.ask(path)["status"] == "success"
            assert status(relay, envelope)["status"] == "success"
            address, _ = give(relay)
            until("the gift", lambda: has(relay, address) == GIFT)

    def test_an_expired_meta_transaction_is_replaced_in_the_nodes_hands_before_it_loses_gas(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        (wallet,) = make_wallets(world, 1)
        data = world.network.encode_abi("updateTrustline", [world.factory, 5, 6, 0, 0, False])
        with serving(world, database_url, tmp_path, clock=clock) as relay:
            with no_blocks(world):
                taken, envelope = relay_meta(
                    relay, wallet.meta(world.network.address, data, time_limit=clock.now + 600)
                )
                assert taken == 200, envelope
                clock.now += 601
                relay.tend()
                relay.tend()
                assert int(waiting(relay)[0]["gas"], 16) == 21_000
            assert nonce_of(relay) == 1
            assert status(relay, envelope) == {"status": "not found", "reason": "withdrawn"}


class TestKeepers:
    """One keeper at a time should; but it may die at any line, or not notice that it lost its turn."""

    def test_one_that_lost_its_turn_does_not_do_again_what_another_has_done(
        self, world: World, database_url: str, tmp_path: Path
    ) -> None:
        stale, live = Clock(), Clock()
        with (
            faulty(world, database_url, tmp_path, clock=stale) as (relay, node),
            beside(relay, database_url, tmp_path, live) as other,
        ):
            with no_blocks(world):
                address, transaction = give(relay)
                world.anvil.rpc("anvil_dropTransaction", transaction)
                spend_by_hand(relay, 0)
            relay.tend()
            stale.now += 61
            live.now += 61

            def overtake(method: str, _: list[Any]) -> None:
                """Stand still where the nonce is about to be moved, until the other one has moved it."""
                if method == "eth_gasPrice":
                    node.obey()
                    other.tend()

            node.interfere = overtake
            for _ in range(3):
                relay.tend()
                other.tend()
            assert has(relay, address) == GIFT
            assert nonce_of(relay) == 2

    def test_a_process_without_the_key_keeps_no_turn_from_those_that_have_it(
        self, world: World, database_url: str, tmp_path: Path
    ) -> None:
        settings = build({"database": {"url": database_url}}, None)
        node_url = world.anvil.url
        with faulty(world, database_url, tmp_path) as (relay, node):
            plain = build_outgoing(settings, Node(node_url), CHAIN_ID, None, Pool(database_url), app.now)
            plain.start()
            turns = (
                "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )
            until("the other has its turn", lambda: noted(database_url, turns) == 2)
            node.refuse("eth_sendRawTransaction", "txpool is full")
            address, _ = give(relay)
            node.obey()
            relay.outgoing.start()
            until("the gift", lambda: has(relay, address) == GIFT)
            plain.stop()

    def test_what_is_old_is_forgotten_also_while_there_is_always_something_to_do(
        self, world: World, database_url: str, tmp_path: Path, clock: Clock
    ) -> None:
        with serving(world, database_url, tmp_path, clock=clock) as relay:
            give(relay)
            relay.tend()
            for _ in range(13):
                world.anvil.mine()
            relay.tend()
            clock.now += 91 * DAY
            give(relay)
            relay.tend()
            assert noted(database_url, "SELECT count(*) FROM signed_transactions") == 1

    def test_a_keeper_and_a_request_for_the_same_do_not_wait_for_each_other(
        self, world: World, database_url: str
    ) -> None:
        migrate(database_url)
        signer = make_signer(world, WritingPool(database_url, 4))
        meta = NewTransaction(META, b"\1" * 20, b"\1" * 20, b"", 0, 50_000, 0, meta_hash=b"\2" * 32)
        signer.submit(meta)
        ((one, _),) = signer.store.waiting(0, 1)
        pushing = Upkeep(signer, Patience())._pushing
        keeper = threading.Thread(target=pushing.fill, args=(one,))
        with pytest.raises(Repeated), signer.store.writing() as request:  # noqa: PT012  it is raised at the end
            slot = request.lock()
            keeper.start()
            until(
                "the keeper waits", lambda: noted(database_url, "SELECT count(*) FROM pg_locks WHERE NOT granted")
            )
            request.add(meta, slot.next_nonce, 0, is_held=False)
        keeper.join(timeout=5)
        assert not keeper.is_alive()
        ((filler, _),) = signer.store.waiting(0, 9)
        assert filler.purpose == "filler"


class Killed(BaseException):
    """The process ends here."""


class Fate:
    """Counts the steps of a process, and ends it at one of them."""

    def __init__(self, last_step: int) -> None:
        self.left = last_step

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class MortalPool(WritingPool):
    """Dies before a transaction commits, or right after it."""

    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url, 4)
        self._fate = fate

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with super().transaction() as cursor:
            yield cursor
            self._fate.step()
        self._fate.step()


def make_signer(world: World, pool: WritingPool, key: bytes | None = None, fate: Fate | None = None) -> Signer:
    account = Account.create() if key is None else Account.from_key(key)
    if key is None:
        world.anvil.rpc("anvil_setBalance", account.address, hex(10**20))
    node = FaultyNode(Node(world.anvil.url))
    if fate is not None:
        node.interfere = lambda *_: fate.step()
    signing = SigningKey(bytes(account.key), CHAIN_ID)
    sending = Sending(node)
    store = Sendings(pool, signing.address, CHAIN_ID, b"\7" * 32, sending.nonce(signing.address))
    return Signer(signing, sending, store, by_node(), Limits(), lambda: int(time.time()))


def live(world: World, url: str, key: bytes, last_step: int, people: list[str]) -> set[str]:
    """Give to everybody while the node drops and blocks come; return who was told a hash before the end."""
    told: set[str] = set()
    fate = Fate(last_step)
    pool = MortalPool(url, fate)
    try:
        signer = make_signer(world, pool, key, fate)
        upkeep = Upkeep(signer, Patience(settle_blocks=1))
        for place, person in enumerate(people):
            address = parse_address(person)
            gift = NewTransaction(FAUCET, address, address, b"", GIFT, 21_000, 0)
            transaction = signer.submit(gift)
            told.add(person)
            if place == 0:
                world.anvil.rpc("anvil_dropTransaction", "0x" + transaction.hex())
        upkeep.tend()
        world.anvil.mine()
        upkeep.tend()
        world.anvil.mine()
        upkeep.tend()
        return told | {"the end"}
    except Killed:
        return told
    finally:
        pool.close()


def test_a_process_may_end_at_any_line_and_everything_promised_happens_once(
    world: World, database_url: str
) -> None:
    migrate(database_url)
    key = bytes(Account.create().key)
    address = Account.from_key(key).address
    world.anvil.rpc("anvil_setBalance", address, hex(10**20))
    last_step, told = 0, set[str]()
    while "the end" not in told:
        last_step += 1
        people = [Account.create().address for _ in range(2)]
        with no_blocks(world):
            told = live(world, database_url, key, last_step, people)
        pool = WritingPool(database_url, 4)
        signer = make_signer(world, pool, key)
        upkeep = Upkeep(signer, Patience(settle_blocks=1))
        for _ in range(3):
            upkeep.tend()
        world.anvil.mine()
        world.anvil.mine()
        upkeep.tend()
        for person in people:
            balance = world.w3.eth.get_balance(Web3.to_checksum_address(person))
            assert balance == GIFT or (balance == 0 and person not in told), f"killed at step {last_step}"
        with signer.store.writing() as transaction:
            slot = transaction.lock()
        assert slot.next_nonce == world.w3.eth.get_transaction_count(address), "no gap, nothing waits"
        pool.close()
    assert last_step > 30, "so many places to end at"


class TestMoney:
    """Nothing is promised that the account cannot pay, and caps count what was really offered."""

    def test_what_those_on_their_way_may_cost_is_not_promised_to_others(
        self, world: World, database_url: str
    ) -> None:
        migrate(database_url)
        signer = make_signer(world, WritingPool(database_url, 4))
        balance = 5 * GIFT // 2
        world.anvil.rpc("anvil_setBalance", "0x" + signer.address.hex(), hex(balance))
        with no_blocks(world):
            people = [parse_address(Account.create().address) for _ in range(3)]
            gifts = [NewTransaction(FAUCET, person, person, b"", GIFT, 21_000, 0) for person in people]
            signer.submit(gifts[0])
            signer.submit(gifts[1])
            with pytest.raises(Overloaded, match="not enough ether"):
                signer.submit(gifts[2])

    def test_a_replacement_counts_with_its_price(self, world: World, database_url: str) -> None:
        migrate(database_url)
        signer = make_signer(world, WritingPool(database_url, 4))
        now = [int(time.time())]
        signer.clock = lambda: now[0]
        person = parse_address(Account.create().address)
        with no_blocks(world):
            transaction = signer.submit(NewTransaction(FAUCET, person, person, b"", GIFT, 21_000, 0))
            with signer.store.writing() as writing:
                before = writing.given(0)
            world.anvil.rpc("anvil_dropTransaction", "0x" + transaction.hex())
            for _ in range(3):
                world.anvil.mine()
            now[0] += 31
            for _ in range(2):
                Upkeep(signer, Patience()).tend()
            ((_, attempts),) = signer.store.waiting(0, 9)
            with signer.store.writing() as writing:
                after = writing.given(0)
        assert len(attempts) == 2
        assert after - before == 21_000 * (attempts[1].max_fee - attempts[0].max_fee) > 0


def test_what_was_sent_on_a_chain_that_is_gone_may_be_sent_on_a_new_one_of_its_id(database_url: str) -> None:
    migrate(database_url)
    pool = WritingPool(database_url, 2)
    meta = NewTransaction(META, b"\1" * 20, b"\1" * 20, b"", 0, 1, 0, meta_hash=b"\2" * 32, meta_nonce=1)
    for genesis in (b"\3" * 32, b"\4" * 32):
        store = Sendings(pool, b"\5" * 20, 1337, genesis, 0)
        with store.writing() as transaction:
            identifier = transaction.add(meta, transaction.lock().next_nonce, 0, is_held=True)
            attempt = Attempt(genesis, b"raw", 1, None, 0, 0)
            transaction.add_attempt(identifier, attempt)
            transaction.take_nonce(0)
        with pytest.raises(Repeated), store.writing() as transaction:
            transaction.add(meta, transaction.lock().next_nonce, 0, is_held=True)
        assert [one.nonce for one, _ in store.waiting(0, 9)] == [0]
    pool.close()
