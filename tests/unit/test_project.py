"""Rules of the house that no linter knows, read off the source itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import relay

ROOT = Path(__file__).parents[2]
ROOMS = ("relay", "graph", "tests", "config", "docs", "benchmarks", "scripts", ".ci")
TEXTS = {".py", ".md", ".toml", ".ini", ".json", ".sql", ".yaml", ".yml", ".sh", ".txt", ".cfg", ""}
MAX_LINES = 400

# Put together here so that this file passes its own rules. The folder for temporary files alone belongs to no
# machine, a name inside of it does.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:" + "work|root" + r"|tmp(?=/\w))(?![\w-])")
REGISTRIES = re.compile(
    "|".join(
        re.escape(f"{name}.{domain}")
        for name, domain in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry", "npmjs"),
            ("npmjs", "com"),
            ("deb", "debian"),
            ("archive", "ubuntu"),
            ("registry", "yarnpkg"),
        )
    )
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def texts() -> list[Path]:
    """Every text file of ours; what tools and the demo leave behind lies outside of these folders."""
    inside = (path for room in ROOMS for path in (ROOT / room).rglob("*"))
    foreign = {"__pycache__", "node_modules", ".git", ".coverage"}
    return sorted(
        path
        for path in (*ROOT.iterdir(), *inside)
        if path.is_file() and path.suffix in TEXTS and foreign.isdisjoint(path.relative_to(ROOT).parts)
    )


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def place(path: Path, number: int) -> str:
    return f"{path.relative_to(ROOT)}:{number}"


def test_the_search_sees_the_source() -> None:
    found = {str(path.relative_to(ROOT)) for path in texts()}
    assert {"setup.py", "LICENSE", "config/relay.toml", "relay/model.py", "tests/unit/test_project.py"} <= found


@pytest.mark.parametrize("folder", ["root", "work", "tmp/x"])
def test_a_path_of_a_machine_is_recognised(folder: str) -> None:
    assert MACHINE_PATHS.search(f"cd /{folder}/relay")
    assert MACHINE_PATHS.search(f'"/{folder}"')
    assert not MACHINE_PATHS.search(f"./{folder} and https://example.org/{folder} and in/{folder}")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    assert lines_with(MACHINE_PATHS) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert lines_with(REGISTRIES) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED) == []


def test_a_module_can_be_read_in_a_sitting() -> None:
    lengths = {
        place(path, 1): len(path.read_text(encoding="utf-8").splitlines()) for path in modules("relay", "graph")
    }
    assert {name: length for name, length in lengths.items() if length >= MAX_LINES} == {}


def test_time_is_handed_in() -> None:
    """Only the edges read the clock: command, composition root, log lines, the local world."""
    edges = {ROOT / "relay" / name for name in ("cli.py", "ground.py", "logs.py")}
    clocks = re.compile(r"(^|\.)(time\.time|time\.time_ns|datetime\.(now|utcnow|today)|date\.today)$")
    readings = [
        place(path, number)
        for path in modules("relay", "graph")
        if path not in edges and ROOT / "relay" / "devnet" not in path.parents
        for name, number in calls(path)
        if clocks.search(name)
    ]
    assert readings == []


def test_parts_are_handed_in_and_never_patched() -> None:
    patches = [
        place(path, number)
        for path in modules("tests")
        for name, number in imports(path)
        if name.startswith(("unittest.mock", "mock", "pytest_mock"))
    ]
    fixtures = [
        place(path, node.lineno)
        for path in modules("tests")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.arg) and node.arg in ("monkeypatch", "mocker")
    ]
    assert patches + fixtures == []


def test_no_float_touches_an_amount() -> None:
    """The rules in graph/ know neither float literals nor true division."""
    floats = [
        place(path, node.lineno)
        for path in modules("graph")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
        or (
            isinstance(node, ast.Call) and ast.unparse(node.func) in ("float", "math.sqrt", "math.exp", "math.log")
        )
    ]
    assert floats == []


def test_unit_tests_reach_for_no_server() -> None:
    """What a unit test must not import: the local world, sockets, processes, clients of a database."""
    forbidden = ("relay.devnet", "socket", "subprocess", "psycopg2", "http.client", "urllib.request")
    reached = [
        f"{place(path, number)} {name}"
        for path in modules("tests/unit")
        if not path.name.startswith("test_devnet")
        for name, number in imports(path)
        if name.startswith(forbidden)
    ]
    assert reached == []


def test_the_command_imports_nothing_that_counts_before_it_is_known_where() -> None:
    """Prometheus' library looks for its directory when it is imported, so that has to be named first."""
    early = {"relay/cli.py", "relay/metrics_directory.py", "relay/supervisor.py", "relay/endings.py"}
    for name in early:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        own = [node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
        ours = {module for module in own if module.startswith("relay.")}
        assert {f"{module.replace('.', '/')}.py" for module in ours} <= early, name


def test_every_promise_of_security_names_tests_that_there_are() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")][2:]
    assert len(table) > 8
    for promise, where in table:
        named = re.findall(r"`([^`]+)`", where)
        assert named, promise
        assert where.strip() == ", ".join(f"`{name}`" for name in named), "nothing but files"
        for name in named:
            assert (ROOT / name).is_file(), name
            assert "\ndef test_" in (ROOT / name).read_text(encoding="utf-8"), name
    every = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert every <= set(re.findall(r"`([^`]+)`", text)), "a test of security holds no promise"


def test_the_version_is_the_same_for_the_installer_and_for_users() -> None:
    packaged = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    assert packaged is not None
    assert packaged[1] == relay.__version__


def test_every_supported_python_is_tested() -> None:
    declared = set(re.findall(r"Python :: (3\.\d+)", (ROOT / "setup.py").read_text(encoding="utf-8")))
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert declared == {f"3.{minor}" for minor in re.findall(r"\bpy3(\d+)", tox)}


@pytest.mark.parametrize("heading", ["## [Unreleased]", "### Added"])
def test_the_changelog_has_room_for_the_next_change(heading: str) -> None:
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
