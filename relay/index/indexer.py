"""The index: brings the database from the block it stands at to the head of the chain, batch by batch.

Invariants:

* One batch is one transaction; the cursor moves last in it. At every commit the database is what a fresh
  synchronisation up to the cursor's block would hold.
* The headers from the final block up to the cursor are all stored, so that any reorg above it finds its way back.
* Nothing about the chain is remembered between two steps but the size of a batch, what is final, since when the
  node is behind, and the stretch that was fetched while the last one was written: a step begins from what the
  database says, so a crash at any line costs a batch at most, and takes that stretch only where it fits there.
* Each step ends in one of four ways: the chain extends the cursor's block; it replaces blocks up to there, by a
  shorter, equal or longer chain, and they are undone in the same transaction; nothing is new; or the two
  differ further back than a reorg may reach, and the index stops.

Networks that came later have a cursor of their own, until they reach the common one; see `relay.index.joining`.
The same goes for other contracts: `relay.index.contract_joining`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from relay.addresses import Address
from relay.chain.errors import NodeTooSlow
from relay.contracts import NO_CONTRACTS, FollowedContract, WantedContracts
from relay.index.batching import BatchSize
from relay.index.branching import Branching
from relay.index.contract_joining import ContractJoining, FindContract, level_contracts, owned
from relay.index.errors import REBUILD_ADVICE, Inconsistent, OtherChain
from relay.index.finality import Finality, FinalityRule
from relay.index.joining import CatchingUp, Joining
from relay.index.recording import record, undo
from relay.index.source import TOO_MUCH, ChainNode, Stretch, fetch_headers, fetch_stretch
from relay.index.statistics import Statistics
from relay.model import Block, NetworkInfo
from relay.store.rows import CursorPosition
from relay.store.writing import Writer, WriteTransaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How the index works.

    ``batch_blocks`` are asked for at once at most, and about ``batch_logs`` logs. What is final says the
    ``finality`` rule, with ``finality_depth`` in blocks. A node that stays behind the database for
    ``shorter_chain_seconds`` on the same branch is believed to have got a shorter chain. ``first_block`` is
    where networks begin, if not found. After ``analyse_after`` events were filled in, and several times
    as many again, the database renews what it knows of its tables.
    """

    batch_blocks: int = 2000
    batch_logs: int = 10_000
    finality_depth: int = 128
    first_block: int | None = None
    finality: FinalityRule = FinalityRule.NODE
    shorter_chain_seconds: float = 0.0
    analyse_after: int = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: the blocks it undid and added, the events it added, and where it ended.

    ``joining`` is how many networks are still catching up, ``network`` the one of which a batch was read.
    """

    undone: int
    blocks: int
    events: int
    block: Block | CursorPosition
    head: int
    joining: int = 0
    network: CatchingUp | None = None


@dataclass(frozen=True, slots=True)
class _Followed:
    """Whose events a stretch brings: the ids of networks by their address, and other contracts by theirs."""

    networks: Mapping[Address, int]
    contracts: Mapping[Address | None, FollowedContract]

    @property
    def wanted_contracts(self) -> WantedContracts:
        return {address: contract.kind for address, contract in self.contracts.items()}


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A stretch that is fetched while the one before is written, and what it was fetched for."""

    followed: _Followed
    after: bytes
    unfinal_from: int
    stretch: Future[Stretch]

    def fits(self, followed: _Followed, ancestor: CursorPosition, unfinal_from: int) -> bool:
        """Return whether it is what would be fetched now, but perhaps for headers that are final by now."""
        return self.followed == followed and self.after == ancestor.hash and self.unfinal_from <= unfinal_from


