"""Comparing the database with the contracts, at one block."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graph.trustline import Pair, Trustline, pair_of
from relay.addresses import Address, to_checksum
from relay.chain import abi
from relay.chain.errors import NodeMisbehaved
from relay.store.reading import Snapshot
from relay.store.rows import CursorPosition, StoredNetwork

_BATCH = 100


class ContractCalls(Protocol):
    """The part of a node that is asked for the state of contracts."""

    def calls(self, to: Address, data: Sequence[bytes], block: bytes) -> list[bytes]:
        """Return what a contract answers to each of the calls, after the block of that hash."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the database held after one commit: the block, and all trustlines by the id of their network."""

    block: CursorPosition | None
    networks: Sequence[StoredNetwork]
    trustlines: Mapping[int, Sequence[Trustline]]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Contents":
        """Read all of an open snapshot, which may then be closed: comparing takes long."""
        trustlines: dict[int, list[Trustline]] = {network.id: [] for network in snapshot.networks}
        snapshot.hand_over(lambda network_id, rows: trustlines[network_id].extend(Trustline(*row) for row in rows))
        return cls(snapshot.block, snapshot.networks, trustlines)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something of a network that is not in the database what it is on the chain, in words."""

    network: Address
    network_id: int
    what: str
    ours: str
    chains: str

    def __str__(self) -> str:
        return f"{to_checksum(self.network)}: {self.what}: the database has {self.ours}, the chain {self.chains}"


class Verifier:
    """Compares every trustline, every user and whether networks are frozen.

    What events do not tell is left out: the ``mtime`` of a balance of zero, which bears no interest since
    whenever, and the flag of single trustlines while the whole network is frozen.
    """

    def __init__(self, node: ContractCalls, progress: Callable[[int], None] = lambda _: None) -> None:
        """``progress`` is told how many more trustlines were compared."""
        self._node = node
        self._progress = progress

    def differences(self, contents: Contents) -> Iterator[Difference]:
        """Yield what differs between the database and the chain at the block the database stands at.

        Raises:
            ChainError: if the node fails, or has no longer (or not any more) the state of that block.

        """
        if contents.block is None:
            return
        for network in contents.networks:
            comparison = _Comparison(self._node, network, contents.block.hash, self._progress)
            yield from comparison.run(contents.trustlines[network.id])


class _Comparison:
    """One network compared."""

    def __init__(
        self, node: ContractCalls, network: StoredNetwork, block: bytes, progress: Callable[[int], None]
    ) -> None:
        self._node = node
        self._network = network
        self._block = block
        self._progress = progress

    def run(self, lines: Sequence[Trustline]) -> Iterator[Difference]:
        is_frozen = bool(self._ask("isNetworkFrozen", [()])[0][0])
        if is_frozen != self._network.info.is_frozen:
            yield self._differs("frozen", self._network.info.is_frozen, is_frozen)
        users = [_bytes(user) for user in self._ask("getUsers", [()])[0][0]]
        ours = {user for line in lines for user in line.pair}
        for user in sorted(ours ^ set(users)):
            yield self._differs(f"user {to_checksum(user)}", user in ours, user in users)
        stored = {line.pair: line for line in lines}
        pairs = sorted(stored.keys() | self._pairs_on_chain(users))
        for start in range(0, len(pairs), _BATCH):
            some = pairs[start : start + _BATCH]
            for pair, account in zip(some, self._ask("getAccount", some), strict=True):
                found = _comparable(stored.get(pair, Trustline(*pair)), is_frozen=is_frozen)
                expected = _comparable(_trustline(pair, account), is_frozen=is_frozen)
                if found != expected:
                    name = f"trustline {to_checksum(pair[0])} {to_checksum(pair[1])}"
                    yield self._differs(name, _shown(found), _shown(expected))
            self._progress(len(some))

    def _pairs_on_chain(self, users: Sequence[Address]) -> set[Pair]:
        friends = self._ask("getFriends", [(user,) for user in users])
        return {
            pair_of(user, _bytes(friend))
            for user, (listed,) in zip(users, friends, strict=True)
            for friend in listed
            if _bytes(friend) != user
        }

    def _ask(self, function: str, arguments: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        entry = abi.contract("CurrencyNetwork").entry("function", function)
        data = [abi.encode_call(entry, each) for each in arguments]
        try:
            return [
                abi.decode_result(entry, answer)
                for answer in self._node.calls(self._network.info.address, data, self._block)
            ]
        except ValueError as problem:
            raise NodeMisbehaved(
                f"the contract at {to_checksum(self._network.info.address)} answers like no network: {problem}"
            ) from problem

    def _differs(self, what: str, ours: object, chains: object) -> Difference:
        return Difference(self._network.info.address, self._network.id, what, str(ours), str(chains))


def _trustline(pair: Pair, account: tuple[Any, ...]) -> Trustline:
    """Read the answer of getAccount(lower, higher)."""
    given, received, rate_given, rate_received, is_frozen, mtime, balance = account
    return Trustline(*pair, balance, given, received, rate_given, rate_received, is_frozen, mtime)


def _comparable(line: Trustline, *, is_frozen: bool) -> tuple[int, int, int, int, int, bool, int]:
    return (
        line.balance,
        line.given,
        line.received,
        line.rate_given,
        line.rate_received,
        line.is_frozen and not is_frozen and not line.is_closed,
        line.mtime if line.balance else 0,
    )


def _shown(values: tuple[int, int, int, int, int, bool, int]) -> str:
    names = ("balance", "given", "received", "rate_given", "rate_received", "frozen", "mtime")
    return " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _bytes(address: str) -> Address:
    return bytes.fromhex(address[2:])
