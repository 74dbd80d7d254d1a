import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator

from app.shops import openapi, schemas

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi-events.yaml"


def test_the_file_in_docs_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == openapi.text(), (
        "run python -m app.shops.openapi > docs/openapi-events.yaml"
    )


def test_the_file_reads_as_what_was_written() -> None:
    assert yaml.safe_load(openapi.text()) == json.loads(json.dumps(openapi.document()))


def test_every_event_and_command_is_described() -> None:
    drawn = openapi.document()
    variants = drawn["paths"]["/webhooks/{connection_key}"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]
    assert [each["title"] for each in variants["oneOf"]] == list(schemas.EVENTS)
    assert set(drawn["webhooks"]) == set(schemas.COMMANDS)


def validator(data: dict[str, Any]) -> Any:
    drawn = openapi.document()
    schema = drawn["paths"]["/webhooks/{connection_key}"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]
    return OAS31Validator(schema | {"components": drawn["components"]}).iter_errors(data)


EVENT: dict[str, Any] = {
    "type": "product.changed",
    "timestamp": "2026-11-21T14:02:11Z",
    "sequence": 4712,
    "subject": "product/A-17",
    "data": {
        "id": "A-17",
        "title": "Assam",
        "price": "7.90",
        "currency": "EUR",
        "stock": None,
        "handling_days": None,
    },
}


def test_a_good_event_is_valid() -> None:
    assert list(validator(EVENT)) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"price": 7.9},
        {"price": "7,90"},
        {"stock": "5"},
        {"stock": 2**31},
        {"id": None},
        {"title": 1},
        {"active": "yes"},
    ],
)
def test_what_we_refuse_the_description_refuses_too(changed: dict[str, Any]) -> None:
    assert list(validator(EVENT | {"data": EVENT["data"] | changed}))


def test_every_schema_is_a_right_json_schema() -> None:
    for schema in openapi.document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
