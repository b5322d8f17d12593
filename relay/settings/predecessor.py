# ruff: noqa: RUF009  key() is this package's field(): it declares a default, it does not share a mutable one
"""Read the predecessor's config.toml (trustlines-relay up to 0.23.0) as if it had our form.

Its keys and their meaning are taken from that release and from the older spellings it still accepted; those
it had ceased to accept are ignored with a remark, so that no file that ever worked stops a start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay.settings.errors import SettingsError
from relay.settings.reading import Choice, FilePath, Place, Switch, Text, WholeNumber, key, read_table, toml_name

RENAMED = {
    "relay.rpc": "node_rpc",
    "node_rpc.ssl": "node_rpc.use_ssl",
    "relay.gasPriceComputation": "relay.gas_price_computation",
    "relay.gas_price_computation.gasPrice": "relay.gas_price_computation.gas_price",
    "relay.enableEtherFaucet": "faucet.enable",
    "relay.enableRelayMetaTransaction": "delegate.enable",
    "relay.enableDeployIdentity": "delegate.enable_deploy_identity",
    "relay.delegationFees": "delegate.fees",
    "relay.firebase.credentialsPath": "push_notification.firebase_credentials_path",
    "relay.account": "account",
    "relay.sentry": "sentry",
}
"""Older spellings; a row may build on the row before it."""

RENAMED_IN_FEES = {
    "baseFee": "base_fee",
    "value": "base_fee",
    "gasPrice": "gas_price",
    "feeRecipient": "fee_recipient",
    "currencyNetworkOfFees": "currency_network",
    "currencyNetwork": "currency_network",
}

IGNORED = (
    "relay.syncInterval",
    "relay.updateNetworksInterval",
    "relay.update_indexed_networks_interval",
    "relay.eventQueryTimeout",
    "trustline_index.full_sync_interval",
    "trustline_index.event_query_timeout",
)
"""Keys that lost their meaning: state follows the index, and address files are read at start."""

SECTIONS = ("node_rpc", "trustline_index")
"""Sections that exist in the predecessor's form only."""

OUR_SECTIONS = ("node", "database", "index")
"""Sections that exist in our form only."""


class ProviderType(StrEnum):
    """How the predecessor reaches the node."""

    HTTP = "http"
    IPC = "ipc"


@dataclass(frozen=True, slots=True)
class NodeRpc:
    """[node_rpc]: ``uri``, or ``type`` http with host, port and use_ssl, or ``type`` ipc with file_path."""

    type: ProviderType | None = key(Choice(ProviderType), None)
    host: str = key(Text("a host name", lambda text: bool(text) and text.isprintable()), "localhost")
    port: int = key(WholeNumber(1, 65535), 8545)
    use_ssl: bool = key(Switch(), False)
    file_path: Path | None = key(FilePath(), None, is_path=True)
    uri: str | None = key(Text(), None, secret=True)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Only one way to the node may be given."""
        if self.uri is not None and self.type is not None:
            yield "uri", "cannot be given together with type"
        if self.type is ProviderType.IPC and self.file_path is None:
            yield "file_path", 'needed with type = "ipc"'
        if self.type is not ProviderType.IPC and self.file_path is not None:
            yield "file_path", 'only used with type = "ipc"'

    def url(self, folder: Path) -> tuple[str, str]:
        """Return the key that decides, and the URL it gives; a relative socket path starts at ``folder``."""
        if self.uri is not None:
            return "uri", self.uri
        if self.file_path is not None:
            return "file_path", f"file://{quote(str((folder / self.file_path).absolute()))}"
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return "host", f"{'https' if self.use_ssl else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TrustlineIndex:
    """[trustline_index]: ``sync_interval`` in seconds."""

    enable: bool = key(Switch(), True)
    sync_interval: int | None = key(WholeNumber(1, 86_400), None)


@dataclass
class Translation:
    """A file's table in our form, the names under which its keys were given, and remarks for the operator."""

    table: dict[str, dict[str, Any]]
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def translate(table: dict[str, dict[str, Any]], folder: Path) -> Translation:
    """Return a file's sections in our form; a file that is already in it comes back as it is.

    Args:
        table: the sections of the file; changed in place.
        folder: the folder of the file.

    Raises:
        SettingsError: a setting is given twice, in an old form and a newer one, or does not fit.

    """
    translation = Translation(table)
    for old, new in RENAMED.items():
        _rename(translation, old, new)
    _rename_in_fees(translation)
    for ignored in IGNORED:
        if _take(table, ignored) is not _ABSENT:
            translation.remarks.append(f"{_toml(ignored)} has no meaning any more and was ignored")
    is_theirs = bool(translation.origins) or any(section in table for section in SECTIONS)
    is_ours = any(section in table for section in OUR_SECTIONS)
    if "node_rpc" in table:
        _translate_node(translation, folder)
    if "trustline_index" in table:
        _translate_index(translation)
    if is_theirs and not is_ours and "host" not in table.get("rest", {}):
        # The predecessor listens everywhere unless told otherwise, and containers rely on it.
        table.setdefault("rest", {})["host"] = ""
        translation.remarks.append(
            "[rest] host is not given: listening on all interfaces, as the predecessor does"
        )
    return translation


