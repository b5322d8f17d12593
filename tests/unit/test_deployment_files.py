"""What operators deploy with (config/) fits the relay: its commands, settings, metrics and dependencies."""

import configparser
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import crossplane
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from relay.cli import parse
from relay.settings import Settings
from relay.settings.loading import environment_variables

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
UNITS = sorted((CONFIG / "systemd").glob("*.service"))
SITES = sorted((CONFIG / "nginx").glob("*.conf"))


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a systemd unit; a key may stand there several times."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return {name: {key: value.splitlines() for key, value in parser[name].items()} for name in parser.sections()}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIG / "compose.yaml").read_text(encoding="utf-8"))
    return found


def container_steps() -> list[tuple[str, str]]:
    text = (CONFIG / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, rest in (line.split(maxsplit=1) for line in lines)]


def documented_metrics() -> set[str]:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| `(trustlines|process)_", line)]
    return {name for row in rows for name in re.findall(r"`((?:trustlines|process)_\w+)`", row.split("|")[1])}


def asked_metrics(expression: str) -> set[str]:
    names = set(re.findall(r"\b(?:trustlines|process)_\w+", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((CONFIG / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    dashboard = json.loads((CONFIG / "grafana" / "relay.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_service_starts_a_command_that_there_is(path: Path) -> None:
    (start,) = unit(path)["Service"]["ExecStart"]
    program, *arguments = shlex.split(start)
    assert program.endswith("/bin/tl-relay")
    assert f"tl-relay-{parse(arguments).command}" == path.stem


def test_all_services_are_confined_alike() -> None:
    own = {"ExecStart", "ExecReload", "LimitNOFILE"}
    confined = [{key: value for key, value in unit(path)["Service"].items() if key not in own} for path in UNITS]
    assert len(confined) == 2
    assert confined[0] == confined[1]
    assert confined[0]["NoNewPrivileges"] == ["yes"]


def test_compose_sets_only_what_the_relay_knows() -> None:
    environments = [service.get("environment", {}) for service in compose()["services"].values()]
    named = {name for environment in environments for name in environment if name.startswith("TL_RELAY_")}
    assert named
    assert named <= set(environment_variables())


def test_compose_starts_commands_that_there_are() -> None:
    relays = {
        name: each for name, each in compose()["services"].items() if each.get("image") == "trustlines-relay"
    }
    assert {parse(each["command"]).command for each in relays.values()} == {"index", "serve"}


def test_what_compose_mounts_and_asks_for_is_explained() -> None:
    text = (CONFIG / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    example = (CONFIG / "compose.env.example").read_text(encoding="utf-8")
    assert asked == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    mounts = [str(m).split(":")[0] for s in compose()["services"].values() for m in s.get("volumes", ())]
    made_by_hand = {"./addresses.json", "./certificates"}
    for mount in mounts:
        if mount.startswith("./") and mount not in made_by_hand:
            assert (CONFIG / mount).exists(), mount
    assert made_by_hand <= set(mounts)


def test_the_container_copies_what_there_is_and_starts_a_command() -> None:
    steps = container_steps()
    for word, rest in steps:
        if word == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            assert [source for source in sources if not (ROOT / source).exists()] == []
    last = dict(steps)
    assert json.loads(last["ENTRYPOINT"]) == ["tl-relay"]
    assert parse(json.loads(last["CMD"])).command == "run"
    port = str(Settings().rest.port)
    assert last["EXPOSE"] == port
    assert f"127.0.0.1:{port}/health" in last["HEALTHCHECK"]
    assert last["USER"] != "root"
    assert set(re.findall(r"TL_RELAY_\w+", " ".join(rest for _, rest in steps))) <= set(environment_variables())


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_nginx_can_read_its_file(path: Path) -> None:
    # Such a file stands inside of the block http of nginx.conf.
    parsed = crossplane.parse(str(path), single=True, check_ctx=False)
    assert parsed["errors"] == []
    assert parsed["status"] == "ok"


def test_nginx_lets_as_much_through_as_the_relay_takes() -> None:
    text = (CONFIG / "nginx" / "relay.conf").read_text(encoding="utf-8")
    found = re.search(r"client_max_body_size (\d+)k;", text)
    assert found is not None
    assert int(found[1]) * 1024 == Settings().rest.max_body_bytes


def test_rules_and_dashboard_ask_for_metrics_that_are_documented() -> None:
    asked = set().union(*map(asked_metrics, expressions()))
    assert len(asked) > 30
    assert asked - documented_metrics() == set()


def test_every_panel_of_the_dashboard_has_a_place_of_its_own() -> None:
    dashboard = json.loads((CONFIG / "grafana" / "relay.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_dependency_is_pinned_with_its_hashes() -> None:
    pins = pinned()
    for requirement in required():
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not pinned: make pins"
        version, hashes = pins[name]
        assert requirement.specifier.contains(version), (
            f"{name} {version} is not {requirement.specifier}: make pins"
        )
        assert hashes


def pinned() -> dict[str, tuple[str, list[str]]]:
    text = (CONFIG / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    pins: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = Requirement(re.split(r"\s--hash", line)[0].strip())
            (specifier,) = found.specifier
            assert specifier.operator == "=="
            pins[canonicalize_name(found.name)] = (
                specifier.version,
                re.findall(r"--hash=sha256:[0-9a-f]{64}", line),
            )
    return pins


def required() -> list[Requirement]:
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    block = re.search(r"install_requires=\[(.*?)\]", text, re.DOTALL)
    assert block is not None
    return [Requirement(entry) for entry in re.findall(r'"([^"]+)"', block[1])]


def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOUND: dict[str, Any] = {"name": "flask", "version": "3.1.2", "vulns": []}
BROKEN: dict[str, Any] = {
    "name": "old",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}],
}
UNKNOWN: dict[str, Any] = {"name": "web3", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "said", "status"),
    [
        ([SOUND], "No vulnerability is known in 1 pinned packages.", 0),
        ([SOUND, BROKEN], "old 1.0: PYSEC-1, CVE-1, mended in 1.1", 1),
        ([UNKNOWN], "NOT AUDITED: no source of advisories", 2),
        ([SOUND, UNKNOWN], "NOT AUDITED: 1 of 2 packages are not known there: web3", 2),
        ([BROKEN, UNKNOWN], "PYSEC-1", 1),
    ],
)
def test_an_audit_that_asked_nobody_does_not_pass(found: list[dict[str, Any]], said: str, status: int) -> None:
    text, code = audit().verdict(found)
    assert said in text
    assert code == status
