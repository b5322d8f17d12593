"""Writing the events of other contracts than currency networks, and taking them back."""

import io
from collections.abc import Callable, Iterable, Sequence

from relay.addresses import Address
from relay.contracts import (
    ContractEvent,
    ContractKind,
    ExchangeEvent,
    FollowedContract,
    IdentityEvent,
    Origin,
    TokenEvent,
)
from relay.store.connection import Cursor, Row

CONTRACT_EVENT_TABLES = ("exchange_events", "token_events", "identity_events")
"""The tables of events that this module fills."""

WITHDRAWN_TABLES = ("withdrawn_exchange_events", "withdrawn_token_events")
"""Where those are kept that users may have been told of and that were undone."""

PLACE_COLUMNS = "contract_id, block_number, log_index, type, transaction_hash, transaction_index"
EXCHANGE_COLUMNS = (
    f"{PLACE_COLUMNS}, order_hash, maker, taker, fee_recipient, maker_token, taker_token, maker_amount, "
    "taker_amount, maker_fee, taker_fee"
)
TOKEN_COLUMNS = f"{PLACE_COLUMNS}, sender, receiver, value"
IDENTITY_COLUMNS = f"{PLACE_COLUMNS}, identity, meta_hash, succeeded, value, recipient, currency_network"

FOLLOWED_CONTRACT_COLUMNS = "id, kind, address, first_block, is_wanted, synced_to, repair_wanted"
_COLUMNS = {
    "exchange_events": EXCHANGE_COLUMNS,
    "token_events": TOKEN_COLUMNS,
    "identity_events": IDENTITY_COLUMNS,
}
_TOLD = ("exchange_events", "token_events")
_COPY_BYTES = 1 << 18
_NULL = "\\N"

OwnedContractEvent = tuple[int, ContractEvent]
"""An event with the id of its contract's row."""

IS_IN_CONTRACT_EVENT = " OR ".join(
    f"EXISTS (SELECT FROM contracts c WHERE (SELECT e.log_index FROM {table} e "
    "WHERE e.contract_id = c.id AND e.block_number = b.number LIMIT 1) IS NOT NULL)"
    for table in CONTRACT_EVENT_TABLES
)
"""Whether block ``b`` holds an event of these tables; a look into an index for each contract."""


def followed_contract_from(row: Row) -> FollowedContract:
    """Read a row of FOLLOWED_CONTRACT_COLUMNS."""
    return FollowedContract(row[0], ContractKind(row[1]), *row[2:])


