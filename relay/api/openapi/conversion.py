"""How marshmallow's schemas and our fields become JSON Schema."""

from collections.abc import Iterator
from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from relay.api.fields import MAX_UINT64, AddressField, Amount, HashField, HexField, PreparedList, WholeNumber
from relay.api.openapi.glossary import GLOSSARY

ADDRESS: dict[str, Any] = {"type": "string", "format": "address", "pattern": "^0x[0-9a-fA-F]{40}$"}
HASH: dict[str, Any] = {"type": "string", "format": "hash", "pattern": "^0x[0-9a-fA-F]{64}$"}
_HEX: dict[str, Any] = {"type": "string", "pattern": "^0x([0-9a-fA-F]{2})*$"}
_ABOUT = ("description", "default")
_AMOUNT: dict[str, Any] = {"type": "string", "pattern": "^-?[0-9]+$"}


def component_name(schema: Any) -> str:
    """Return the name of a schema in the document: that of its class without the word Schema."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removeprefix("_").removesuffix("Schema")


class _OurConverter(OpenAPIConverter):
    """The library's, knowing our fields, their descriptions, and what is asked from what is answered.

    What is answered holds all its properties but those that its schema has as ``sometimes``. What is asked may
    hold null in place of a property that need not be there.
    """

    _is_in_query = False

    def init_attribute_functions(self) -> None:
        """Let our own function come after the library's."""
        super().init_attribute_functions()  # type: ignore[no-untyped-call]
        self.attribute_functions.append(self.field2ours)

    def field2ours(self, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
        """Return what our kinds of fields look like, and what a field means."""
        _forget_nothing(field, ret)
        found = self._shape_of(field)
        if (
            isinstance(found.get("type"), str)
            and field.allow_none
            and field.required is False
            and not _is_asked(field)
        ):
            found["type"] = [found["type"], "null"]
        meaning = _meaning(field)
        if meaning is not None and "description" not in ret:
            found["description"] = meaning
        if "anyOf" in found:
            ret.pop("type", None)
        return found

    def reference_to(self, schema: Schema) -> dict[str, Any]:
        """Return what stands for a schema that is, from now on, among the components."""
        found: dict[str, Any] = self.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]
        return found

    def _shape_of(self, field: fields.Field[Any]) -> dict[str, Any]:
        match field:
            case AddressField():
                return dict(ADDRESS)
            case HashField():
                return dict(HASH)
            case HexField():
                return dict(_HEX)
            case PreparedList():
                return {"type": "array", "items": self.reference_to(field.shape)}
            case WholeNumber() if _is_asked(field):
                return _number_asked(field, is_in_query=self._is_in_query)
            case Amount():
                return dict(_AMOUNT)
            case WholeNumber():
                return {"type": "integer"}
            case _:
                return {}

    def _field2parameter(self, field: fields.Field[Any], *, name: str, location: str) -> dict[str, Any]:
        self._is_in_query = True
        try:
            parameter: dict[str, Any] = super()._field2parameter(field, name=name, location=location)
        finally:
            self._is_in_query = False
        return parameter

    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        """Return the JSON Schema of a schema."""
        kinds = getattr(schema, "one_of", None)
        if kinds is not None:
            found: dict[str, Any] = {"anyOf": [self.reference_to(kind) for _, kind in kinds]}
        else:
            found = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
            if is_asked(schema):
                _allow_nulls(found)
            else:
                sometimes = getattr(schema, "sometimes", ())
                found["required"] = [name for name in found["properties"] if name not in sometimes]
        found["description"] = in_markdown(type(schema).__doc__)
        return found


class Plugin(MarshmallowPlugin):
    """The library's plugin with our converter."""

    Converter = _OurConverter

    def __init__(self) -> None:
        super().__init__(schema_name_resolver=component_name)

    def shape(self, shape: Schema | fields.Field[Any]) -> dict[str, Any]:
        """Return the JSON Schema of an answer."""
        if isinstance(shape, fields.Field):
            found: dict[str, Any] = self._ours.field2property(shape)
            return found
        return self._ours.reference_to(shape)

    def parameters(self, schema: Schema) -> list[dict[str, Any]]:
        """Return the query parameters that a schema takes."""
        found: list[dict[str, Any]] = self._ours.schema2parameters(schema, location="query")
        return found

    @property
    def _ours(self) -> _OurConverter:
        assert isinstance(self.converter, _OurConverter), "a plugin belongs to a document"
        return self.converter


def in_markdown(docstring: str | None) -> str:
    """Return a docstring as one paragraph of Markdown."""
    return " ".join((docstring or "").replace("``", "`").split())


def is_asked(schema: Any) -> bool:
    """Whether a schema describes what is sent to us."""
    return bool(getattr(schema, "is_asked", False))


def _is_asked(field: fields.Field[Any]) -> bool:
    return is_asked(_schema_of(field))


def _schema_of(field: fields.Field[Any]) -> Schema | None:
    parent: Any = field.parent
    while isinstance(parent, fields.Field):
        parent = parent.parent
    return parent if isinstance(parent, Schema) else None


def _forget_nothing(field: fields.Field[Any], ret: dict[str, Any]) -> None:
    """Take back what the library says of None: as a default it only tells our code that nothing was asked for."""
    ret.pop("readOnly", None)
    if ret.get("default", "") is None:
        del ret["default"]
    if _is_asked(field):
        if isinstance(ret.get("type"), list):
            ret["type"] = ret["type"][0]
        if "enum" in ret:
            ret["enum"] = [value for value in ret["enum"] if value is not None]


def _number_asked(field: WholeNumber, *, is_in_query: bool) -> dict[str, Any]:
    # JSON numbers beyond 64 bits are read as broken ones; larger values come as strings.
    number = {"type": "integer", "minimum": field.lowest, "maximum": min(field.highest, MAX_UINT64)}
    if is_in_query:
        return number
    digits = {"type": "string", "pattern": f"^[0-9]{{1,{len(str(field.highest))}}}$"}
    return {"anyOf": [digits, number] if isinstance(field, Amount) else [number, digits]}


def _allow_nulls(found: dict[str, Any]) -> None:
    required = found.get("required", ())
    properties = found["properties"]
    for name, shape in properties.items():
        if name not in required:
            properties[name] = _or_null(shape)


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    if isinstance(shape.get("type"), str) and "enum" not in shape:
        return shape | {"type": [shape["type"], "null"]}
    said: dict[str, Any] = {name: value for name, value in shape.items() if name in _ABOUT}
    plain = {name: value for name, value in shape.items() if name not in said}
    choices = plain["anyOf"] if set(plain) == {"anyOf"} else [plain]
    return {"anyOf": [*choices, {"type": "null"}], **said}


def _meaning(field: fields.Field[Any]) -> str | None:
    name = field.data_key or field.name or ""
    # An item of a list means what the list does.
    if not isinstance(field.parent, Schema):
        return None
    return next((GLOSSARY[key] for key in _keys(field.parent, name) if key in GLOSSARY), None)


def _keys(schema: Schema, name: str) -> Iterator[str]:
    yield from (f"{component_name(kind)}.{name}" for kind in type(schema).__mro__)
    yield name
