# ruff: noqa: RUF009  key() is this package's field(): it declares a default, it does not share a mutable one
"""The settings, one frozen dataclass per section of the configuration file, with their defaults.

``config/relay.toml`` explains every key to an operator; a test keeps the two together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from relay.addresses import Address
from relay.settings.admin import AdminSettings
from relay.settings.limits import LimitsSettings
from relay.settings.live import MessagingSettings, PushNotificationSettings, StreamsSettings
from relay.settings.operations import OperationsSettings, SentrySettings, TelemetrySettings
from relay.settings.overload import OverloadSettings
from relay.settings.reading import (
    Choice,
    EthereumAddress,
    FilePath,
    ListOf,
    Place,
    Seconds,
    Switch,
    Table,
    Text,
    WholeNumber,
    key,
    keys,
    read_table,
    suggestion,
)
from relay.settings.rest import RestSettings
from relay.settings.urls import is_database_url, is_heads_url, is_node_url
from relay.share import is_share

_MAX_BLOCK = 2**63 - 1  # Postgres bigint


class GasPriceMethod(StrEnum):
    """How the gas price told to clients is found: asked of the node, or fixed."""

    RPC = "rpc"
    FIXED = "fixed"


class DelegateGasPriceMethod(StrEnum):
    """How the delegate prices its transactions: as the node says, fixed, or the node's within bounds."""

    RPC = "rpc"
    FIXED = "fixed"
    BOUND = "bound"


class FinalitySource(StrEnum):
    """Which blocks can no longer be replaced: those the node says, or those deep enough below the head."""

    NODE = "node"
    DEPTH = "depth"


class LogLevel(StrEnum):
    """The levels of Python's logging."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class LogFormat(StrEnum):
    """What a line of the log looks like: made for people, or a JSON object."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class GasPriceSettings:
    """[relay.gas_price_computation]: ``gas_price`` in wei is used with the method ``fixed`` only."""

    method: GasPriceMethod = key(Choice(GasPriceMethod), GasPriceMethod.RPC)
    gas_price: int = key(WholeNumber(), 0)


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """[relay]: which contracts are served.

    ``networks`` are served in addition to the address file's, and those that the CurrencyNetworkRegistry at
    ``registry`` lists. An API process holds those of its ``share``, all where it is empty.
    """

    addresses_filepath: Path = key(FilePath(), Path("addresses.json"), is_path=True)
    networks: tuple[Address, ...] = key(ListOf(EthereumAddress()), ())
    registry: Address | None = key(EthereumAddress(), None)
    share: str = key(Text("hexadecimal digits and ranges of them, as in 0-7 or 3,a-f", is_share), "")
    gas_price_computation: GasPriceSettings = key(Table(GasPriceSettings), GasPriceSettings)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """[node]: the Ethereum nodes, the preferred ones first, and who of them tells of new blocks.

    ``urls`` and ``heads_url`` may hold credentials and are not shown by repr. The timeout is a request's.
    """

    urls: tuple[str, ...] = key(
        ListOf(Text("an http://, https:// or ipc:// URL", is_node_url), at_least=1),
        ("http://127.0.0.1:8545",),
        secret=True,
    )
    timeout_seconds: float = key(Seconds(), 10.0)
    heads_url: str = key(Text("a ws:// or wss:// URL", is_heads_url), "", secret=True)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """[database]: Postgres. An empty ``url`` leaves everything to libpq (PGHOST, PGUSER, ~/.pgpass ...).

    ``read_url`` is what API processes read from, ``url`` where it is empty. Both may hold a password and are not
    shown by repr. ``pool_size`` is a number of connections, ``wait_seconds`` how long a request waits for one.
    """

    url: str = key(Text("a postgresql:// URL or libpq's key=value pairs", is_database_url), "", secret=True)
    read_url: str = key(Text("a postgresql:// URL or libpq's key=value pairs", is_database_url), "", secret=True)
    pool_size: int = key(WholeNumber(1, 1000), 10)
    wait_seconds: float = key(Seconds(), 1.5)


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """[index]: how the chain is read.

    ``first_block`` is found by itself where it is None. ``batch_blocks`` are asked of the node and committed at
    once. What can no longer be replaced says ``finality``: the node, or only ``finality_depth`` in blocks below
    the head. A node that is behind for ``shorter_chain_seconds`` is believed to have got a shorter chain.
    """

    first_block: int | None = key(WholeNumber(0, _MAX_BLOCK), None)
    batch_blocks: int = key(WholeNumber(1, 1_000_000), 2000)
    finality: FinalitySource = key(Choice(FinalitySource), FinalitySource.NODE)
    finality_depth: int = key(WholeNumber(1, 1_000_000), 128)
    shorter_chain_seconds: float = key(Seconds(), 5.0)
    poll_seconds: float = key(Seconds(), 1.0)


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """[logging]: ``level`` of the root logger, ``format`` of its lines; ``dict_config`` is what else stands there.

    That is Python's logging.config.dictConfig in TOML, for example [logging.loggers."relay.index"]. Every request
    is a line with ``access``; one that takes longer than ``slow_seconds`` always is.
    """

    level: LogLevel = key(Choice(LogLevel), LogLevel.INFO)
    format: LogFormat = key(Choice(LogFormat), LogFormat.TEXT)
    access: bool = key(Switch(), False)
    slow_seconds: float = key(Seconds(), 5.0)
    dict_config: Mapping[str, object] = field(default_factory=dict)


