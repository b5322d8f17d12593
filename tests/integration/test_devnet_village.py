"""The village after its first year, read from the contracts."""

import time
from itertools import pairwise
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import NETWORKS, contract_at
from relay.devnet.plan import GENESIS, Line, plan_village
from relay.devnet.village import Village, populate


def network(w3: Web3, village: Village, symbol: str) -> Contract:
    return contract_at(w3, "CurrencyNetwork", village.networks[symbol])


def account(w3: Web3, village: Village, line: Line) -> Any:
    return network(w3, village, line.symbol).functions.getAccount(line.a.address, line.b.address).call()


def events(w3: Web3, village: Village, symbol: str, name: str) -> list[Any]:
    return list(network(w3, village, symbol).events[name]().get_logs(from_block=0))


def test_every_planned_trustline_exists(village: Village, village_w3: Web3) -> None:
    for line in village.plan.lines:
        given, received, *_ = account(village_w3, village, line)
        assert received == line.received
        assert 0 < given <= line.given


def test_every_planned_transfer_happened_over_its_path(village: Village, village_w3: Web3) -> None:
    for terms in NETWORKS:
        happened = [log["args"] for log in events(village_w3, village, terms.symbol, "Transfer")]
        planned = [payment for payment in village.plan.payments if payment.symbol == terms.symbol]
        ends = {(p.path[0].address, p.path[-1].address, p.extra_data) for p in planned}
        assert {(a["_from"], a["_to"], bytes(a["_extraData"])) for a in happened} >= ends
        assert len(happened) == len(planned) + (terms.symbol == village.plan.frozen.symbol)


def test_exactly_one_trustline_is_frozen(village: Village, village_w3: Web3) -> None:
    frozen = [line for line in village.plan.lines if account(village_w3, village, line)[4]]
    assert frozen == [village.plan.frozen]
    assert account(village_w3, village, village.plan.frozen)[6] != 0


@pytest.mark.parametrize("which", ["closed", "requested", "cancelled"])
def test_what_was_closed_asked_or_taken_back_is_no_trustline(
    village: Village, village_w3: Web3, which: str
) -> None:
    assert not any(account(village_w3, village, getattr(village.plan, which)))


def test_a_request_is_open_and_another_was_taken_back(village: Village, village_w3: Web3) -> None:
    open_request, cancelled = village.plan.requested, village.plan.cancelled
    asked = events(village_w3, village, open_request.symbol, "TrustlineUpdateRequest")
    assert any(log["args"]["_creditor"] == open_request.a.address for log in asked)
    taken_back = events(village_w3, village, cancelled.symbol, "TrustlineUpdateCancel")
    assert [log["args"]["_initiator"] for log in taken_back] == [cancelled.a.address]


def test_interest_has_run(village: Village, village_w3: Web3) -> None:
    grown = 0
    for line in village.plan.lines:
        _, _, rate_given, rate_received, _, mtime, balance = account(village_w3, village, line)
        now = village_w3.eth.get_block("latest")["timestamp"]
        functions = network(village_w3, village, line.symbol).functions
        grown += (
            functions.calculateBalanceWithInterests(balance, mtime, now, rate_given, rate_received).call()
            != balance
        )
    assert grown >= 10


def test_the_clock_of_the_chain_shows_the_present(village: Village, village_w3: Web3) -> None:
    assert abs(village_w3.eth.get_block("pending")["timestamp"] - time.time()) < 600


def test_blocks_follow_each_other_in_time(village: Village, village_w3: Web3) -> None:
    times = [village_w3.eth.get_block(n)["timestamp"] for n in range(village_w3.eth.block_number + 1)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_same_seed_makes_the_same_chain_to_the_last_hash(
    village: Village, village_w3: Web3, anvil_binary: str
) -> None:
    with Anvil(anvil_binary, timestamp=GENESIS) as again:
        w3 = Web3(Web3.HTTPProvider(again.url))
        assert populate(again, w3) == village
        tip = w3.eth.get_block("latest")
        assert tip["timestamp"] == plan_village().scenes[-1].at
        assert village_w3.eth.get_block(tip["number"])["hash"] == tip["hash"]


def test_another_seed_lives_as_well(anvil_binary: str) -> None:
    with Anvil(anvil_binary, timestamp=GENESIS) as node:
        w3 = Web3(Web3.HTTPProvider(node.url))
        other = populate(node, w3, seed=2024)
        assert other.networks
        assert all(any(account(w3, other, line)) for line in other.plan.lines)
