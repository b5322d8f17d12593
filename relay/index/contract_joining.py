"""Which other contracts than networks are followed, and how one that comes later catches up with the rest.

As with networks (`relay.index.joining`) it has a cursor of its own and is read in batches between the steps of the
others; it is served from the commit in which it reaches the common cursor. Nothing is asked of a contract but
where its code begins: all that is kept of it are its events.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from relay.addresses import Address, to_checksum
from relay.contracts import ContractEvent, ContractKind, FollowedContract, IdentityEvent, WantedContracts
from relay.index.past import Past, write_blocks
from relay.index.source import ChainNode, Stretch
from relay.store.contract_writing import OwnedContractEvent
from relay.store.rows import CursorPosition
from relay.store.writing import Writer, WriteTransaction

logger = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS = 30.0

FindContract = Callable[[Address], int | None]
"""Tells a block at or before a contract's first event, None if there is no contract; raises ChainError."""


class ContractJoining:
    """Keeps the contracts in the database those that are wanted."""

    def __init__(
        self,
        node: ChainNode,
        writer: Writer,
        wanted: WantedContracts,
        find_contract: FindContract,
        batch_blocks: int,
        clock: Callable[[], float],
    ) -> None:
        self._node = node
        self._writer = writer
        self._configured = dict(wanted)
        self._find_contract = find_contract
        self._past = Past(node, batch_blocks)
        self._clock = clock
        self._is_current = False
        self._missing: dict[Address | None, float] = {}
        self._last_id = 0
        self.behind = 0

    def want(self, contracts: WantedContracts) -> None:
        """Follow these from now on; raises StoreError."""
        if dict(contracts) != self._configured or not self._is_current:
            self._configured, self._is_current = dict(contracts), False
            self.update()

    def update(self) -> None:
        """Bring the database's contracts in line with what is wanted; raises StoreError."""
        with self._writer.transaction() as transaction:
            known = {}
            for contract in transaction.contracts():
                if self._configured.get(contract.address, contract.kind) is contract.kind:
                    known[contract.address] = contract
                else:
                    transaction.forget_contract(contract.id)
            transaction.want_contracts([c.id for c in known.values() if c.address in self._configured])
            self.behind = sum(not c.is_level for c in known.values() if c.address in self._configured)
        self._is_current = True
        self._missing = {a: self._missing.get(a, 0.0) for a in self._configured if a not in known}

    def first_contracts(self) -> list[tuple[Address, ContractKind, int]]:
        """Return the wanted contracts that are there, with where they begin; raises ChainError."""
        found = []
        for address, kind in self._configured.items():
            first_block = None if address is None else self._find_contract(address)
            if address is not None and first_block is not None:
                found.append((address, kind, first_block))
        return found

    def add_first(
        self, transaction: WriteTransaction, found: Sequence[tuple[Address, ContractKind, int]], first_block: int
    ) -> None:
        """Add what `first_contracts` found, and identities if they are wanted, to a database that begins."""
        for address, kind, first in found:
            transaction.add_contract(kind, address, first, None)
        if None in self._configured:
            transaction.add_contract(ContractKind.IDENTITY, None, first_block, None)

    def step(self, *, at_rest: bool) -> int | None:
        """Take in one contract, repair one, or read one batch of one that catches up.

        Returns how many events were read, None if there was nothing to do.

        Raises:
            Inconsistent: if the chain has changed; the next step of the index undoes what was replaced.
            ChainError, StoreError: if the node or the database fails.

        """
        due = [address for address, at in self._missing.items() if at <= self._clock()]
        if due:
            # Identities come last, for they begin where the oldest of the others does.
            return self._take_in(next((address for address in due if address is not None), None))
        if not at_rest and not self.behind:
            return None
        with self._writer.transaction() as transaction:
            contracts = transaction.contracts()
            position, final = transaction.position(), transaction.final_number()
        assert position is not None
        broken = next((contract for contract in contracts if contract.repair_wanted), None)
        if broken is not None:
            return self._repair(broken, position, final)
        behind = [contract for contract in contracts if contract.is_wanted and not contract.is_level]
        self.behind = len(behind)
        if not behind:
            return None
        contract = next((contract for contract in behind if contract.id > self._last_id), behind[0])
        self._last_id = contract.id
        return self._catch_up(contract, position, final)

    def repair(self) -> bool:
        """Read anew the events of one contract for which that was ordered; return False if there is none."""
        with self._writer.transaction() as transaction:
            broken = [contract for contract in transaction.contracts() if contract.repair_wanted]
            position, final = transaction.position(), transaction.final_number()
        if not broken or position is None:
            return False
        self._repair(broken[0], position, final)
        return True

    def _take_in(self, address: Address | None) -> int:
        kind = self._configured[address]
        first_block = self._first_block_of_identities() if address is None else self._find_contract(address)
        if first_block is None:
            assert address is not None
            if not self._missing[address]:
                logger.warning(
                    "there is no contract at %s: it is not served, and will be asked for again",
                    to_checksum(address),
                )
            self._missing[address] = self._clock() + _ASK_AGAIN_SECONDS
            return 0
        with self._writer.transaction() as transaction:
            position = transaction.position()
            assert position is not None
            self._past.require_branch(position)
            synced_to = first_block - 1 if first_block <= position.number else None
            transaction.add_contract(kind, address, first_block, synced_to)
        del self._missing[address]
        self.behind += synced_to is not None
        logger.info("following %s from block %d on", _name(kind, address), first_block)
        return 0

    def _first_block_of_identities(self) -> int:
        """Return where the oldest of all that is followed begins: a meta-transaction is about one of them."""
        with self._writer.transaction() as transaction:
            position = transaction.position()
            firsts = [network.info.first_block for network in transaction.networks()]
            firsts += [contract.first_block for contract in transaction.contracts()]
        assert position is not None
        return min(firsts, default=position.number + 1)

    def _catch_up(self, contract: FollowedContract, position: CursorPosition, final: int) -> int:
        """Read one batch and return how many events."""
        assert contract.synced_to is not None
        stretch = self._past.fetch(
            contract.synced_to + 1, position.number, final, contracts={contract.address: contract.kind}
        )
        self._past.require_branch(position)
        events, last = (0, position.number) if stretch is None else (stretch.count, stretch.last.number)
        has_arrived = last >= position.number
        with self._writer.transaction() as transaction:
            if stretch is not None:
                _write(transaction, contract, stretch, final)
            transaction.set_contract_synced_to(contract.id, None if has_arrived else last)
        if has_arrived:
            self.behind -= 1
            logger.info("%s has caught up, at block %d", _name(contract.kind, contract.address), position.number)
        return events

    def _repair(self, contract: FollowedContract, position: CursorPosition, final: int) -> int:
        """Read all events of a contract anew, in one transaction: readers see the old ones until it is done."""
        end = position.number if contract.synced_to is None else contract.synced_to
        logger.info("reading the events of %s anew", _name(contract.kind, contract.address))
        events, first, wanted = 0, contract.first_block, {contract.address: contract.kind}
        with self._writer.transaction(is_long=True) as transaction:
            transaction.forget_contract_events_of(contract.id)
            while (stretch := self._past.fetch(first, end, final, contracts=wanted)) is not None:
                _write(transaction, contract, stretch, final)
                events += stretch.count
                first = stretch.last.number + 1
            self._past.require_branch(position)
            transaction.prune_blocks(0, final)
            transaction.set_contract_repair_wanted([contract.id], wanted=False)
        return events


def _name(kind: ContractKind, address: Address | None) -> str:
    return "identities" if address is None else f"{kind} {to_checksum(address)}"


def _write(transaction: WriteTransaction, contract: FollowedContract, stretch: Stretch, final: int) -> None:
    """Write a stretch of blocks up to which everything else is stored already."""
    write_blocks(transaction, stretch, final)
    transaction.add_contract_events((contract.id, event) for event in stretch.contract_events)


def level_contracts(contracts: Sequence[FollowedContract]) -> dict[Address | None, FollowedContract]:
    """Return those whose events are stored up to the cursor, by their address."""
    return {contract.address: contract for contract in contracts if contract.is_level}


def owned(
    level: Mapping[Address | None, FollowedContract], events: Sequence[ContractEvent]
) -> Iterator[OwnedContractEvent]:
    """Yield the events with the ids of the rows that they belong to."""
    for event in events:
        yield level[None if isinstance(event, IdentityEvent) else event.origin.contract].id, event
