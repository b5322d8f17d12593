"""Meta-transactions: checked, simulated, and executed at the relay's expense."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.addresses import Address, to_checksum
from relay.chain.errors import NodeRefused
from relay.chain.identity import VERSION, MetaTransaction, call_view, read_view
from relay.delegate.errors import CapReached, Refused, UnknownIdentity
from relay.delegate.fees import FeeOffer
from relay.delegate.signer import Signer
from relay.delegate.simulation import Simulation
from relay.store.sending_writing import SendingTransaction
from relay.store.sent import META, NewTransaction, Repeated

DAY = 86_400

_SECONDS_TO_A_BLOCK = 10
"""What expires sooner would most likely be executed too late, and its gas be lost."""


@dataclass(frozen=True, slots=True)
class GasCaps:
    """Gas: what one meta-transaction may use, and what those of one identity may lose or use in a day (UTC)."""

    limit: int = 1_000_000
    lost_in_a_day: int = 50_000_000
    used_in_a_day: int = 100_000_000


class MetaTransactions:
    """Takes meta-transactions of one chain."""

    def __init__(
        self,
        signer: Signer,
        simulation: Simulation,
        offers: Sequence[FeeOffer],
        caps: GasCaps,
        chain_id: int,
        clock: Callable[[], int],
    ) -> None:
        self._signer = signer
        self._node = signer.node
        self._simulation = simulation
        self._offers = tuple(offers)
        self._caps = caps
        self._chain_id = chain_id
        self._clock = clock

    def fees(self, meta: MetaTransaction) -> tuple[FeeOffer, ...]:
        """Return the fees of which a meta-transaction (not signed yet) has to pay one.

        Raises:
            Refused: if it could not be executed whatever it pays.
            ChainError, StoreError: if node or database fail.

        """
        self._require_form(meta)
        self._require_nonce(meta)
        return self._offers

    def relay(self, meta: MetaTransaction) -> bytes:
        """Return the hash of the transaction that carries a meta-transaction to its identity.

        Raises:
            Refused: if it is at fault, known already, or its execution would fail; no gas was spent.
            CapReached: if its identity has lost too much gas, or may yet.
            Overloaded: if nothing more can be sent at the moment.
            ChainError, StoreError: if node or database fail.

        """
        self._require_form(meta)
        if not any(offer.is_met_by(meta) for offer in self._offers):
            raise Refused(
                "the delegation fees of the meta-transaction are none of those accepted: too low, in another "
                "currency network, or for another recipient"
            )
        meta_hash = meta.hash
        self._require_nonce(meta)
        self._require_signature(meta, meta_hash)
        found = self._simulation.execute(meta, meta_hash, self._signer.address, self._caps.limit)
        new = NewTransaction(
            purpose=META,
            subject=meta.identity,
            recipient=meta.identity,
            data=meta.execution(),
            value=0,
            gas_limit=found.gas_limit,
            cost=0,
            meta_hash=meta_hash,
            meta_nonce=meta.nonce if meta.is_ordered else None,
            expires_at=meta.time_limit,
        )

        def check(transaction: SendingTransaction, _: NewTransaction) -> None:
            now = self._clock()
            lost, used = transaction.gas_of(meta.identity, now - now % DAY)
            for gas, cap, word in (
                (lost, self._caps.lost_in_a_day, "lose"),
                (used, self._caps.used_in_a_day, "use"),
            ):
                if gas + found.gas_limit > cap:
                    raise CapReached(
                        f"the meta-transactions of {to_checksum(meta.identity)} may {word} {cap} gas in a day; "
                        f"with those on their way it is {gas} today, and this one may need {found.gas_limit}",
                        DAY - now % DAY,
                    )

        try:
            return self._signer.submit(new, check, found.events)
        except Repeated:
            raise Refused(
                "the meta-transaction, or another one with its nonce, has been relayed already"
            ) from None

    def _require_form(self, meta: MetaTransaction) -> None:
        if meta.chain_id != self._chain_id:
            raise Refused(
                f"the chain id of the meta-transaction is {meta.chain_id}, "
                f"but this relay serves chain {self._chain_id}"
            )
        if meta.version != VERSION:
            raise Refused(f"the version of the meta-transaction is {meta.version}, expected {VERSION}")
        if meta.time_limit and meta.time_limit < self._clock() + _SECONDS_TO_A_BLOCK:
            raise Refused(
                f"the time limit of the meta-transaction, {meta.time_limit}, has passed, or will before it can "
                "come into a block"
            )

    def _require_nonce(self, meta: MetaTransaction) -> None:
        if meta.is_ordered:
            expected = next_nonce(self._signer, meta.identity)
            if meta.nonce != expected:
                raise Refused(f"the nonce of the meta-transaction is {meta.nonce}, expected {expected}")
            return
        meta_hash = meta.hash
        call = call_view("validateNonce", meta.nonce, meta_hash)
        is_valid = read_view("validateNonce", self._node.views(meta.identity, [call])[0])
        if is_valid is None:
            raise UnknownIdentity(_unknown(meta.identity))
        known = self._signer.store.by_meta(meta.identity, meta_hash)
        if not is_valid or (known is not None and known.state == "open" and known.outcome != "reverted"):
            raise Refused(
                f"the meta-transaction with the nonce {meta.nonce} has been relayed already, or it was cancelled"
            )

    def _require_signature(self, meta: MetaTransaction, meta_hash: bytes) -> None:
        if len(meta.signature) != 65:
            raise Refused(f"the signature of the meta-transaction has {len(meta.signature)} bytes, expected 65")
        call = call_view("validateSignature", meta_hash, meta.signature)
        if not read_view("validateSignature", self._node.views(meta.identity, [call])[0]):
            raise Refused("the signature of the meta-transaction is not that of the identity's owner")


def next_nonce(signer: Signer, identity: Address) -> int:
    """Return the next nonce of an identity for ordered meta-transactions, counting those on their way.

    Raises:
        UnknownIdentity: if there is no identity.
        ChainError, StoreError: if node or database fail.

    """
    # In this order: what waits no more meanwhile has come into a block, which the contract then tells.
    waiting = signer.store.last_meta_nonce(identity)
    try:
        last = read_view("lastNonce", signer.node.views(identity, [call_view("lastNonce")])[0])
    except NodeRefused:
        last = None
    if not isinstance(last, int):
        raise UnknownIdentity(_unknown(identity))
    return max(last, waiting) + 1


def _unknown(identity: Address) -> str:
    return f"there is no identity contract at {to_checksum(identity)}, it is unknown or invalid"
