"""What readers take of other contracts than currency networks: lists of their events, and what happened lately."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from relay.addresses import Address
from relay.contracts import (
    ContractEvent,
    ContractKind,
    ExchangeEvent,
    ExchangeEventType,
    FollowedContract,
    IdentityEvent,
    IdentityEventType,
    Origin,
    TokenEvent,
    TokenEventType,
)
from relay.store.connection import Cursor, Pool, Row
from relay.store.contract_writing import FOLLOWED_CONTRACT_COLUMNS, followed_contract_from
from relay.store.stretch import HEADER_OF_EVENT, Stretch

UserEvent = TokenEvent | ExchangeEvent
"""An event that users take part in."""

Served = Mapping[int, tuple[Address, ContractKind]]
"""Contracts and what they are, by the ids that rows have of them."""

TOKEN_KINDS = (ContractKind.UNW_ETH, ContractKind.TOKEN)
"""The kinds of contracts with the events of tokens."""


@dataclass(frozen=True, slots=True)
class ContractFilter:
    """Which events are wanted: of contracts of some kinds or of one ``contract``, of a user (None: of all).

    ``types`` None stands for all types. ``newest`` bounds how many: the newest; None: all. Both blocks are
    included; without ``to_block`` there is no last one.
    """

    kinds: Sequence[ContractKind]
    contract: Address | None = None
    user: Address | None = None
    types: Sequence[str] | None = None
    from_block: int = 0
    newest: int | None = None
    to_block: int | None = None


class UnknownContract(Exception):
    """No contract of such a kind is served at an address, which is the only argument."""


class ContractReader:
    """Lists what is stored of contracts; every method raises DatabaseUnreachable or DatabaseBusy."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def addresses(self, kinds: Sequence[ContractKind]) -> list[Address]:
        """Return the contracts of these kinds that are served, those that came first before the others."""
        with self._pool.snapshot() as cursor:
            return [address for address, _ in served_contracts(cursor, ContractFilter(kinds)).values()]

    def require(self, contract: Address, kinds: Sequence[ContractKind]) -> None:
        """Raise UnknownContract unless one of these kinds is served at an address."""
        with self._pool.snapshot() as cursor:
            served_contracts(cursor, ContractFilter(kinds, contract))

    def events(self, wanted: ContractFilter) -> list[UserEvent]:
        """Return the matching events in the order of the chain.

        Raises:
            UnknownContract: if a contract is asked for that is not served.

        """
        stretch = Stretch(is_forward=False, most=wanted.newest)
        with self._pool.snapshot() as cursor:
            return contract_events_along(cursor, wanted, served_contracts(cursor, wanted), stretch)[::-1]

    def fees_of(self, transaction_hash: bytes) -> list[IdentityEvent]:
        """Return the fees that identities booked in a transaction, in the order of the chain."""
        with self._pool.snapshot() as cursor:
            cursor.execute(_FEES, {"hash": transaction_hash})
            return [_identity_event(row) for row in cursor.fetchall()]

    def execution(self, identity: Address, meta_hash: bytes) -> tuple[bool, bytes] | None:
        """Return whether a meta-transaction succeeded, and the transaction that executed it; None if none did."""
        with self._pool.snapshot() as cursor:
            cursor.execute(_EXECUTION, {"identity": identity, "hash": meta_hash})
            row = cursor.fetchone()
            return None if row is None else (row[0], row[1])

    def followed(self) -> list[FollowedContract]:
        """Return the contracts that are served, and all identities if they are."""
        with self._pool.snapshot() as cursor:
            cursor.execute(f"SELECT {FOLLOWED_CONTRACT_COLUMNS} FROM contracts WHERE is_served ORDER BY id")
            return [followed_contract_from(row) for row in cursor.fetchall()]

    def stored(self, contract: FollowedContract, first: int, last: int) -> list[ContractEvent]:
        """Return the events of a contract in an inclusive range of blocks, in the order of the chain."""
        with self._pool.snapshot() as cursor:
            if contract.address is None:
                cursor.execute(_STORED.format(_IDENTITY_COLUMNS, "identity_events"), (contract.id, first, last))
                return [_identity_event(row) for row in cursor.fetchall()]
            (family,) = (family for family in _FAMILIES if contract.kind in family[0])
            _, columns, table, _, make = family
            cursor.execute(_STORED.format(columns, table), (contract.id, first, last))
            return [make(row, contract.address) for row in cursor.fetchall()]

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of a stored block, None if it is not stored."""
        with self._pool.snapshot() as cursor:
            cursor.execute("SELECT hash FROM blocks WHERE number = %s", (number,))
            row = cursor.fetchone()
            return None if row is None else row[0]


def added_events(cursor: Cursor, position: int, most: int) -> list[UserEvent]:
    """Return the events of blocks added after a position on the feed that still stand, up to ``most``."""
    contracts = served_contracts(cursor, ContractFilter((ContractKind.EXCHANGE, *TOKEN_KINDS)))
    found: list[UserEvent] = []
    for kinds, columns, table, _, make in _FAMILIES:
        ids = {key: address for key, (address, kind) in contracts.items() if kind in kinds}
        if ids:
            cursor.execute(
                _ADDED.format(columns=columns, table=table),
                {"position": position, "contracts": list(ids), "limit": most},
            )
            found += [make(row, ids[row[0]]) for row in cursor.fetchall()]
    return sorted(found, key=_place)


def changed_events(
    cursor: Cursor, base: int, floor: int, top: int, user: Address | None, most: int
) -> list[tuple[UserEvent, int | None]]:
    """Return the events above block ``floor`` up to ``top``, and with its commit each withdrawn after ``base``.

    Of one user or of all; about ``most`` at most.
    """
    contracts = served_contracts(cursor, ContractFilter((ContractKind.EXCHANGE, *TOKEN_KINDS)))
    found: list[tuple[UserEvent, int | None]] = []
    for kinds, columns, table, users, make in _FAMILIES:
        ids = {key: address for key, (address, kind) in contracts.items() if kind in kinds}
        if not ids:
            continue
        parameters = {
            "contracts": list(ids),
            "base": base,
            "floor": floor,
            "top": top,
            "user": user,
            "limit": most,
        }
        halves = [_NEW.format(table=table, by=f"AND {condition}") for condition in users]
        source = _NEW.format(table=table, by="") if user is None else " UNION ALL ".join(halves)
        cursor.execute(_STANDING.format(columns=columns, source=source), parameters)
        found += [(make(row, ids[row[0]]), None) for row in cursor.fetchall()]
        kept = columns.replace("b.hash, b.timestamp", "e.block_hash, e.timestamp")
        mine = " OR ".join(f"({condition})" for condition in users)
        by = "" if user is None else f"AND ({mine})"
        cursor.execute(_WITHDRAWN.format(columns=kept, table=table, by=by), parameters)
        found += [(make(row, ids[row[0]]), row[-1]) for row in cursor.fetchall()]
    return found


def users_of(event: UserEvent) -> tuple[Address, ...]:
    """Return who takes part in an event, each once, who begins it first."""
    match event:
        case TokenEvent():
            return tuple(dict.fromkeys((event.sender, event.receiver)))
        case ExchangeEvent():
            return (event.maker,) if event.taker in {None, event.maker} else (event.maker, event.taker or b"")


def served_contracts(cursor: Cursor, wanted: ContractFilter) -> Served:
    """Return the contracts that are served and whose events are wanted, by their ids.

    Raises:
        UnknownContract: if a contract is asked for that is not served.

    """
    cursor.execute(
        "SELECT id, address, kind FROM contracts WHERE is_served AND kind = ANY(%(kinds)s) "
        "AND (%(contract)s::bytea IS NULL OR address = %(contract)s) ORDER BY id",
        {"kinds": [kind.value for kind in wanted.kinds], "contract": wanted.contract},
    )
    contracts = {key: (address, ContractKind(kind)) for key, address, kind in cursor.fetchall()}
    if wanted.contract is not None and not contracts:
        raise UnknownContract(wanted.contract)
    return contracts


def contract_events_along(
    cursor: Cursor, wanted: ContractFilter, contracts: Served, stretch: Stretch
) -> list[UserEvent]:
    """Return the matching events of some contracts along a stretch, in the order of the walk."""
    found: list[UserEvent] = []
    for kinds, columns, table, users, make in _FAMILIES:
        ids = {key: address for key, (address, kind) in contracts.items() if kind in kinds}
        if ids:
            cursor.execute(*_query(table, columns, users, wanted, list(ids), stretch))
            found += [make(row, ids[row[0]]) for row in cursor.fetchall()]
    found.sort(key=_place, reverse=not stretch.is_forward)
    return found[: stretch.most]


def events_query(
    wanted: ContractFilter, contract_ids: Collection[int], stretch: Stretch
) -> tuple[str, dict[str, object]]:
    """Return the query for the events of some tokens along a stretch, and its parameters."""
    return _query("token_events", _TOKEN_COLUMNS, _TOKEN_USERS, wanted, contract_ids, stretch)


def _place(event: UserEvent) -> tuple[int, int]:
    return event.origin.block_number, event.origin.log_index


def _query(
    table: str,
    columns: str,
    users: tuple[str, str],
    wanted: ContractFilter,
    ids: Collection[int],
    stretch: Stretch,
) -> tuple[str, dict[str, object]]:
    parameters: dict[str, object] = {
        "contracts": "{" + ",".join(map(str, ids)) + "}",
        "types": None if wanted.types is None else list(wanted.types),
        "user": wanted.user,
        **stretch.parameters(wanted.from_block, wanted.to_block),
    }
    of_one = "contract_id = " + str(next(iter(ids)))
    matching = (
        f"SELECT * FROM {table} WHERE {of_one if len(ids) == 1 else _OF_SEVERAL} "
        f"AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[])) AND {stretch.condition} {{by}} "
        f"{stretch.order} {stretch.limit}"
    )
    if wanted.user is None:
        source = matching.format(by="")
    else:
        # Two walks along two indexes, as in the lists of networks.
        halves = " UNION ALL ".join(f"({matching.format(by='AND ' + condition)})" for condition in users)
        source = f"SELECT * FROM ({halves}) h {stretch.order} {stretch.limit}"
    return f"SELECT {columns} FROM ({source}) e CROSS JOIN LATERAL {HEADER_OF_EVENT} b", parameters


_OF_SEVERAL = "contract_id = ANY(%(contracts)s::integer[])"
_PLACE = (
    "e.contract_id, e.block_number, b.hash, b.timestamp, e.transaction_hash, e.transaction_index, "
    "e.log_index, e.type"
)
# The indexes hold the first bytes of an address. The whole one is asked about in words that tell the planner
# nothing: it would else expect next to no events, and sort all there are.
_TOKEN_USERS = (
    "substring(sender for 7) = substring(%(user)s::bytea for 7) "
    "AND CASE WHEN sender = %(user)s THEN true ELSE false END",
    "substring(receiver for 7) = substring(%(user)s::bytea for 7) "
    "AND CASE WHEN receiver = %(user)s AND sender <> receiver THEN true ELSE false END",
)
_EXCHANGE_USERS = ("maker = %(user)s", "taker = %(user)s AND maker <> taker")
_TOKEN_COLUMNS = f"{_PLACE}, e.sender, e.receiver, e.value"
_EXCHANGE_COLUMNS = (
    f"{_PLACE}, e.order_hash, e.maker, e.taker, e.fee_recipient, e.maker_token, e.taker_token, e.maker_amount, "
    "e.taker_amount, e.maker_fee, e.taker_fee"
)
_ADDED = """
WITH added AS (SELECT first_block, last_block FROM feed WHERE position > %(position)s AND kind = 'blocks')
SELECT {columns} FROM {table} e JOIN blocks b ON b.number = e.block_number
WHERE e.contract_id = ANY(%(contracts)s)
  AND e.block_number BETWEEN (SELECT min(first_block) FROM added) AND (SELECT block_number FROM cursor)
  AND EXISTS (SELECT FROM added a WHERE e.block_number BETWEEN a.first_block AND a.last_block)