def _translate_node(translation: Translation, folder: Path) -> None:
    table, origins = translation.table, translation.origins
    place = Place(("node_rpc",), origins)
    if "node" in table:
        raise SettingsError(f"{place.label} and [node] both name the node: keep one of them")
    rpc = read_table(NodeRpc, table.pop("node_rpc"), place)
    deciding, url = rpc.url(folder)
    table["node"] = {"urls": [url]}
    origins["node.urls"] = f"{origins.get('node_rpc', 'node_rpc')}.{deciding}"
    origins["node.urls.0"] = origins["node.urls"]


def _translate_index(translation: Translation) -> None:
    table = translation.table
    theirs = read_table(TrustlineIndex, table.pop("trustline_index"), Place(("trustline_index",)))
    if not theirs.enable:
        translation.remarks.append("[trustline_index] enable = false was ignored: trustlines are always served")
    if theirs.sync_interval is None:
        return
    ours = table.setdefault("index", {})
    if "poll_seconds" in ours:
        raise SettingsError(
            "[trustline_index] sync_interval and [index] poll_seconds mean the same: keep one of them"
        )
    ours["poll_seconds"] = theirs.sync_interval
    translation.origins["index.poll_seconds"] = "trustline_index.sync_interval"


def _rename(translation: Translation, old: str, new: str) -> None:
    table = translation.table
    value = _take(table, old)
    if value is _ABSENT:
        return
    name = _original(old, translation.origins)
    if not _put(table, new, value):
        raise SettingsError(f"{_toml(name)} is an old name of {_toml(new)}: keep one of them")
    translation.origins[new] = name
    translation.remarks.append(f"{_toml(name)} is an old name of {_toml(new)}")


def _rename_in_fees(translation: Translation) -> None:
    fees = translation.table.get("delegate", {}).get("fees")
    if not isinstance(fees, list):
        return
    for at, fee in enumerate(fees):
        place = Place(("delegate", "fees", at), translation.origins)
        for old, new in RENAMED_IN_FEES.items():
            if isinstance(fee, dict) and old in fee:
                if new in fee:
                    raise place.child(old).fault(f"means the same as {new}: keep one of them")
                fee[new] = fee.pop(old)
    # An empty table was how the predecessor's first sample file said "no fees".
    translation.table["delegate"]["fees"] = [fee for fee in fees if fee != {}]


def _original(path: str, origins: Mapping[str, str]) -> str:
    section, _, name = path.rpartition(".")
    return f"{origins[section]}.{name}" if section in origins else path


def _toml(path: str) -> str:
    return toml_name(tuple(path.split(".")))


_ABSENT: Any = object()


def _take(table: dict[str, Any], path: str) -> Any:
    """Remove and return the value at a dotted path, and the table inside a section that this leaves empty."""
    *sections, name = path.split(".")
    around, inner = table, table
    for section in sections:
        around, inner = inner, inner.get(section, {})
        if not isinstance(inner, dict):
            return _ABSENT
    value = inner.pop(name, _ABSENT)
    if value is not _ABSENT and not inner and len(sections) > 1:
        del around[sections[-1]]
    return value


def _put(table: dict[str, Any], path: str, value: Any) -> bool:
    """Set the value at a dotted path and return True; return False where there is one already."""
    *sections, name = path.split(".")
    for section in sections:
        table = table.setdefault(section, {})
    if not isinstance(table, dict) or name in table:
        return False
    table[name] = value
    return True
