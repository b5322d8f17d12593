"""The address file: which contracts a relay serves. JSON, in the form that the predecessor reads."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relay.addresses import Address, to_checksum
from relay.contracts import ContractKind
from relay.settings.errors import SettingsError
from relay.settings.model import Settings
from relay.settings.reading import EthereumAddress, Place, shown, suggestion

logger = logging.getLogger(__name__)

KEYS = (
    "networks",
    "exchange",
    "unwEth",
    "tokens",
    "identityProxyFactory",
    "identityImplementation",
    "identityImplementations",
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The contracts of a relay, each list without repetitions and in the file's order.

    ``identity_implementations`` starts with the file's ``identityImplementation``, where it has one.
    """

    networks: tuple[Address, ...] = ()
    exchanges: tuple[Address, ...] = ()
    unw_eths: tuple[Address, ...] = ()
    tokens: tuple[Address, ...] = ()
    identity_proxy_factories: tuple[Address, ...] = ()
    identity_implementations: tuple[Address, ...] = ()

    @property
    def exchange(self) -> Address | None:
        """The first of the exchanges."""
        return next(iter(self.exchanges), None)

    @property
    def unw_eth(self) -> Address | None:
        """The first of the contracts that wrap ether."""
        return next(iter(self.unw_eths), None)

    @property
    def contracts(self) -> dict[Address, ContractKind]:
        """The contracts beside networks whose events are followed."""
        return {
            **dict.fromkeys(self.exchanges, ContractKind.EXCHANGE),
            **dict.fromkeys(self.unw_eths, ContractKind.UNW_ETH),
            **dict.fromkeys(self.tokens, ContractKind.TOKEN),
        }


def load_addresses(path: Path) -> Addresses:
    """Read an address file: an object with the list ``networks``, everything else optional.

    ``exchange``, ``unwEth``, ``tokens`` and ``identityProxyFactory`` may be one address or a list. null counts as
    not given, but for ``networks``. No address of these may stand under two keys, for a contract is of one kind.

    Raises:
        SettingsError: the file cannot be read or is no JSON object, a key is unknown, an address is none.

    """
    return read_addresses(_read(path), path)


def read_addresses(document: object, path: Path) -> Addresses:
    """Return the addresses of a parsed address file; ``path`` is named in errors. Otherwise as load_addresses."""
    if not isinstance(document, dict):
        raise SettingsError(f"the address file {path} must hold an object with the key networks")
    for name in document:
        if name not in KEYS:
            raise SettingsError(f"{path}: unknown key {shown(name)}{suggestion(name, KEYS)}")
    if not isinstance(document.get("networks"), list):
        raise SettingsError(f"{path}: networks: expected a list of addresses, got {_got(document)}")
    implementations = (
        *_addresses(path, document, "identityImplementation"),
        *_addresses(path, document, "identityImplementations"),
    )
    _require_one_kind(path, document)
    return Addresses(
        networks=_addresses(path, document, "networks"),
        exchanges=_addresses(path, document, "exchange"),
        unw_eths=_addresses(path, document, "unwEth"),
        tokens=_addresses(path, document, "tokens"),
        identity_proxy_factories=_addresses(path, document, "identityProxyFactory"),
        identity_implementations=tuple(dict.fromkeys(implementations)),
    )


def find_addresses(settings: Settings) -> Addresses:
    """Return the address file's contracts, with the networks of [relay] networks after the file's.

    The file may be missing where [relay] networks names some or [relay] registry is given.

    Raises:
        SettingsError: as load_addresses, or there is no network in either place and no registry.

    """
    path, given, registry = settings.relay.addresses_filepath, settings.relay.networks, settings.relay.registry
    is_optional = bool(given or registry)
    addresses = Addresses() if is_optional and not path.exists() else load_addresses(path)
    networks = tuple(dict.fromkeys((*addresses.networks, *given)))
    if not networks and registry is None:
        raise SettingsError(f"{path}: networks is empty: there is no currency network to serve")
    return replace(addresses, networks=networks)


class WatchedAddresses:
    """The contracts that address file and settings name, read again whenever the file was changed."""

    def __init__(self, settings: Settings, networks: tuple[Address, ...]) -> None:
        """Begin with the networks that were found there just now."""
        self._settings = settings
        self._stamp: tuple[int, int, int] | str | None = "not looked at"
        self._addresses = Addresses(networks)

    def __call__(self) -> tuple[Address, ...]:
        """Return the networks; a file that cannot be read leaves them as they were, and the log says why."""
        self._look()
        return self._addresses.networks

    def contracts(self) -> dict[Address, ContractKind]:
        """Return the other contracts; otherwise as the networks."""
        self._look()
        return self._addresses.contracts

    def _look(self) -> None:
        stamp = _stamp(self._settings.relay.addresses_filepath)
        if stamp == self._stamp:
            return
        is_first = isinstance(self._stamp, str)
        self._stamp = stamp
        try:
            addresses = find_addresses(self._settings)
        except SettingsError as error:
            logger.warning("the contracts stay as they are: %s", error)
            return
        if addresses != self._addresses and not is_first:
            more = len(addresses.contracts)
            logger.info("read the address file again: %d networks, %d others", len(addresses.networks), more)
        self._addresses = addresses


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SettingsError(f"the address file {path} does not exist") from None
    except OSError as error:
        raise SettingsError(f"the address file {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "not text, or nested too deeply"
        raise SettingsError(f"the address file {path} is not JSON: {reason}") from None


def _got(document: dict[str, Any]) -> str:
    return shown(document["networks"]) if "networks" in document else "nothing"


def _require_one_kind(path: Path, document: dict[str, Any]) -> None:
    places: dict[Address, str] = {}
    for name in ("networks", "exchange", "unwEth", "tokens"):
        for address in _addresses(path, document, name):
            other = places.setdefault(address, name)
            if other != name:
                raise SettingsError(f"{path}: {name}: {to_checksum(address)} stands under {other} as well")


def _addresses(path: Path, document: dict[str, Any], name: str) -> tuple[Address, ...]:
    value = document.get(name)
    entries = value if isinstance(value, list) else [] if value is None else [value]
    if not isinstance(value, list):
        return tuple(_read_address(path, name, entry) for entry in entries)
    return tuple(
        dict.fromkeys(_read_address(path, f"{name} entry {at}", entry) for at, entry in enumerate(entries, 1))
    )


def _read_address(path: Path, name: str, value: object) -> Address:
    return EthereumAddress().read(value, Place((), name=f"{path}: {name}"))
