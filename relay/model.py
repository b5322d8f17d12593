"""What the rooms of the relay hand each other: blocks, events, networks. Plain data, no behaviour."""

from dataclasses import dataclass, field
from enum import StrEnum

from relay.addresses import Address


class EventType(StrEnum):
    """The events of a currency network contract that the index keeps, by their Solidity names."""

    TRUSTLINE_UPDATE = "TrustlineUpdate"
    TRUSTLINE_UPDATE_REQUEST = "TrustlineUpdateRequest"
    TRUSTLINE_UPDATE_CANCEL = "TrustlineUpdateCancel"
    BALANCE_UPDATE = "BalanceUpdate"
    TRANSFER = "Transfer"
    DEBT_UPDATE = "DebtUpdate"
    NETWORK_FREEZE = "NetworkFreeze"
    NETWORK_UNFREEZE = "NetworkUnfreeze"
    ONBOARD = "Onboard"


@dataclass(frozen=True, slots=True)
class Block:
    """A block header: ``number``, 32-byte ``hash`` and ``parent_hash``, ``timestamp`` in Unix seconds.

    ``logs_bloom`` is the filter by which a header tells that a log cannot be in the block, empty where not known.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    logs_bloom: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a trustline as a TrustlineUpdate(Request) states them, seen by its first user.

    Credit lines are uint64 in the network's smallest unit, rates int16 in 0.01 % per year.
    """

    given: int
    received: int
    rate_given: int
    rate_received: int
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event of a currency network.

    ``sender`` and ``receiver`` are the two users in the order of the event's arguments (creditor and
    debtor, from and to, initiator and counterparty, onboarder and onboardee), None on network events.
    ``value`` is the amount of a Transfer, the new balance (seen by ``sender``) of a BalanceUpdate and the
    new debt of a DebtUpdate. On a TrustlineUpdateRequest it is what shall be paid along the trustline when the
    request is accepted; networks without that (all but V2) leave it None.
    """

    network: Address
    type: EventType
    block_number: int
    block_hash: bytes
    timestamp: int
    transaction_hash: bytes
    transaction_index: int
    log_index: int
    sender: Address | None = None
    receiver: Address | None = None
    value: int | None = None
    terms: Terms | None = None
    extra_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """What a currency network contract says of itself; fixed at its ``init``.

    ``default_interest_rate`` is an int16 in 0.01 % per year, ``first_block`` the number of a block at or
    before the contract's first event. ``is_frozen`` is its state when it was read, ``is_proxied`` whether it
    stands behind an AdministrativeProxy.
    """

    address: Address
    name: str
    symbol: str
    decimals: int
    fee_divisor: int
    default_interest_rate: int
    custom_interests: bool
    prevent_mediator_interests: bool
    first_block: int
    is_frozen: bool
    is_proxied: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order of an Exchange contract: its maker offers an amount of one token for an amount of another.

    A token is a currency network or a token contract; amounts are in its smallest unit. A ``taker`` of zeros
    stands for anybody. Numbers are uint256, ``expires_at`` in Unix seconds. ``v``, ``r`` and ``s`` are the
    signature, the latter two of 32 bytes.
    """

    exchange: Address
    maker: Address
    taker: Address
    maker_token: Address
    taker_token: Address
    fee_recipient: Address
    maker_amount: int
    taker_amount: int
    maker_fee: int
    taker_fee: int
    expires_at: int
    salt: int
    v: int = 0
    r: bytes = bytes(32)
    s: bytes = bytes(32)
