"""Events of other contracts than currency networks: exchanges, tokens, wrapped ether, identities. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.addresses import Address


class ContractKind(StrEnum):
    """The kinds of contracts whose events are kept beside those of currency networks."""

    EXCHANGE = "Exchange"
    UNW_ETH = "UnwETH"
    TOKEN = "Token"  # noqa: S105 - a kind of contract
    IDENTITY = "Identity"


class TokenEventType(StrEnum):
    """The events of tokens and of wrapped ether; the last two are of the latter only."""

    TRANSFER = "Transfer"
    APPROVAL = "Approval"
    DEPOSIT = "Deposit"
    WITHDRAWAL = "Withdrawal"


class ExchangeEventType(StrEnum):
    """The events of exchanges."""

    LOG_FILL = "LogFill"
    LOG_CANCEL = "LogCancel"


class IdentityEventType(StrEnum):
    """The events of identities."""

    TRANSACTION_EXECUTION = "TransactionExecution"
    FEE_PAYMENT = "FeePayment"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event stands: its contract, its block, its transaction, its log; ``timestamp`` in Unix seconds."""

    contract: Address
    block_number: int
    block_hash: bytes
    timestamp: int
    transaction_hash: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """An amount that moves, or may be moved.

    ``sender`` is who had or owns it, ``receiver`` who gets or may take it; who wraps or unwraps ether is both.
    ``value`` is in the token's smallest unit, a uint256.
    """

    origin: Origin
    type: TokenEventType
    sender: Address
    receiver: Address
    value: int


@dataclass(frozen=True, slots=True)
class ExchangeEvent:
    """An order that was filled or cancelled by some amounts, in the smallest units of its tokens.

    A cancel has no ``taker`` and no fees.
    """

    origin: Origin
    type: ExchangeEventType
    order_hash: bytes
    maker: Address
    taker: Address | None
    fee_recipient: Address
    maker_token: Address
    taker_token: Address
    maker_amount: int
    taker_amount: int
    maker_fee: int | None = None
    taker_fee: int | None = None


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """A meta-transaction that an identity executed, or the fee it booked as a debt for one.

    An execution has ``meta_hash`` and whether its call ``succeeded``; a fee has ``value`` in the smallest unit of
    the ``currency_network``, and the ``recipient``.
    """

    origin: Origin
    type: IdentityEventType
    meta_hash: bytes | None = None
    succeeded: bool | None = None
    value: int | None = None
    recipient: Address | None = None
    currency_network: Address | None = None


ContractEvent = TokenEvent | ExchangeEvent | IdentityEvent

WantedContracts = Mapping[Address | None, ContractKind]
"""The contracts whose events are wanted, by their address. None stands for all identities, wherever they are."""

NO_CONTRACTS: WantedContracts = {}


@dataclass(frozen=True, slots=True)
class FollowedContract:
    """A contract as the index keeps it, or all identities, which have no ``address``.

    ``synced_to`` is the last block whose events of it are stored, None where that is the cursor's; ``first_block``
    lies at or before its first event. ``repair_wanted`` says that its events are to be read anew.
    """

    id: int
    kind: ContractKind
    address: Address | None
    first_block: int
    is_wanted: bool
    synced_to: int | None
    repair_wanted: bool

    @property
    def is_level(self) -> bool:
        """Whether its events are stored up to the cursor."""
        return self.synced_to is None