ORDER BY e.block_number, e.log_index LIMIT %(limit)s
"""
_NEW = """
SELECT * FROM {table} WHERE contract_id = ANY(%(contracts)s)
  AND block_number > %(floor)s AND block_number <= %(top)s {by}
"""
_STANDING = """
SELECT {columns} FROM ({source}) e JOIN blocks b ON b.number = e.block_number
ORDER BY e.block_number, e.log_index LIMIT %(limit)s
"""
_WITHDRAWN = """
SELECT {columns}, e.feed_position FROM withdrawn_{table} e
WHERE e.contract_id = ANY(%(contracts)s) AND e.feed_position > %(base)s {by} LIMIT %(limit)s
"""
_IDENTITY_COLUMNS = f"{_PLACE}, e.identity, e.meta_hash, e.succeeded, e.value, e.recipient, e.currency_network"
_STORED = """
SELECT {} FROM {} e JOIN blocks b ON b.number = e.block_number
WHERE e.contract_id = %s AND e.block_number BETWEEN %s AND %s ORDER BY e.block_number, e.log_index
"""
_FEES = f"""
SELECT {_IDENTITY_COLUMNS} FROM identity_events e JOIN blocks b ON b.number = e.block_number
WHERE e.type = 'FeePayment' AND substring(e.transaction_hash for 8) = substring(%(hash)s::bytea for 8)
  AND e.transaction_hash = %(hash)s
