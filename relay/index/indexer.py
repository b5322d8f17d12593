"""The index: brings the database from the block it stands at to the head of the chain, batch by batch.

Invariants:

* One batch is one transaction; the cursor moves last in it. At every commit the database is what a fresh
  synchronisation up to the cursor's block would hold.
* Nothing about the chain is remembered between two steps but the size of a batch: a step begins from what the
  database says, so a crash at any line costs a batch at most.
* Each step ends in one of four ways: the chain extends the cursor's block; it replaces blocks up to there, by a
  shorter, equal or longer chain, and they are undone in the same transaction; nothing is new; or the two
  differ further back than a reorg may reach, and the index stops.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graph.trustline import Trustline
from relay.addresses import Address, to_checksum
from relay.chain.errors import NodeRefused
from relay.index.errors import REBUILD_ADVICE, Inconsistent, OtherChain, PastFinality
from relay.index.ledger import FREEZE_EVENTS, TRUSTLINE_EVENTS, advance, pair_touched
from relay.index.source import ChainNode, Stretch, fetch_stretch
from relay.model import Block, Event, EventType, NetworkInfo
from relay.store.rows import CursorPosition, StoredNetwork
from relay.store.writing import TrustlineKey, Writer, WriteTransaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How the index works: blocks per batch and the depth, in blocks, from which on nothing is replaced."""

    batch_blocks: int = 2000
    finality_depth: int = 128
    first_block: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: the blocks it undid and added, the events it added, and where it ended."""

    undone: int
    blocks: int
    events: int
    block: Block
    head: int


class Indexer:
    """Writes the chain state of some networks with a writer that holds the lock."""

    def __init__(
        self,
        node: ChainNode,
        writer: Writer,
        networks: Sequence[Address],
        read_network: Callable[[Address, int | None], NetworkInfo],
        options: Options,
    ) -> None:
        """Nothing is asked or written yet.

        ``read_network`` tells what a contract says of itself, given its address and its first block if known.
        """
        self._node = node
        self._writer = writer
        self._wanted = list(dict.fromkeys(networks))
        self._read_network = read_network
        self._options = options
        self._batch = options.batch_blocks

    def prepare(self) -> None:
        """Make sure that database and node speak of the same chain, and take in networks that are new.

        A network that is new to a database which already stands somewhere is read up to there first, after undoing
        what the chain has replaced meanwhile.

        Raises:
            OtherChain: if the database was filled from another chain.
            PastFinality, Inconsistent: as for ``step``, if there are new networks.
            NotANetwork: if an address holds no currency network.
            ChainError, StoreError: if the node or the database fails.

        """
        with self._writer.transaction() as transaction:
            self._require_chain(transaction)
            known = {network.info.address: network for network in transaction.networks()}
            position = transaction.position()
        new = [
            self._read_network(address, self._options.first_block)
            for address in self._wanted
            if address not in known
        ]
        if position is None:
            self._begin(new)
        elif new:
            position = self._return_to_chain()
            for info in new:
                self._take_in(info, position)
        with self._writer.transaction() as transaction:
            ids = {network.info.address: network.id for network in transaction.networks()}
            transaction.serve_only([ids[address] for address in self._wanted])

    def step(self) -> Step | None:
        """Move on by one batch; return what was done, None if the database stands at the head.

        Raises:
            PastFinality: if the chain differs from the database further back than a reorg can reach.
            Inconsistent: if the chain changed meanwhile; to be tried again.
            ChainError, StoreError: if the node or the database fails.

        """
        head = self._node.head()
        with self._writer.transaction() as transaction:
            position = transaction.position()
            assert position is not None, "prepare() comes first"
            networks = transaction.networks()
            ancestor = self._ancestor(transaction, position, head)
        undone = position.number - ancestor.number
        if undone == 0 and ancestor.number >= head.number:
            return None
        stretch = self._fetch(networks, ancestor, head)
        with self._writer.transaction() as transaction:
            self._record(transaction, networks, stretch, ancestor.number if undone else None)
            transaction.prune_blocks(head.number - self._options.finality_depth)
            transaction.set_position(stretch.last)
        return Step(
            undone=undone,
            blocks=stretch.last.number - ancestor.number,
            events=len(stretch.events),
            block=stretch.last,
            head=head.number,
        )

    def _require_chain(self, transaction: WriteTransaction) -> None:
        chain_id, genesis = self._node.chain_id(), self._hash_at(0)
        if genesis is None:
            raise Inconsistent("the node has no first block")
        noted_id, noted_genesis = transaction.chain_noted(chain_id, genesis)
        if noted_id != chain_id:
            raise OtherChain(
                f"the database holds chain {noted_id}, but the node serves chain {chain_id}; {REBUILD_ADVICE}"
            )
        position = transaction.position()
        if position is not None and self._hash_at(position.number) == position.hash:
            # A block's hash vouches for all blocks before it, whatever a node has made of its first one: anvil
            # invents another with each start from a state file.
            return
        if noted_genesis != genesis:
            raise OtherChain(
                f"the database holds another chain with id {chain_id}: its first block is "
                f"0x{noted_genesis.hex()}, the node's is 0x{genesis.hex()}; {REBUILD_ADVICE}"
            )

    def _begin(self, networks: Sequence[NetworkInfo]) -> None:
        """Set a new database right before the first block of its networks."""
        first = min((info.first_block for info in networks), default=0)
        start = self._node.block(max(first - 1, 0))
        if start is None:
            raise Inconsistent("the node has lost the block before the first network")
        with self._writer.transaction() as transaction:
            for info in networks:
                transaction.add_network(info)
            transaction.add_blocks([start])
            transaction.set_position(start)

    def _return_to_chain(self) -> CursorPosition:
        """Undo the blocks that the chain has replaced, and return the block the database then stands at."""
        head = self._node.head()
        with self._writer.transaction() as transaction:
            position = transaction.position()
            assert position is not None
            ancestor = self._ancestor(transaction, position, head)
            if ancestor.number < position.number:
                end = Block(ancestor.number, ancestor.hash, b"", ancestor.timestamp)
                self._record(transaction, [], Stretch([], [], end), ancestor.number)
                transaction.set_position(end)
        return ancestor

    def _take_in(self, info: NetworkInfo, position: CursorPosition) -> None:
        """Add a network, and its events up to where the database stands, in one transaction."""
        logger.info("reading the history of network %s up to block %d", to_checksum(info.address), position.number)
        if self._hash_at(position.number) != position.hash:
            raise Inconsistent("the chain has changed since the last block that was indexed")
        with self._writer.transaction() as transaction:
            network = transaction.add_network(info)
            first = info.first_block
            while first <= position.number:
                stretch = self._fetch_some([info.address], first, position.number, position.number + 1, None)
                self._record(transaction, [network], stretch, None)
                first = stretch.last.number + 1
            if self._hash_at(position.number) != position.hash:
                raise Inconsistent("the chain changed while the history of a network was read")
            transaction.set_position(Block(position.number, position.hash, b"", position.timestamp))

    def _ancestor(self, transaction: WriteTransaction, position: CursorPosition, head: Block) -> CursorPosition:
        """Return the newest block that the database and the node's chain share."""
        if position.number <= head.number and self._hash_at(position.number) == position.hash:
            return position
        lowest = max(position.number - self._options.finality_depth, 0)
        for number in transaction.block_numbers(lowest):
            if number > head.number:
                continue
            block = self._node.block(number)
            if block is None:
                # Not a sign of another chain: a node that has lost its headers must not stop the index for good.
                raise Inconsistent(f"the node has no header of block {number}, which is below its head")
            if block.hash == transaction.block_hash(number):
                logger.warning("blocks %d to %d were replaced", number + 1, position.number)
                return CursorPosition(number, block.hash, block.timestamp)
        raise PastFinality(
            f"the node's chain (head {head.number}) and the database (block {position.number}) share no block of "
            f"the last {position.number - lowest}: this is no reorg but a reset chain; {REBUILD_ADVICE}"
        )

    def _fetch(self, networks: Sequence[StoredNetwork], ancestor: CursorPosition, head: Block) -> Stretch:
        addresses = [network.info.address for network in networks]
        unfinal_from = head.number - self._options.finality_depth + 1
        if ancestor.number >= head.number:
            return Stretch([], [], Block(ancestor.number, ancestor.hash, b"", ancestor.timestamp))
        return self._fetch_some(addresses, ancestor.number + 1, head.number, unfinal_from, ancestor.hash)

    def _fetch_some(
        self, networks: Sequence[Address], first: int, end: int, unfinal_from: int, parent: bytes | None
    ) -> Stretch:
        """Fetch blocks from ``first`` on, no more than a batch holds and none after ``end``; see fetch_stretch."""
        while True:
            last = min(end, first + self._batch - 1)
            try:
                stretch = fetch_stretch(self._node, networks, first, last, unfinal_from, parent)
            except NodeRefused as refusal:
                if self._batch == 1:
                    raise
                # Nodes limit the blocks or the logs of one answer, each in its own words.
                self._batch = max(1, self._batch // 4)
                logger.info("asking for %d blocks at a time: %s", self._batch, refusal.message)
            else:
                self._batch = min(self._options.batch_blocks, self._batch * 2)
                return stretch

    def _record(
        self,
        transaction: WriteTransaction,
        networks: Sequence[StoredNetwork],
        stretch: Stretch,
        undo_after: int | None,
    ) -> None:
        """Write a stretch of blocks, after undoing those it replaces."""
        changed: set[TrustlineKey] = set()
        frozen: set[int] = set()
        if undo_after is not None:
            undone, networks_undone = transaction.undo_after(undo_after)
            changed.update(undone)
            frozen.update(networks_undone)
            _restore(transaction, undone, networks_undone)
        ids = {network.info.address: network.id for network in networks}
        events = [(ids[event.network], event) for event in stretch.events]
        states, rows = _advance_all(transaction, events)
        for network_id in ids.values():
            freezes = [event for owner, event in events if owner == network_id and event.type in FREEZE_EVENTS]
            if freezes:
                frozen.add(network_id)
                _record_freezes(transaction, network_id, freezes)
        transaction.add_blocks(stretch.blocks)
        transaction.add_events(rows)
        transaction.save_trustlines((network_id, line) for (network_id, _), line in states.items())
        transaction.announce(stretch.last, sorted(changed | states.keys()), sorted(frozen))

    def _hash_at(self, number: int) -> bytes | None:
        block = self._node.block(number)
        return None if block is None else block.hash


def _restore(transaction: WriteTransaction, keys: Sequence[TrustlineKey], networks: Sequence[int]) -> None:
    """Set trustlines and networks back to what the remaining events say."""
    states = {key: transaction.state_from_events(key) for key in keys}
    transaction.save_trustlines((key[0], state) for key, state in states.items() if state is not None)
    transaction.delete_trustlines(key for key, state in states.items() if state is None)
    for network_id in networks:
        transaction.restore_network_frozen(network_id)


def _advance_all(
    transaction: WriteTransaction, events: Sequence[tuple[int, Event]]
) -> tuple[dict[TrustlineKey, Trustline], list[tuple[int, Event, bool | None]]]:
    """Return the new states of all trustlines touched, and the events with what they close."""
    touched = {(network_id, pair_touched(event)) for network_id, event in events if event.type in TRUSTLINE_EVENTS}
    states = transaction.trustlines(touched)
    rows: list[tuple[int, Event, bool | None]] = []
    for network_id, event in events:
        closes = None
        if event.type in TRUSTLINE_EVENTS:
            key = (network_id, pair_touched(event))
            before = states.get(key)
            after = advance(before or Trustline(*key[1]), event)
            closes = after.is_closed
            # Terms of nothing, or a transfer of nothing, between strangers make no trustline.
            if before is not None or not closes:
                states[key] = after
        rows.append((network_id, event, closes))
    return states, rows


def _record_freezes(transaction: WriteTransaction, network_id: int, freezes: Sequence[Event]) -> None:
    is_first = not transaction.has_freeze_events(network_id)
    transaction.set_network_frozen(
        network_id,
        is_frozen=freezes[-1].type is EventType.NETWORK_FREEZE,
        # Before its first change the network was the opposite of what it changed to.
        started_frozen=freezes[0].type is EventType.NETWORK_UNFREEZE if is_first else None,
    )
