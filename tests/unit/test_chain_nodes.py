"""Several nodes that stand in for each other, with transports handed in."""

import logging
import os
import threading
import time

import pytest

from relay.chain.errors import NodeMisbehaved, NodeRefused, NodeUnreachable
from relay.chain.nodes import OLD_HEAD_SECONDS, ROUND_SECONDS, ROUNDS, SMALL_LAG, Nodes
from relay.chain.transport import HttpStatus
from tests.support.fake_node import FakeChain, FakeNode

REFUSED = ConnectionRefusedError(111, "Connection refused")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Nodes a, b (and c ...), each of a chain of its own, and the `Nodes` over them."""

    def __init__(self, *chains: FakeChain) -> None:
        self.nodes = [FakeNode(chain) for chain in chains]
        by_url = {f"http://{chr(97 + at)}": node for at, node in enumerate(self.nodes)}
        self.clock = Clock()
        self.over = Nodes(list(by_url), finality_depth=16, connect=lambda url, _: by_url[url], clock=self.clock)

    @property
    def a(self) -> FakeNode:
        return self.nodes[0]

    @property
    def b(self) -> FakeNode:
        return self.nodes[1]

    def rounds(self, number: int) -> None:
        """Let so many rounds of looking at all nodes pass."""
        for _ in range(number):
            self.clock.now += ROUND_SECONDS
            self.over.chain_id()
            for thread in threading.enumerate():
                if thread.name == "node round":
                    thread.join()


def world(head: int = 100, **other: int) -> World:
    return World(FakeChain(head), FakeChain(other.get("head_of_b", head)))


def test_the_first_node_is_used() -> None:
    nodes = world()
    assert nodes.over.head().number == 100
    nodes.b.asked.clear()
    assert nodes.over.gas_price() == 5
    assert nodes.over.url == "http://a"
    assert "eth_gasPrice" not in nodes.b.asked


@pytest.mark.parametrize("error", [REFUSED, HttpStatus(500, None, b""), HttpStatus(429, "9", b""), TimeoutError()])
def test_another_node_takes_over_from_one_that_fails(error: Exception) -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = error
    assert nodes.over.head().number == 100
    assert nodes.over.url == "http://b"
    state = nodes.over.states()[0]
    assert not state.is_used
    assert "http://a" in str(state.fault)


def test_a_node_that_answers_nonsense_is_replaced() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain.chain_id = -1  # "-0x1" is no number
    assert nodes.over.chain_id() == 1337
    assert nodes.over.url == "http://b"


def test_what_a_node_refuses_is_no_reason_to_ask_another() -> None:
    nodes = world()
    nodes.over.head()
    nodes.b.asked.clear()
    with pytest.raises(NodeRefused):
        nodes.over.send_raw_transaction(b"\x01")
    assert "eth_sendRawTransaction" not in nodes.b.asked


def test_a_node_that_is_away_at_the_start_is_passed_over() -> None:
    nodes = world()
    nodes.a.error = REFUSED
    assert nodes.over.head().number == 100
    assert nodes.over.url == "http://b"


def test_at_the_start_the_node_with_the_newest_head_is_used() -> None:
    nodes = world(head=50, head_of_b=51)
    assert nodes.over.head().number == 51


def test_when_no_node_answers_all_of_them_are_named() -> None:
    nodes = world()
    nodes.a.error = nodes.b.error = REFUSED
    with pytest.raises(NodeUnreachable, match=r"http://a cannot.*; .*http://b cannot"):
        nodes.over.head()
    nodes.a.error = None
    assert nodes.over.head().number == 100


def test_a_node_that_lags_behind_does_not_take_over() -> None:
    nodes = world()
    nodes.over.head()
    nodes.b.chain.head = 99
    nodes.a.error = REFUSED
    with pytest.raises(NodeUnreachable, match="http://a cannot be reached"):
        nodes.over.head()
    assert nodes.over.states()[1].fault == "the node http://b is behind: its head is block 99, not 100"
    nodes.b.chain.head = 100
    nodes.clock.now += 2
    assert nodes.over.head().number == 100


def test_a_head_that_died_with_its_node_is_not_waited_for_for_ever() -> None:
    nodes = world()
    nodes.over.head()
    nodes.b.chain.head = 100 - SMALL_LAG
    nodes.a.error = REFUSED
    with pytest.raises(NodeUnreachable):
        nodes.over.head()
    nodes.clock.now += OLD_HEAD_SECONDS + 1
    assert nodes.over.head().number == 100 - SMALL_LAG


def test_a_node_that_falls_back_is_left_for_one_that_did_not() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain.head = 90
    assert nodes.over.head().number == 100
    assert nodes.over.url == "http://b"


def test_a_chain_that_gets_shorter_everywhere_is_followed() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain.head = nodes.b.chain.head = 90
    assert nodes.over.head().number == 90
    assert nodes.over.url == "http://a"


def test_a_reorg_within_finality_is_followed() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain = FakeChain(100, salt=b"\1", fork=95)
    head = nodes.over.head()
    assert (head.hash[:1], nodes.over.url) == (b"\1", "http://a")


def test_a_node_on_another_chain_is_refused_aloud(caplog: pytest.LogCaptureFixture) -> None:
    nodes = World(FakeChain(100), FakeChain(100, chain_id=1))
    nodes.over.head()
    assert any(
        record.levelno == logging.ERROR and "its id is 1, not 1337" in record.getMessage()
        for record in caplog.records
    )
    nodes.a.error = REFUSED
    with pytest.raises(NodeUnreachable, match="http://a"):
        nodes.over.head()


def test_a_node_with_the_same_id_and_other_blocks_is_refused() -> None:
    nodes = World(FakeChain(100), FakeChain(120, salt=b"\1"))
    assert nodes.over.head().number == 100
    assert "http://b is on another chain: its block 84 is 0x01" in str(nodes.over.states()[1].fault)


def test_a_node_that_changes_to_another_chain_is_left() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain = FakeChain(120, salt=b"\1")
    assert nodes.over.head().number == 100
    assert nodes.over.url == "http://b"


def test_a_node_on_another_chain_is_not_used_while_the_right_one_is_away() -> None:
    nodes = world()
    nodes.over.head()
    nodes.b.error = REFUSED
    nodes.a.chain = FakeChain(120, salt=b"\1")
    for _ in range(2):
        with pytest.raises(NodeMisbehaved, match="http://a is on another chain"):
            nodes.over.head()
    nodes.b.error = None
    assert nodes.over.head().number == 100


def test_a_chain_that_was_reset_everywhere_is_shown_as_it_is() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.chain = nodes.b.chain = FakeChain(120, salt=b"\1")
    assert nodes.over.head().number == 120
    assert nodes.over.head().number == 120


def test_the_first_node_is_used_again_when_it_has_been_well_for_a_while() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = REFUSED
    nodes.over.head()
    nodes.a.error = None
    nodes.rounds(ROUNDS - 1)
    nodes.over.head()
    assert nodes.over.url == "http://b"
    nodes.rounds(2)
    nodes.over.head()
    assert nodes.over.url == "http://a"


def test_the_first_node_is_not_returned_to_within_a_step() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = REFUSED
    nodes.over.head()
    nodes.a.error = None
    nodes.rounds(ROUNDS + 1)
    before = nodes.over.url
    nodes.over.block(5)
    nodes.over.blocks([5, 6])
    assert nodes.over.url == before


def test_a_node_that_stands_still_is_left_for_one_that_goes_on() -> None:
    nodes = world()
    nodes.over.head()
    nodes.b.chain.head = 100 + SMALL_LAG + 1
    nodes.rounds(ROUNDS + 1)
    assert nodes.over.head().number == 104
    assert nodes.over.url == "http://b"


def test_a_third_node_takes_over_where_the_second_is_not_fit() -> None:
    nodes = World(FakeChain(100), FakeChain(100), FakeChain(100))
    nodes.over.head()
    nodes.a.error = nodes.b.error = REFUSED
    assert nodes.over.head().number == 100
    assert nodes.over.url == "http://c"


def test_many_threads_move_together() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = REFUSED
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(nodes.over.gas_price())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [5] * 8
    assert nodes.over.url == "http://b"


@pytest.mark.parametrize("which", [0, 1])
def test_from_a_node_that_hangs_it_is_moved_within_three_seconds(which: int) -> None:
    """The clock is the real one here."""
    chains = [FakeNode(FakeChain(100)) for _ in range(3)]
    by_url = {f"http://{at}": node for at, node in enumerate(chains)}
    over = Nodes(list(by_url), connect=lambda url, _: by_url[url])
    over.head()
    for node in chains[: which + 1]:
        node.hangs = True
    began = time.monotonic()
    assert over.head().number == 100
    assert time.monotonic() - began < 3
    assert over.url == f"http://{which + 1}"


def test_a_slow_node_gets_its_time_where_no_other_is_fit() -> None:
    """The clock is the real one here."""

    class Slow(FakeNode):
        def send(self, payload: bytes, seconds: float, most_bytes: int) -> bytes:
            if b"eth_getLogs" in payload or b"eth_gasPrice" in payload:
                time.sleep(min(seconds, 2.2))
                if seconds < 2.2:
                    raise TimeoutError
            return super().send(payload, seconds, most_bytes)

    by_url = {"http://a": Slow(FakeChain(100)), "http://b": FakeNode(FakeChain(100))}
    over = Nodes(list(by_url), connect=lambda url, _: by_url[url])
    over.head()
    by_url["http://b"].chain.head = 90
    assert over.gas_price() == 5
    assert over.url == "http://a"


def test_a_forked_worker_fails_over_by_itself() -> None:
    nodes = world()
    nodes.over.head()
    child = os.fork()
    if child == 0:
        right = False
        try:
            nodes.a.error = REFUSED
            right = nodes.over.head().number == 100 and nodes.over.url == "http://b"
        finally:
            os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert nodes.over.url == "http://a"


def test_a_single_node_is_asked_nothing_but_what_is_asked() -> None:
    nodes = World(FakeChain(100))
    nodes.over.head()
    nodes.a.chain.head = 50
    assert nodes.over.head().number == 50
    assert nodes.a.asked == ["eth_getBlockByNumber"] * 2
    assert [(state.is_used, state.fault) for state in nodes.over.states()] == [(True, None)]


def test_nodes_chosen_anew_begin_with_the_first_that_is_fit_whatever_went_wrong_before() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = HttpStatus(429, "3000", b"")
    nodes.over.head()
    assert nodes.over.url == "http://b"
    nodes.a.error = None
    nodes.over.head()
    assert nodes.over.url == "http://b", "it stays away for as long as it was asked to"
    assert nodes.over.reconnect()[0].is_used
    assert nodes.over.url == "http://a"
    assert nodes.over.head().number == 100


def test_where_no_node_is_fit_choosing_anew_changes_nothing() -> None:
    nodes = world()
    nodes.over.head()
    nodes.a.error = nodes.b.error = REFUSED
    states = nodes.over.reconnect()
    assert all(state.fault for state in states)
    assert [state.is_used for state in states] == [True, False]
    nodes.a.error = None
    assert nodes.over.head().number == 100


def test_a_node_that_lags_is_not_chosen_although_it_is_the_first() -> None:
    nodes = world(head=100, head_of_b=200)
    nodes.over.head()
    assert not nodes.over.reconnect()[0].is_used
    assert nodes.over.url == "http://b"
