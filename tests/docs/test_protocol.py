"""docs/protocol.md and the bridge's schemas say the same: every example loads, every type and command is in both."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from marshmallow import Schema

from app.sandbox.shop_commands import COMMANDS as OBEYED
from app.shops import envelope, schemas, signing
from app.shops.reading import read
from app.shops.standard import translate as standard
from app.shops.woocommerce import translate as woocommerce

DOCS = Path(__file__).resolve().parents[2] / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
SUPPLIERS = (DOCS / "suppliers.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```json\n(.*?)\n```", re.DOTALL)


def examples(page: str) -> dict[str, str]:
    return dict(EXAMPLE.findall(page))


def section(page: str, title: str, end: str = r"\n#") -> str:
    """The text from this heading to the next one."""
    return re.split(end, page.split(f"{title}\n", 1)[1], maxsplit=1)[0]


def first_column(text: str) -> set[str]:
    """Every `name` in the first column of a table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([a-z_.]+)`", cell)}


def schema_of(schema: type[Schema]) -> Callable[[Any], Any]:
    return lambda data: read(schema(), data)


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "connect.request": schema_of(schemas.ConnectRequest),
    "connect.response": schema_of(schemas.ConnectAnswer),
    "status.response": schema_of(schemas.StatusAnswer),
    "event.envelope": schema_of(schemas.EnvelopeData),
    "refund": schema_of(schemas.RefundData),
    "command.order.create": schema_of(schemas.CommandEnvelope),
    "command.product.release": schema_of(schemas.CommandEnvelope),
    "command.answer": schema_of(schemas.AnswerEnvelope),
    "answer.product.release": schema_of(schemas.AnswerEnvelope),
}
PLUGIN: Mapping[str, Callable[[Any], Any]] = {
    "product": woocommerce.product,
    "stock": woocommerce.stock,
    "order": woocommerce.order,
}
SUPPLIER: Mapping[str, Callable[[Any], Any]] = {
    "product": standard.product,
    "stock": standard.stock,
    "order": standard.order,
}
READS = {
    "product.changed": "product",
    "stock.changed": "stock",
    "order.placed": "order",
    "order.changed": "order",
    "order.refunded": "order",
    "shipment.changed": "order",
}


def check_event(raw: str, translators: Mapping[str, Callable[[Any], Any]]) -> None:
    """Through the strict parser, the kind of its subject, and the translator or schema of its type."""
    event = envelope.parse(raw.encode())
    assert event.subject.partition("/")[0] == schemas.SUBJECTS[event.type]
    if event.type in READS:
        translators[READS[event.type]](event.data)
    else:
        read(schemas.EVENTS[event.type], event.data)


@pytest.mark.parametrize("name", examples(PROTOCOL))
def test_every_example_of_the_protocol_goes_through_our_schemas(name: str) -> None:
    raw = examples(PROTOCOL)[name]
    if name.startswith("event.") and name != "event.envelope":
        check_event(raw, PLUGIN)
        return
    data = json.loads(raw)
    CHECKS[name](data)
    what, _, kind = name.partition(".")
    if what == "command" and kind in schemas.COMMANDS:
        read(schemas.COMMANDS[kind], data["data"])
    if what == "answer":
        read(schemas.ANSWERS[kind], data["data"])
    if name == "command.answer":
        read(schemas.ANSWERS["order.create"], data["data"])


@pytest.mark.parametrize("name", examples(SUPPLIERS))
def test_every_example_for_suppliers_goes_through_our_own_format(name: str) -> None:
    raw = examples(SUPPLIERS)[name]
    if name.startswith("event."):
        check_event(raw, SUPPLIER)
    elif name.startswith("command."):
        command = read(schemas.CommandEnvelope(), json.loads(raw))
        read(schemas.COMMANDS[command["type"]], command["data"])
    else:
        answer = read(schemas.AnswerEnvelope(), json.loads(raw))
        kind = name.removeprefix("answer.")
        assert answer["result"] == "refused" or read(schemas.ANSWERS[kind], answer["data"]) is not None


def test_no_example_is_without_a_mark_or_a_check() -> None:
    for page in (PROTOCOL, SUPPLIERS):
        assert page.count("```json") == len(examples(page))
    assert set(CHECKS) <= set(examples(PROTOCOL))


def test_every_event_type_of_the_table_has_a_schema_and_the_other_way_round() -> None:
    assert first_column(section(PROTOCOL, "### Types")) == set(schemas.EVENTS) == set(schemas.SUBJECTS)


