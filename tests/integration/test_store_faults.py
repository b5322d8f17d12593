"""What the store says when the database is there, but not as the relay needs it."""

import psycopg2
import pytest

from relay.store.connection import Pool, connect
from relay.store.errors import DatabaseRefuses, DatabaseUnreachable, SchemaMismatch
from relay.store.feed import Commit
from relay.store.migrate import migrate
from relay.store.reading import StateReader
from relay.store.writing import Writer


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hst=somewhere password=s3cret", "invalid connection option"),
        ("postgresql://user:s3cret@localhost/db?s3cret=1", "invalid URI query parameter"),
        ("postgresql://user:s3c%zzret@localhost/db", "invalid percent-encoded token"),
        ("postgresql://user:s3@cret@localhost/db", "@ in the user or the password must be written as %40"),
        ("postgresql://user:s3c/ret@localhost/db", "port is no number"),
        ("host=localhost password='s3 cret", "unterminated quoted string"),
    ],
)
def test_a_url_that_libpq_cannot_read_is_a_clear_fault_without_its_secrets(url: str, said: str) -> None:
    with pytest.raises(DatabaseUnreachable, match=said) as fault:
        connect(url)
    assert "[database] url" in str(fault.value)
    assert not any(piece in str(fault.value) for piece in ("s3", "cret"))


def test_a_user_who_may_not_make_tables_is_told_so(database_url: str) -> None:
    with pytest.raises(DatabaseRefuses, match="permission denied for schema public"):
        migrate(_as_somebody_else(database_url))


def test_a_database_that_takes_no_writes_is_said_to(database_url: str) -> None:
    migrate(database_url)
    writer = Writer(_with_options(database_url, "-c default_transaction_read_only=on"))
    with pytest.raises(DatabaseRefuses, match="read-only transaction"), writer.transaction() as transaction:
        transaction.erase()
    writer.close()


def test_tables_that_are_gone_are_missed_by_name_of_the_remedy(database_url: str) -> None:
    migrate(database_url)
    reader = StateReader(Pool(database_url))
    with reader.snapshot() as snapshot:
        assert snapshot.networks == []
    _execute(database_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    for read in (reader.snapshot().__enter__, lambda: reader.changes_since(Commit(0), ())):
        with pytest.raises(SchemaMismatch, match="start `tl-relay index`"):
            read()


def _as_somebody_else(url: str) -> str:
    """The same database for a user without rights, whatever the user that the URL names."""
    _execute(
        url,
        "DO $$ BEGIN CREATE ROLE tl_relay_nobody NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )
    return _with_options(url, "-c role=tl_relay_nobody")


def _with_options(url: str, options: str) -> str:
    return str(psycopg2.extensions.make_dsn(url, options=options))


def _execute(url: str, *statements: str) -> None:
    connection = connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
