"""The schema, brought up to date by numbered SQL files, one after the other and each exactly once."""

from importlib.resources import files

from relay.store.connection import Connection, Cursor, connect, translated_errors
from relay.store.errors import SchemaMismatch

_LOCK = 0x7452_0001
"""Key of the advisory lock that lets one process at a time change the schema."""


def available() -> list[tuple[int, str, str]]:
    """Return the migrations shipped with this program as (version, name, SQL), in order."""
    folder = files("relay.store") / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [(int(entry.name.split("_")[0]), entry.name, entry.read_text("utf-8")) for entry in scripts]


def migrate(url: str) -> list[str]:
    """Apply what is missing, each migration in one transaction, and return the names of those applied.

    Raises:
        SchemaMismatch: if the database is ahead of this program.
        DatabaseUnreachable: if it cannot be reached.

    """
    connection = connect(url)
    try:
        with translated_errors():
            return _apply_missing(connection)
    finally:
        connection.close()


def require_current(cursor: Cursor) -> None:
    """Raise SchemaMismatch unless the schema is the one this program works with."""
    wanted = available()[-1][0]
    found = _version(cursor)
    if found < wanted:
        raise SchemaMismatch(
            f"the database schema is at version {found}, this program needs {wanted}: "
            "start `tl-relay index` once, it brings the schema up to date"
        )
    if found > wanted:
        raise SchemaMismatch(
            f"the database schema is at version {found}, this program knows only {wanted}: "
            "it was made by a newer tl-relay"
        )


def _apply_missing(connection: Connection) -> list[str]:
    applied = []
    for version, name, script in available():
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations "
                "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            cursor.execute("SELECT 1 FROM schema_migrations WHERE version = %s", (version,))
            if cursor.fetchone() is None:
                cursor.execute(script)
                cursor.execute("INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", (version, name))
                applied.append(name)
    with connection, connection.cursor() as cursor:
        require_current(cursor)
    return applied


def _version(cursor: Cursor) -> int:
    cursor.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
    row = cursor.fetchone()
    if row is None or not row[0]:
        return 0
    cursor.execute("SELECT coalesce(max(version), 0) FROM schema_migrations")
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
