"""Draws docs/openapi-events.yaml from the schemas: `python -m app.shops.openapi > docs/openapi-events.yaml`.

OpenAPI 3.1 in our own supplier format: what is sent to the bridge stands under paths, what the bridge sends under webhooks.
tests/shops/test_openapi.py fails when the file is not current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields

from app.shops import schemas
from app.shops.envelope import MAX_ID, MAX_INTEGER
from app.shops.reading import Amount, Count, Currency, Flag, Moment, Percent, ShopId

_AMOUNT_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,3})?$"
_PERCENT_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,4})?$"


def document() -> dict[str, Any]:
    """The whole description as a dictionary."""
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Shopbridge events and commands",
        version="1",
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": "docs/suppliers.md in a form for machines. All messages are signed (Standard Webhooks)."
        },
    )
    _teach(plugin)
    for name, kind in sorted(_named().items()):
        spec.components.schema(name, schema=kind)
    _events(spec)
    drawn: dict[str, Any] = spec.to_dict()
    drawn["webhooks"] = {name: _command(name) for name in schemas.COMMANDS}
    return drawn


def _named() -> dict[str, type[Schema]]:
    """Name in the document -> schema class, for the top level; apispec finds the nested ones itself."""
    kinds = [*schemas.EVENTS.values(), *schemas.COMMANDS.values(), *schemas.ANSWERS.values()]
    return {
        type(kind).__name__: type(kind)
        for kind in [*kinds, schemas.AnswerError()]
        if type(kind) is not schemas.Lenient
    }


def _teach(plugin: MarshmallowPlugin) -> None:
    """Says what our own fields are in JSON Schema; marshmallow's own are known."""
    converter = plugin.converter
    if converter is None:
        raise RuntimeError("the plugin has no converter before it is given to a spec")
    converter.add_attribute_function(_drawn)  # type: ignore[no-untyped-call]


def _drawn(_converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    kind = _kind(field)
    if kind and field.allow_none:
        kind = kind | {
            "type": [*(kind["type"] if isinstance(kind["type"], list) else [kind["type"]]), "null"]
        }
    return kind


def _kind(field: fields.Field[Any]) -> dict[str, Any]:
    match field:
        case ShopId():
            return {"type": ["string", "integer"], "maxLength": MAX_ID}
        case Count():
            return {"type": "integer", "minimum": field.lowest, "maximum": field.highest}
        case Amount():
            return {"type": "string", "pattern": _AMOUNT_PATTERN, "examples": ["7.90"]}
        case Percent():
            return {"type": "string", "pattern": _PERCENT_PATTERN, "examples": ["19"]}
        case Moment():
            return {"type": "string", "format": "date-time"}
        case Flag():
            return {"type": "boolean"}
        case Currency():
            return {"type": "string", "pattern": "^[A-Z]{3}$"}
        case _:
            return {}


def _events(spec: APISpec) -> None:
    """One path: every event goes to the webhook URL of the connection."""
    variants = [_event(name, schema) for name, schema in schemas.EVENTS.items()]
    answers = {
        "202": "stored",
        "200": "we had it already",
        "400": "not readable",
        "401": "wrong signature or clock",
        "410": "the connection was removed",
        "413": "larger than 256 KiB",
        "415": "not application/json",
        "422": "readable, but not an event",
        "429": "later, see Retry-After",
        "503": "later, see Retry-After",
    }
    spec.path(
        "/webhooks/{connection_key}",
        parameters=[
            {"name": "connection_key", "in": "path", "required": True, "schema": {"type": "string"}},
            *_headers(),
        ],
        operations={
            "post": {
                "operationId": "sendEvent",
                "summary": "Send one event",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"oneOf": variants}}},
                },
                "responses": {code: {"description": meaning} for code, meaning in answers.items()},
            }
        },
    )


def _event(name: str, schema: Schema) -> dict[str, Any]:
    subject = schemas.SUBJECTS[name]
    return {
        "title": name,
        "type": "object",
        "required": ["type", "timestamp", "sequence", "subject", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "sequence": {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER},
            "subject": {"const": "shop"}
            if subject == "shop"
            else {"type": "string", "pattern": f"^{subject}/[^/\\s]"},
            "data": _ref(schema),
        },
    }


def _command(name: str) -> dict[str, Any]:
    """What the bridge sends to a command URL, and what it expects."""
    body = {
        "type": "object",
        "required": ["id", "type", "timestamp", "data"],
        "properties": {
            "id": {"type": "string", "maxLength": 64},
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": _ref(schemas.COMMANDS[name]),
        },
    }
    return {
        "post": {
            "summary": (schemas.COMMANDS[name].__doc__ or "").split(": ", 1)[-1],
            "parameters": _headers(),
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": _answer(
                    ["done", "already"], {"data": _ref(schemas.ANSWERS[name])}, "what is true afterwards"
                ),
                "422": _answer(
                    ["refused"], {"error": _ref(schemas.AnswerError())}, "a person must look at it"
                ),
                "401": {"description": "wrong signature or clock"},
                "503": {"description": "later, see Retry-After"},
            },
        }
    }


def _answer(results: list[str], more: Mapping[str, Any], meaning: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["id", "result", *more],
        "properties": {"id": {"type": "string"}, "result": {"enum": results}, **more},
    }
    return {"description": meaning, "content": {"application/json": {"schema": schema}}}


def _ref(schema: Schema) -> dict[str, Any]:
    if type(schema) is schemas.Lenient:
        return {"type": "object"}
    return {"$ref": f"#/components/schemas/{type(schema).__name__}"}


def _headers() -> list[dict[str, Any]]:
    patterns = {
        "webhook-id": r"^[A-Za-z0-9_-]{4,64}$",
        "webhook-timestamp": r"^[0-9]{1,11}$",
        "webhook-signature": r"^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)*$",
    }
    return [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in patterns.items()
    ]


def yaml(value: Any, indent: int = 0) -> str:
    """The value as block YAML. Texts are written as JSON strings, which YAML reads the same."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"{pad}{json.dumps(str(key))}:{_inline(each, indent)}" for key, each in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{_inline(each, indent)}" for each in value)
    return f"{pad}{json.dumps(value, ensure_ascii=False)}\n"


def _inline(value: Any, indent: int) -> str:
    if isinstance(value, Mapping | list) and value:
        return "\n" + yaml(value, indent + 1)
    return f" {json.dumps(value, ensure_ascii=False)}\n"


def text() -> str:
    """The file docs/openapi-events.yaml."""
    return "# Made by `python -m app.shops.openapi`; change app/shops/schemas.py instead.\n" + yaml(
        document()
    )


if __name__ == "__main__":
    sys.stdout.write(text())
