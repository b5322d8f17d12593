"""Random, seeded life in contracts beside currency networks: tokens, wrapped ether, an exchange, identities."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from web3 import Web3
from web3.contract import Contract

from relay.addresses import Address, parse_address, to_checksum
from relay.chain import abi
from relay.chain.identity import MetaTransaction
from relay.contracts import ContractKind, WantedContracts
from relay.devnet.anvil import Anvil
from relay.devnet.deploy import GAS_LIMIT, deploy_contract
from tests.support.delegating import Wallet
from tests.support.identity_world import World, deploy_identity_world, make_wallets

NEVER = 2**256 - 1
SUPPLY = 10**30
NOBODY = "0x0000000000000000000000000000000000000000"


@dataclass(frozen=True)
class Order:
    """An order to be filled or cancelled: the arguments of the exchange's calls."""

    addresses: list[str]
    values: list[int]

    @property
    def maker(self) -> str:
        return self.addresses[0]


class ContractLife:
    """People who use one contract of each kind, and identities of theirs that pay fees in a network."""

    def __init__(self, chain: Anvil, web3: Web3, seed: int, people: int = 4) -> None:
        self.random = random.Random(seed)
        self.chain, self.web3 = chain, web3
        self.people: list[str] = list(web3.eth.accounts[1 : people + 1])
        self.world: World = deploy_identity_world(chain, web3)
        self.network: Contract = self.world.network
        self.token = deploy_contract(web3, "DummyToken", "Token", "TOK", 18, SUPPLY)
        self.ether = deploy_contract(web3, "UnwEth")
        self.exchange = deploy_contract(web3, "Exchange")
        self.wallets: list[Wallet] = make_wallets(self.world, 2)
        self._salt = 0
        for person in self.people:
            self.send(self.token, "setBalance", person, 10**9, sender=web3.eth.accounts[0])
            self.send(self.token, "approve", self.exchange.address, NEVER, sender=person)
            self.send(self.ether, "approve", self.exchange.address, NEVER, sender=person)
            self.send(self.ether, "deposit", sender=person, value=10**6)

    @property
    def networks(self) -> list[Address]:
        return [parse_address(self.network.address)]

    @property
    def contracts(self) -> WantedContracts:
        return {
            parse_address(self.exchange.address): ContractKind.EXCHANGE,
            parse_address(self.ether.address): ContractKind.UNW_ETH,
            parse_address(self.token.address): ContractKind.TOKEN,
            None: ContractKind.IDENTITY,
        }

    def act(self, count: int) -> None:
        """Do ``count`` random things; some of them revert."""
        deeds: Sequence[Callable[[], object]] = (
            self.wrap, self.unwrap, self.hand_on, self.pay, self.allow, self.trade, self.trade, self.cancel,
            self.execute, self.execute,
        )  # fmt: skip
        for _ in range(count):
            self.random.choice(deeds)()

    def send(self, contract: Contract, name: str, *arguments: Any, sender: str, value: int = 0) -> bool:
        """Send a transaction; return whether it succeeded."""
        data = contract.encode_abi(name, args=list(arguments))
        return self.send_raw(contract.address, data, sender, value)["status"] == 1

    def send_raw(self, to: str | None, data: str, sender: str, value: int = 0) -> Any:
        request = {"from": sender, "data": data, "value": hex(value), "gas": hex(GAS_LIMIT)}
        if to is not None:
            request["to"] = to
        answer = self.chain.rpc("eth_sendTransaction", request)
        return self.web3.eth.wait_for_transaction_receipt(answer, poll_latency=0.005)

    def wrap(self) -> None:
        self.send(self.ether, "deposit", sender=self._person(), value=self.random.randrange(1, 10**6))

    def unwrap(self) -> None:
        self.send(self.ether, "withdraw", self.random.randrange(1, 10**5), sender=self._person())

    def hand_on(self) -> None:
        one, other = self._pair()
        self.send(self.ether, "transfer", other, self.random.randrange(1, 10**5), sender=one)

    def pay(self) -> None:
        one, other = self._pair()
        value = self.random.choice((0, 1, 1000, NEVER))
        self.send(self.token, "transfer", self.random.choice((one, other)), value, sender=one)

    def allow(self) -> None:
        one, other = self._pair()
        self.send(self.random.choice((self.token, self.ether)), "approve", other, NEVER - 1, sender=one)

    def order(self, maker: str, value: int = 1000) -> Order:
        """Offer tokens for half as much wrapped ether."""
        self._salt += 1
        addresses = [maker, NOBODY, self.token.address, self.ether.address, NOBODY]
        return Order(addresses, [value, value // 2, 0, 0, 4_102_444_800, self._salt])

    def hash_of(self, order: Order) -> bytes:
        return bytes(self.exchange.functions.getOrderHash(order.addresses, order.values).call())

    def fill(self, order: Order, amount: int, taker: str) -> bool:
        """Fill a part of an order, in what the taker gives."""
        signed = self.chain.rpc("eth_sign", order.maker, "0x" + self.hash_of(order).hex())
        raw = bytes.fromhex(signed[2:])
        signature = (raw[64] + 27 if raw[64] < 27 else raw[64], raw[:32], raw[32:64])
        arguments = (order.addresses, order.values, amount, True, *signature)
        return self.send(self.exchange, "fillOrder", *arguments, sender=taker)

    def trade(self) -> None:
        maker, taker = self._pair()
        self.fill(self.order(maker), self.random.randrange(1, 600), taker)

    def cancel(self) -> None:
        order = self.order(self._person())
        arguments = (order.addresses, order.values, self.random.randrange(1, 600))
        self.send(self.exchange, "cancelOrder", *arguments, sender=order.maker)

    def execute(self) -> MetaTransaction:
        """Have an identity's meta-transaction executed: free or for a fee, with a call that succeeds or fails."""
        wallet = self.random.choice(self.wallets)
        does_fail = self.random.random() < 0.4
        called = self.ether if does_fail else self.token
        data = (
            called.encode_abi("withdraw", [1]) if does_fail else called.encode_abi("approve", [self.people[0], 5])
        )
        fee: dict[str, Any] = {}
        if self.random.random() < 0.5:
            fee = {"base_fee": 3, "currency_network_of_fees": parse_address(self.network.address)}
        meta = wallet.meta(called.address, data, **fee)
        self.send_raw(to_checksum(meta.identity), "0x" + meta.execution().hex(), self.people[0])
        return meta

    def _person(self) -> str:
        return self.random.choice(self.people)

    def _pair(self) -> tuple[str, str]:
        one, other = self.random.sample(self.people, 2)
        return one, other


def logged(life: ContractLife) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the node has in its logs, decoded by web3, in the columns of the store's tables."""
    identity = life.web3.eth.contract(abi=list(abi.contract("Identity").abi))
    found: dict[str, list[tuple[Any, ...]]] = {"token_events": [], "exchange_events": [], "identity_events": []}
    for contract, kinds in ((life.token, ("Transfer", "Approval")), (life.ether, ("Transfer", "Approval"))):
        for kind in kinds:
            for log in contract.events[kind].get_logs(from_block=0):
                found["token_events"].append((*_place(log, kind), *_raw(log["args"].values())))
    for kind in ("Deposit", "Withdrawal"):
        for log in life.ether.events[kind].get_logs(from_block=0):
            user, value = _raw(log["args"].values())
            found["token_events"].append((*_place(log, kind), user, user, value))
    for kind in ("LogFill", "LogCancel"):
        for log in life.exchange.events[kind].get_logs(from_block=0):
            found["exchange_events"].append((*_place(log, kind), *_exchanged(kind, log["args"])))
    for kind in ("TransactionExecution", "FeePayment"):
        event = identity.events[kind]()
        for raw in life.web3.eth.get_logs({"fromBlock": 0, "topics": [event.topic]}):  # type: ignore[typeddict-item]
            log = event.process_log(raw)
            found["identity_events"].append((*_place(log, kind), *_of_identity(kind, log)))
    return {table: sorted(rows, key=repr) for table, rows in found.items()}


def _place(log: Any, kind: str) -> tuple[Any, ...]:
    return log["blockNumber"], log["logIndex"], kind, bytes(log["transactionHash"]), log["transactionIndex"]


def _exchanged(kind: str, given: Any) -> tuple[Any, ...]:
    fees = (given.get("paidMakerFee"), given.get("paidTakerFee"))
    done = "filled" if kind == "LogFill" else "cancelled"
    names = ("maker", "taker", "feeRecipient", "makerToken", "takerToken")
    users = [None if given.get(name) is None else parse_address(given[name]) for name in names]
    amounts = (given[f"{done}MakerTokenAmount"], given[f"{done}TakerTokenAmount"])
    return (bytes(given["orderHash"]), *users, *amounts, *fees)


def _of_identity(kind: str, log: Any) -> tuple[Any, ...]:
    given, identity = log["args"], parse_address(log["address"])
    if kind == "TransactionExecution":
        return identity, bytes(given["hash"]), given["status"], None, None, None
    recipient, network = parse_address(given["recipient"]), parse_address(given["currencyNetwork"])
    return identity, None, None, given["value"], recipient, network


def _raw(values: Any) -> list[Any]:
    return [parse_address(value) if isinstance(value, str) else value for value in values]
