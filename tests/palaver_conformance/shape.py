"""What is wrong with a piece of JSON, by the protocol's schema: the part of JSON Schema 2020-12 that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import orjson

from palaver_protocol.schema import Schema, make_schema

MAX_SHOWN: Final = 240  # characters of JSON that a verdict quotes


@cache
def protocol() -> Schema:
    """The whole schema."""
    return make_schema()


def shown(value: object) -> str:
    """JSON as a verdict quotes it."""
    text = orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def faults(schema: Schema, value: object, path: str = "$") -> Iterator[str]:
    """What is wrong, each with its place: `$.room.hostId: expected string`."""
    if "$ref" in schema:
        yield from faults(protocol()["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, path)
    elif "anyOf" in schema:
        if not any(is_valid(one, value) for one in schema["anyOf"]):
            yield f"{path}: expected {' or '.join(_kind(one) for one in schema['anyOf'])}"
    elif "const" in schema:
        if type(value) is not type(schema["const"]) or value != schema["const"]:
            yield f"{path}: expected {shown(schema['const'])}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path}: expected one of {', '.join(schema['enum'])}"
    else:
        yield from _typed_faults(schema, value, path)


def is_valid(schema: Schema, value: object) -> bool:
    """Whether nothing is wrong."""
    return next(faults(schema, value), None) is None


def _typed_faults(schema: Schema, value: object, path: str) -> Iterator[str]:
    kinds = schema.get("type", [])
    if not any(_is(kind, value) for kind in ([kinds] if isinstance(kinds, str) else kinds or ["anything"])):
        yield f"{path}: expected {_kind(schema)}"
    elif isinstance(value, dict):
        yield from _object_faults(schema, value, path)
    elif isinstance(value, list):
        if len(value) > schema.get("maxItems", len(value)):
            yield f"{path}: expected at most {schema['maxItems']} items"
        for index, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, f"{path}[{index}]")
    elif isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{path}: expected {schema.get('minLength', 0)} to {schema['maxLength']} characters"
        if "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
            yield f"{path}: expected {schema['pattern']}"


def _object_faults(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    properties: dict[str, Schema] = schema.get("properties", {})
    others: Schema = schema.get("additionalProperties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name}: missing"
    for name, item in value.items():
        yield from faults(properties.get(name, others), item, f"{path}.{name}")


def _is(kind: str, value: object) -> bool:
    match kind:
        case "anything":
            return True
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return type(value) is int
        case _:
            return type(value) in (int, float)


def _kind(schema: Schema) -> str:
    kind = schema.get("type") or schema.get("$ref", "something else").removeprefix("#/$defs/")
    return kind if isinstance(kind, str) else " or ".join(kind)
