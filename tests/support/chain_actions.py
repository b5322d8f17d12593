"""Random, seeded life in a currency network on a real chain: what people do, and what the contract says after."""

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any

from web3 import Web3
from web3.contract import Contract

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import GAS_LIMIT

RATES = (-2000, -1, 0, 0, 500, 2000)


class Life:
    """Sends random transactions of a few unlocked accounts to one network; some of them revert."""

    def __init__(self, anvil: Anvil, w3: Web3, network: Contract, seed: int, people: int = 5) -> None:
        self.random = random.Random(seed)
        self.people = w3.eth.accounts[1 : people + 1]
        self._anvil, self._w3, self._network = anvil, w3, network
        self._has_custom_rates = bool(network.functions.customInterests().call())

    def act(self, count: int) -> None:
        """Do ``count`` random things, letting days pass now and then."""
        deeds = [self._agree] * 2 + [self._pay] * 3
        deeds += [self._request, self._cancel, self._settle, self._close, self._touch, self._lower]
        for _ in range(count):
            if self.random.random() < 0.3:
                self._anvil.rpc("evm_increaseTime", self.random.randrange(1, 90 * 86_400))
            self.random.choice(deeds)()

    def send(self, name: str, *arguments: Any, sender: str) -> bool:
        """Send a transaction; return whether it succeeded."""
        call = getattr(self._network.functions, name)(*arguments)
        data = call.build_transaction({"gas": GAS_LIMIT, "gasPrice": 0, "nonce": 0, "chainId": 1337})["data"]
        answer = self._anvil.rpc(
            "eth_sendTransaction",
            {"from": sender, "to": self._network.address, "data": data, "gas": hex(GAS_LIMIT)},
        )
        return self._w3.eth.wait_for_transaction_receipt(answer, poll_latency=0.005)["status"] == 1

    def _pair(self) -> tuple[str, str]:
        first, second = self.random.sample(self.people, 2)
        return first, second

    def _terms(self) -> tuple[int, int, int, int, bool]:
        rates = [self.random.choice(RATES) for _ in range(2)] if self._has_custom_rates else [0, 0]
        limits = [self.random.choice((0, 10, 1000, 10**9, 2**64 - 1)) for _ in range(2)]
        return (*limits, *rates, self.random.random() < 0.1)  # type: ignore[return-value]

    def _request(self) -> None:
        one, other = self._pair()
        self.send("updateTrustline", other, *self._terms(), sender=one)

    def _agree(self) -> None:
        one, other = self._pair()
        given, received, rate_given, rate_received, is_frozen = self._terms()
        self.send("updateTrustline", other, given, received, rate_given, rate_received, is_frozen, sender=one)
        self.send("updateTrustline", one, received, given, rate_received, rate_given, is_frozen, sender=other)

    def _lower(self) -> None:
        one, other = self._pair()
        self.send("updateCreditlimits", other, 0, 10, sender=one)

    def _cancel(self) -> None:
        one, other = self._pair()
        self.send("cancelTrustlineUpdate", other, sender=one)

    def _pay(self) -> None:
        path = self.random.sample(self.people, self.random.choice((2, 2, 3, 4)))
        value = self.random.choice((0, 1, 7, 100, 10**6))
        name = self.random.choice(("transfer", "transferReceiverPays"))
        self.send(name, value, value, path, self.random.choice((b"", b"memo")), sender=path[0])

    def _settle(self) -> None:
        one, other = self._pair()
        balance = abs(self._network.functions.balance(one, other).call())
        self.send("transfer", min(balance, 2**64 - 1), 0, [one, other], b"", sender=one)

    def _touch(self) -> None:
        one, other = self._pair()
        self.send("applyInterests", other, sender=one)

    def _close(self) -> None:
        one, other = self._pair()
        third = self.random.choice([person for person in self.people if person not in (one, other)])
        self.send("closeTrustline", other, sender=one)
        path = self.random.choice(([one, other, third, one], [one, third, other, one]))
        self.send("closeTrustlineByTriangularTransfer", other, 10**6, path, sender=one)


def accounts(network: Contract, people: Sequence[str], block: int) -> dict[tuple[str, str], list[Any]]:
    """Return ``getAccount`` of every ordered pair after a block, those without a trustline left out.

    A trustline exists while terms or balance are not all zero; the contract may keep flag and mtime longer.
    """
    found = {
        pair: network.functions.getAccount(*pair).call(block_identifier=block) for pair in permutations(people, 2)
    }
    return {pair: account for pair, account in found.items() if any(account[:4]) or account[6]}
