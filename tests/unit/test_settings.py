"""Settings come from a file, the environment and options; what does not fit is named in one sentence."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.settings import Settings, SettingsError, build, environment_variables, load, without_account
from relay.settings.model import DICT_CONFIG_KEYS, section_names
from relay.settings.predecessor import RENAMED, SECTIONS
from relay.settings.reading import Seconds, Switch, Table, WholeNumber, keys

CONFIG = Path(__file__).parents[2] / "config" / "relay.toml"
FOLDER = Path("/etc/relay")
KINDS = dict(environment_variables().values())
PASSWORD = "hunter2"


def document(dotted_key: str, value: object) -> dict[str, Any]:
    *sections, last = dotted_key.split(".")
    table: dict[str, Any] = {last: value}
    for section in reversed(sections):
        table = {section: table}
    return table


def toml_name(dotted_key: str) -> str:
    section, _, name = dotted_key.rpartition(".")
    return f"[{section}] {name}"


def fault_of(table: dict[str, Any], environ: dict[str, str] | None = None, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        build(table, FOLDER, environ, overrides)
    message = str(caught.value)
    assert message.isprintable(), "one line, whatever was in the value"
    return message


def leaves(settings: type[Any], section: str = "") -> Iterator[str]:
    """Every key of the settings, also those that only a file can give."""
    for name, entry in keys(settings).items():
        kind = entry.metadata["kind"]
        if isinstance(kind, Table):
            yield from leaves(kind.settings, f"{section}{name}.")
        else:
            yield f"{section}{name}"


def flat(table: dict[str, Any], section: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{section}{name}.")
        else:
            yield f"{section}{name}"


# The file that explains everything


def test_the_shipped_file_gives_the_defaults() -> None:
    shipped, default = load(CONFIG), load()
    assert shipped.relay.addresses_filepath == CONFIG.parent / "addresses.json"
    assert shipped.push_notification.firebase_credentials_path == CONFIG.parent / "firebaseAccountKey.json"
    for section in set(section_names()) - {"relay", "push_notification"}:
        assert getattr(shipped, section) == getattr(default, section)
    assert shipped.relay.networks == default.relay.networks
    assert shipped.relay.gas_price_computation == default.relay.gas_price_computation
    assert shipped.remarks == ()


def test_the_shipped_file_names_every_key_and_no_other() -> None:
    text = re.sub(r"(?m)^#(?=[\[a-z])", "", CONFIG.read_text())
    assert set(flat(tomllib.loads(text))) == set(leaves(Settings))


def test_every_key_in_the_shipped_file_is_explained_or_speaks_for_itself() -> None:
    lines = CONFIG.read_text().splitlines()
    unexplained = []
    is_explained = False
    for line in lines:
        is_key = re.match(r"#?[a-z_]+ = ", line) is not None
        if is_key and not is_explained:
            unexplained.append(line)
        is_explained = line.startswith("#") or (is_key and is_explained) or (is_explained and line.startswith("["))
    assert unexplained == []


def test_the_shipped_file_s_commented_keys_have_values_that_fit() -> None:
    text = re.sub(r"(?m)^#(?=[\[a-z])", "", CONFIG.read_text())
    table = tomllib.loads(text)
    table["delegate"]["gas_price_method"] = "bound"
    del table["delegate"]["gas_price"]
    settings = build(table, FOLDER)
    assert settings.account is not None
    assert settings.account.keystore_path == FOLDER / "keystore.json"
    assert settings.index.first_block == 0


# Who wins


def test_options_win_over_the_environment_and_that_over_the_file() -> None:
    table, environ = document("rest.port", 6001), {"TL_RELAY_REST_PORT": "6002"}
    assert build({}, FOLDER).rest.port == 5000
    assert build(table, FOLDER).rest.port == 6001
    assert build(table, FOLDER, environ).rest.port == 6002
    assert build(table, FOLDER, environ, {"rest.port": "6003"}).rest.port == 6003


def test_an_option_that_is_none_and_a_variable_without_text_count_as_not_given() -> None:
    assert build({}, FOLDER, {"TL_RELAY_REST_PORT": ""}, {"rest.port": None}) == build({}, FOLDER)


def test_the_environment_gives_values_of_every_kind() -> None:
    settings = build(
        {},
        None,
        {
            "TL_RELAY_NODE_URLS": "http://a:1, https://b",
            "TL_RELAY_NODE_TIMEOUT_SECONDS": "2.5",
            "TL_RELAY_INDEX_FIRST_BLOCK": "17",
            "TL_RELAY_TX_RELAY_ENABLE": "no",
            "TL_RELAY_LOGGING_LEVEL": "debug",
            "TL_RELAY_RELAY_GAS_PRICE_COMPUTATION_METHOD": "fixed",
            "TL_RELAY_RELAY_NETWORKS": "0xc0b33d88c704455075a0724aa167a286da778dde",
            "TL_RELAY_RELAY_ADDRESSES_FILEPATH": "here.json",
            "HOME": "/not/looked/at",
        },
    )
    assert settings.node.urls == ("http://a:1", "https://b")
    assert settings.node.timeout_seconds == 2.5
    assert settings.index.first_block == 17
    assert settings.tx_relay.enable is False
    assert settings.logging.level == "DEBUG"
    assert settings.relay.gas_price_computation.method == "fixed"
    assert settings.relay.networks == (bytes.fromhex("c0b33d88c704455075a0724aa167a286da778dde"),)
    assert settings.relay.addresses_filepath == Path("here.json")


def test_paths_of_a_file_start_at_its_folder_and_others_where_the_relay_was_started() -> None:
    table = document("relay.addresses_filepath", "net/addresses.json")
    assert build(table, FOLDER).relay.addresses_filepath == FOLDER / "net/addresses.json"
    assert build({}, FOLDER).relay.addresses_filepath == FOLDER / "addresses.json"
    assert build({}, None).relay.addresses_filepath == Path("addresses.json")
    option = {"relay.addresses_filepath": Path("mine.json")}
    assert build(table, FOLDER, {}, option).relay.addresses_filepath == Path("mine.json")
    absolute = document("relay.addresses_filepath", "/srv/addresses.json")
    assert build(absolute, FOLDER).relay.addresses_filepath == Path("/srv/addresses.json")


def test_a_database_url_of_the_platform_serves_only_where_the_relay_has_none_of_its_own() -> None:
    platform = {"DATABASE_URL": "postgres://platform/db"}
    configured = document("database.url", "postgresql://mine/db")
    assert build({}, FOLDER, platform).database.url == "postgres://platform/db"
    assert build(configured, FOLDER, platform).database.url == "postgresql://mine/db"
    own = {"TL_RELAY_DATABASE_URL": "postgresql://own/db"}
    assert build({}, FOLDER, platform | own).database.url == "postgresql://own/db"
    assert build({}, FOLDER, {"PGHOST": "db"}).database.url == ""


def test_building_settings_leaves_the_document_alone() -> None:
    table = {"relay": {"rpc": {"ssl": True}}, "rest": {"port": 1}}
    build(table, FOLDER, {"TL_RELAY_REST_PORT": "2"})
    assert table == {"relay": {"rpc": {"ssl": True}}, "rest": {"port": 1}}


def test_several_nodes_are_read_in_the_order_of_preference() -> None:
    settings = build(document("node.urls", ["http://a", "http://b"]), FOLDER)
    assert settings.node.urls == ("http://a", "http://b")
    assert settings.remarks == ()


@pytest.mark.parametrize(
    ("host", "bind"),
    [
        ("", "0.0.0.0:5000"),
        ("127.0.0.1", "127.0.0.1:5000"),
        ("::1", "[::1]:5000"),
        ("api.local", "api.local:5000"),
    ],
)
def test_the_interface_to_bind_to(host: str, bind: str) -> None:
    assert build(document("rest.host", host), FOLDER).rest.bind == bind


def test_the_header_of_proxies_may_stand_where_it_used_to() -> None:
    for section in ("rest", "messaging"):
        assert build(document(f"{section}.client_header", "X-Real-IP"), FOLDER).client_header == "X-Real-IP"


def test_what_sends_transactions_needs_an_account() -> None:
    assert without_account(build({}, FOLDER)) == ()
    table: dict[str, Any] = {"faucet": {"enable": True}, "delegate": {}}
    assert without_account(build(table, FOLDER)) == ("faucet", "delegate")
    table["account"] = {"keystore_path": "key.json", "keystore_password_path": "password.txt"}
    assert without_account(build(table, FOLDER)) == ()


@pytest.mark.parametrize("cap", ["per_address_and_day", "per_day"])
def test_a_cap_of_the_faucet_below_one_gift_is_refused(cap: str) -> None:
    with pytest.raises(SettingsError, match=cap):
        build({"faucet": {"amount": 10, cap: 9}}, FOLDER)


# What does not fit


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (document("rest.port", "abc"), '[rest] port: expected a whole number, got "abc"'),
        (document("rest.port", True), "[rest] port: expected a whole number, got true"),
        (document("rest.port", 70000), "[rest] port: expected a whole number from 1 to 65535, got 70000"),
        (document("rest.prot", 1), "[rest] prot: unknown key; did you mean port?"),
        (document("rest.zzz", 1), "[rest] zzz: unknown key"),
        ({"nod": {}}, "[nod]: unknown section; did you mean node?"),
        ({"port": 1}, "port: this key stands outside of any section; did you mean [rest] port?"),
        ({"rest": 1}, "[rest]: expected a table, got 1"),
        (
            document("index.poll_seconds", 0),
            "[index] poll_seconds: expected a number of seconds above 0 and up to 86400, got 0",
        ),
        (document("node.urls", []), "[node] urls: expected at least 1 entry, got 0"),
        (
            document("relay.networks", ["0x12"]),
            '[relay] networks entry 1: "0x12" is not an address: expected 0x followed by 40 hexadecimal digits',
        ),
        (
            document("account.keystore_path", "k"),
            "[account] keystore_password_path: this key is missing and has no default",
        ),
        (
            {"delegate": {"fees": [{}, {"base_fee": -1}]}},
            "[delegate] fees entry 1 base_fee: expected a whole number of at least 0, got -1",
        ),
        (
            document("rest.trusted_proxies", ["10.0.0.0/40"]),
            "[rest] trusted_proxies entry 1: "
            'expected an IP address or a network like 10.0.0.0/8, got "10.0.0.0/40"',
        ),
        (
            document("rest.cors_origins", ["wallet.example"]),
            "[rest] cors_origins entry 1: "
            'expected an origin like https://wallet.example, or *, got "wallet.example"',
        ),
        (
            {"rest": {"client_header": "X-A"}, "messaging": {"client_header": "X-B"}},
            "[messaging]: client_header is an older name of [rest] client_header: keep one of them",
        ),
        (document("logging.levle", "INFO"), "[logging] levle: unknown key; did you mean level?"),
        (
            document("delegate.gas_price_method", "fixed"),
            '[delegate] gas_price: needed with gas_price_method = "fixed"',
        ),
    ],
)
def test_a_mistake_in_a_file_is_named(table: dict[str, Any], message: str) -> None:
    assert fault_of(table) == message


def test_a_mistake_in_the_environment_or_an_option_is_named() -> None:
    assert fault_of({}, {"TL_RELAY_REST_PORT": "x"}) == 'TL_RELAY_REST_PORT: expected a whole number, got "x"'
    assert fault_of({}, {"TL_RELAY_REST_PROT": "1"}) == (
        "TL_RELAY_REST_PROT: unknown environment variable; did you mean TL_RELAY_REST_PORT?"
    )
    assert fault_of({}, **{"rest.port": "x"}) == '--port: expected a whole number, got "x"'


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def fault(path: Path) -> str:
        with pytest.raises(SettingsError) as caught:
            load(path)
        return str(caught.value)

    assert fault(tmp_path / "no.toml") == f"the configuration file {tmp_path / 'no.toml'} does not exist"
    assert fault(tmp_path) == f"the configuration file {tmp_path} cannot be read: Is a directory"
    path = tmp_path / "relay.toml"
    path.write_text("[rest]\nport = \n")
    assert fault(path).startswith(f"the configuration file {path} is not TOML: ")
    assert "line 2" in fault(path)
    path.write_bytes(b"[rest]\nhost = '\xff'")
    assert fault(path) == f"the configuration file {path} is not UTF-8 (byte 15)"
    path.write_text(f"x = {'9' * 5000}")
    assert fault(path).startswith(f"the configuration file {path} is not TOML: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://node",
        "https://user:pass@node:8545/key?x=1",
        "http://[::1]:8545",
        "ipc:///run/a.ipc",
        "file:///a b.ipc",
        "/run/a.ipc",
    ],
)
def test_a_node_is_named_by_http_or_a_socket(url: str) -> None:
    assert build(document("node.urls", [url]), FOLDER).node.urls == (url,)


BAD_URLS = ["", "node", "ws://node", "http://", "http://a:0", "http://a:99999", "http://a b", "ipc://", "ftp://a"]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_node_is_not_named_otherwise(url: str) -> None:
    assert "[node] urls entry 1: expected an http://, https:// or ipc:// URL" in fault_of(
        document("node.urls", [url])
    )


@pytest.mark.parametrize("url", ["", "ws://node:8546", "wss://user:password@node.example/key?a=b", "ws://[::1]:1"])
def test_new_blocks_are_heard_of_by_websocket(url: str) -> None:
    assert build(document("node.heads_url", url), FOLDER).node.heads_url == url


@pytest.mark.parametrize(
    "url", ["node", "http://node", "ws://", "ws://a:0", "ws://a:99999", "ws://a b", "ws://a/#b"]
)
def test_new_blocks_are_not_heard_of_otherwise(url: str) -> None:
    assert "[node] heads_url: expected a ws:// or wss:// URL" in fault_of(document("node.heads_url", url))


# Secrets


def test_passwords_are_in_no_text_of_the_settings() -> None:
    settings = build(
        {
            "node": {
                "urls": [f"https://user:{PASSWORD}@node.example/{PASSWORD}?key={PASSWORD}"],
                "heads_url": f"wss://a:{PASSWORD}@b",
            },
            "database": {"url": f"postgresql://user:{PASSWORD}@db.example:5433/relay?password={PASSWORD}"},
            "sentry": {"dsn": f"https://{PASSWORD}@sentry.example/1"},
        },
        FOLDER,
    )
    assert PASSWORD in settings.database.url
    assert PASSWORD not in repr(settings) + str(settings)


SECRETS = ["node.urls", "node.heads_url", "database.url", "telemetry.otlp_endpoint", "sentry.dsn"]


@given(st.sampled_from(SECRETS), st.text(max_size=5), st.booleans())
def test_passwords_are_in_no_error(dotted_key: str, rest: str, is_wrong_type: bool) -> None:
    value: object = f"nonsense://u:{PASSWORD}@{rest}"
    if is_wrong_type or dotted_key == "sentry.dsn":
        value = {PASSWORD: value}
    elif dotted_key == "node.urls":
        value = [value]
    message = fault_of(document(dotted_key, value))
    assert PASSWORD not in message
    assert toml_name(dotted_key) in message


# Nonsense


def fault_or_none(table: dict[str, Any], environ: dict[str, str] | None = None) -> str | None:
    try:
        assert isinstance(build(table, FOLDER, environ), Settings)
    except SettingsError as error:
        return str(error)
    return None


scalars = st.one_of(
    st.text(),
    st.integers(),
    st.integers(0, 70000),
    st.floats(),
    st.booleans(),
    st.just(date(2026, 1, 31)),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
ACCOUNT = {"keystore_path": "k", "keystore_password_path": "p"}


def document_beside_required_keys(dotted_key: str, value: object) -> dict[str, Any]:
    table = document(dotted_key, value)
    if "account" in table:
        table["account"] = ACCOUNT | table["account"]
    return table


@given(st.sampled_from(sorted(KINDS)), values)
def test_any_value_of_a_key_fits_or_gives_an_error_that_names_the_key(dotted_key: str, value: object) -> None:
    message = fault_or_none(document_beside_required_keys(dotted_key, value))
    if message is not None:
        assert toml_name(dotted_key) in message or dotted_key == "delegate.gas_price_method"
        assert message.isprintable()
        assert len(message) < 300


@given(st.sampled_from(sorted(KINDS)), values)
def test_a_value_of_another_type_never_fits(dotted_key: str, value: object) -> None:
    kind = KINDS[dotted_key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(kind, Switch):
        could_fit = isinstance(value, bool)
    elif isinstance(kind, WholeNumber | Seconds):
        could_fit = is_number
    else:
        could_fit = isinstance(value, str | list)
    if not could_fit:
        message = fault_of(document_beside_required_keys(dotted_key, value))
        assert message.startswith(f"{toml_name(dotted_key)}: expected ")


@given(st.sampled_from(sorted(environment_variables())), st.text(min_size=1))
def test_any_text_of_a_variable_fits_or_gives_an_error_that_names_the_variable(name: str, text: str) -> None:
    message = fault_or_none({"account": ACCOUNT}, {name: text})
    if message is not None:
        assert name in message or name == "TL_RELAY_DELEGATE_GAS_PRICE_METHOD"
        assert message.isprintable()


WORDS = sorted({part for path in (*KINDS, *RENAMED, *SECTIONS, *DICT_CONFIG_KEYS) for part in path.split(".")})
documents = st.dictionaries(
    st.sampled_from(sorted({*section_names(), *SECTIONS})),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@example({"relay": {"account": 5}})
@given(documents)
def test_any_document_gives_settings_or_one_sentence(table: dict[str, Any]) -> None:
    message = fault_or_none(table)
    assert message is None or message.isprintable()
