"""Every endpoint of the REST document over HTTP, on the village's chain, held against what the contracts say."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, permutations
from typing import Any

import pytest
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from graph.interest import balance_with_interest
from relay.addresses import parse_address, to_checksum, trustline_id
from relay.chain.network import read_account, read_users
from relay.chain.node import Node
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import contract_at
from relay.devnet.postgres import create_database, drop_database
from relay.devnet.village import Village
from tests.support.served import ServedRelay, serve

NETWORKS = ("CASH", "HOU", "BEER", "FAV")
TRUSTLINE_TYPES: Mapping[str, type] = {
    **dict.fromkeys(
        ("id", "address", "counterParty", "user", "currencyNetwork", "balance", "given", "received"), str
    ),
    **dict.fromkeys(("leftGiven", "leftReceived", "interestRateGiven", "interestRateReceived"), str),
    "isFrozen": bool,
}
EVENT_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("networkAddress", "blockHash", "type", "status", "transactionId", "transactionHash"), str),
    **dict.fromkeys(("blockNumber", "timestamp", "logIndex"), int),
}
PARTIES: Mapping[str, type] = {"from": str, "to": str}
TERMS: Mapping[str, type] = {
    **dict.fromkeys(("given", "received", "interestRateGiven", "interestRateReceived"), str),
    "isFrozen": bool,
}
PARTICULARS: Mapping[str, Mapping[str, type]] = {
    "TrustlineUpdate": {**PARTIES, **TERMS},
    "TrustlineUpdateRequest": {**PARTIES, **TERMS, "transfer": str},
    "TrustlineUpdateCancel": PARTIES,
    "Transfer": {**PARTIES, "amount": str, "extraData": str},
    "BalanceUpdate": {**PARTIES, "amount": str},
    "DebtUpdate": {**PARTIES, "debt": str},
    "NetworkFreeze": {},
}
USUAL_TYPES = {"TrustlineUpdate", "TrustlineUpdateRequest", "TrustlineUpdateCancel", "Transfer"}


@pytest.fixture(scope="module")
def relay(village: Village, village_chain: Anvil, postgres_url: str) -> Iterator[ServedRelay]:
    url = create_database(postgres_url, "api_over_http")
    networks = [parse_address(address) for address in village.addresses.networks]
    with serve(Node(village_chain.url), networks, url, CHAIN_ID) as served:
        yield served
    drop_database(postgres_url, "api_over_http")


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, village: Village, village_w3: Web3) -> Contract:
    """Each currency network in turn, as web3 sees it."""
    return contract_at(village_w3, "CurrencyNetwork", village.networks[request.param])


def types_of(answer: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in answer.items()}


def users_of(relay: ServedRelay, network: Contract) -> list[str]:
    return [to_checksum(user) for user in read_users(relay.node, parse_address(network.address))]


def trustlines_by_contract(relay: ServedRelay, network: Contract) -> dict[tuple[str, str], dict[str, Any]]:
    """What the API should answer for each trustline from each side, made of getAccount alone."""
    found = {}
    for user, other in permutations(users_of(relay, network), 2):
        of = parse_address(network.address), parse_address(user), parse_address(other)
        account = read_account(relay.node, *of)
        if not any((account.given, account.received, account.rate_given, account.rate_received, account.balance)):
            continue
        rates = account.rate_given, account.rate_received
        balance = balance_with_interest(account.balance, *rates, account.mtime, relay.at())
        found[user, other] = {
            "id": "0x" + trustline_id(*of).hex(),
            "address": other,
            "counterParty": other,
            "user": user,
            "currencyNetwork": network.address,
            "balance": str(balance),
            "given": str(account.given),
            "received": str(account.received),
            "leftGiven": str(account.given - balance),
            "leftReceived": str(account.received + balance),
            "interestRateGiven": str(account.rate_given),
            "interestRateReceived": str(account.rate_received),
            "isFrozen": account.is_frozen,
        }
    return found


def executes(call: Any, sender: str) -> bool:
    try:
        call.call({"from": sender})
    except Web3Exception:
        return False
    return True


def transfer_call(network: Contract, answer: Mapping[str, Any], max_fees: int) -> Any:
    function = (
        network.functions.transfer if answer["feePayer"] == "sender" else network.functions.transferReceiverPays
    )
    return function(int(answer["value"]), max_fees, answer["path"], b"")


def test_the_networks_are_described_as_their_contracts_do(relay: ServedRelay, network: Contract) -> None:
    contract = network.functions
    expected = {
        "name": contract.name().call(),
        "abbreviation": contract.symbol().call(),
        "address": network.address,
        "decimals": contract.decimals().call(),
        "numUsers": len(contract.getUsers().call()),
        "capacityImbalanceFeeDivisor": contract.capacityImbalanceFeeDivisor().call(),
        "defaultInterestRate": str(contract.defaultInterestRate().call()),
        "interestRateDecimals": 2,
        "customInterests": contract.customInterests().call(),
        "preventMediatorInterests": contract.preventMediatorInterests().call(),
        "isFrozen": contract.isNetworkFrozen().call(),
    }
    listed = {one["address"]: one for one in relay.ask("networks")}
    assert listed[network.address] == relay.ask(f"networks/{network.address}") == expected
    assert len(listed) == len(NETWORKS)


def test_the_users_are_those_the_contract_knows(relay: ServedRelay, network: Contract) -> None:
    listed = relay.ask(f"networks/{network.address}/users")
    assert sorted(listed) == sorted(network.functions.getUsers().call())


def test_every_trustline_equals_the_contracts_account_from_both_sides(
    relay: ServedRelay, network: Contract
) -> None:
    expected = trustlines_by_contract(relay, network)
    base = f"networks/{network.address}"
    answered = {}
    for user in users_of(relay, network):
        for line in relay.ask(f"{base}/users/{user}/trustlines"):
            assert types_of(line) == TRUSTLINE_TYPES
            assert relay.ask(f"{base}/users/{user}/trustlines/{line['address']}") == line
            answered[user, line["address"]] = line
    assert answered == expected
    whole = {(line["user"], line["counterParty"]): line for line in relay.ask(f"{base}/trustlines")}
    assert len(whole) * 2 == len(expected)
    assert whole.items() <= expected.items()


def total(lines: Sequence[dict[str, Any]], name: str) -> int:
    return sum(int(line[name]) for line in lines)


def test_a_users_sums_are_those_of_the_contracts_accounts(relay: ServedRelay, network: Contract) -> None:
    accounts = trustlines_by_contract(relay, network)
    base = f"networks/{network.address}"
    frozen_seen = False
    for user in users_of(relay, network):
        mine = [line for (owner, _), line in accounts.items() if owner == user]
        free = [line for line in mine if not line["isFrozen"]]
        frozen_seen = frozen_seen or len(free) < len(mine)
        balance, given, received = total(free, "balance"), total(mine, "given"), total(mine, "received")
        assert relay.ask(f"{base}/users/{user}") == {
            "balance": str(balance),
            "frozenBalance": str(total(mine, "balance") - balance),
            "given": str(given),
            "received": str(received),
            "leftGiven": str(given - balance),
            "leftReceived": str(received + balance),
        }
        assert relay.ask(f"{base}/users/{user}/spendable") == str(total(free, "leftReceived"))
    assert frozen_seen is (relay.ask(base)["abbreviation"] == "CASH")


def test_a_users_trustlines_are_listed_over_all_networks(relay: ServedRelay, village: Village) -> None:
    for person in village.plan.people[:5]:
        everywhere = relay.ask(f"users/{person.address}/trustlines")
        apart = [
            relay.ask(f"networks/{one}/users/{person.address}/trustlines") for one in village.addresses.networks
        ]
        assert everywhere == [line for lines in apart for line in lines]


@pytest.mark.parametrize("fee_payer", ["sender", "receiver"])
def test_paths_execute_on_the_chain_with_exactly_the_fees_quoted(
    relay: ServedRelay, network: Contract, fee_payer: str
) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(7)
    found = 0
    for _ in range(25):
        sender, receiver = draw.sample(users, 2)
        value = draw.choice([1, 5, 30, 500, 20_000])
        answer = relay.tell(
            f"{base}/path-info", **{"from": sender, "to": receiver}, value=str(value), feePayer=fee_payer
        )
        assert (answer["value"], answer["feePayer"]) == (str(value), fee_payer)
        if not answer["path"]:
            assert types_of(answer)["reason"] is types_of(answer)["reasonMessage"] is str
            assert (answer["fees"], answer["estimatedGas"]) == ("0", 0)
            continue
        found += 1
        assert set(answer) == {"path", "fees", "value", "feePayer", "estimatedGas"}
        assert (answer["path"][0], answer["path"][-1]) == (sender, receiver)
        fees = int(answer["fees"])
        assert executes(transfer_call(network, answer, fees), sender)
        assert fees == 0 or not executes(transfer_call(network, answer, fees - 1), sender)
        assert type(answer["estimatedGas"]) is int
    assert found > 5


def test_the_largest_value_executes_and_one_more_finds_no_path(relay: ServedRelay, network: Contract) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(8)
    found = 0
    for _ in range(15):
        sender, receiver = draw.sample(users, 2)
        pair = {"from": sender, "to": receiver}
        answer = relay.tell(f"{base}/max-capacity-path-info", **pair)
        assert relay.ask(f"{base}/users/{sender}/spendables/{receiver}") == answer["capacity"]
        one_more = relay.tell(f"{base}/path-info", **pair, value=int(answer["capacity"]) + 1)
        assert one_more["path"] == []
        if answer["capacity"] != "0":
            found += 1
            transfer = network.functions.transfer(int(answer["capacity"]), 2**63, answer["path"], b"")
            assert executes(transfer, sender)
    assert found > 3


def test_a_path_past_users_to_avoid_executes_and_leads_past_them(relay: ServedRelay, network: Contract) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(9)
    found = 0
    for _ in range(25):
        sender, receiver = draw.sample(users, 2)
        body = {"from": sender, "to": receiver, "value": "5"}
        usual = relay.tell(f"{base}/path-info", **body)
        avoid = usual["path"][1:-1]
        past = relay.tell(f"{base}/path-info", **body, avoid=avoid)
        if not avoid:
            assert past == usual
        elif past["path"]:
            found += 1
            assert not set(past["path"]) & set(avoid)
            assert int(past["fees"]) >= int(usual["fees"])
            assert executes(transfer_call(network, past, int(past["fees"])), sender)
    assert found > 0


def test_in_parts_at_least_as_much_arrives_and_the_first_part_executes(
    relay: ServedRelay, network: Contract
) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(10)
    several = 0
    for _ in range(15):
        sender, receiver = draw.sample(users, 2)
        spendable = f"{base}/users/{sender}/spendables/{receiver}"
        alone, total = int(relay.ask(spendable)), int(relay.ask(f"{spendable}?maxParts=16"))
        assert total >= alone
        if not total:
            continue
        body = {"from": sender, "to": receiver, "value": str(total), "maxParts": 16}
        answer = relay.tell(f"{base}/path-info", **body)
        parts = answer["parts"]
        assert "reason" not in answer
        assert sum(int(part["value"]) for part in parts) == total
        assert sum(int(part["fees"]) for part in parts) == int(answer["fees"])
        assert sum(part["estimatedGas"] for part in parts) == answer["estimatedGas"]
        assert answer["path"] == (parts[0]["path"] if len(parts) == 1 else [])
        assert executes(transfer_call(network, {**parts[0], "feePayer": "sender"}, int(parts[0]["fees"])), sender)
        several += len(parts) > 1
    assert several > 0


def test_every_alternative_executes_and_none_costs_less_than_the_one_before(
    relay: ServedRelay, network: Contract
) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(12)
    several = 0
    for fee_payer in ["sender", "receiver"] * 6:
        sender, receiver = draw.sample(users, 2)
        body = {"from": sender, "to": receiver, "value": "5", "feePayer": fee_payer, "alternatives": 10}
        answer = relay.tell(f"{base}/path-info", **body)
        ways = answer["alternatives"]
        several += len(ways) > 1
        assert ways[:1] == [{name: answer[name] for name in ("path", "fees", "estimatedGas")}][: len(ways)]
        assert bool(ways) == bool(answer["path"])
        assert len({tuple(way["path"]) for way in ways}) == len(ways)
        ranks = [(int(way["fees"]), len(way["path"])) for way in ways]
        assert ranks == sorted(ranks)
        for way in ways:
            assert len(set(way["path"])) == len(way["path"])
            assert executes(transfer_call(network, answer | way, int(way["fees"])), sender)
    assert several > 0


def test_the_figures_of_a_reason_are_what_would_have_gone_through(relay: ServedRelay, network: Contract) -> None:
    base, users = f"networks/{network.address}", users_of(relay, network)
    draw = random.Random(11)
    seen = set()
    for _ in range(25):
        sender, receiver = draw.sample(users, 2)
        body = {"from": sender, "to": receiver, "value": "5"}
        for limit in ({"value": str(2**63)}, {"maxFees": 0}, {"maxHops": 1}):
            answer = relay.tell(f"{base}/path-info", **(body | limit))
            possible = {
                "capacity": {"value": answer.get("largestValue")},
                "fees": {"maxFees": answer.get("cheapestFees")},
                "hops": {"maxHops": answer.get("fewestHops")},
            }.get(answer.get("reason"))
            if possible is None or possible == {"value": "0"}:
                continue
            seen.add(answer["reason"])
            again = relay.tell(f"{base}/path-info", **(body | limit | possible))
            assert again["path"]
            assert executes(transfer_call(network, again, int(again["fees"])), sender)
            (name, figure) = next(iter(possible.items()))
            beyond = int(figure) + (1 if name == "value" else -1)
            assert relay.tell(f"{base}/path-info", **(body | limit | {name: beyond}))["path"] == []
    assert {"capacity", "hops"} <= seen


def test_closing_cycles_execute_on_the_chain(relay: ServedRelay, network: Contract) -> None:
    found = 0
    for (user, other), line in trustlines_by_contract(relay, network).items():
        body = {"from": user, "to": other}
        answer = relay.tell(f"networks/{network.address}/close-trustline-path-info", **body)
        if not answer["path"]:
            assert (answer["fees"], answer["value"]) == ("0", line["balance"].lstrip("-")), (
                "what is left to settle"
            )
            continue
        found += 1
        assert set(answer) == {"path", "fees", "value", "feePayer"}
        assert answer["value"] == line["balance"].lstrip("-")
        assert answer["feePayer"] == ("sender" if line["balance"].startswith("-") else "receiver")
        close = network.functions.closeTrustlineByTriangularTransfer
        assert executes(close(other, int(answer["fees"]), answer["path"]), user)
    assert found > 3


def events_by_contract(network: Contract, kind: str) -> list[dict[str, Any]]:
    """What the API should answer for the events of a type, made of what web3 decodes."""
    answers = []
    for log in network.events[kind]().get_logs(from_block=0):
        given = dict(log["args"])
        answer: dict[str, Any] = {
            "networkAddress": log["address"],
            "blockNumber": log["blockNumber"],
            "blockHash": Web3.to_hex(log["blockHash"]),
            "timestamp": network.w3.eth.get_block(log["blockNumber"])["timestamp"],
            "type": kind,
            "transactionId": Web3.to_hex(log["transactionHash"]),
            "transactionHash": Web3.to_hex(log["transactionHash"]),
            "logIndex": log["logIndex"],
        }
        if given:
            first, second = list(given)[:2]
            answer |= {"from": given[first], "to": given[second]}
        answer |= {
            name: given[source] if name == "isFrozen" else str(given[source])
            for name, source in (
                ("given", "_creditlineGiven"),
                ("received", "_creditlineReceived"),
                ("interestRateGiven", "_interestRateGiven"),
                ("interestRateReceived", "_interestRateReceived"),
                ("isFrozen", "_isFrozen"),
                ("amount", "_value"),
                ("debt", "_newDebt"),
            )
            if source in given
        }
        if "_extraData" in given:
            answer["extraData"] = Web3.to_hex(given["_extraData"])
        if kind == "TrustlineUpdateRequest":
            answer["transfer"] = str(given.get("_transfer", 0))
        answers.append(answer)
    return answers


@pytest.mark.parametrize("kind", [*sorted(USUAL_TYPES), "BalanceUpdate", "DebtUpdate", "NetworkFreeze"])
def test_events_of_a_type_are_those_the_chain_logged(relay: ServedRelay, network: Contract, kind: str) -> None:
    answers = relay.ask(f"networks/{network.address}/events?type={kind}")
    for answer in answers:
        assert types_of(answer) == {**EVENT_TYPES, **PARTICULARS[kind]}
        status = answer.pop("status")
        head = relay.node.head().number
        assert status == ("confirmed" if head - answer["blockNumber"] >= 5 else "pending")
    assert answers == events_by_contract(network, kind)
    if kind in {"TrustlineUpdate", "TrustlineUpdateRequest", "Transfer", "BalanceUpdate"}:
        assert len(answers) >= 10


def test_without_a_type_updates_requests_cancels_and_transfers_are_listed_in_order(
    relay: ServedRelay, village: Village
) -> None:
    url = f"networks/{village.networks['CASH']}/events"
    listed = relay.ask(url)
    assert {event["type"] for event in listed} <= USUAL_TYPES
    assert len(listed) == sum(len(relay.ask(f"{url}?type={kind}")) for kind in USUAL_TYPES)
    places = [(event["blockNumber"], event["logIndex"]) for event in listed]
    assert places == sorted(places)


def test_from_block_leaves_earlier_events_out(relay: ServedRelay, village: Village) -> None:
    url = f"networks/{village.networks['CASH']}/events"
    listed = relay.ask(url)
    block = listed[len(listed) // 2]["blockNumber"]
    assert relay.ask(f"{url}?fromBlock={block}") == [event for event in listed if event["blockNumber"] >= block]
    assert relay.ask(f"{url}?fromBlock={2**64 - 1}") == []


def test_a_users_events_are_those_with_a_part_in_them(relay: ServedRelay, village: Village) -> None:
    url = f"networks/{village.networks['CASH']}"
    for person in village.plan.people[:4]:
        me = person.address
        mine = relay.ask(f"{url}/users/{me}/events")
        assert mine
        expected = []
        for event in relay.ask(f"{url}/events"):
            if me in {event["from"], event["to"]}:
                is_sender = event["from"] == me
                other = event["to"] if is_sender else event["from"]
                direction = "sent" if is_sender else "received"
                expected.append({**event, "user": me, "counterParty": other, "direction": direction})
        assert mine == expected


def test_a_users_events_are_listed_over_all_networks(relay: ServedRelay, village: Village) -> None:
    me = village.plan.people[0].address
    for query in ("", "?type=Transfer", "?contractType=CurrencyNetwork", "?type=DebtUpdate&fromBlock=1"):
        apart = [relay.ask(f"networks/{one}/users/{me}/events" + query) for one in village.addresses.networks]
        together = relay.ask(f"users/{me}/events{query}")
        assert together == sorted(
            chain.from_iterable(apart), key=lambda event: (event["blockNumber"], event["logIndex"])
        )
    assert relay.ask(f"users/{me}/events?contractType=Exchange") == []


@pytest.mark.parametrize("name", ["tx-infos", "txinfos"])
def test_what_signing_needs_is_what_the_node_says(
    relay: ServedRelay, village: Village, village_w3: Web3, name: str
) -> None:
    for person in village.plan.people[:3]:
        answer = relay.ask(f"users/{person.address}/{name}")
        assert types_of(answer) == {"gasPrice": str, "balance": str, "nonce": int}
        assert answer["balance"] == str(village_w3.eth.get_balance(person.address))
        assert answer["nonce"] == village_w3.eth.get_transaction_count(person.address, "pending")
        assert answer["gasPrice"] == str(village_w3.eth.gas_price)


def test_the_block_number_is_the_head_and_the_header_the_indexed_block(
    relay: ServedRelay, village_w3: Web3
) -> None:
    answer = relay.get("blocknumber")
    assert answer.json() == village_w3.eth.block_number
    assert answer.headers["X-Trustlines-Block"] == str(village_w3.eth.block_number)


def test_the_version_is_told(relay: ServedRelay) -> None:
    assert relay.ask("version") == "relay/v1.2.3"
