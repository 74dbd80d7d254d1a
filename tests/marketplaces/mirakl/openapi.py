"""Checks calls and answers against the vendor's OpenAPI file, where it is at hand (../shared/specs beside the repository)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "specs" / "mirakl"
FILE = FOLDER / "mmp-seller-subset.openapi.json"
EXAMPLES = FOLDER / "examples"

# Paging, sorting and language are described in sections of the page, not with each operation.
EVERYWHERE = {"max", "offset", "limit", "page_token", "sort", "order", "locale"}

# P47 is not in this copy of the file. P42 tells that there is such a report, and the programs of other sellers read it here.
BEYOND = re.compile(r"/api/products/imports/\d+/transformation_error_report")

# Every operation that was called, over all tests.
COVERED: Counter[str] = Counter()


@cache
def spec() -> Mapping[str, Any] | None:
    return json.loads(FILE.read_text("utf-8")) if FILE.exists() else None


def operations() -> int:
    return sum(len(each) for each in (spec() or {}).get("paths", {}).values())


def complaints(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    body: Any,
    status: int,
    answer: Any,
    form: Mapping[str, str] | None = None,
) -> list[str]:
    """What is wrong with one call and its answer; [] when all is right or the file is not here. Errors have no schema there."""
    if spec() is None or status >= 400:
        return []
    found = _operation(method, path)
    if found is None and method == "GET" and BEYOND.fullmatch(path) and not query and body is None:
        return []
    if found is None:
        return [f"{method} {path}: no such operation"]
    template, operation = found
    COVERED[operation["operationId"]] += 1
    wrong = [*_wrong_query(operation, query), *_wrong_body(operation, body, form)]
    wrong += _wrong_answer(operation, status, answer)
    return [f"{method} {template}: {each}" for each in wrong]


def _operation(method: str, path: str) -> tuple[str, Mapping[str, Any]] | None:
    paths = (spec() or {})["paths"]
    for template in sorted(paths, key=lambda each: each.count("{")):
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in paths[template]:
            return template, paths[template][method.lower()]
    return None


def _wrong_query(operation: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> list[str]:
    declared = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    wrong = [f"parameter {n} is not declared" for n, _ in query if n not in declared and n not in EVERYWHERE]
    for each in declared.values():
        values = [value for name, value in query if name == each["name"]]
        if each.get("required") and not values:
            wrong.append(f"parameter {each['name']} is missing")
        if each.get("schema", {}).get("type") == "integer" and not all(value.isdigit() for value in values):
            wrong.append(f"parameter {each['name']} is no number")
        words = each.get("schema", {}).get("enum")
        if words and set(",".join(values).split(",")) - {"", *words}:
            wrong.append(f"parameter {each['name']}: {values}")
    return wrong


def _wrong_body(operation: Mapping[str, Any], body: Any, form: Mapping[str, str] | None) -> list[str]:
    content = operation.get("requestBody", {}).get("content")
    if content is None:
        return [] if body is None else ["a body was sent and none is declared"]
    if "multipart/form-data" in content:
        # A form has only text.
        typed = {name: {"true": True, "false": False}.get(text, text) for name, text in (form or {}).items()}
        return [
            f"form: {each}" for each in _errors(typed, content["multipart/form-data"]["schema"], strict=True)
        ]
    return [f"body: {each}" for each in _errors(body, content["application/json"]["schema"], strict=True)]


def _wrong_answer(operation: Mapping[str, Any], status: int, answer: Any) -> list[str]:
    declared = operation["responses"].get(str(status))
    if declared is None:
        return [f"status {status} is not declared"]
    schema = declared.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return [] if answer is None else [f"{status} has a body"]
    return [f"answer {status}: {each}" for each in _errors(answer, schema, strict=False)]


def _errors(value: Any, schema: Mapping[str, Any], *, strict: bool) -> list[str]:
    whole = {"$defs": _definitions(strict=strict), "allOf": [_modern(schema, strict=strict)]}
    found = [one for each in Draft202012Validator(whole).iter_errors(value) for one in _inner(each)]
    return sorted(
        f"{'.'.join(map(str, each.absolute_path)) or 'all'}: {each.message[:300]}" for each in found
    )


def _inner(error: ValidationError) -> list[ValidationError]:
    """Of a value that may also be null: what is wrong with it as the other thing."""
    deeper = [each for each in error.context or [] if list(each.schema_path)[:1] == [1]]
    return [one for each in deeper for one in _inner(each)] or [error]


@cache
def _definitions(*, strict: bool) -> dict[str, Any]:
    schemas = (spec() or {})["components"]["schemas"]
    return {_name(name): _modern(schema, strict=strict) for name, schema in schemas.items()}


def _name(text: str) -> str:
    return re.sub(r"\W", "_", text)


def _modern(schema: Any, *, strict: bool) -> Any:
    """As JSON Schema: references lead to $defs, the words of an enumeration are read from the description, and null may stand for any
    value of an object (Mirakl's own examples do that). `strict`: fields that are not described are wrong.
    """
    if isinstance(schema, list):
        return [_modern(each, strict=strict) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{_name(schema['$ref'].rpartition('/')[2])}"}
    dropped = {"properties", "example", "examples", "description", "default", "format", "maximum", "minimum"}
    kept = {key: _modern(each, strict=strict) for key, each in schema.items() if key not in dropped}
    if "properties" in schema:
        kept["properties"] = {
            name: {"anyOf": [{"type": "null"}, _modern(each, strict=strict)]}
            for name, each in schema["properties"].items()
        }
        if strict:
            kept["additionalProperties"] = False
    words = re.findall(r'`"([A-Z_]+)"`', _enumeration(schema))
    if words and schema.get("type") == "string":
        kept["enum"] = words
    return kept


def _enumeration(schema: Mapping[str, Any]) -> str:
    text = str(schema.get("description", ""))
    return text.split("<details>", maxsplit=1)[0] if text.startswith("Enum:") else ""


def response_errors(value: Any, operation_id: str, status: str) -> list[str]:
    """What is wrong with an answer of an operation."""
    for path in (spec() or {}).get("paths", {}).values():
        for operation in path.values():
            if operation["operationId"] == operation_id:
                return _wrong_answer(operation, int(status), value)
    raise LookupError(operation_id)
