"""Walking through a list that is too long for one answer: cursors, and the links to go on by."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlencode

from werkzeug.exceptions import Gone, UnprocessableEntity

from relay.store.pages import HASH_PIECE, SCOPE_SIZE, Mark
from relay.store.stretch import LAST_BLOCK, Position

_FORWARD, _BACK = b"\x01", b"\x02"
_CURSOR = re.compile(r"[A-Za-z0-9_-]{44}")
_BLOCK_SIZE, _INDEX_SIZE, _SEAL_SIZE = 8, 4, 8


class CursorOutdated(Gone):
    """What a cursor stood on is not in the chain any more, or other contracts are served than were."""

    error_code = "cursor_outdated"

    def __init__(self) -> None:
        super().__init__(
            "the list has changed below this cursor, by a reorganisation of the chain or because other contracts "
            "are served: begin again without it, or with fromBlock at a block that you know to be in the chain"
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a walk goes on, and which way: ``is_forward`` to newer events."""

    mark: Mark
    is_forward: bool


def write_cursor(turn: Turn, question: bytes) -> str:
    """Return a cursor, opaque to clients; ``question`` is all that makes the list what it is."""
    mark = turn.mark
    said = b"".join(
        (
            _FORWARD if turn.is_forward else _BACK,
            mark.position.block_number.to_bytes(_BLOCK_SIZE),
            mark.position.log_index.to_bytes(_INDEX_SIZE),
            mark.hash_piece,
            mark.scope,
        )
    )
    return urlsafe_b64encode(said + _seal(said, question)).decode()


def read_cursor(cursor: str, question: bytes) -> Turn:
    """Return what a cursor says.

    Raises:
        UnprocessableEntity: if it is none, or another question's.

    """
    if _CURSOR.fullmatch(cursor) is None:
        raise UnprocessableEntity("cursor: not one that this relay gives")
    whole = urlsafe_b64decode(cursor)
    said, seal = whole[:-_SEAL_SIZE], whole[-_SEAL_SIZE:]
    if seal != _seal(said, question):
        raise UnprocessableEntity(
            "cursor: given for another list, another order or other filters; all but the limit must stay the same"
        )
    way, block, index, hash_piece, scope = _pieces(said, 1, _BLOCK_SIZE, _INDEX_SIZE, HASH_PIECE, SCOPE_SIZE)
    block_number = int.from_bytes(block)
    if way not in (_FORWARD, _BACK) or block_number > LAST_BLOCK:
        raise UnprocessableEntity("cursor: not one that this relay gives")
    mark = Mark(Position(block_number, int.from_bytes(index)), hash_piece, scope)
    return Turn(mark, way == _FORWARD)


def link(path: str, parameters: Iterable[tuple[str, str]], relation: str) -> str:
    """Return a link of RFC 8288 to a path on this server.

    The reference names neither scheme nor host: only who asked knows by which names it reached us.
    """
    query = urlencode(list(parameters))
    return f'<{path}{"?" if query else ""}{query}>; rel="{relation}"'


def _seal(said: bytes, question: bytes) -> bytes:
    """Tie a cursor to its question. No secret: whoever makes one up sees what everybody may see."""
    return blake2b(said, digest_size=_SEAL_SIZE, key=blake2b(question, digest_size=32).digest()).digest()


def _pieces(whole: bytes, *sizes: int) -> Iterable[bytes]:
    start = 0
    for size in sizes:
        yield whole[start : start + size]
        start += size
