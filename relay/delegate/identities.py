"""Identity contracts: deployed for their owners, and looked at."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from relay.addresses import Address, to_checksum
from relay.chain.errors import NodeRefused
from relay.chain.identity import Deployment, call_view, plan_deployment, read_view
from relay.chain.sending import revert_reason
from relay.chain.signing import Call
from relay.delegate.errors import CapReached, Overloaded, Refused, UnknownIdentity
from relay.delegate.metatransactions import DAY, next_nonce
from relay.delegate.signer import Signer
from relay.store.sending_writing import SendingTransaction
from relay.store.sent import IDENTITY, NewTransaction

DEPLOYMENT_GAS = 1_000_000
_POLL_SECONDS = 0.1
_ROOM_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class IdentityInfo:
    """An identity: the nonce of its next ordered meta-transaction, its balance in wei, what its proxy leads to."""

    identity: Address
    next_nonce: int
    balance: int
    implementation_address: Address


class Identities:
    """Deploys identities by known factories, and tells about any."""

    def __init__(
        self,
        signer: Signer,
        factories: tuple[Address, ...],
        implementations: tuple[Address, ...],
        most_in_a_day: int = 1000,
        at_once: int = 4,
        in_line: int = 2,
        wait_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``implementations`` are those that may be deployed, all where it is empty.

        ``most_in_a_day`` (UTC) counts for everybody together. ``at_once`` deployments may be waited for by this
        process, while ``in_line`` more requests wait for their turn: all these keep threads of the server from
        others. ``wait_seconds`` is how long an answer may wait for the block with a deployment.
        """
        self.factories = factories
        self._signer = signer
        self._node = signer.node
        self._implementations = implementations
        self._wait_seconds = wait_seconds
        self._sleep = sleep
        self._most_in_a_day = most_in_a_day
        self._room = threading.BoundedSemaphore(at_once)
        self._line = threading.BoundedSemaphore(at_once + in_line)

    def info(self, identity: Address) -> IdentityInfo:
        """Return what there is to know of an identity.

        Raises:
            UnknownIdentity: if there is none at the address.
            ChainError, StoreError: if node or database fail.

        """
        try:
            returned = self._node.views(identity, [call_view("implementation")])[0]
        except NodeRefused:
            returned = None
        implementation = read_view("implementation", returned)
        if not isinstance(implementation, bytes) or not any(implementation):
            raise UnknownIdentity("Identity Contract not found or invalid")
        return IdentityInfo(
            identity, next_nonce(self._signer, identity), self._node.balance(identity), implementation
        )

    def deploy(self, factory: Address, implementation: Address, signature: bytes) -> IdentityInfo:
        """Deploy the identity of whoever signed for it, wait until it is there, and return what `info` does.

        Raises:
            Refused: if factory or implementation are not known, or the deployment would fail.
            CapReached: if as many as a day allows have been deployed.
            Overloaded: if nothing more can be sent at the moment, or no block came with it for too long.
            ChainError, StoreError: if node or database fail.

        """
        if factory not in self.factories:
            raise Refused(f"the identity factory {to_checksum(factory)} is not one of those accepted")
        if self._implementations and implementation not in self._implementations:
            raise Refused(
                f"the identity implementation {to_checksum(implementation)} is not one of those accepted"
            )
        plan = plan_deployment(factory, implementation, signature)
        if plan is None:
            raise Refused("the signature for the identity is none (65 bytes)")
        # An answer waits for a block: not all threads of the server may do that at once.
        with self._entered(self._line, 0), self._entered(self._room, _ROOM_SECONDS):
            self._submit(factory, plan)
            return self._await(plan.identity)

    @staticmethod
    @contextmanager
    def _entered(room: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
        if not room.acquire(timeout=seconds):
            raise Overloaded("too many identities are being deployed at the moment; try again later")
        try:
            yield
        finally:
            room.release()

    def _submit(self, factory: Address, plan: Deployment) -> None:
        if self._is_there(plan.identity):
            raise Refused(f"the identity {to_checksum(plan.identity)} is deployed already")
        known = self._signer.store.latest_for(IDENTITY, plan.identity)
        if known is not None and known.state == "open" and known.outcome is None:
            return  # asked for a second time while the first one is on its way
        call = Call(factory, plan.data, 0, DEPLOYMENT_GAS)
        try:
            self._node.call(self._signer.address, call)
        except NodeRefused as refusal:
            reason = revert_reason(refusal.data) or refusal.message
            raise Refused(f"the deployment of the identity would fail: {reason}") from refusal
        new = NewTransaction(IDENTITY, plan.identity, factory, plan.data, 0, DEPLOYMENT_GAS, 0)

        def check(transaction: SendingTransaction, _: NewTransaction) -> None:
            if transaction.is_on_its_way(IDENTITY, plan.identity):
                raise _OnItsWay
            now = self._signer.clock()
            if transaction.deployed(now - now % DAY) >= self._most_in_a_day:
                raise CapReached(
                    "as many identities as a day allows have been deployed; come back tomorrow", DAY - now % DAY
                )

        try:
            self._signer.submit(new, check)
        except _OnItsWay:
            return

    def _await(self, identity: Address) -> IdentityInfo:
        waited = 0.0
        while True:
            # What a node shows while it takes a block in may be gone again for a moment, or be there in part.
            with suppress(UnknownIdentity):
                return self.info(identity)
            known = self._signer.store.latest_for(IDENTITY, identity)
            if known is None or known.outcome == "reverted":
                raise Refused("the deployment of the identity failed")
            if waited >= self._wait_seconds:
                raise Overloaded(
                    "the deployment of the identity is on its way, but in no block yet; look again later"
                )
            self._sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _is_there(self, identity: Address) -> bool:
        returned = self._node.views(identity, [call_view("implementation")])[0]
        implementation = read_view("implementation", returned)
        return isinstance(implementation, bytes) and any(implementation)


class _OnItsWay(Exception):
    """Somebody else asked for the same a moment ago."""
