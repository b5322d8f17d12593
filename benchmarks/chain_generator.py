"""Makes the chain that the index is measured on, with real contracts on anvil, and keeps it for the next run."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import requests
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from benchmarks.chain_plan import DIVISOR, Plan, Story, Transaction
from graph.trustline import User
from relay.chain.abi import contract as shipped
from relay.devnet.anvil import VERSION, Anvil

GENESIS = 1_700_000_000
SECONDS_PER_BLOCK = 5
GAS = 3_000_000
BLOCK_GAS = 10**10
ETHER = 10**18
AT_ONCE = 500
KIND = "CurrencyNetwork"
_NEVER = 0
_FORM = 1
"""To be counted up where the same plan is told in another way."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was made: anvil's state file, the network on it and how much it holds.

    ``opened_at`` is the block in which the last trustline was agreed to, ``head`` the last block.
    """

    state: Path
    network: User
    opened_at: int
    head: int
    events: int


class Rpc:
    """Asks a node many things in one request."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._http.trust_env = False

    def ask(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Return the answers in order.

        Raises:
            RuntimeError: if the node refuses one.

        """
        answers: list[Any] = []
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            body = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in enumerate(some)
            ]
            response = self._http.post(self._url, json=body, timeout=120)
            response.raise_for_status()
            found = {answer["id"]: answer for answer in response.json()}
            for number, (method, _) in enumerate(some):
                if "error" in found[number]:
                    raise RuntimeError(f"the node refuses {method}: {found[number]['error']['message']}")
                answers.append(found[number]["result"])
        return answers

    def one(self, method: str, *parameters: Any) -> Any:
        """Return the answer to one question."""
        return self.ask([(method, list(parameters))])[0]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class Narrator:
    """Sends transactions of users whose keys nobody has, and mines them when told to."""

    def __init__(self, rpc: Rpc, network: User | None = None) -> None:
        """Take over a node that nobody else mines on.

        Without ``network`` one is made, and blocks are told their time; otherwise they take the node's.
        """
        self.rpc = rpc
        self._nonces: dict[User, Iterator[int]] = {}
        rpc.ask([("evm_setAutomine", [False]), ("evm_setBlockGasLimit", [hex(BLOCK_GAS)])])
        rpc.one("anvil_autoImpersonateAccount", True)
        self._times = None if network is not None else count(GENESIS + SECONDS_PER_BLOCK, SECONDS_PER_BLOCK)
        self.network = self._make_network() if network is None else network

    def send(self, transactions: Iterable[Transaction]) -> list[str]:
        """Send transactions to the contract; return their hashes."""
        told = list(transactions)
        self._take_in({told_one.sender for told_one in told})
        return self.rpc.ask([("eth_sendTransaction", [self._envelope(one)]) for one in told])

    def mine(self) -> None:
        """Mine a block of what was sent."""
        self.rpc.one("evm_mine", *([] if self._times is None else [next(self._times)]))

    def _envelope(self, told: Transaction) -> dict[str, str]:
        return {
            "from": hexed(told.sender),
            "to": hexed(self.network),
            "data": "0x" + call(told.function, told.arguments).hex(),
            "gas": hex(GAS),
            "nonce": hex(next(self._nonces[told.sender])),
        }

    def _take_in(self, users: set[User]) -> None:
        new = sorted(users - self._nonces.keys())
        self.rpc.ask([("anvil_setBalance", [hexed(user), hex(1000 * ETHER)]) for user in new])
        nonces = self.rpc.ask([("eth_getTransactionCount", [hexed(user), "latest"]) for user in new])
        self._nonces.update({user: count(int(nonce, 16)) for user, nonce in zip(new, nonces, strict=True)})

    def _make_network(self) -> User:
        owner = self.rpc.one("eth_accounts")[0]
        code = {"from": owner, "data": hexed(shipped(KIND).bytecode), "gas": hex(10 * GAS)}
        transaction = self.rpc.one("eth_sendTransaction", code)
        self.mine()
        address: str = self.rpc.one("eth_getTransactionReceipt", transaction)["contractAddress"]
        terms: tuple[object, ...] = ("Benchmark", "BENCH", 4, DIVISOR, 0, True, False, _NEVER, [])
        data = "0x" + call("init", terms).hex()
        self.rpc.one("eth_sendTransaction", {"from": owner, "to": address, "data": data, "gas": hex(GAS)})
        self.mine()
        return bytes.fromhex(address[2:])


def made(plan: Plan, binary: Path, folder: Path, progress: Progress) -> Chain:
    """Return the chain of a plan, from ``folder`` if it was made before."""
    told = json.dumps([_FORM, VERSION, KIND, asdict(plan)])
    name = f"chain-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    state, facts = folder / f"{name}.state", folder / f"{name}.json"
    if not facts.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{name}.part"
        found = _make(plan, binary, fresh, progress)
        fresh.replace(state)
        facts.write_text(json.dumps(found), encoding="ascii")  # last: what it speaks of is there
    known = json.loads(facts.read_text(encoding="ascii"))
    return Chain(state, bytes.fromhex(known.pop("network")), **known)


def hexed(address: bytes) -> str:
    """Write bytes as JSON-RPC does."""
    return "0x" + address.hex()


def call(function: str, arguments: tuple[object, ...]) -> bytes:
    """Return the data of a call of a currency network's function."""
    entry = next(entry for entry in shipped(KIND).abi if entry.get("name") == function)
    types = [part["type"] for part in entry["inputs"]]
    return keccak(text=f"{function}({','.join(types)})")[:4] + encode(types, arguments)


def _make(plan: Plan, binary: Path, state: Path, progress: Progress) -> dict[str, Any]:
    with Anvil(binary, timestamp=GENESIS, dump=state) as anvil:
        rpc = Rpc(anvil.url)
        narrator, story = Narrator(rpc), Story(plan)
        _tell(narrator, story.openings(), plan, 2 * plan.trustlines, progress)
        opened_at = int(rpc.one("eth_blockNumber"), 16)
        _tell(narrator, story.transfers(), plan, plan.transfers, progress)
        head = int(rpc.one("eth_blockNumber"), 16)
        events = sum(len(rpc.one("eth_getLogs", _range(first, head))) for first in range(0, head + 1, 1000))
        rpc.close()
    return {"network": narrator.network.hex(), "opened_at": opened_at, "head": head, "events": events}


def _range(first: int, head: int) -> dict[str, str]:
    return {"fromBlock": hex(first), "toBlock": hex(min(first + 999, head))}


def _tell(narrator: Narrator, story: Iterator[Transaction], plan: Plan, total: int, progress: Progress) -> None:
    """Send and mine, block by block.

    Raises:
        RuntimeError: if the contract refuses a transaction.

    """
    for done in range(0, total, plan.per_block):
        hashes = narrator.send(islice(story, plan.per_block))
        narrator.mine()
        receipts = narrator.rpc.one("eth_getBlockReceipts", "latest")
        if len(receipts) != len(hashes) or any(receipt["status"] != "0x1" for receipt in receipts):
            raise RuntimeError("the contract refused what the plan tells, or a block has no room for it")
        progress("making the chain", done, total)
