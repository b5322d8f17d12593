"""Entity tags: by which a client learns that what it has is still what it would get.

All tags are weak. What is compared is what an answer says, however it is compressed.
"""

from functools import lru_cache
from hashlib import blake2b

from relay.sync.networks import Networks

MIN_TAGGED_BYTES = 1024
"""Smaller bodies get no tag of their own: 304 would save next to nothing, and they still have to be made."""

_TAG_BYTES = 15

_REMEMBERED = 64
"""What is asked for again within a block is the list of networks above all."""

_PIECE_BYTES, _SHORT_BYTES = 2047, 32_768
"""Of more at once the library lets the interpreter's lock go; to get it back takes longer than a short body."""


def tag_of_body(body: bytes, links: str = "") -> str:
    """Return the tag of an answer by what it says, and by its links: a page may get a next one."""
    digest = blake2b(digest_size=_TAG_BYTES)
    if len(body) <= _SHORT_BYTES:
        for start in range(0, len(body), _PIECE_BYTES):
            digest.update(body[start : start + _PIECE_BYTES])
    else:
        digest.update(body)
    digest.update(links.encode("latin-1"))
    return f'W/"{digest.hexdigest()}"'


def tag_of_state(networks: Networks, version: str, path: str, query: str) -> str | None:
    """Return the tag of whatever follows from the graphs and a URL alone, None where nothing is indexed.

    The same in every process whose graphs stand at the same place: the block and the position on the feed, which
    also moves when a network comes, goes or is repaired.
    """
    block = networks.block
    return None if block is None else _tag_of(version, block.hash, networks.position, path, query)


@lru_cache(maxsize=_REMEMBERED)
def _tag_of(version: str, block_hash: bytes, position: int, path: str, query: str) -> str:
    what = f"{version}\0{block_hash.hex()}\0{position}\0{path}\0{query}"
    return f'W/"{blake2b(what.encode(), digest_size=_TAG_BYTES).hexdigest()}"'


def is_match(told: str, tag: str) -> bool:
    """Return whether ``If-None-Match`` names a tag of ours, compared weakly; ``*`` names any."""
    opaque = tag.removeprefix("W/")
    # Tags of others may contain commas and come apart here, but no part is then one of ours.
    parts = [part.strip() for part in told.split(",")]
    return any(part.removeprefix("W/") == opaque for part in parts) or parts == ["*"]
