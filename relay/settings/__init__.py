"""What an operator can set: typed settings from TOML, environment and options, and the address file."""

from relay.settings.addresses import (
    Addresses,
    WatchedAddresses,
    find_addresses,
    load_addresses,
    read_addresses,
)
from relay.settings.errors import SettingsError
from relay.settings.limits import LimitsSettings
from relay.settings.loading import build, environment_variables, load
from relay.settings.model import (
    AccountSettings,
    DatabaseSettings,
    DelegateFee,
    DelegateGasPriceMethod,
    DelegateSettings,
    FaucetSettings,
    GasPriceMethod,
    GasPriceSettings,
    IndexSettings,
    LogFormat,
    LoggingSettings,
    LogLevel,
    NodeSettings,
    RelaySettings,
    Settings,
    without_account,
)
from relay.settings.rest import RestSettings

__all__ = [
    "AccountSettings",
    "Addresses",
    "DatabaseSettings",
    "DelegateFee",
    "DelegateGasPriceMethod",
    "DelegateSettings",
    "FaucetSettings",
    "GasPriceMethod",
    "GasPriceSettings",
    "IndexSettings",
    "LimitsSettings",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "NodeSettings",
    "RelaySettings",
    "RestSettings",
    "Settings",
    "SettingsError",
    "WatchedAddresses",
    "build",
    "environment_variables",
    "find_addresses",
    "load",
    "load_addresses",
    "read_addresses",
    "without_account",
]