DICT_CONFIG_KEYS = (
    "version",
    "incremental",
    "disable_existing_loggers",
    "formatters",
    "filters",
    "handlers",
    "loggers",
    "root",
)
"""The keys of logging.config.dictConfig."""


class LoggingTable(Table):
    """[logging]: our own keys beside those of dictConfig, whose insides dictConfig checks."""

    _OWN = ("level", "format", "access", "slow_seconds")

    def __init__(self) -> None:
        super().__init__(LoggingSettings)

    def read(self, value: object, place: Place) -> LoggingSettings:
        """Return the section."""
        if not isinstance(value, dict):
            raise place.unfit("a table", value)
        for name in value:
            if name not in (*self._OWN, *DICT_CONFIG_KEYS):
                raise place.child(name).fault(f"unknown key{suggestion(name, (*self._OWN, *DICT_CONFIG_KEYS))}")
        given = {name: entry for name, entry in value.items() if name in DICT_CONFIG_KEYS}
        own = {name: entry for name, entry in value.items() if name not in given}
        return replace(read_table(LoggingSettings, own, place), dict_config=given)


@dataclass(frozen=True, slots=True)
class TxRelaySettings:
    """[tx_relay]: whether POST /relay hands transactions to the node, and for how many hours it does so again."""

    enable: bool = key(Switch(), True)
    remember_hours: int = key(WholeNumber(1, 8760), 72)


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """[exchange]: bounds on open orders, and on orders a minute from one client (0 for any).

    Makers' means are looked at every ``check_seconds``, so many of them at once. Orders nobody could
    take for ``keep_days`` are forgotten.
    """

    enable: bool = key(Switch(), False, implied=True)
    max_orders: int = key(WholeNumber(1, 1_000_000), 10_000)
    max_orders_per_maker: int = key(WholeNumber(1, 1_000_000), 100)
    max_per_client: int = key(WholeNumber(), 60)
    check_seconds: float = key(Seconds(), 2.0)
    checks_per_round: int = key(WholeNumber(1, 100_000), 500)
    keep_days: int = key(WholeNumber(1, 36_500), 7)


@dataclass(frozen=True, slots=True)
class FaucetSettings:
    """[faucet]: gifts of ether, all amounts in wei, days by UTC.

    ``enough`` is the balance from which on nothing is given; ``per_day`` includes what the gas may cost.
    """

    enable: bool = key(Switch(), False)
    amount: int = key(WholeNumber(1), 10**16)
    enough: int = key(WholeNumber(1), 5 * 10**15)
    per_address_and_day: int = key(WholeNumber(1), 5 * 10**16)
    per_day: int = key(WholeNumber(1), 10**18)

    def faults(self) -> Iterator[tuple[str, str]]:
        """A cap that is below one gift would stop the faucet unseen."""
        for name in ("per_address_and_day", "per_day"):
            if getattr(self, name) < self.amount:
                yield name, "must not be below amount"


@dataclass(frozen=True, slots=True)
class DelegateFee:
    """[[delegate.fees]]: a fee accepted for a meta-transaction; ``gas_price`` per 10^6 gas, as in the contract."""

    base_fee: int = key(WholeNumber(), 0)
    gas_price: int = key(WholeNumber(), 0)
    fee_recipient: Address | None = key(EthereumAddress(), None)
    currency_network: Address | None = key(EthereumAddress(), None)

    def faults(self) -> Iterator[tuple[str, str]]:
        """A fee that is not zero is a debt in some network."""
        if (self.base_fee or self.gas_price) and self.currency_network is None:
            yield "currency_network", "needed where base_fee or gas_price is not 0"


