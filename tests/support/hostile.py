"""Requests that nobody honest sends, each made from a seed: valid pieces and broken ones, mixed at random."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_from_bytes

TOKEN = "a-token=that+nobody/guesses-0815=="
"""The operators' token."""

PREFIX = "/api/v1"
DEEP = 100_000
"""So many brackets stand around nothing."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "BREW", "")

WORDS: tuple[str, ...] = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "null",
        "undefined",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e5",
        "1e400",
        "-0",
        "0.1",
        "1_000",
    ),
    *(
        str(2**256),
        str(2**256 - 1),
        str(2**255),
        str(-(2**255)),
        str(2**64),
        str(2**63),
        str(2**63 - 1),
        str(2**32),
    ),
    *("-1", "0", "1", "+5", " 5 ", "0x10", "٣", "१२", "\uff19", "1" * 400, "9" * 4301, "9" * 5000, "-" * 50),
    *("' OR 1=1 --", "'; DROP TABLE blocks; --", '"', "\\", "%", "_", "%s", "%(a)s", "{0}", "${a}", "$1", "/*"),
    *("<script>alert(1)</script>", "\r\nX-Injected: 1", "\n", "\u202e", "\ufeff", "🦀", "e\u0301", "\U0010ffff"),
    *("0x", "0x0", "0x" + "0" * 40, "0x" + "g" * 40, "0x" + "F" * 40, "0X" + "1" * 40, "0x" + "1" * 41),
    *("0x" + "0" * 64, "0x" + "f" * 64, "0x" + "1" * 63, "0xaAaaaAAaaaaAAaAaAaaAaaaAaAaaAAAaaaAaaAaA"),
    *(
        "true",
        "false",
        "[]",
        "{}",
        "a" * 300,
        "a" * 4000,
        "../../etc/passwd",
        "..",
        ".",
        "asc",
        "desc",
        "Transfer",
    ),
    *("A" * 44, "_" * 44, "A" * 56, "-" * 56, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    *("svg", "png", "csv", "2026-01-01", "9999999999999", "99999999999999999999", "CurrencyNetwork", "Token"),
)

VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [None], {"": None}, 0, -1, 1, 0.5, -0.5, 1e300, 5e-324, 2**31, 2**53),
    *(2**63, 2**64, 2**255, 2**256 - 1, 2**256, -(2**256), 10**400, float("nan"), float("inf"), -float("inf")),
    *("\ud800", "\udfff a"),
)

BODIES: tuple[bytes, ...] = (
    *(
        b"",
        b" ",
        b"{",
        b"[",
        b"}",
        b"nonsense",
        b'"',
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"null",
        b"[]",
        b"{}",
    ),
    *(b"{'a': 1}", b'{"a": 1,}', b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"\\u0000": "\\u0000"}'),
    *(b"[" * DEEP + b"]" * 1000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000, b"[" * 60_000 + b"]" * 60_000),
    *(b"9" * 100_000, b'{"value": ' + b"9" * 5000 + b"}", b'{"value": "' + b"9" * 100_000 + b'"}', b"a=b&c=d"),
    *(b'{"from": "0x", "from": 1}', b"[" + b"{}," * 10_000 + b"{}]", '{"a": "\u0000"}'.encode("utf-16")),
)

TYPES = (
    *("application/json", "application/json; charset=utf-16", "application/json; charset=nonsense", "text/plain"),
    *("application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=a", "", "a", "/"),
    *("application/problem+json", "application/vnd.api+json", "application/json;;;=;", "\xff"),
)

HEADERS: tuple[tuple[str, Sequence[str]], ...] = (
    (
        "Accept",
        ("*/*", "", "nonsense", "application/problem+json", "image/png", "text/csv;q=9", "a/b;q=-1;q=x", ",,,"),
    ),
    (
        "Accept-Encoding",
        ("gzip", "zstd", "gzip;q=0", "identity;q=0", "*;q=0", "gzip;q=nan", "br", "\xff", "gzip," * 500),
    ),
    ("If-None-Match", ("*", '"', 'W/"', "W/" * 1000, '"a", "b"', "\xff")),
    ("If-Modified-Since", ("nonsense", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 100)),
    ("Range", ("bytes=0-0", "bytes=-1", "bytes=9999999999999999999-", "lines=a")),
    ("X-Request-ID", ("mine", "a b", "\xff", "x" * 500, "a\tb", "<script>")),
    ("X-Forwarded-For", ("1.2.3.4", "::1, nonsense", "," * 1000, "\xff", "127.0.0.1")),
    (
        "Authorization",
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}", "Bearer", "Basic Og==", "Basic \xff", "Digest a=b", "B" * 4000),
    ),
    ("Cookie", ("session=x", "a=b; " * 500, "\xff", "=")),
    ("Origin", ("null", "https://wallet.example", "\xff")),
    ("Access-Control-Request-Method", ("GET", "\xff")),
    ("Content-Encoding", ("gzip", "identity", "zstd", "nonsense")),
    ("Expect", ("100-continue", "nonsense")),
    ("Last-Event-ID", ("A" * 56, "\xff", "nonsense", "", "1" * 8000)),
    ("Upgrade", ("websocket", "h2c", "nonsense")),
    ("Connection", ("Upgrade", "close, Upgrade", "te")),
    ("Sec-WebSocket-Key", ("dGhlIHNhbXBsZSBub25jZQ==", "nonsense", "")),
    ("Sec-WebSocket-Version", ("13", "8", "nonsense")),
    ("Sec-WebSocket-Extensions", ("permessage-deflate", "permessage-deflate; a=b; ;", "\xff", "x;" * 500)),
    ("Sec-WebSocket-Protocol", ("chat", ",", "\xff")),
    ("Host", ("", "relay", "a b", "[::1", "\xff", "relay:99999999", "a" * 300, "xn--\xff", "..")),
    ("X-Trustlines-Timestamp", ("0", "9" * 12, "٣", "nonsense")),
    ("X-Trustlines-Signature", ("0x" + "00" * 65, "0x" + "ff" * 65, "nonsense")),
    ("X-HTTP-Method-Override", ("DELETE",)),
    ("X_Forwarded_For", ("10.0.0.1",)),
    ("X", ("y" * 9000,)),
)


@dataclass(frozen=True)
class Base:
    """An honest request, to be broken: method, path with names in braces, their values, the query, the body."""

    method: str
    path: str
    values: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Attack:
    """A request as it goes over the wire; ``is_whole`` says whether an answer is owed to it."""

    data: bytes
    is_whole: bool
    method: str


class Attacker:
    """Makes attacks; the same for the same seed and number."""

    def __init__(self, bases: Sequence[Base], names: Sequence[str]) -> None:
        """``names`` are those of parameters of queries."""
        self._bases = bases
        self._names = names
        self._addresses = sorted({value for base in bases for value in base.values.values()})

    def attack(self, seed: int, number: int) -> Attack:
        rng = random.Random(f"{seed}:{number}")
        base = rng.choice(self._bases)
        method = base.method if rng.random() < 0.85 else rng.choice(METHODS)
        url = self._url(rng, base)
        headers = [("Host", "relay"), ("Connection", "close")]
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
            name, values = rng.choice(HEADERS)
            headers.append((name, rng.choice(values)))
        if "/streams/" in url and rng.random() < 0.7:
            headers[1:] = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
            headers += [("Sec-WebSocket-Key", rng.choice(("dGhlIHNhbXBsZSBub25jZQ==", "AAAA")))]
        if "/admin" in base.path and rng.random() < 0.99:
            # Not to be refused for guessing before anything is read.
            headers = [pair for pair in headers if pair[0] != "Authorization"]
            headers.append(("Authorization", f"Bearer {TOKEN}"))
        body, is_whole = b"", True
        if base.body is not None or method in {"POST", "PUT", "DELETE", "PATCH"} or rng.random() < 0.05:
            body = self._body(rng, base)
            headers.append(("Content-Type", "application/json" if rng.random() < 0.9 else rng.choice(TYPES)))
            body, framing, is_whole = _framed(rng, body)
            headers += framing
        lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return Attack("\r\n".join(lines).encode("latin-1", "replace") + body, is_whole, method)

    def _url(self, rng: random.Random, base: Base) -> str:
        path = base.path
        for name, value in base.values.items():
            path = path.replace(f"{{{name}}}", self._segment(rng, value))
        path = _bent(rng, path) if rng.random() < 0.1 else path
        query = [(name, value if rng.random() < 0.7 else self._word(rng)) for name, value in base.query.items()]
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
            query.append((rng.choice(self._names), self._word(rng)))
        if query and rng.random() < 0.1:
            query += query
        if rng.random() < 0.01:
            query += [(rng.choice(self._names), "1")] * 700
        text = "&".join(f"{_coded(rng, name)}={_coded(rng, value)}" for name, value in query)
        if rng.random() < 0.03:
            text += rng.choice(
                ("&&&", "=", "%", "%zz", "&%00=%00", ";a=b", "?a=b", "&a[]=1&a[x]=2", "\xff", "&" * 3000)
            )
        return f"{path}?{text}" if text else path

    def _segment(self, rng: random.Random, value: str) -> str:
        chance = rng.random()
        if chance < 0.75:
            return value
        if chance < 0.85:
            return rng.choice(self._addresses)
        return _coded(rng, self._word(rng)) or "x"

    def _word(self, rng: random.Random) -> str:
        return rng.choice(WORDS) if rng.random() < 0.85 else rng.choice(self._addresses)

    def _body(self, rng: random.Random, base: Base) -> bytes:
        chance = rng.random()
        if base.body is None or chance < 0.12:
            return rng.choice(BODIES)
        body = deepcopy(base.body)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            body = self._mutated(rng, body)
        text = json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
        if chance < 0.16:
            place = rng.randrange(len(text) + 1)
            return text[:place] + rng.choice((b"", b"\0", b"\xff", b'"', b"[", b"9" * 50)) + text[place + 1 :]
        if chance < 0.17:
            return text + b" " * 200_000
        return text

    def _mutated(self, rng: random.Random, value: Any) -> Any:
        if isinstance(value, dict) and value and rng.random() < 0.95:
            name = rng.choice(sorted(value))
            if rng.random() < 0.1:
                return {key: each for key, each in value.items() if key != name}
            if rng.random() < 0.05:
                return value | {self._word(rng): self._mutated(rng, None)}
            return value | {name: self._mutated(rng, value[name])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            place = rng.randrange(len(value))
            return [*value[:place], self._mutated(rng, value[place]), *value[place + 1 :]]
        if isinstance(value, str) and value.startswith("0x") and rng.random() < 0.3:
            place = rng.randrange(len(value))
            return value[:place] + rng.choice("0123456789abcdefg \0") + value[place + 1 :]
        return self._word(rng) if rng.random() < 0.6 else rng.choice(VALUES)


def _coded(rng: random.Random, text: str) -> str:
    chance = rng.random()
    raw = text.encode("utf-8", "surrogatepass")
    if chance < 0.02:
        return "".join(f"%{byte:02x}" for byte in raw)
    if chance < 0.04:
        return quote_from_bytes(quote_from_bytes(raw, safe="").encode(), safe="")
    if chance < 0.05:
        return quote_from_bytes(raw + b"\xc0\xaf\xff", safe="")
    if chance < 0.06:
        return raw.decode("latin-1").replace("\r", "").replace("\n", "")
    return quote(text, safe="", errors="surrogatepass")


_BENDS: tuple[Callable[[str], str], ...] = (
    lambda path: f"/{path}",
    lambda path: path + "/",
    lambda path: path + "//",
    lambda path: path.replace("/", "//"),
    lambda path: path.replace("/", "/./"),
    lambda path: path + "/../../../etc/passwd",
    lambda path: path + "/%2e%2e/%2e%2e/etc/passwd",
    lambda path: path + "%00",
    lambda path: path + "%",
    lambda path: path + "%c0%ae",
    lambda path: path + ";a=b",
    lambda path: path.replace("/", "%2f"),
    lambda path: path.upper(),
    lambda path: path.replace("/", "\\"),
    lambda path: f"http://node:8545{path}",
    lambda path: f"//node{path}",
    lambda path: path + "/" + "a" * 7000,
    lambda path: path + "#fragment",
    lambda path: path + "/x" * 500,
    lambda path: path.replace("/api", "/%61pi"),
    lambda path: path + " HTTP/1.1",
    lambda path: path + "%0d%0aX-Injected:%201",
    lambda _: "*",
    lambda _: "",
)


def _bent(rng: random.Random, path: str) -> str:
    return rng.choice(_BENDS)(path)


def _framed(rng: random.Random, body: bytes) -> tuple[bytes, list[tuple[str, str]], bool]:
    """Return a body as it is sent, the headers that say how, and whether all of it is."""
    chance = rng.random()
    if chance < 0.85:
        return body, [("Content-Length", str(len(body)))], True
    if chance < 0.9:
        return _chunked(rng, body), [("Transfer-Encoding", "chunked")], True
    if chance < 0.94:
        broken = rng.choice(
            (b"zz\r\n", b"-1\r\n", b"5\r\nabc", b"\r\n", b"ffffffffffffffffff\r\n", b"3\r\nabcd\r\n0\r\n\r\n")
        )
        return broken, [("Transfer-Encoding", "chunked")], False
    if chance < 0.96:
        return body, [("Content-Length", str(len(body) + rng.choice((1, 1000, 10**9))))], False
    if chance < 0.97:
        return body, [("Content-Length", str(len(body) // 2))], True
    if chance < 0.98:
        return body, [("Content-Length", rng.choice(("nonsense", "-1", "1e3", str(2**64), "٣", "")))], False
    if chance < 0.99:
        return body, [("Content-Length", str(len(body))), ("Transfer-Encoding", "chunked")], False
    return body, [], True


def _chunked(rng: random.Random, body: bytes) -> bytes:
    parts, place = [], 0
    while place < len(body):
        size = rng.randint(1, 1 + len(body) // 3)
        part = body[place : place + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), rng.choice((b"", b";a=b", b'; a="b"')), part))
        place += size
    return b"".join([*parts, b"0\r\n", rng.choice((b"", b"X-Trailer: a\r\n")), b"\r\n"])


def bases_of(described: Mapping[str, Any], asks: Mapping[str, Any]) -> list[Base]:
    """Return an honest request for each operation of an OpenAPI document; ``asks`` know what to ask for."""
    found = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method not in {"get", "put", "post", "delete"}:
                continue
            ask = asks.get(operation["operationId"])
            told = dict(_parameters(asks)) | (dict(ask.parameters) if ask else {})
            told = {name: str(value) for name, value in told.items()}
            values = {name: told.get(name, "nonsense") for name in _names_in(path)}
            given = {} if ask is None else ask.parameters
            query = {name: str(value) for name, value in given.items() if f"{{{name}}}" not in path}
            body = ask.body if ask is not None else ({} if method in {"put", "post"} else None)
            found.append(Base(method.upper(), PREFIX + path, values, query, body))
    return found


def _names_in(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def _parameters(asks: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for ask in asks.values() for name, value in ask.parameters.items()}


def names_of(described: Mapping[str, Any]) -> list[str]:
    """Return the names of all parameters of queries."""
    return sorted(
        {
            each["name"]
            for methods in described["paths"].values()
            for operation in methods.values()
            for each in operation.get("parameters", ())
            if each.get("in") == "query"
        }
    )
