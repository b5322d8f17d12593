"""A client that walks through lists by what their Link headers say."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from werkzeug.test import TestResponse

Get = Callable[[str], TestResponse]

MOST_PAGES = 500
"""No list of a test is longer, so who gets so far goes round in circles."""

_LINK = re.compile(r'<([^<>]+)>; rel="([a-z]+)"(?:, |$)')


def links_of(answer: TestResponse) -> dict[str, str]:
    """Return where the links of an answer lead, by their relations."""
    header = answer.headers.get("Link", "")
    assert "".join(match.group(0) for match in _LINK.finditer(header)) == header
    return {relation: target for target, relation in _LINK.findall(header)}


def pages_from(get: Get, url: str, relation: str = "next") -> Iterator[tuple[str, TestResponse]]:
    """Yield a page and all that follow it, each with its URL; the last one may be a refusal."""
    following: str | None = url
    for _ in range(MOST_PAGES):
        if following is None:
            return
        answer = get(following)
        yield following, answer
        following = links_of(answer).get(relation) if answer.status_code == 200 else None
    raise AssertionError(f"after {MOST_PAGES} pages there is still no end")


def with_query(path: str, **query: Any) -> str:
    """Return a URL with those parameters that are not None."""
    return f"{path}?{urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)}"
