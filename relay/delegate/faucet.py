"""Gifts of ether on test chains, capped whoever asks and however often."""

from collections.abc import Callable
from dataclasses import dataclass

from relay import telemetry
from relay.addresses import Address, to_checksum
from relay.chain.errors import NodeRefused
from relay.delegate.errors import CapReached, Refused
from relay.delegate.metatransactions import DAY
from relay.delegate.signer import Signer
from relay.store.sending_writing import SendingTransaction
from relay.store.sent import FAUCET, NewTransaction

_MOST_GAS = 100_000
_PLAIN_GAS = 21_000


@dataclass(frozen=True, slots=True)
class Gifts:
    """In wei: a gift, the balance from which on nothing is given, and what is given in a day (UTC).

    ``in_a_day`` counts what the gifts cost the relay, the most that their gas can cost included.
    """

    amount: int
    enough: int
    to_one_in_a_day: int
    in_a_day: int


class Faucet:
    """Gives ether."""

    def __init__(self, signer: Signer, gifts: Gifts, clock: Callable[[], int]) -> None:
        self._signer = signer
        self._gifts = gifts
        self._clock = clock

    def give(self, address: Address) -> bytes | None:
        """Return the hash of a gift's transaction, the one on its way if there is one, None to who has enough.

        Raises:
            CapReached: if the address, or all together, have been given as much as a day allows.
            Refused: if the address does not take ether.
            Overloaded: if nothing more can be sent at the moment.
            ChainError, StoreError: if node or database fail.

        """
        with self._signer.store.writing() as transaction:
            is_under_way = transaction.is_on_its_way(FAUCET, address)
            if not is_under_way:
                # Once the day's gifts are given, requests cost next to nothing; this is looked at again below.
                self._require_left(transaction, self._gifts.amount)
        under_way = self._waiting(address) if is_under_way else None
        if under_way is not None:
            return under_way
        if self._signer.node.balance(address) >= self._gifts.enough:
            # What is pending counts: it may be what another request has given since the look above.
            return self._waiting(address)
        gas = self._gas(address)
        gifts, found = self._gifts, _UnderWay()

        def check(transaction: SendingTransaction, gift: NewTransaction) -> None:
            if transaction.is_on_its_way(FAUCET, address):
                raise found
            if transaction.given(self._today(), address) + gifts.amount > gifts.to_one_in_a_day:
                raise CapReached(
                    f"{to_checksum(address)} has been given as much ether as a day allows", self._until_tomorrow()
                )
            self._require_left(transaction, gift.cost)

        try:
            gift = self._signer.submit(NewTransaction(FAUCET, address, address, b"", gifts.amount, gas, 0), check)
        except _UnderWay:
            return self._under_way(address)
        telemetry.faucet_wei.inc(gifts.amount)
        return gift

    def _require_left(self, transaction: SendingTransaction, cost: int) -> None:
        if transaction.given(self._today()) + cost > self._gifts.in_a_day:
            raise CapReached(
                "the faucet has given as much ether as a day allows; come back tomorrow", self._until_tomorrow()
            )

    def _today(self) -> int:
        now = self._clock()
        return now - now % DAY

    def _until_tomorrow(self) -> int:
        return DAY - self._clock() % DAY

    def _under_way(self, address: Address) -> bytes | None:
        known = self._signer.store.latest_for(FAUCET, address)
        if known is None or known.state != "open" or known.outcome is not None:
            return None
        attempt = self._signer.store.last_attempt(known.id)
        return None if attempt is None else attempt.hash

    def _waiting(self, address: Address) -> bytes | None:
        """Return the hash of a gift that is in no block, even if it is not noted yet that one is."""
        under_way = self._under_way(address)
        if under_way is None or self._signer.node.receipts([under_way])[0] is not None:
            return None
        return under_way

    def _gas(self, address: Address) -> int:
        """Return the gas limit of a gift: contracts, as identities are, use some when they are given ether."""
        node = self._signer.node
        if not node.code_exists(address):
            return _PLAIN_GAS
        try:
            estimate = node.estimate_gas(self._signer.address, address, self._gifts.amount, _MOST_GAS)
        except NodeRefused as refusal:
            raise Refused(f"{to_checksum(address)} does not take ether: {refusal.message}") from refusal
        return estimate * 5 // 4


class _UnderWay(Exception):
    """Another request has given to the address a moment ago."""
