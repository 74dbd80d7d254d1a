"""Checks calls and answers against the vendor's OpenAPI file, where it is at hand (../shared/specs beside the repository)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FILE = Path(__file__).resolve().parents[4] / "shared" / "specs" / "kaufland" / "openapi-2.27.0.json"

# What the file does not declare but the guides and readers do (FACTS sections 3 and 6), and what only the playground has.
UNDECLARED = {("POST", "/units/bulk", 400), ("POST", "/units", 404)}
NOT_IN_THE_FILE = {("POST", "/playground/orders")}

# Every operation that was called, over all tests.
COVERED: Counter[str] = Counter()


@cache
def spec() -> Mapping[str, Any] | None:
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else None


def operations() -> int:
    return sum(len(each) for each in (spec() or {}).get("paths", {}).values())


def complaints(
    method: str, path: str, query: Sequence[tuple[str, str]], body: Any, status: int, answer: Any
) -> list[str]:
    """What is wrong with one call and its answer; [] when all is right or the file is not here."""
    if spec() is None or (method, path) in NOT_IN_THE_FILE:
        return []
    found = _operation(method, path)
    if found is None:
        return [] if status == 404 else [f"{method} {path}: no such operation"]
    template, operation, names = found
    if status < 400:
        COVERED[operation["operationId"]] += 1
    wrong = _wrong_request(operation, names, query, body) if status < 400 else []
    wrong += _wrong_answer(method, template, operation, status, answer)
    return [f"{method} {template}: {each}" for each in wrong]


def _operation(method: str, path: str) -> tuple[str, Mapping[str, Any], Mapping[str, str]] | None:
    paths = (spec() or {})["paths"]
    for template in sorted(paths, key=lambda each: each.count("{")):
        match = re.fullmatch(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)), path)
        if match and method.lower() in paths[template]:
            return template, paths[template][method.lower()], match.groupdict()
    return None


def _wrong_request(
    operation: Mapping[str, Any], names: Mapping[str, str], query: Sequence[tuple[str, str]], body: Any
) -> list[str]:
    declared = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    wrong = [f"parameter {name} is not declared" for name, _ in query if name not in declared]
    for each in operation["parameters"]:
        values = [value for name, value in query if name == each["name"]]
        if each["in"] == "path":
            values = [names[each["name"]]]
        if each.get("required") and not values:
            wrong.append(f"parameter {each['name']} is missing")
        wrong += [
            f"parameter {each['name']}: {error}"
            for value in values
            for error in _of_text(value, each["schema"])
        ]
    if "requestBody" in operation:
        wrong += [
            f"body: {each}"
            for each in _errors(body, operation["requestBody"]["content"]["application/json"]["schema"])
        ]
    elif body is not None:
        wrong.append("a body was sent and none is declared")
    return wrong


def _of_text(value: str, schema: Mapping[str, Any]) -> list[str]:
    schema = _resolved(schema)
    schema = _resolved(schema["items"]) if schema.get("type") == "array" else schema
    if schema.get("type") == "integer":
        return _errors(int(value), schema) if value.isdigit() else ["is no number"]
    return _errors(value, schema)


def _wrong_answer(
    method: str, template: str, operation: Mapping[str, Any], status: int, answer: Any
) -> list[str]:
    if status == 429 or (method, template, status) in UNDECLARED:
        return []
    declared = operation["responses"].get(str(status))
    if declared is None:
        return [f"status {status} is not declared"]
    if "content" not in declared:
        return [] if answer is None else [f"{status} has a body"]
    return [
        f"answer {status}: {each}"
        for each in _errors(answer, declared["content"]["application/json"]["schema"])
    ]


def _errors(value: Any, schema: Mapping[str, Any]) -> list[str]:
    whole = {"$defs": _definitions(), "allOf": [_modern(schema)]}
    found = sorted(Draft202012Validator(whole).iter_errors(value), key=lambda each: list(map(str, each.path)))
    return [f"{'.'.join(map(str, each.path)) or 'all'}: {each.message[:300]}" for each in found]


@cache
def _definitions() -> dict[str, Any]:
    return {_name(name): _modern(schema) for name, schema in (spec() or {})["components"]["schemas"].items()}


def _name(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAPI 3.0 replaces whatever stands beside a $ref."""
    if "$ref" in schema:
        return (spec() or {})["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _modern(schema: Any) -> Any:
    """The same in JSON Schema: references lead to $defs, `nullable` becomes a choice with null, examples are left out."""
    if isinstance(schema, list):
        return [_modern(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{_name(schema['$ref'].rpartition('/')[2])}"}
    kept = {
        key: {name: _modern(each) for name, each in value.items()} if key == "properties" else _modern(value)
        for key, value in schema.items()
        if key not in {"nullable", "example", "description", "default", "format"}
    }
    return {"anyOf": [{"type": "null"}, kept]} if schema.get("nullable") else kept


def schema_errors(value: Any, name: str) -> list[str]:
    """What is wrong with a value of this schema."""
    return _errors(value, {"$ref": f"#/components/schemas/{name}"})


def enum(name: str) -> list[str]:
    words: list[str] = (spec() or {})["components"]["schemas"][name]["enum"]
    return words