@dataclass(frozen=True, slots=True)
class DelegateSettings:
    """[delegate]: gas prices in wei.

    No more than ``max_in_flight`` transactions are in the node's hands and ``max_waiting`` on their way in all;
    one that blocks pass over for ``replace_after_seconds`` is replaced. ``max_lost_gas_per_day`` and
    ``max_gas_per_day`` are an identity's, ``max_identities_per_day`` counts for all users together, days by UTC.
    """

    enable: bool = key(Switch(), False, implied=True)
    enable_deploy_identity: bool = key(Switch(), True)
    fees: tuple[DelegateFee, ...] = key(ListOf(Table(DelegateFee)), ())
    gas_price_method: DelegateGasPriceMethod = key(Choice(DelegateGasPriceMethod), DelegateGasPriceMethod.RPC)
    gas_price: int | None = key(WholeNumber(), None)
    min_gas_price: int | None = key(WholeNumber(), None)
    max_gas_price: int | None = key(WholeNumber(), None)
    max_identities_per_day: int = key(WholeNumber(1, 2**62), 1000)
    max_gas_limit: int = key(WholeNumber(1, 2**31), 1_000_000)
    max_lost_gas_per_day: int = key(WholeNumber(1, 2**62), 50_000_000)
    max_gas_per_day: int = key(WholeNumber(1, 2**62), 100_000_000)
    max_in_flight: int = key(WholeNumber(1, 10_000), 64)
    max_waiting: int = key(WholeNumber(1, 1_000_000), 2000)
    replace_after_seconds: int = key(WholeNumber(1, 86_400), 30)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Each method needs its own prices and refuses the others'."""
        prices = {
            "gas_price": (DelegateGasPriceMethod.FIXED, self.gas_price),
            "min_gas_price": (DelegateGasPriceMethod.BOUND, self.min_gas_price),
            "max_gas_price": (DelegateGasPriceMethod.BOUND, self.max_gas_price),
        }
        for name, (method, price) in prices.items():
            if method is self.gas_price_method and price is None:
                yield name, f'needed with gas_price_method = "{method}"'
            if method is not self.gas_price_method and price is not None:
                yield name, f'only used with gas_price_method = "{method}"'
        if (self.min_gas_price or 0) > (self.max_gas_price or 0):
            yield "min_gas_price", "must not be above max_gas_price"


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """[account]: the encrypted key with which the relay signs, and the file that holds its password."""

    keystore_path: Path = key(FilePath(), is_path=True)
    keystore_password_path: Path = key(FilePath(), is_path=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. ``remarks`` are sentences for the operator: what was renamed, ignored or is not used yet."""

    relay: RelaySettings = key(Table(RelaySettings), RelaySettings)
    node: NodeSettings = key(Table(NodeSettings), NodeSettings)
    database: DatabaseSettings = key(Table(DatabaseSettings), DatabaseSettings)
    rest: RestSettings = key(Table(RestSettings), RestSettings)
    overload: OverloadSettings = key(Table(OverloadSettings), OverloadSettings)
    index: IndexSettings = key(Table(IndexSettings), IndexSettings)
    logging: LoggingSettings = key(LoggingTable(), LoggingSettings)
    tx_relay: TxRelaySettings = key(Table(TxRelaySettings), TxRelaySettings)
    exchange: ExchangeSettings = key(Table(ExchangeSettings), ExchangeSettings)
    messaging: MessagingSettings = key(Table(MessagingSettings), MessagingSettings)
    faucet: FaucetSettings = key(Table(FaucetSettings), FaucetSettings)
    push_notification: PushNotificationSettings = key(Table(PushNotificationSettings), PushNotificationSettings)
    delegate: DelegateSettings = key(Table(DelegateSettings), DelegateSettings)
    account: AccountSettings | None = key(Table(AccountSettings), None)
    sentry: SentrySettings | None = key(Table(SentrySettings), None)
    streams: StreamsSettings = key(Table(StreamsSettings), StreamsSettings)
    limits: LimitsSettings = key(Table(LimitsSettings), LimitsSettings)
    operations: OperationsSettings = key(Table(OperationsSettings), OperationsSettings)
    telemetry: TelemetrySettings = key(Table(TelemetrySettings), TelemetrySettings)
    admin: AdminSettings = key(Table(AdminSettings), AdminSettings)
    remarks: tuple[str, ...] = ()

    def faults(self) -> Iterator[tuple[str, str]]:
        """The header of reverse proxies has an older name, and one place is enough."""
        if self.rest.client_header and self.messaging.client_header:
            yield "messaging", "client_header is an older name of [rest] client_header: keep one of them"

    @property
    def client_header(self) -> str:
        """The header in which reverse proxies name clients, empty for none."""
        return self.rest.client_header or self.messaging.client_header


def without_account(settings: Settings) -> tuple[str, ...]:
    """Return the sections that are switched on but cannot be served, as there is no [account] to send from."""
    needing = {"faucet": settings.faucet.enable, "delegate": settings.delegate.enable}
    return tuple(name for name, is_on in needing.items() if is_on and settings.account is None)


def section_names() -> tuple[str, ...]:
    """Return the names of the sections, in the order of the file."""
    return tuple(keys(Settings))
