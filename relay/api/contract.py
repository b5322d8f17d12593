"""What an endpoint takes and answers, said once: it validates, serialises and can be read off as documentation."""
# ruff: noqa: ARG002 - signatures are those of the library

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, ClassVar, NoReturn, TypeVar

import orjson
from flask import Request, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from relay.api.faults import BodyUnreadable, NotJson, ValidationFailed

Shape = Schema | fields.Field[Any]
"""What an answer looks like: a schema for objects (``many`` for lists of them), a field for anything simpler."""

_REMEMBERED = 512
"""So many queries are read once only: a program asks with the same parameters again and again."""

Method = TypeVar("Method", bound=Callable[..., Any])


class AnswerSchema(Schema):
    """An object that is answered, made of a dict; what that lacks is left out. Names become camelCase outside.

    It is written field by field, without what marshmallow does for each beside: long lists take a third of the
    time. Hooks around dumping and defaults for it are therefore of no effect, and a field that has a function
    ``write`` is written by it: by its value alone.
    """

    sometimes: ClassVar[frozenset[str]] = frozenset()
    """The names, as JSON has them, of what an answer may lack."""

    is_asked: ClassVar[bool] = False
    """Whether it describes what is sent to us."""

    _writers: tuple[object, list[tuple[str, str, Callable[[Any], Any] | None]]] = (None, [])

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Name the field as JSON does, unless it brings its name along."""
        field_obj.data_key = field_obj.data_key or _camel_case(field_name)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return what is answered for a dict, or for several."""
        is_list = self.many if many is None else many
        return [self._written(each) for each in obj] if is_list else self._written(obj)

    def _written(self, obj: dict[str, Any]) -> dict[str, Any]:
        made_of, writers = self._writers
        if made_of is not self.dump_fields:
            writers = [
                (field.attribute or name, field.data_key or name, _writer_of(name, field))
                for name, field in self.dump_fields.items()
            ]
            self._writers = self.dump_fields, writers
        return {
            key: obj[source] if write is None else write(obj[source])
            for source, key, write in writers
            if source in obj
        }


def _writer_of(name: str, field: fields.Field[Any]) -> Callable[[Any], Any] | None:
    """Return what writes a field, None where the value is written as it is."""
    if type(field) in _PLAIN:
        return None
    write: Callable[[Any], Any] | None = getattr(field, "write", None)
    return write or (lambda value: field._serialize(value, name, None))


_PLAIN = (fields.Integer, fields.String, fields.Boolean)


class RequestSchema(AnswerSchema):
    """Something that is sent to us: null stands for an absent field, unknown fields are passed over."""

    is_asked = True

    class Meta:
        """marshmallow's options."""

        unknown = EXCLUDE

    @pre_load
    def drop_nulls(self, data: Any, **_: Any) -> Any:
        """Treat null like a field that is not there."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Contract:
    """What a method of a resource answers, and the schemas of the body and the query that it takes."""

    answer: Shape
    body: RequestSchema | None = None
    query: RequestSchema | None = None


def speaks(
    answer: Shape, *, body: RequestSchema | None = None, query: RequestSchema | None = None
) -> Callable[[Method], Method]:
    """Give a resource's method its contract, kept on it as ``contract``.

    What ``body`` or ``query`` load comes as the method's first argument; what it returns is serialised.
    """
    contract = Contract(answer, body, query)

    def decorate(method: Method) -> Method:
        @wraps(method)
        def fulfil(resource: Any, **url: Any) -> Any:
            taken = []
            if body is not None:
                taken.append(_parser.parse(body, location="json"))
            if query is not None:
                taken.append(_asked(query, request.query_string))
            # Only now, so that a client who sends slowly keeps nobody from being answered.
            with resource.admitted():
                return _serialise(answer, method(resource, *taken, **url))

        fulfil.contract = contract  # type: ignore[attr-defined]
        return fulfil  # type: ignore[return-value]

    return decorate


@lru_cache(maxsize=_REMEMBERED)
def _asked(schema: RequestSchema, query_string: bytes) -> Any:  # noqa: ARG001 - by it the answer is remembered
    """Return what the query of the present request says, which ``query_string`` is all of; a fault raises anew.

    It is handed out again and again, so nobody may change it.
    """
    return _parser.parse(schema, location="query")


def _serialise(shape: Shape, value: Any) -> Any:
    if isinstance(shape, Schema):
        return shape.dump(value)
    return shape.serialize("value", {"value": value})


class _Parser(FlaskParser):
    """Reads bodies with orjson and reports faults the way all other faults are."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the body's JSON."""
        if not is_json_request(req):
            raise UnsupportedMediaType("the body must be JSON, sent as Content-Type: application/json")
        try:
            return orjson.loads(_read(req))
        except orjson.JSONDecodeError as error:
            raise NotJson(f"the body is no JSON: {error.msg}") from error

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: Any) -> NoReturn:
        """Refuse parameters that the schema does not accept, naming each."""
        raise ValidationFailed(_faults(error)) from error


_parser = _Parser(unknown=None)


def _read(req: Request) -> bytes:
    """Return the whole body; one that is too large or breaks off is the client's fault."""
    try:
        body = req.get_data(cache=False)
        if req.content_length is None:
            # A body of chunks is cut off at the limit. Only reading on tells whether it went beyond.
            req.stream.read(1)
    except HTTPException:
        raise
    except Exception as error:  # each server has its own errors for a transfer that breaks the protocol
        raise BodyUnreadable("the body cannot be read to its end") from error
    return body


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong where: ``value`` and ``avoid.2`` are places, as is ``body`` for the whole."""
    assert isinstance(error.messages, dict)
    (faults,) = error.messages.values()
    return [("body" if place == "_schema" else place, text) for place, text in _flatten(faults)]


def _flatten(faults: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """Each place where something is wrong, and what; an item of a list is named by its number from 0 on."""
    for name, texts in faults.items():
        if isinstance(texts, dict):
            yield from ((f"{name}.{place}", text) for place, text in _flatten(texts))
        else:
            yield str(name), " ".join(map(str, texts))


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
