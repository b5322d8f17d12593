"""Settings from a TOML file, the environment and the command line; the later ones win."""

import copy
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from relay.settings import predecessor
from relay.settings.errors import SettingsError
from relay.settings.model import Settings, section_names
from relay.settings.reading import Kind, Place, Table, dotted, keys, read_table, shown, suggestion

ENVIRONMENT_PREFIX = "TL_RELAY_"

OPTIONS = {"rest.port": "--port", "relay.addresses_filepath": "--addresses"}
"""The command line options, by the setting they override."""


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of a file, overridden by environment variables, overridden by ``overrides``.

    Args:
        path: a TOML file in our form or the predecessor's; None for the defaults. Relative paths in it are
            relative to its folder, elsewhere to the working directory.
        environ: ``TL_RELAY_<SECTION>_<KEY>`` in upper case, lists separated by commas; a variable without
            text counts as not set. ``DATABASE_URL`` is used where no other database URL is given. The rest
            is not looked at.
        overrides: values by dotted key (``{"rest.port": 6000}``), typed or as text; None counts as not given.

    Raises:
        SettingsError: the file cannot be read, or a key or value in any of the three does not fit.

    """
    if path is None:
        return build({}, None, environ, overrides)
    return build(_read_file(path), path.parent, environ, overrides)


def build(
    document: Mapping[str, object],
    folder: Path | None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of a parsed TOML document whose file lies in ``folder``; otherwise as load."""
    translation = predecessor.translate(_sections(document), folder or Path())
    table, origins = translation.table, translation.origins
    if folder is not None:
        _anchor(table, folder)
    for dotted_key, (name, text) in _from_environment(environ or {}, table).items():
        _set(table, origins, dotted_key, name, text)
    for dotted_key, value in (overrides or {}).items():
        if value is not None:
            _set(table, origins, dotted_key, OPTIONS.get(dotted_key, dotted_key), value)
    settings = read_table(Settings, table, Place((), origins))
    return replace(settings, remarks=tuple(translation.remarks))


def environment_variables() -> dict[str, tuple[str, Kind]]:
    """Return the dotted key and the kind of every environment variable that overrides a setting."""
    return {
        ENVIRONMENT_PREFIX + dotted(path).replace(".", "_").upper(): (dotted(path), kind)
        for path, kind in _leaves(Settings, ())
    }


def _leaves(settings: type[Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Kind]]:
    for name, entry in keys(settings).items():
        kind = entry.metadata["kind"]
        if isinstance(kind, Table):
            yield from _leaves(kind.settings, (*path, name))
        elif not isinstance(getattr(kind, "kind", None), Table):  # a list of tables has no form in one line
            yield (*path, name), kind


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"the configuration file {path} does not exist") from None
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"the configuration file {path} is not UTF-8 (byte {error.start})") from None
    except ValueError as error:
        raise SettingsError(f"the configuration file {path} is not TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"the configuration file {path} is nested too deeply") from None


def _sections(document: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return a copy of a document that consists of known sections."""
    table: dict[str, Any] = copy.deepcopy(dict(document))
    sections = (*section_names(), *predecessor.SECTIONS)
    for name, value in table.items():
        place = Place((name,))
        if name not in sections and isinstance(value, dict):
            raise place.fault(f"unknown section{suggestion(name, sections)}")
        if name not in sections:
            raise SettingsError(f"{shown(name)[1:-1]}: this key stands outside of any section{_home(name)}")
        if not isinstance(value, dict):
            raise place.unfit("a table", value)
    return table


def _home(name: str) -> str:
    homes = [path[:-1] for path, _ in _leaves(Settings, ()) if path[-1] == name]
    return f"; did you mean [{dotted(homes[0])}] {name}?" if homes else ""


def _anchor(table: dict[str, dict[str, Any]], folder: Path) -> None:
    """Make the relative paths of a file relative to its folder, the default address file included."""
    relay = table.setdefault("relay", {})
    relay.setdefault("addresses_filepath", str(Settings().relay.addresses_filepath))
    for section, entry in keys(Settings).items():
        kind = entry.metadata["kind"]
        given: object = table.get(section)
        if not isinstance(given, dict):
            continue
        for name, inner in keys(kind.settings).items():
            value = given.get(name)
            if inner.metadata["is_path"] and isinstance(value, str) and value:
                given[name] = str(folder / value)


def _from_environment(
    environ: Mapping[str, str], table: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, object]]:
    """Return, by dotted key, the name of the variable and its value."""
    known = environment_variables()
    found: dict[str, tuple[str, object]] = {}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        if name not in known:
            raise SettingsError(f"{name}: unknown environment variable{suggestion(name, known)}")
        if text:
            dotted_key, kind = known[name]
            found[dotted_key] = name, kind.from_text(text)
    # Below the file on purpose: a DATABASE_URL meant for another program must not move a configured relay.
    if environ.get("DATABASE_URL") and not table.get("database", {}).get("url"):
        found.setdefault("database.url", ("DATABASE_URL", environ["DATABASE_URL"]))
    return found


def _set(
    table: dict[str, dict[str, Any]], origins: dict[str, str], dotted_key: str, name: str, value: object
) -> None:
    kinds = dict(environment_variables().values())
    if dotted_key not in kinds:
        raise SettingsError(f"{dotted_key}: unknown setting{suggestion(dotted_key, kinds)}")
    *sections, last = dotted_key.split(".")
    inner: dict[str, Any] = table
    for section in sections:
        inner = inner.setdefault(section, {})
        if not isinstance(inner, dict):
            raise Place(tuple(sections), origins).unfit("a table", inner)
    inner[last] = kinds[dotted_key].from_text(value) if isinstance(value, str) else value
    origins[dotted_key] = name
    for entry in [entry for entry in origins if entry.startswith(f"{dotted_key}.")]:
        del origins[entry]
