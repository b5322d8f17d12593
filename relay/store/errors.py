"""What can go wrong with the database.

StoreError
├── DatabaseUnreachable   no connection can be had, or it broke
├── DatabaseFull          the server has no space left to write
├── DatabaseRefuses       the server does not let us do what we need
├── DatabaseBusy          all connections are in use for longer than a caller may wait
│   └── QueryGivenUp      a replica ended a query that kept it from following its primary
├── DatabaseBehind        what is read from lacks what this process has seen already
│   └── CommitsLost       and will never have it
└── SchemaMismatch        the schema is missing, or newer than this program
"""


class StoreError(Exception):
    """Base of everything the store raises; its text is one sentence an operator can act on."""


class DatabaseUnreachable(StoreError):
    """No connection can be had, or the one in use broke. Nothing of the transaction was kept."""


class DatabaseFull(StoreError):
    """The server has no space left. Nothing of the transaction was kept."""


class DatabaseRefuses(StoreError):
    """The server is there, but does not permit what the relay needs. Nothing of the transaction was kept."""


class DatabaseBusy(StoreError):
    """Every connection of the pool stayed in use for as long as the caller may wait."""


class QueryGivenUp(DatabaseBusy):
    """A replica ended a query that kept it from following its primary; asked again, it most likely answers."""


class DatabaseBehind(StoreError):
    """The replica that is read from has not come as far as this process has seen already."""


class CommitsLost(DatabaseBehind):
    """The database lacks, for good, what this process has seen; it stands at ``block_number`` (None: at none)."""

    def __init__(self, sentence: str, block_number: int | None) -> None:
        super().__init__(sentence)
        self.block_number = block_number


class SchemaMismatch(StoreError):
    """The schema is not the one this program works with."""