def test_every_command_of_the_table_has_a_schema_and_the_other_way_round() -> None:
    commands = first_column(section(PROTOCOL, "## 4. Commands: bridge to shop", r"\n## "))
    assert (
        commands - {"200", "422", "401", "429"}
        == set(schemas.COMMANDS)
        == set(schemas.ANSWERS)
        == set(OBEYED)
    )


def test_the_refusals_are_those_of_the_page() -> None:
    line = next(line for line in PROTOCOL.splitlines() if line.startswith("Error codes of a refusal"))
    assert tuple(re.findall(r"`([a-z_]+\.[a-z_]+)`", line)) == schemas.REFUSALS


def test_the_fields_in_the_commands_table_are_those_of_the_schemas() -> None:
    table = section(PROTOCOL, "## 4. Commands: bridge to shop", r"\n## ")
    for line in table.splitlines():
        cells = line.split("|")
        names = re.findall(r"^`([a-z_]+(?:\.[a-z_]+)?)`$", cells[1].strip()) if line.startswith("| `") else []
        if not names or names[0] not in schemas.COMMANDS or cells[2].strip() == "above":
            continue
        told = set(re.findall(r'"([a-z_]+)"', cells[2]))
        fields = schemas.COMMANDS[names[0]].fields
        required = {each for each, field in fields.items() if field.required}
        assert required <= told, names[0]
        nested = {"id", "quantity", "amount", "at", "text"}
        assert told - nested <= set(fields), names[0]


def test_the_suppliers_page_names_every_event_type_and_command() -> None:
    for name in (*schemas.EVENTS, *schemas.COMMANDS):
        assert f"`{name}`" in SUPPLIERS, name


def test_the_suppliers_page_shows_every_field_of_our_format() -> None:
    for schema, title in (
        (schemas.PRODUCT, "### Product"),
        (schemas.STOCK, "### Stock"),
        (schemas.ORDER, "### Order"),
        (schemas.OrderLineData(), "### Order line"),
        (schemas.RefundData(), "### Refund"),
        (schemas.ParcelData(), "### Parcel"),
    ):
        names = {field.data_key or name for name, field in schema.fields.items()}
        assert first_column(section(SUPPLIERS, title)) == names, title


SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def vector() -> tuple[dict[str, str], bytes]:
    """Headers and body of the signed sample on the suppliers' page."""
    head, _, body = re.search(r"```text\n(.*?)\n```", SUPPLIERS, re.DOTALL)[1].partition("\n\n")  # type: ignore[index]
    return dict(line.split(": ", 1) for line in head.splitlines()), body.encode()


def test_the_signed_sample_is_right() -> None:
    headers, body = vector()
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert SECRET in SUPPLIERS
    assert signing.verify([SECRET], headers, body, at).id == headers["webhook-id"]
    check_event(body.decode(), SUPPLIER)


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)\n```", SUPPLIERS, re.DOTALL)
    assert found
    return found[1]


def test_the_python_example_signs_what_we_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[urllib.request.Request] = []

    def take(request: urllib.request.Request, timeout: float) -> contextlib.AbstractContextManager[Any]:
        sent.append(request)
        return contextlib.nullcontext(SimpleNamespace(status=202))

    monkeypatch.setattr(urllib.request, "urlopen", take)
    names: dict[str, Any] = {}
    exec(code("python"), names)  # noqa: S102  The example is what is tested.
    assert names["send"]("http://127.0.0.1/webhooks/cn_1", SECRET, {"type": "x"}) == 202
    headers = {name.lower(): value for name, value in sent[0].header_items()}
    assert signing.verify([SECRET], headers, sent[0].data or b"", datetime.now(UTC))  # type: ignore[arg-type]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_shell_example_signs_what_we_accept() -> None:
    headers, body = vector()
    lines = [line for line in code("sh").splitlines() if line.startswith(("key=", "signature="))]
    script = "\n".join([*lines, 'printf %s "v1,$signature"'])
    given = {
        "SECRET": SECRET,
        "BODY": body.decode(),
        "id": headers["webhook-id"],
        "seconds": headers["webhook-timestamp"],
    }
    told = subprocess.run(
        ["sh", "-c", script],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == headers["webhook-signature"]


@pytest.mark.skipif(not shutil.which("php"), reason="php is not installed")
def test_the_php_example_signs_what_we_accept() -> None:
    headers, body = vector()
    call = "echo json_encode(shopbridge_headers($argv[1], $argv[2], (int) $argv[3], $argv[4]));"
    told = subprocess.run(
        [
            "php",
            "-r",
            code("php") + call,
            "--",
            SECRET,
            headers["webhook-id"],
            headers["webhook-timestamp"],
            body.decode(),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"webhook-signature: {headers['webhook-signature']}" in json.loads(told.stdout)
