"""The OpenAPI 3.1 document of the REST pages, made from the classes that they answer with."""

from __future__ import annotations

from importlib.metadata import version
from inspect import cleandoc
from typing import Final

from attrs import frozen

from palaver_protocol.models import RoomId
from palaver_protocol.schema import REFUSAL, Definitions, Schema
from palaver_protocol.table import Ack, Code

REFUSED: Final = {
    Code.NOT_ALLOWED: ("403", "A web page asks whose origin is not allowed"),
    Code.NOT_FOUND: ("404", "There is none, or it is not for everybody's eyes"),
    Code.ENDED: ("410", "It was there, and has ended"),
}


@frozen
class Page:
    """A page that can be read: where it is, what it answers, and why it may say no.

    `leads_to` names pages that are about the first room of this one.
    """

    path: str
    name: str
    answer: type[Ack]
    refuses: tuple[Code, ...] = (Code.NOT_ALLOWED,)
    leads_to: tuple[str, ...] = ()


def describe(pages: tuple[Page, ...]) -> Schema:
    """The whole document."""
    definitions = Definitions("#/components/schemas")
    paths = {page.path: {"get": operation(page, definitions)} for page in pages}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palaver",
            "version": version("palaver"),
            "description": "Who is online, which rooms are open, and how the server fares. All times in answers are in "
            "ms since the epoch unless said otherwise; whoever takes part speaks Socket.IO at `/socket.io/`.",
        },
        "paths": paths,
        "components": {"schemas": {**definitions.made, "Refusal": REFUSAL}},
    }


def operation(page: Page, definitions: Definitions) -> Schema:
    """How a page is read."""
    doc = cleandoc(page.answer.__doc__ or "")
    refused: Schema = {"$ref": f"{definitions.place}/Refusal"}
    responses = {"200": in_json(doc, definitions.of(page.answer))}
    responses |= {status: in_json(why, refused) for status, why in map(REFUSED.__getitem__, page.refuses)}
    described: Schema = {"operationId": page.name, "summary": doc.partition(".")[0], "responses": responses}
    if page.leads_to:
        room = {"roomId": "$response.body#/rooms/0/roomId"}
        responses["200"]["links"] = {name: {"operationId": name, "parameters": room} for name in page.leads_to}
    if "{roomId}" in page.path:
        an_id = {"name": "roomId", "in": "path", "required": True, "schema": definitions.of(RoomId)}
        described["parameters"] = [an_id]
    return described


def in_json(description: str, schema: Schema) -> Schema:
    """A response whose body is of this schema."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}
