"""A relay run by its command with all it has switched on, over a real chain and a real database."""

from collections.abc import Iterator

import pytest

from relay.devnet.postgres import create_database, drop_database
from tests.support.described_world import Ask, a_described_world, live
from tests.support.hostile import TOKEN
from tests.support.wallet_world import World


@pytest.fixture(scope="module")
def world(anvil_binary: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, database = tmp_path_factory.mktemp("attacked"), create_database(postgres_url, "attacked")
    for name, text in (("admin-token", TOKEN), ("webhook-secret", "a secret of webhooks")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    more = """
        [admin]
        token_path = "admin-token"
        [push_notification]
        enable = true
        sender = "webhook"
        webhook_url = "http://127.0.0.1:9/"
        webhook_secret_path = "webhook-secret"
        """
    with a_described_world(anvil_binary, database, folder, more) as running:
        yield running
    drop_database(postgres_url, "attacked")


@pytest.fixture(scope="module")
def asks(world: World) -> dict[str, Ask]:
    return live(world)