class Indexer:
    """Writes the chain state of some networks with a writer that holds the lock."""

    def __init__(
        self,
        node: ChainNode,
        writer: Writer,
        networks: Sequence[Address],
        read_network: Callable[[Address, int | None], NetworkInfo],
        options: Options,
        clock: Callable[[], float] = time.monotonic,
        contracts: WantedContracts = NO_CONTRACTS,
        find_contract: FindContract = lambda _: None,
    ) -> None:
        """Nothing is asked or written yet.

        ``read_network`` tells what a contract says of itself, given its address and its first block if known.
        ``contracts`` are the others that are followed, ``find_contract`` tells where one begins.
        """
        self._node = node
        self._writer = writer
        self._read_network = read_network
        self._options = options
        self._batch = BatchSize(options.batch_blocks, options.batch_logs)
        self._finality = Finality(node, options.finality, options.finality_depth)
        self._branching = Branching(node, writer, options.shorter_chain_seconds, clock)
        self._joining = Joining(
            node, writer, networks, read_network, options.first_block, options.batch_blocks, clock
        )
        self._contracts = ContractJoining(node, writer, contracts, find_contract, options.batch_blocks, clock)
        self._fetcher = ThreadPoolExecutor(1, "fetcher")
        self._ahead: _Ahead | None = None
        self._statistics = Statistics(options.analyse_after)
        self.head: Block | None = None
        self.final_number: int | None = None

    def prepare(self) -> None:
        """Make sure that database and node speak of the same chain, and begin a new database.

        Raises:
            OtherChain: if the database was filled from another chain.
            NotANetwork: if the database is new and an address holds no currency network.
            ChainError, StoreError: if the node or the database fails.

        """
        with self._writer.transaction() as transaction:
            self._require_chain(transaction)
            is_new = transaction.position() is None
        if is_new:
            self._begin()
        self._joining.update()
        self._contracts.update()

    def serve(self, networks: Sequence[Address]) -> None:
        """Follow these networks from now on, and those that operators have added by command; raises StoreError.

        One that is new is read from its beginning by the steps to come, the others are followed meanwhile.
        """
        self._joining.want(networks)

    def follow(self, contracts: WantedContracts) -> None:
        """Follow these other contracts from now on; raises StoreError."""
        self._contracts.want(contracts)

    def repair(self) -> None:
        """Read anew the events of whatever that was ordered for, and do nothing else; raises as step."""
        while self._joining.repair() or self._contracts.repair():
            pass

    def step(self) -> Step | None:
        """Move on by one batch, and by one batch of a network that catches up.

        Returns what was done, None if the database stands at the head and nothing is left to do.

        Raises:
            PastFinality: if the chain differs from the database further back than a reorg can reach.
            NodeBehind: if the node has not come as far as the database; it may catch up.
            Inconsistent: if the chain changed meanwhile; to be tried again.
            ChainError, StoreError: if the node or the database fails.

        """
        head = self._node.head()
        with self._writer.transaction() as transaction:
            position, final = _state(transaction)
            networks = {n.info.address: n.id for n in transaction.networks() if n.is_level}
            followed = _Followed(networks, level_contracts(transaction.contracts()))
        self.head, self.final_number = head, final
        ancestor = self._branching.ancestor(position, final, head)
        undone = position.number - ancestor.number
        if undone == 0 and ancestor.number >= head.number:
            self._ahead = None
            step = self._at_rest(position, final, head)
            self._renew_statistics(0 if step is None else step.events, is_level=step is None)
            return step
        stretch = self._advance(followed, ancestor, final, head, undone)
        joining = self._joining.step(at_rest=False) if not undone else None
        network = None if joining is None else self._joining.catching_up
        joined = self._contracts.step(at_rest=False) if not undone else None
        together = (joining or 0) + (joined or 0)
        self._renew_statistics(together + (stretch.count if stretch.last.number < head.number else 0))
        return Step(
            undone=undone,
            blocks=stretch.last.number - ancestor.number,
            events=stretch.count + together,
            block=stretch.last,
            head=head.number,
            joining=self._joining.behind + self._contracts.behind,
            network=network,
        )

    def _renew_statistics(self, filled_in: int, *, is_level: bool = False) -> None:
        self._statistics.filled_in(filled_in)
        if self._statistics.is_due(is_level=is_level):
            self._writer.analyse()
            self._statistics.renewed()

    def _advance(
        self, followed: _Followed, ancestor: CursorPosition, final: int, head: Block, undone: int
    ) -> Stretch:
        """Undo what the chain has replaced and write the next stretch, in one transaction."""
        newly_final = self._finality.number(head)
        stretch = self._next_stretch(followed, ancestor, head, newly_final)
        newly_final = min(newly_final, stretch.last.number)
        missing = self._headers_to_keep(newly_final, final)
        self._fetch_ahead(followed, stretch.last, head, newly_final)
        try:
            with self._writer.transaction() as transaction:
                feed_position = transaction.next_feed_position()
                touched = undo(transaction, ancestor.number, feed_position) if undone else set()
                transaction.add_blocks([*missing, *_worth_keeping(stretch, newly_final)])
                touched |= record(transaction, followed.networks, stretch.events)
                transaction.add_contract_events(owned(followed.contracts, stretch.contract_events))
                # Those that this stretch brings are not there without a reason.
                transaction.prune_blocks(final, min(newly_final, ancestor.number + 1))
                branch = ancestor.number if undone else None
                transaction.announce_blocks(feed_position, ancestor.number + 1, stretch.last, branch, len(touched))
                transaction.set_position(stretch.last, newly_final)
                transaction.count(stretch.count, undone)
        finally:
            self._await_ahead()
        if undone:
            self._joining.forget_what_is_known()
        self.final_number = newly_final
        return stretch

    def _at_rest(self, position: CursorPosition, final: int, head: Block) -> Step | None:
        """Do what has time until the head is reached: join networks, ask contracts, forget what became final."""
        events, network = self._joining.step(at_rest=True), self._joining.catching_up
        if events is None:
            events = self._contracts.step(at_rest=True)
        if events is None and not self._joining.confirm(position) and not self._settle(position, final, head):
            return None
        behind = self._joining.behind + self._contracts.behind
        return Step(0, 0, events or 0, position, head.number, behind, network)

    def _settle(self, position: CursorPosition, final: int, head: Block) -> bool:
        """Take over what became final since the last commit; return whether anything did."""
        newly_final = min(self._finality.number(head, anew=True), position.number)
        if newly_final == final:
            return False
        missing = self._headers_to_keep(newly_final, final)
        with self._writer.transaction() as transaction:
            transaction.add_blocks(missing)
            transaction.prune_blocks(final, newly_final)
            transaction.set_position(position, newly_final)
        self.final_number = newly_final
        return True

    def _headers_to_keep(self, newly_final: int, final: int) -> list[Block]:
        """Return the headers that had been final and can be replaced again, as a shorter chain has it."""
        if newly_final >= final:
            return []
        with self._writer.transaction() as transaction:
            stored = transaction.block_hash(final)
        headers = fetch_headers(self._node, newly_final, final)
        if headers[final].hash != stored:
            raise Inconsistent(f"block {final} is no longer the one that was stored")
        return list(headers.values())

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

    def _begin(self) -> None:
        """Set a new database right before the first block of its networks, or lower where that can be replaced."""
        head = self._node.head()
        infos = self._joining.first_networks()
        final = self._finality.number(head, anew=True)
        contracts = self._contracts.first_contracts()
        firsts = [info.first_block for info in infos] + [first_block for _, _, first_block in contracts]
        first = min(firsts, default=final + 1)
        start = self._node.block(min(max(first - 1, 0), final))
        if start is None:
            raise Inconsistent("the node has lost the block before the first network")
        with self._writer.transaction() as transaction:
            for info in infos:
                transaction.add_network(info)
            self._contracts.add_first(transaction, contracts, start.number + 1)
            transaction.add_blocks([start])
            transaction.set_position(start, start.number)

    def _next_stretch(
        self, followed: _Followed, ancestor: CursorPosition, head: Block, unfinal_from: int
    ) -> Stretch:
        """Return the stretch after the ancestor, the one that was fetched ahead if it fits."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.fits(followed, ancestor, unfinal_from):
            stretch = ahead.stretch.result()
            # Writing may have taken long: had the chain left these blocks by now, they could count as final.
            if self._hash_at(stretch.last.number) == stretch.last.hash:
                return stretch
        return self._fetch(followed, ancestor, head, unfinal_from)

    def _fetch_ahead(self, followed: _Followed, last: Block, head: Block, unfinal_from: int) -> None:
        """Begin to fetch what follows on block ``last``, if anything does; a fault is that of who uses it."""
        if last.number < head.number:
            after = CursorPosition(last.number, last.hash, last.timestamp)
            stretch = self._fetcher.submit(self._fetch, followed, after, head, unfinal_from)
            self._ahead = _Ahead(followed, last.hash, unfinal_from, stretch)

    def _await_ahead(self) -> None:
        """Wait until nobody else asks the node any more."""
        if self._ahead is not None:
            self._ahead.stretch.exception()

    def _fetch(self, followed: _Followed, ancestor: CursorPosition, head: Block, unfinal_from: int) -> Stretch:
        """Fetch the blocks after the ancestor, no more than a batch holds."""
        networks, contracts = list(followed.networks), followed.wanted_contracts
        first = ancestor.number + 1
        if first > head.number:
            return Stretch([], [], Block(ancestor.number, ancestor.hash, b"", ancestor.timestamp))
        while True:
            size = self._batch.blocks
            last = min(head.number, first + size - 1)
            try:
                stretch = fetch_stretch(
                    self._node, networks, first, last, unfinal_from, ancestor.hash, {head.number: head}, contracts
                )
            except NodeTooSlow:
                # Asked again, later: a node that hangs must not be asked for ever less, a time-out each.
                self._batch.refuse(last - first + 1)
                raise
            except TOO_MUCH as refusal:
                if first == last:
                    raise
                self._batch.refuse(last - first + 1)
                logger.info("asking for %d blocks at a time: %s", self._batch.blocks, refusal)
            else:
                self._batch.accept(last - first + 1, stretch.count)
                return stretch

    def _hash_at(self, number: int) -> bytes | None:
        block = self._node.block(number)
        return None if block is None else block.hash


def _worth_keeping(stretch: Stretch, unfinal_from: int) -> list[Block]:
    """Return the headers of a stretch that hold events, can be replaced, or end it."""
    eventful = stretch.eventful
    return [
        block
        for block in stretch.blocks
        if block.number >= unfinal_from or block.number in eventful or block is stretch.last
    ]


def _state(transaction: WriteTransaction) -> tuple[CursorPosition, int]:
    position = transaction.position()
    assert position is not None, "prepare() comes first"
    return position, transaction.final_number()
