"""The protocol's document for people, from the event table: docs/protocol.md.

`schema` makes the one for machines; scripts/protocol_document.py writes both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from .guide import LIMITS, RULES
from .schema import Schema, make_schema

HEAD: Final = """\
# The protocol

What a client and a Palaver server say to each other. Made from the event table by `scripts/protocol_document.py`, like
[protocol.json](protocol.json), which says the same in JSON Schema 2020-12: do not edit them.
`palaver conformance URL` tries all of it against a server.
"""
DEFINED: Final = re.compile(r"#/\$defs/(\w+)")


def to_json(schema: Schema) -> str:
    """docs/protocol.json."""
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"


def to_markdown(schema: Schema | None = None) -> str:
    """docs/protocol.md."""
    schema = make_schema() if schema is None else schema
    return "\n".join([HEAD, *_contents(), *_rules(), *_events(schema), *_types(schema), *_tables(schema)])


def _contents() -> Iterator[str]:
    for heading in (*RULES, "Requests", "Notices", "Types", "Refusals", "Limits"):
        yield f"- [{heading}](#{heading.lower().replace(' ', '-')})"
    yield ""


def _rules() -> Iterator[str]:
    for heading, text in RULES.items():
        yield from (f"## {heading}", "", text, "")


def _events(schema: Schema) -> Iterator[str]:
    definitions = schema["$defs"]
    yield from ("## Requests", "")
    for event, row in schema["requests"].items():
        refused = ", ".join(f"`{code}`" for code in row["refusals"])
        yield from (f"### {event}", "", row["description"], "")
        yield f"Who may: {' or '.join(row['who'])}. Cost: {row['cost']}."
        yield from ("", *_fields(_definition(definitions, row["payload"]), "payload"))
        yield from (*_fields(_definition(definitions, row["ack"]), "answer"), f"Refused with {refused}.", "")
    yield from ("## Notices", "")
    for event, row in schema["notices"].items():
        latest = " Of several that wait for a slow reader only the newest is sent." if row["latestOnly"] else ""
        yield from (f"### {event}", "", row["description"] + latest, "")
        yield from _fields(_definition(definitions, row["payload"]), "payload")


def _types(schema: Schema) -> Iterator[str]:
    events = {_name(row["payload"]) for kind in ("requests", "notices") for row in schema[kind].values()}
    events |= {_name(row["ack"]) for row in schema["requests"].values()}
    yield from ("## Types", "")
    for name, definition in sorted(schema["$defs"].items()):
        if name in events:
            continue
        yield from (f"### {name}", "", definition["description"], "")
        if "enum" in definition:
            yield from ("One of " + ", ".join(f"`{value}`" for value in definition["enum"]) + ".", "")
        elif definition["type"] == "object":
            yield from _fields(definition, "field")


def _tables(schema: Schema) -> Iterator[str]:
    yield from ("## Refusals", "", "| code | |", "|---|---|")
    yield from (f"| `{code}` | {meaning} |" for code, meaning in schema["codes"].items())
    yield from ("", "## Limits", "", "| limit | | |", "|---|---|---|")
    for limit in LIMITS:
        option = f" (`{limit.option}`)" if limit.option else ""
        yield f"| {limit.name} | {limit.value:,g} {limit.unit} | {limit.meaning}{option} |"
    yield ""


def _fields(definition: Schema, heading: str) -> Iterator[str]:
    rows = list(_rows(definition))
    if not rows:
        yield from (f"No {heading}.", "")
        return
    yield from (f"| {heading} | type | |", "|---|---|---|", *rows, "")


def _rows(definition: Schema) -> Iterator[str]:
    for name, kind in definition["properties"].items():
        presence = "" if name in definition["required"] else "optional"
        remark = kind.get("description", "")
        yield f"| `{name}` | {in_words(kind)} | {'; '.join(filter(None, (presence, remark)))} |"


def in_words(kind: Schema) -> str:
    """A field's type, as the document writes it."""
    match kind:
        case {"$ref": _}:
            return f"[{_name(kind)}](#{_name(kind).lower()})"
        case {"const": value}:
            return f"`{orjson.dumps(value).decode()}`"
        case {"enum": [*values]}:
            return _either(f"`{value}`" for value in values)
        case {"anyOf": [*kinds]}:
            return _either(in_words(one) for one in kinds)
        case {"type": "array", "items": items}:
            return f"list of {in_words(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"object of {in_words(values)}"
        case {"type": "object", "properties": properties}:
            return "object with " + ", ".join(f"`{name}`" for name in properties)
        case {"type": [*names]}:
            return _either(names)
        case _:
            return str(kind["type"])


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)


def _name(reference: Schema) -> str:
    found = DEFINED.fullmatch(reference["$ref"])
    assert found is not None  # every payload and answer is a class
    return found[1]


def _definition(definitions: dict[str, Any], reference: Schema) -> Schema:
    definition: Schema = definitions[_name(reference)]
    return definition
