"""The kernel under sanitizers: use and misuse at random, also from several threads, touches no memory that is not
its own, loses none and computes nothing undefined.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(str(path) for path in (ROOT / "graph" / "kernel").glob("*.c"))
SANITIZERS = [
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
]


@pytest.fixture(scope="module")
def gcc() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc here to build the kernel anew with")
    return found


@pytest.fixture(scope="module")
def sanitizer(gcc: str) -> str:
    """The library that has to be loaded before Python."""
    library = run([gcc, "-print-file-name=libasan.so"]).stdout.strip()
    if not Path(library).is_absolute() or sys.platform != "linux":
        pytest.skip("gcc has no address sanitizer here")
    return library


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120
    )


def build(gcc: str, directory: Path, *flags: str) -> str:
    kernel = str(directory / "_kernel.so")
    include = sysconfig.get_path("include")
    common = ["-std=gnu11", "-shared", "-fPIC", "-pthread", f"-I{include}", "-o", kernel]
    built = run([gcc, *common, *flags, *SOURCES])
    assert built.returncode == 0, built.stderr
    return kernel


def use(kernel: str, seconds: float, **environment: str) -> str:
    """Use and misuse a kernel for so long in a process of its own; return what was written to standard error."""
    script = str(Path(__file__).with_name("run_kernel.py"))
    used = run([sys.executable, script, kernel, str(seconds)], **environment)
    assert used.returncode == 0, used.stderr[-8000:]
    assert "calls: clean" in used.stdout
    return used.stderr


def test_use_and_misuse_are_clean_under_sanitizers(gcc: str, sanitizer: str, tmp_path: Path) -> None:
    report = use(
        build(gcc, tmp_path, *SANITIZERS),
        8,
        LD_PRELOAD=sanitizer,
        PYTHONMALLOC="malloc",
        ASAN_OPTIONS="detect_leaks=1",
        LSAN_OPTIONS="exitcode=0",
    )
    assert "runtime error" not in report, report[-8000:]
    # Python may leave memory behind itself at its end.
    leaks = [leak for leak in re.split(r"\n\s*\n", report) if "leak of" in leak and "graph/kernel/" in leak]
    assert leaks == []


def test_the_sanitizers_would_tell(gcc: str, sanitizer: str, tmp_path: Path) -> None:
    """With a heap that asks for too little memory the kernel does not come through."""
    heap = (ROOT / "graph" / "kernel" / "heap.h").read_text(encoding="utf-8")
    broken = heap.replace("room * sizeof e)", "room / 64 * sizeof e)")
    assert broken != heap
    for path in (ROOT / "graph" / "kernel").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "heap.h").write_text(broken, encoding="utf-8")
    kernel = str(tmp_path / "_kernel.so")
    include = sysconfig.get_path("include")
    sources = sorted(map(str, tmp_path.glob("*.c")))
    built = run(
        [gcc, "-std=gnu11", "-shared", "-fPIC", "-pthread", f"-I{include}", "-o", kernel, *SANITIZERS, *sources]
    )
    assert built.returncode == 0, built.stderr
    script = str(Path(__file__).with_name("run_kernel.py"))
    used = run([sys.executable, script, kernel, "8"], LD_PRELOAD=sanitizer, ASAN_OPTIONS="detect_leaks=0")
    assert used.returncode != 0
    assert "heap-buffer-overflow" in used.stderr


def test_the_kernel_needs_no_header_of_python(gcc: str, tmp_path: Path) -> None:
    """What it declares itself of Python's stable ABI is as good as Python's header, which some machines lack."""
    use(build(gcc, tmp_path, "-O2", "-DTL_WITHOUT_PYTHON_HEADER"), 2)
