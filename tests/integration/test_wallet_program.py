"""How the published client is brought to the tests."""

import os
from pathlib import Path

import pytest

from relay.devnet.errors import Unavailable
from tests.support.wallet_program import build_program


def test_without_a_network_the_reason_is_said_and_nothing_half_done_stays(tmp_path: Path) -> None:
    offline = {
        "npm_config_registry": "http://127.0.0.1:9",
        "PIP_INDEX_URL": "http://127.0.0.1:9",
        "PIP_RETRIES": "0",
    }
    with pytest.raises(Unavailable, match="npm cannot install the packages of client") as caught:
        build_program(tmp_path / "npm", environ=dict(os.environ) | offline)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "npm").iterdir()] == [".wallet.lock"]
