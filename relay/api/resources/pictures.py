"""A whole network at a glance: as a table, or drawn."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, request
from werkzeug.exceptions import NotAcceptable

from graph.trustline import Trustline
from relay.addresses import Address, to_checksum
from relay.api.answer import Answer
from relay.api.faults import ValidationFailed
from relay.api.resources.base import ApiResource
from relay.drawing import Sketch, sketch

_COLUMNS = (
    *("Address A", "Address B", "Balance AB", "Creditline AB", "Creditline BA"),
    *("Interest Rate AB", "Interest Rate BA", "Is Frozen"),
)
_ROWS_AT_ONCE = 1000

_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Lines of an SVG have styles of their own, which a browser that shows it as a page would leave out."""

_PICTURES = {"svg": "image/svg+xml", "png": "image/png"}
"""The media types of pictures by the name that the query ``format`` takes."""


class Dump(ApiResource):
    """All trustlines of a network as CSV."""

    def get(self, network: Address) -> Response:
        """Write a row for each open trustline as its user A, the one with the lower address, sees it.

        Balances contain the interest up to now; amounts are in the smallest unit, rates in 0.01 % a year.
        """
        with self.admitted(), self.reading(network) as reading:
            lines, at = list(reading.graph.trustlines()), reading.at
        response = Answer(_csv(lines, at), content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = "attachment; filename=networkdump.csv"
        return response


class Image(ApiResource):
    """A network drawn: dots for users, lines for trustlines."""

    def get(self, network: Address) -> Response:
        """Draw the network as the query ``format`` (svg or png) or the header Accept wants it, SVG by default."""
        assert self.services.pictures is not None, "without it there is no such route"
        kind = _wanted_format()
        self.services.networks.info(network)

        def take() -> Sketch:
            with self.reading(network) as reading:
                return sketch(reading.graph, f"{reading.info.name} ({reading.info.symbol})")

        # No tag of the block: a picture is given out again for a while, whatever happens.
        with self.admitted():
            picture = self.services.pictures.picture(network, kind, take)
        response = Answer(
            picture, content_type="image/svg+xml; charset=utf-8" if kind == "svg" else _PICTURES[kind]
        )
        response.headers["Vary"] = "Accept"
        response.headers["Content-Security-Policy"] = _PICTURE_POLICY
        return response


def _wanted_format() -> str:
    named: Any = request.args.get("format")
    if named is not None:
        if named not in _PICTURES:
            raise ValidationFailed([("format", f"expected one of {', '.join(_PICTURES)}")])
        return str(named)
    best = request.accept_mimetypes.best_match(_PICTURES.values())
    if request.accept_mimetypes and best is None:
        raise NotAcceptable(f"a network is drawn as {' or '.join(_PICTURES.values())}")
    return next((kind for kind, media in _PICTURES.items() if media == best), "svg")


def _csv(lines: Sequence[Trustline], at: int) -> Iterator[bytes]:
    """Write CSV some rows at a time: a large network is not to be held as text as well."""
    yield _rows([_COLUMNS])
    ordered = sorted(lines, key=lambda line: line.pair)
    for start in range(0, len(ordered), _ROWS_AT_ONCE):
        yield _rows([_row(line.at(at)) for line in ordered[start : start + _ROWS_AT_ONCE]])


def _row(line: Trustline) -> tuple[object, ...]:
    return (
        to_checksum(line.lower),
        to_checksum(line.higher),
        line.balance,
        line.given,
        line.received,
        line.rate_given,
        line.rate_received,
        line.is_frozen,
    )


def _rows(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
