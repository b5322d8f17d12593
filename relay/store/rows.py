"""How rows and values of the tables become the relay's plain data, in one place for readers and the writer."""

from dataclasses import dataclass

from graph.trustline import Trustline
from relay.model import NetworkInfo
from relay.store.connection import Row

NETWORK_COLUMNS = (
    "id, address, name, symbol, decimals, fee_divisor, default_interest_rate, custom_interests, "
    "prevent_mediator_interests, first_block, is_frozen, is_proxied"
)
FOLLOWED_COLUMNS = f"{NETWORK_COLUMNS}, is_wanted, synced_to, confirmed_at, repair_wanted"
TRUSTLINE_COLUMNS = (
    "network_id, lower, higher, balance, given, received, rate_given, rate_received, is_frozen, mtime"
)


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """The block after which the database is the state of the chain."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A network with the key its rows carry; ``info.is_frozen`` is as of the cursor."""

    id: int
    info: NetworkInfo


@dataclass(frozen=True, slots=True)
class FollowedNetwork:
    """A network as the index keeps it.

    ``synced_to`` is the last block whose events of it are stored, None where that is the cursor's.
    ``is_wanted`` says whether it is to be served, ``confirmed_at`` after which block the contract said what
    ``info`` holds (None until it is asked at the cursor), ``repair_wanted`` whether its events are to be read
    anew.
    """

    id: int
    info: NetworkInfo
    is_wanted: bool
    synced_to: int | None
    confirmed_at: int | None
    repair_wanted: bool

    @property
    def is_level(self) -> bool:
        """Whether its events are stored up to the cursor."""
        return self.synced_to is None


def followed_from(row: Row) -> FollowedNetwork:
    """Read a row of FOLLOWED_COLUMNS."""
    return FollowedNetwork(row[0], NetworkInfo(*row[1:-4]), *row[-4:])


def network_from(row: Row) -> StoredNetwork:
    """Read a row of NETWORK_COLUMNS."""
    return StoredNetwork(row[0], NetworkInfo(*row[1:]))


def trustline_from(row: Row) -> tuple[int, Trustline]:
    """Read a row of TRUSTLINE_COLUMNS as (network id, trustline)."""
    return row[0], Trustline(*row[1:])
