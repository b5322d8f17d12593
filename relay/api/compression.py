"""Compression of answers: zstd or gzip, whichever the client likes better, and zstd of two it likes the same."""

import gzip
import threading
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from zstandard import ZstdCompressor

MIN_BYTES = 1024
"""Below this a packet is sent anyway, and half a packet saves nobody anything."""

ZSTD, GZIP = "zstd", "gzip"

_ZSTD_LEVEL, _GZIP_LEVEL = 1, 1
_WORTH = frozenset(
    (
        *("application/json", "application/problem+json", "application/javascript"),
        *("text/csv", "text/plain", "text/html", "text/css", "text/javascript", "image/svg+xml"),
    )
)
_GZIP_WINDOW = 31  # zlib's way of asking for gzip's frame


class _PerThread(threading.local):
    """A compressor is used by one call at a time, and takes longer to make than to use."""

    def __init__(self) -> None:
        self.zstd = ZstdCompressor(level=_ZSTD_LEVEL)


_mine = _PerThread()


@lru_cache(maxsize=256)
def coding_for(accepted: str) -> str | None:
    """Return the coding to use for a header ``Accept-Encoding``, None for none."""
    if not accepted:
        return None
    wanted = parse_accept_header(accepted, Accept)
    plain = wanted.quality("identity") if "identity" in accepted.lower() else 0
    best = max((ZSTD, GZIP), key=wanted.quality)  # the first of equals
    return best if wanted.quality(best) > 0 and wanted.quality(best) >= plain else None


def is_worth(content_type: str) -> bool:
    """Return whether something of a media type gets smaller by compressing it."""
    return content_type.partition(";")[0] in _WORTH


def compress(body: bytes, coding: str) -> bytes:
    """Return a body compressed."""
    if coding == ZSTD:
        return _mine.zstd.compress(body)
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def compressed(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Compress a body that comes in pieces, as it comes."""
    # One of its own, for the other pieces may be taken by another thread.
    coder = (
        ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        if coding == ZSTD
        else zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    )
    try:
        for piece in pieces:
            packed = coder.compress(piece)
            if packed:
                yield packed
        yield coder.flush()
    finally:
        close(pieces)


def close(body: Iterable[bytes]) -> None:
    """Tell a WSGI body that no more of it will be read."""
    end = getattr(body, "close", None)
    if end is not None:
        end()
