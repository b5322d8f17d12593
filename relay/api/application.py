"""Flask without what no request here needs, for small reads cost little else than Flask."""
# ruff: noqa: ARG002 - signatures are those of the library

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response, request_tearing_down
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from werkzeug.routing import Map, MapAdapter, Rule

_REMEMBERED_URLS = 8192
"""Each takes about half a kilobyte."""
_LONGEST_REMEMBERED = 200
"""The longest URL that wallets ask has less than so many characters; longer ones are not to fill the memory."""

_NO_SESSION = NullSession()

ROUTE_KEY = "relay.route"
"""Where in the WSGI environment the template of a request's route is noted, once one is found."""


class _NoSessions(SessionInterface):
    """Gives every request the same empty session that cannot be written: nobody logs in here."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """Return the empty session."""
        return _NO_SESSION

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save nothing."""

    def is_null_session(self, obj: Any) -> bool:
        """Say that there is nothing to be saved."""
        return True


class _Finder(MapAdapter):
    """Finds the view of a URL, whatever host it is asked of."""

    def __init__(
        self,
        find: Callable[[str, str], tuple[Rule, dict[str, Any]]],
        search: Callable[[str, str], tuple[Rule, dict[str, Any]]],
        url_map: Map,
        request: Request,
    ) -> None:
        environ = request.environ
        path, method, query = request.path, environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        super().__init__(url_map, "", "/", "", "http", path, method, query)
        self._find, self._search, self._environ = find, search, environ

    def match(self, *args: Any, **more: Any) -> Any:
        """Return a URL's rule and the values in it, found before if possible."""
        if args or more != {"return_rule": True}:
            return super().match(*args, **more)
        find = self._find if len(self.path_info) <= _LONGEST_REMEMBERED else self._search
        rule, values = find(self.path_info, self.default_method)
        self._environ[ROUTE_KEY] = rule.rule
        return rule, values.copy()


class Application(Flask):
    """Flask without sessions, blueprints, functions to be awaited, and a look at the host's name.

    It remembers which view a URL led to: wallets ask the same ones again and again, and to find the view of one
    with two addresses in it takes as long as to sum up the user's trustlines.
    """

    session_interface = _NoSessions()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._find = lru_cache(maxsize=_REMEMBERED_URLS)(self._search)

    @property
    def number_remembered(self) -> int:
        """How many URLs it remembers."""
        return self._find.cache_info().currsize

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as it is: none is to be awaited."""
        return func

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Call what is to be called before requests, until something answers."""
        for before in self.before_request_funcs.get(None, ()):
            answer: Any = before()
            if answer is not None:
                return answer  # type: ignore[no-any-return]
        return None

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Tell those who listen for the end of requests."""
        request_tearing_down.send(self, exc=exc)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the view of a URL, whatever host it is asked of."""
        if request is None or "//" in request.path:
            # With two slashes side by side the client is sent to another URL, which has the host's name in it.
            return super().create_url_adapter(request)
        return _Finder(self._find, self._search, self.url_map, request)

    def _search(self, path: str, method: str) -> tuple[Rule, dict[str, Any]]:
        rule, values = MapAdapter(self.url_map, "", "/", "", "http", path, method).match(return_rule=True)
        return rule, dict(values)