ORDER BY e.block_number, e.log_index
"""
# What was executed once cannot be executed again: the contract sees to it.
_EXECUTION = """
SELECT succeeded, transaction_hash FROM identity_events
WHERE type = 'TransactionExecution' AND substring(meta_hash for 8) = substring(%(hash)s::bytea for 8)
  AND meta_hash = %(hash)s AND identity = %(identity)s
ORDER BY block_number DESC, log_index DESC LIMIT 1
"""


def _origin(row: Row, contract: Address) -> Origin:
    return Origin(contract, *row[1:7])


def _token_event(row: Row, contract: Address) -> TokenEvent:
    return TokenEvent(_origin(row, contract), TokenEventType(row[7]), *row[8:11])


def _exchange_event(row: Row, contract: Address) -> ExchangeEvent:
    return ExchangeEvent(_origin(row, contract), ExchangeEventType(row[7]), *row[8:18])


def _identity_event(row: Row) -> IdentityEvent:
    return IdentityEvent(_origin(row, row[8]), IdentityEventType(row[7]), *row[9:14])


_FAMILIES = (
    (TOKEN_KINDS, _TOKEN_COLUMNS, "token_events", _TOKEN_USERS, _token_event),
    ((ContractKind.EXCHANGE,), _EXCHANGE_COLUMNS, "exchange_events", _EXCHANGE_USERS, _exchange_event),
)
