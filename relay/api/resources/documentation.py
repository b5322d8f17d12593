"""The API's description of itself, for programs and for people."""

import html
import importlib.util
from functools import cache
from pathlib import Path

from flask import Response, current_app, request
from werkzeug.exceptions import NotFound

from relay.api.resources.base import ApiResource
from relay.problems import KINDS, Kind

EXTENSION = "openapi"
"""Where the application keeps its document."""

_HERE = Path(__file__).parent.parent / "openapi"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECONDS = 86_400


@cache
def _viewer() -> Path:
    """Return where the package lies that brings Swagger UI along; it is not imported."""
    found = importlib.util.find_spec("flask_openapi3_swagger")
    assert found is not None, "a requirement of this package"
    assert found.origin is not None
    return Path(found.origin).parent / "templates" / "swagger"


FILES: dict[str, str] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "page.css": "text/css",
    "page.js": "text/javascript",
}
"""The files of the page, and their types."""


class OpenApi(ApiResource):
    """The OpenAPI document of this relay."""

    needs_graphs = False

    def get(self) -> Response:
        """Describe all that is served, in the form of OpenAPI 3.1."""
        document = current_app.extensions[EXTENSION]
        response = Response(document.text, mimetype="application/json")
        response.set_etag(document.etag)
        response.make_conditional(request)
        return response


class Page(ApiResource):
    """The page on which the API can be read and tried out."""

    needs_graphs = False

    def get(self) -> Response:
        """Show the API as a page that works without any other host."""
        # What the page loads lies below it, however its URL ends and whatever a proxy puts before it.
        below = "" if request.path.endswith("/") else "docs/"
        text = (
            _head("Trustlines relay: API", below, '<link rel="stylesheet" href="{below}swagger-ui.css">')
            + f'<p class="errors"><a href="{below}errors">What the codes of errors mean</a></p>\n'
            + '<div id="api"><noscript>This page needs JavaScript; the document is <a href="'
            + f'{below}../openapi.json">openapi.json</a>.</noscript></div>\n'
            + f'<script src="{below}swagger-ui-bundle.js"></script>\n<script src="{below}page.js"></script>\n'
        )
        return _page(text)


class ErrorPage(ApiResource):
    """The codes of errors, each with its status and what it means."""

    needs_graphs = False

    def get(self) -> Response:
        """Explain the codes that errors have."""
        below = "../" if request.path.endswith("/") else ""
        rows = "".join(_row(code, kind) for code, kind in KINDS.items())
        text = (
            _head("Trustlines relay: errors", below)
            + "<main><h1>Errors</h1>\n<p>Programs tell errors by <code>code</code>. Codes stay; others "
            + "may come, so what is not known is best treated by its status.</p>\n<table>\n"
            + f"<tr><th>code</th><th>status</th><th>meaning</th></tr>\n{rows}</table></main>\n"
        )
        return _page(text)


class PageFile(ApiResource):
    """A file that the page loads."""

    needs_graphs = False

    def get(self, name: str) -> Response:
        """Return a file of the page."""
        if name not in FILES:
            raise NotFound
        response = Response(_file(name), mimetype=FILES[name])
        response.cache_control.max_age = _SECONDS
        response.cache_control.public = True
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


@cache
def _file(name: str) -> bytes:
    own = _HERE / name
    return (own if own.exists() else _viewer() / name.rpartition(".")[2] / name).read_bytes()


def _head(title: str, below: str, more: str = "") -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f'<link rel="icon" href="data:,">\n{more.format(below=below)}\n'
        f'<link rel="stylesheet" href="{below}page.css">\n'
    )


def _row(code: str, kind: Kind) -> str:
    told = html.escape(f"{kind.title}. {kind.advice}".rstrip())
    return f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td><td>{told}</td></tr>\n'


def _page(text: str) -> Response:
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
