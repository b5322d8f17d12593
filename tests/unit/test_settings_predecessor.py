"""The predecessor's config.toml is read as it stands, in the spelling of any of its releases."""

from pathlib import Path
from typing import Any

import pytest

from relay.settings import DelegateFee, SettingsError, build, load, without_account

DATA = Path(__file__).parent / "data"
FOLDER = Path("/etc/relay")
NETWORK = bytes.fromhex("c0b33d88c704455075a0724aa167a286da778dde")


def fault_of(table: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        build(table, FOLDER)
    return str(caught.value)


def test_the_file_of_the_last_release() -> None:
    settings = load(DATA / "predecessor-0.23.toml")
    assert settings.node.urls == ("http://localhost:8546",)
    assert settings.rest.bind == "0.0.0.0:5001"
    assert settings.relay.addresses_filepath == DATA / "addresses.json"
    assert settings.index.poll_seconds == 2
    assert settings.tx_relay.enable
    assert settings.delegate.fees == (DelegateFee(),)
    assert settings.exchange.enable
    assert settings.database.url == "", "Postgres by libpq's variables, as before"
    assert settings.remarks == ()


def test_a_file_that_uses_every_key() -> None:
    settings = load(DATA / "predecessor-everything.toml")
    assert settings.relay.addresses_filepath == DATA / "contracts/addresses.json"
    assert (settings.relay.gas_price_computation.method, settings.relay.gas_price_computation.gas_price) == (
        "fixed",
        7,
    )
    assert settings.index.poll_seconds == 5
    assert not settings.tx_relay.enable
    assert settings.node.urls == ("https://node.example:443",)
    assert settings.push_notification.firebase_credentials_path == Path("/etc/relay/firebase.json")
    assert settings.rest.bind == "10.0.0.1:8000"
    assert not settings.delegate.enable_deploy_identity
    assert (settings.delegate.gas_price_method, settings.delegate.min_gas_price) == ("bound", 10**9)
    assert (settings.delegate.max_gas_price, settings.delegate.max_gas_limit) == (2 * 10**9, 2 * 10**6)
    assert settings.delegate.fees[1].currency_network == NETWORK
    assert settings.delegate.fees[1].fee_recipient == bytes.fromhex("7ff66eb1a824ff9d1bb7e234a2d3b7a3b0345320")
    assert settings.account is not None
    assert settings.account.keystore_path == DATA / "keystore.json"
    assert settings.account.keystore_password_path == Path("/run/secrets/password")
    assert settings.sentry is not None
    assert settings.sentry.dsn == "https://c0ffee@sentry.example/42"
    assert settings.logging.level == "WARNING"
    assert settings.logging.dict_config == {
        "root": {"level": "ERROR"},
        "loggers": {"api.resources": {"level": "DEBUG"}},
    }
    assert without_account(settings) == ()


def test_a_uri_decides_over_host_and_port() -> None:
    settings = load(DATA / "predecessor-ipc.toml")
    assert settings.node.urls == ("file:///var/run/node.ipc",)
    assert settings.remarks == (
        "[trustline_index] full_sync_interval has no meaning any more and was ignored",
        "[trustline_index] event_query_timeout has no meaning any more and was ignored",
        "[rest] host is not given: listening on all interfaces, as the predecessor does",
    )


def test_a_socket_may_be_given_by_its_path() -> None:
    settings = build({"node_rpc": {"type": "ipc", "file_path": "run/my node.ipc"}}, FOLDER)
    assert settings.node.urls == ("file:///etc/relay/run/my%20node.ipc",)


def test_the_file_of_the_containers_listens_on_all_interfaces() -> None:
    settings = load(DATA / "predecessor-containers.toml")
    assert settings.node.urls == ("http://tlbc:8545",)
    assert settings.rest.bind == "0.0.0.0:5000"
    assert "[node_rpc] ssl is an old name of [node_rpc] use_ssl" in settings.remarks
    assert "[relay] update_indexed_networks_interval has no meaning any more and was ignored" in settings.remarks


def test_the_oldest_spelling() -> None:
    settings = load(DATA / "predecessor-oldest.toml")
    assert settings.node.urls == ("https://geth:8540",)
    assert settings.faucet.enable
    assert settings.delegate.enable
    assert not settings.delegate.enable_deploy_identity
    assert settings.delegate.fees == (DelegateFee(2, 5, None, NETWORK),), "an empty entry is no fee"
    assert (settings.relay.gas_price_computation.method, settings.relay.gas_price_computation.gas_price) == (
        "fixed",
        3,
    )
    assert settings.push_notification.firebase_credentials_path == DATA / "firebase.json"
    assert settings.sentry is not None
    assert settings.logging.dict_config["root"] == {"level": "DEBUG"}
    assert "[relay] enableEtherFaucet is an old name of [faucet] enable" in settings.remarks
    assert "[relay.rpc] ssl is an old name of [node_rpc] use_ssl" in settings.remarks


def test_our_own_form_keeps_our_own_default_interface() -> None:
    assert build({"node": {"urls": ["http://a"]}}, FOLDER).rest.host == "127.0.0.1"
    assert build({"exchange": {"enable": False}}, FOLDER).rest.host == "127.0.0.1"


def test_variables_and_options_override_it_too() -> None:
    table = {"node_rpc": {"host": "a"}, "rest": {"port": 5001}}
    settings = build(table, FOLDER, {"TL_RELAY_NODE_URLS": "http://b"}, {"rest.port": 6000})
    assert settings.node.urls == ("http://b",)
    assert settings.rest.port == 6000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"node_rpc": {}, "node": {}}, "[node_rpc] and [node] both name the node: keep one of them"),
        ({"relay": {"rpc": {}}, "node": {}}, "[relay] rpc and [node] both name the node: keep one of them"),
        ({"relay": {"rpc": {}}, "node_rpc": {}}, "[relay] rpc is an old name of [node_rpc]: keep one of them"),
        (
            {"trustline_index": {"sync_interval": 1}, "index": {"poll_seconds": 1}},
            "[trustline_index] sync_interval and [index] poll_seconds mean the same: keep one of them",
        ),
        ({"node_rpc": {"port": "abc"}}, '[node_rpc] port: expected a whole number, got "abc"'),
        ({"relay": {"rpc": {"port": "abc"}}}, '[relay.rpc] port: expected a whole number, got "abc"'),
        ({"relay": {"rpc": {"ssl": "abc"}}}, '[relay.rpc] ssl: expected true or false, got "abc"'),
        ({"relay": {"enableEtherFaucet": 1}}, "[relay] enableEtherFaucet: expected true or false, got 1"),
        ({"relay": {"gasPriceComputation": 1}}, "[relay] gasPriceComputation: expected a table, got 1"),
        ({"relay": {"delegationFees": 1}}, "[relay] delegationFees: expected a list, got 1"),
        ({"relay": {"firebase": {"credentialPath": "x"}}}, "[relay] firebase: unknown key"),
        ({"node_rpc": {"typ": "http"}}, "[node_rpc] typ: unknown key; did you mean type?"),
        ({"node_rpc": {"type": "websocket"}}, '[node_rpc] type: expected one of http, ipc, got "websocket"'),
        ({"node_rpc": {"type": "ipc"}}, '[node_rpc] file_path: needed with type = "ipc"'),
        ({"node_rpc": {"file_path": "/x"}}, '[node_rpc] file_path: only used with type = "ipc"'),
        ({"node_rpc": {"type": "http", "uri": "http://a"}}, "[node_rpc] uri: cannot be given together with type"),
        (
            {"node_rpc": {"uri": "ws://user:secret@a"}},
            "[node_rpc] uri: expected an http://, https:// or ipc:// URL, "
            "got something else (not shown, it may hold a secret)",
        ),
        (
            {"trustline_index": {"sync_interval": 1.5}},
            "[trustline_index] sync_interval: expected a whole number, got 1.5",
        ),
        (
            {"relay": {"delegationFees": [{"baseFee": 1, "base_fee": 1}]}},
            "[relay] delegationFees entry 1 baseFee: means the same as base_fee: keep one of them",
        ),
    ],
)
def test_a_mistake_is_named_as_the_operator_wrote_it(table: dict[str, Any], message: str) -> None:
    assert fault_of(table) == message


def test_a_switched_off_index_is_reported_and_served_all_the_same() -> None:
    settings = build({"trustline_index": {"enable": False}}, FOLDER)
    assert "[trustline_index] enable = false was ignored: trustlines are always served" in settings.remarks
