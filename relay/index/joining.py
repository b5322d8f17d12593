"""Which networks are followed, and how one that comes later catches up with the others.

It has a cursor of its own, and is read in batches between the steps of the others. Readers see it once it has
reached the common cursor. A crash continues where its last batch ended, and a reorg sets it back like
everything else.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.addresses import Address, to_checksum
from relay.chain.errors import NotANetwork
from relay.index.past import Past, write_blocks
from relay.index.recording import record
from relay.index.source import ChainNode, Stretch
from relay.model import NetworkInfo
from relay.store.rows import CursorPosition, FollowedNetwork
from relay.store.writing import Writer, WriteTransaction

logger = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """How far a network has come that joined later: its last block read, and that of the others."""

    address: Address
    block: int
    end: int


class Joining:
    """Keeps the networks in the database those that are wanted."""

    def __init__(
        self,
        node: ChainNode,
        writer: Writer,
        networks: Sequence[Address],
        read_network: Callable[[Address, int | None], NetworkInfo],
        first_block: int | None,
        batch_blocks: int,
        clock: Callable[[], float],
    ) -> None:
        self._node = node
        self._writer = writer
        self._configured = list(dict.fromkeys(networks))
        self._read_network = read_network
        self._first_block = first_block
        self._past = Past(node, batch_blocks)
        self._clock = clock
        self._wanted: list[Address] | None = None
        self._unknown: dict[Address, float] = {}
        self._last_id = 0
        self.behind = 0
        self.catching_up: CatchingUp | None = None

    def want(self, networks: Sequence[Address]) -> None:
        """Follow these from now on, and what operators chose by command; raises StoreError."""
        self._configured = list(dict.fromkeys(networks))
        self.update()

    def update(self) -> None:
        """Bring the database's networks in line with what is wanted; raises StoreError."""
        with self._writer.transaction() as transaction:
            wanted = self._chosen(transaction)
            if wanted == self._wanted:
                return
            if transaction.want_only(wanted):
                transaction.wake_readers()
            networks = transaction.networks()
        self._wanted = wanted
        known = {network.info.address for network in networks}
        self._unknown = {address: self._unknown.get(address, 0.0) for address in wanted if address not in known}
        self.behind = sum(not network.is_level and network.is_wanted for network in networks)

    def first_networks(self) -> list[NetworkInfo]:
        """Return what the wanted contracts say of themselves; raises NotANetwork, ChainError, StoreError."""
        with self._writer.transaction() as transaction:
            wanted = self._chosen(transaction)
        return [self._read_network(address, self._first_block) for address in wanted]

    def forget_what_is_known(self) -> None:
        """Look anew for networks that are missing, for blocks were undone and may have taken some along."""
        self._wanted = None

    def step(self, *, at_rest: bool) -> int | None:
        """Take in one network, repair one, or read one batch of one that catches up.

        Returns how many events were read, None if there was nothing to do.

        Raises:
            Inconsistent: if the chain has changed; the next step of the index undoes what was replaced.
            ChainError, StoreError: if the node or the database fails.

        """
        self.catching_up = None
        if self._wanted is None:
            self.update()
        due = next((address for address, at in self._unknown.items() if at <= self._clock()), None)
        if due is not None:
            return self._take_in(due)
        if not at_rest and not self.behind:
            return None
        with self._writer.transaction() as transaction:
            networks = transaction.networks()
            position, final = transaction.position(), transaction.final_number()
        assert position is not None
        broken = next((network for network in networks if network.repair_wanted), None)
        if broken is not None:
            return self._repair(broken, position, final)
        behind = [network for network in networks if network.is_wanted and not network.is_level]
        self.behind = len(behind)
        if not behind:
            return None
        # By turns, so that a small network need not wait for a large one.
        network = next((network for network in behind if network.id > self._last_id), behind[0])
        self._last_id = network.id
        return self._catch_up(network, position, final)

    def repair(self) -> bool:
        """Read anew the events of one network for which that was ordered; return False if there is none."""
        with self._writer.transaction() as transaction:
            broken = [network for network in transaction.networks() if network.repair_wanted]
            position, final = transaction.position(), transaction.final_number()
        if not broken or position is None:
            return False
        self._repair(broken[0], position, final)
        return True

    def confirm(self, position: CursorPosition) -> bool:
        """Ask a contract again while the head is the cursor's block; return whether one was asked.

        What a contract says at another time may belong to a branch that was replaced, and whether it began
        frozen is only known from a block that is stored.
        """
        with self._writer.transaction() as transaction:
            doubtful = [n for n in transaction.networks() if n.confirmed_at is None and n.is_level and n.is_wanted]
        if not doubtful:
            return False
        return self._ask_contract(doubtful[0], position, is_joining=False)

    def _chosen(self, transaction: WriteTransaction) -> list[Address]:
        choices = transaction.choices()
        added = [address for address, is_wanted in choices.items() if is_wanted]
        return [a for a in dict.fromkeys((*self._configured, *added)) if choices.get(a, True)]

    def _take_in(self, address: Address) -> int:
        try:
            info = self._read_network(address, self._first_block)
        except NotANetwork as error:
            if not self._unknown[address]:
                logger.warning("%s: it is not served, and will be asked again", error)
            self._unknown[address] = self._clock() + _ASK_AGAIN_SECONDS
            return 0
        with self._writer.transaction() as transaction:
            position = transaction.position()
            assert position is not None
            self._past.require_branch(position)
            transaction.add_network(info, min(info.first_block - 1, position.number))
        del self._unknown[address]
        self.behind += 1
        logger.info("following network %s from block %d on", to_checksum(address), info.first_block)
        return 0

    def _catch_up(self, network: FollowedNetwork, position: CursorPosition, final: int) -> int | None:
        """Read one batch; return how many events, or None where only the head is waited for."""
        assert network.synced_to is not None
        stretch = self._past.fetch(network.synced_to + 1, position.number, final, networks=[network.info.address])
        self._past.require_branch(position)
        if stretch is not None:
            with self._writer.transaction() as transaction:
                _write(transaction, network, stretch, final)
                transaction.set_synced_to(network.id, stretch.last.number)
            self.catching_up = CatchingUp(network.info.address, stretch.last.number, position.number)
            if stretch.last.number < position.number:
                return len(stretch.events)
        if not self._ask_contract(network, position, is_joining=True):
            return None if stretch is None else len(stretch.events)
        self.behind -= 1
        logger.info("network %s has caught up, at block %d", to_checksum(network.info.address), position.number)
        return 0 if stretch is None else len(stretch.events)

    def _ask_contract(self, network: FollowedNetwork, position: CursorPosition, *, is_joining: bool) -> bool:
        """Note what a contract says after the cursor's block; return False if that is not the head's any more."""
        try:
            info: NetworkInfo | None = self._read_network(network.info.address, self._first_block)
        except NotANetwork as error:
            logger.warning("%s any more: its history is forgotten", error)
            info = None
        if self._node.head().hash != position.hash:
            return False
        with self._writer.transaction() as transaction:
            if info is None:
                transaction.forget_network(network.id)
                self._wanted = None
            else:
                transaction.confirm_network(network.id, info, position.number)
                if is_joining:
                    transaction.set_synced_to(network.id, None)
                if is_joining or info != network.info:
                    transaction.announce_network(network.id, position, is_joining=is_joining)
            transaction.wake_readers()
        return True

    def _repair(self, network: FollowedNetwork, position: CursorPosition, final: int) -> int:
        """Read all events of a network anew, in one transaction: readers see the old state until it is done."""
        end = position.number if network.synced_to is None else network.synced_to
        logger.info("reading the events of network %s anew", to_checksum(network.info.address))
        events, first, address = 0, network.info.first_block, network.info.address
        with self._writer.transaction(is_long=True) as transaction:
            transaction.forget_events_of(network.id)
            transaction.restore_network_frozen(network.id)
            while (stretch := self._past.fetch(first, end, final, networks=[address])) is not None:
                _write(transaction, network, stretch, final)
                events += len(stretch.events)
                first = stretch.last.number + 1
            self._past.require_branch(position)
            transaction.prune_blocks(0, final)
            transaction.set_repair_wanted([network.id], wanted=False)
            transaction.announce_network(network.id, position)
            transaction.wake_readers()
        return events


def _write(transaction: WriteTransaction, network: FollowedNetwork, stretch: Stretch, final: int) -> None:
    """Write a stretch of blocks up to which everything else is stored already."""
    write_blocks(transaction, stretch, final)
    record(transaction, {network.info.address: network.id}, stretch.events)