class ContractWriting:
    """The part of a write transaction that keeps other contracts than currency networks."""

    _cursor: Cursor

    def contracts(self) -> list[FollowedContract]:
        """Return all contracts the database knows, wanted or not."""
        self._cursor.execute(f"SELECT {FOLLOWED_CONTRACT_COLUMNS} FROM contracts ORDER BY id")
        return [followed_contract_from(row) for row in self._cursor.fetchall()]

    def add_contract(
        self, kind: ContractKind, address: Address | None, first_block: int, synced_to: int | None
    ) -> None:
        """Add a contract, or all identities, whose events are stored up to a block, None for the cursor's."""
        self._cursor.execute(
            "INSERT INTO contracts (kind, address, first_block, synced_to) VALUES (%s, %s, %s, %s)",
            (kind.value, address, first_block, synced_to),
        )

    def want_contracts(self, ids: Sequence[int]) -> None:
        """Serve these contracts and no others; one that is not wanted stays where it stands until it is again."""
        self._cursor.execute(
            "UPDATE contracts SET is_wanted = NOT is_wanted, "
            "synced_to = CASE WHEN is_wanted THEN coalesce(synced_to, (SELECT block_number FROM cursor)) "
            "ELSE synced_to END WHERE is_wanted <> (id = ANY(%s))",
            (list(ids),),
        )

    def set_contract_synced_to(self, contract_id: int, number: int | None) -> None:
        """Note up to which block a contract's events are stored, None for the cursor's."""
        self._cursor.execute("UPDATE contracts SET synced_to = %s WHERE id = %s", (number, contract_id))

    def set_contract_repair_wanted(self, contract_ids: Iterable[int], *, wanted: bool) -> None:
        """Order that the events of contracts be read anew, or note that they were."""
        self._cursor.execute(
            "UPDATE contracts SET repair_wanted = %s WHERE id = ANY(%s)", (wanted, list(contract_ids))
        )

    def forget_contract(self, contract_id: int) -> None:
        """Remove a contract and all that is stored of it."""
        self.forget_contract_events_of(contract_id)
        self._cursor.execute("DELETE FROM contracts WHERE id = %s", (contract_id,))

    def forget_contract_events_of(self, contract_id: int) -> None:
        """Take back all events of a contract."""
        for table in CONTRACT_EVENT_TABLES:
            self._cursor.execute(f"DELETE FROM {table} WHERE contract_id = %s", (contract_id,))
        self._cursor.execute("UPDATE contracts SET readings = readings + 1 WHERE id = %s", (contract_id,))

    def add_contract_events(self, events: Iterable[OwnedContractEvent]) -> None:
        """Store events, by COPY."""
        lines: dict[str, list[str]] = {}
        for contract_id, event in events:
            table, line = _row(contract_id, event)
            lines.setdefault(table, []).append(line)
        for table, rows in lines.items():
            self._cursor.copy_expert(
                f"COPY {table} ({_COLUMNS[table]}) FROM STDIN",
                io.BytesIO("".join(rows).encode("ascii")),
                _COPY_BYTES,
            )

    def undo_contracts_after(self, number: int, feed_position: int) -> None:
        """Take back the events above block ``number``, whose headers are still stored.

        Those that readers have seen are kept as withdrawn. Contracts that lag behind are set back to that block.
        """
        self._cursor.execute("SELECT coalesce(max(number), 0), EXISTS (SELECT FROM contracts) FROM blocks")
        row = self._cursor.fetchone()
        assert row is not None
        last, has_contracts = row
        if not has_contracts:
            return
        for table in _TOLD:
            columns = _COLUMNS[table]
            of = ", ".join(f"e.{column}" for column in columns.split(", "))
            self._cursor.execute(
                f"INSERT INTO withdrawn_{table} (feed_position, {columns}, block_hash, timestamp) "
                f"SELECT %s, {of}, b.hash, b.timestamp FROM {table} e "
                "JOIN blocks b ON b.number = e.block_number JOIN contracts c ON c.id = e.contract_id "
                "WHERE e.block_number BETWEEN %s AND %s AND c.is_served",
                (feed_position, number + 1, last),
            )
        for table in CONTRACT_EVENT_TABLES:
            self._cursor.execute(
                f"DELETE FROM {table} e USING contracts c "
                "WHERE e.contract_id = c.id AND e.block_number BETWEEN %s AND %s",
                (number + 1, last),
            )
        self._cursor.execute("UPDATE contracts SET synced_to = %s WHERE synced_to > %s", (number, number))


def _row(contract_id: int, event: ContractEvent) -> tuple[str, str]:
    """Return the table of an event, and its row in COPY's text format; none of it holds free text."""
    place = _place(contract_id, event.origin, event.type.value)
    match event:
        case TokenEvent():
            return "token_events", f"{place}\t{_octets(event.sender)}\t{_octets(event.receiver)}\t{event.value}\n"
        case ExchangeEvent():
            return "exchange_events", place + _exchange_columns(event)
        case IdentityEvent():
            return "identity_events", place + _identity_columns(event)


def _place(contract_id: int, origin: Origin, kind: str) -> str:
    return (
        f"{contract_id}\t{origin.block_number}\t{origin.log_index}\t{kind}\t"
        f"{_octets(origin.transaction_hash)}\t{origin.transaction_index}"
    )


def _exchange_columns(event: ExchangeEvent) -> str:
    hashes = (
        event.order_hash,
        event.maker,
        event.taker,
        event.fee_recipient,
        event.maker_token,
        event.taker_token,
    )
    amounts = (event.maker_amount, event.taker_amount, event.maker_fee, event.taker_fee)
    return _columns(_octets, hashes) + _columns(str, amounts) + "\n"


def _identity_columns(event: IdentityEvent) -> str:
    succeeded = None if event.succeeded is None else int(event.succeeded)
    return (
        _columns(_octets, (event.origin.contract, event.meta_hash))
        + _columns(str, (succeeded, event.value))
        + _columns(_octets, (event.recipient, event.currency_network))
        + "\n"
    )


def _columns(write: Callable[[object], str], values: Iterable[object]) -> str:
    return "".join("\t" + (_NULL if value is None else write(value)) for value in values)


def _octets(value: object) -> str:
    assert isinstance(value, bytes)
    return "\\\\x" + value.hex()
