"""The OpenAPI 3.1 document of the REST pages, made from the classes that they answer with."""

from __future__ import annotations

import enum
from importlib.metadata import version
from inspect import cleandoc
from types import UnionType
from typing import Any, Final, NewType, TypeAlias, Union, get_args, get_origin

import attrs
from attrs import frozen

from palaver_protocol.converter import camel
from palaver_protocol.table import Ack, Code

Schema: TypeAlias = dict[str, Any]

PRIMITIVES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
REFUSED: Final = {
    Code.NOT_ALLOWED: ("403", "A web page asks whose origin is not allowed"),
    Code.NOT_FOUND: ("404", "There is none, or it is not for everybody's eyes"),
    Code.ENDED: ("410", "It was there, and has ended"),
}


@frozen
class Page:
    """A page that can be read: where it is, what it answers, and why it may say no.

    `leads_to` names a page that is about the first room of this one.
    """

    path: str
    name: str
    answer: type[Ack]
    refuses: tuple[Code, ...] = (Code.NOT_ALLOWED,)
    leads_to: str = ""


def describe(pages: tuple[Page, ...]) -> Schema:
    """The whole document."""
    schemas: Schema = {"Refusal": REFUSAL}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palaver",
            "version": version("palaver"),
            "description": "Who is online, which rooms are open, and how the server fares. All times in answers are in "
            "ms since the epoch unless said otherwise; whoever takes part speaks Socket.IO at `/socket.io/`.",
        },
        "paths": {page.path: {"get": operation(page, schemas)} for page in pages},
        "components": {"schemas": schemas},
    }


def operation(page: Page, schemas: Schema) -> Schema:
    """How a page is read."""
    schemas[page.answer.__name__] = answer_schema(page.answer, schemas)
    doc = cleandoc(page.answer.__doc__ or "")
    responses = {"200": in_json(doc, page.answer.__name__)}
    responses |= {status: in_json(why, "Refusal") for status, why in map(REFUSED.__getitem__, page.refuses)}
    described: Schema = {"operationId": page.name, "summary": doc.partition(".")[0], "responses": responses}
    if page.leads_to:
        room = {"operationId": page.leads_to, "parameters": {"roomId": "$response.body#/rooms/0/roomId"}}
        responses["200"]["links"] = {page.leads_to: room}
    if "{roomId}" in page.path:
        an_id = {"type": "string", "pattern": "^[\\x21-\\x7e]{1,64}$"}
        described["parameters"] = [{"name": "roomId", "in": "path", "required": True, "schema": an_id}]
    return described


def in_json(description: str, schema: str) -> Schema:
    """A response whose body is of a named schema."""
    return {"description": description, "content": {"application/json": {"schema": reference(schema)}}}


def reference(name: str) -> Schema:
    """A schema, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer_schema(kind: type[Ack], schemas: Schema) -> Schema:
    """An answer: its fields beside `success`."""
    schema = class_schema(kind, schemas)
    schema["properties"] = {"success": {"const": True}, **schema["properties"]}
    schema["required"] = ["success", *schema["required"]]
    return schema


def class_schema(kind: type, schemas: Schema) -> Schema:
    """A class of ours, as the converter writes it: a field whose default is None is absent rather than null."""
    fields = attrs.fields(attrs.resolve_types(kind))
    return {
        "type": "object",
        "description": cleandoc(kind.__doc__ or ""),
        "properties": {camel(field.name): schema_of(field.type, schemas) for field in fields},
        "required": [camel(field.name) for field in fields if field.default is not None],
    }


def schema_of(kind: Any, schemas: Schema) -> Schema:
    """The schema of a field's type. Classes of ours go into `schemas` under their own names."""
    if isinstance(kind, NewType):
        return schema_of(kind.__supertype__, schemas)
    if get_origin(kind) is tuple:  # every list of the wire is a `tuple[X, ...]`
        return {"type": "array", "items": schema_of(get_args(kind)[0], schemas)}
    if get_origin(kind) in (Union, UnionType):
        (given,) = [option for option in get_args(kind) if option is not type(None)]
        return schema_of(given, schemas)
    if issubclass(kind, enum.Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    if attrs.has(kind):
        if kind.__name__ not in schemas:
            schemas[kind.__name__] = class_schema(kind, schemas)
        return reference(kind.__name__)
    return {"type": PRIMITIVES[kind]}


REFUSAL: Final[Schema] = {
    "type": "object",
    "description": "Why there is no answer; `retryAfter` in s.",
    "properties": {
        "success": {"const": False},
        "error": {"type": "string"},
        "code": {"type": "string", "enum": [code.value for code in Code]},
        "canRetry": {"type": "boolean"},
        "retryAfter": {"type": "number"},
    },
    "required": ["success", "error", "code", "canRetry"],
}
