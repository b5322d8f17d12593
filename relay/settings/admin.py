# ruff: noqa: RUF009  key() is this package's field(): it declares a default, it does not share a mutable one
"""The settings of what operators may do by the API."""

from dataclasses import dataclass
from pathlib import Path

from relay.settings.reading import FilePath, key


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """[admin]: the file whose first line is the operators' token; without it /admin is not there."""

    token_path: Path | None = key(FilePath(), None, is_path=True)
