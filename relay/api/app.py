"""The application factory."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, request
from flask_restful import Api
from werkzeug.routing import BaseConverter

from relay.addresses import Address, MalformedAddress, WrongChecksum, parse_address, to_checksum
from relay.api.application import Application
from relay.api.edge import MORE_KEY, Edge
from relay.api.errors import answer_error
from relay.api.faults import MalformedAddressInUrl, MalformedHashInUrl, WrongChecksumInUrl
from relay.api.headers import ANY_ORIGIN, Origins
from relay.api.limits import RateLimited
from relay.api.openapi.document import Document
from relay.api.operators import Operators
from relay.api.place import client_of_request
from relay.api.resources import delegation, documentation
from relay.api.resources.base import ApiResource
from relay.api.routes import ADMIN, OF_ANY_PROCESS, PREFIX, ROUTES, rate_of
from relay.api.services import Services
from relay.api.sharing import leave_others_networks
from relay.clients import Clients

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


def create_app(
    services: Services, *, max_body_bytes: int, cors_origins: Sequence[str] = (ANY_ORIGIN,)
) -> Application:
    """Return the WSGI application.

    Arguments:
        services: what it answers from.
        max_body_bytes: a larger body is refused with 413 without being read.
        cors_origins: the origins whose scripts may read answers.

    """
    app = Application("relay.api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.url_map.strict_slashes = False
    app.url_map.converters["address"] = _AddressConverter
    app.url_map.converters["hash"] = _HashConverter
    app.register_error_handler(Exception, answer_error)
    api = _JsonApi(app, prefix=PREFIX)
    served = {resource: route for resource, route in ROUTES.items() if not _is_switched_off(resource, services)}
    app.extensions[documentation.EXTENSION] = Document(served, services.version, services.streams)
    for resource, route in served.items():
        api.add_resource(resource, *route.urls, resource_class_args=(services, route.cost))

    if services.limits:
        app.before_request(_Gatekeeper(app, services))
    if services.share is not None:
        endpoints = frozenset(resource.__name__.lower() for resource in OF_ANY_PROCESS)
        leave_others_networks(app, services.share, PREFIX, endpoints)
    if services.operators is not None:
        app.before_request(_OperatorsGate(services.operators, services.clients))

    def block_number() -> int | None:
        block = services.networks.block
        return None if block is None else block.number

    app.wsgi_app = Edge(app.wsgi_app, Origins(cors_origins), block_number)  # type: ignore[method-assign]
    return app


def _is_switched_off(resource: type[ApiResource], services: Services) -> bool:
    part = ROUTES[resource].part
    is_undeployed = resource is delegation.IdentityList and not services.deploys_identities
    return is_undeployed or (part is not None and getattr(services, part) is None)


class _HashConverter(BaseConverter):
    """A 32-byte hash in a URL; what is none is not found."""

    def to_python(self, value: str) -> bytes:
        if _HASH.fullmatch(value) is None:
            raise MalformedHashInUrl("not a hash: expected 0x followed by 64 hexadecimal digits, in the URL")
        return bytes.fromhex(value[2:])

    def to_url(self, value: Any) -> str:
        return f"0x{value.hex()}"


class _AddressConverter(BaseConverter):
    """An address in a URL, read as in a body; what is none is not found."""

    def to_python(self, value: str) -> Address:
        try:
            return parse_address(value)
        except MalformedAddress as error:
            # Not the converter's own ValidationError: that one would hide the reason.
            fault = WrongChecksumInUrl if isinstance(error, WrongChecksum) else MalformedAddressInUrl
            raise fault(f"{error}, in the URL") from error

    def to_url(self, value: Any) -> str:
        return to_checksum(value)


class _Gatekeeper:
    """Refuses clients that ask more often than they may, before anything is read or looked up for them."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app = app
        self._limits, self._clients = services.limits, services.clients

    def __call__(self) -> None:
        """Count the request; raises RateLimited."""
        method, rule = request.method, request.url_rule
        # What operators watch stands at the root, and browsers ask before they ask.
        if method == "OPTIONS" or not request.path.startswith(f"{PREFIX}/"):
            return
        view = None if rule is None else self._app.view_functions.get(rule.endpoint)
        rate = rate_of(getattr(view, "view_class", None), method)
        headers, wait = self._limits.take(rate, client_of_request(self._clients))
        request.environ[MORE_KEY] = headers
        if wait:
            raise RateLimited(
                f"more requests of the kind {rate} than a minute allows", retry_after=math.ceil(wait)
            )


class _OperatorsGate:
    """Refuses strangers before they learn what there is for operators, and what a URL takes."""

    def __init__(self, operators: Operators, clients: Clients) -> None:
        self._operators, self._clients = operators, clients

    def __call__(self) -> None:
        """Let the request pass if it is an operator's, or none for operators."""
        path = request.path
        if path == f"{PREFIX}{ADMIN}" or path.startswith(f"{PREFIX}{ADMIN}/"):
            self._operators.require(client_of_request(self._clients))


class _JsonApi(Api):  # type: ignore[misc]
    """Flask-RESTful, leaving errors to the application's one handler and answers to the resources."""

    def error_router(self, original_handler: Callable[[Exception], Any], e: Exception) -> Any:
        """Let the application answer an error."""
        return original_handler(e)

    def output(self, resource: Callable[..., Any]) -> Callable[..., Any]:
        """Return a resource's view as it is: it makes responses."""
        return resource
