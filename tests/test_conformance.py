import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import conformance
from app.conformance import (
    RULES,
    SAMPLE_SECRET,
    SAMPLE_TIME,
    NetworkSeen,
    StoredEvent,
    check_events,
    check_network,
    kit,
    run,
    samples,
)
from app.errors import Invalid
from app.shops import envelope, signing
from app.shops.standard import translate

NOW = datetime(2026, 11, 21, 14, 2, 20, tzinfo=UTC)
PRODUCT: dict[str, Any] = {
    "id": "A-17",
    "title": "Assam",
    "sku": "TEE-001",
    "gtin": "4006381333931",
    "price": "7.90",
    "currency": "EUR",
    "stock": 5,
}
ORDER: dict[str, Any] = {
    "id": 1042,
    "key": "ord_88",
    "status": "completed",
    "currency": "EUR",
    "total": "15.80",
    "lines": [{"id": 1, "key": "ln_77", "quantity": 2, "total": "15.80"}],
    "tracking": [{"number": "00340434161094015902"}],
    "stock_sequence": 4700,
}


class Sender:
    """Makes stored events as Anna's ERP would send them."""

    def __init__(self) -> None:
        self.sequence = 100

    def event(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        at: datetime = NOW,
        message: str | None = None,
        **changed: Any,
    ) -> StoredEvent:
        self.sequence += 1
        subject = {"product": f"product/{data.get('id')}", "stock": f"product/{data.get('id')}"}.get(
            kind.split(".", maxsplit=1)[0]
        )
        body = {
            "type": kind,
            "timestamp": "2026-11-21T14:02:11Z",
            "sequence": self.sequence,
            "subject": subject or ("shop" if "day" in data else f"order/{data.get('id')}"),
            "data": data,
        }
        return StoredEvent(message or f"evt_{self.sequence:026d}", at, json.dumps(body | changed).encode())


@pytest.fixture
def anna() -> Sender:
    return Sender()


def codes(*rows: StoredEvent, provider: str = "standard") -> list[tuple[str, str | None]]:
    return [(each.code, each.field) for each in check_events(rows, provider)]


def test_what_is_as_agreed_gives_no_finding(anna: Sender) -> None:
    rows = [
        anna.event("product.changed", PRODUCT),
        anna.event("stock.changed", {"id": "A-17", "stock": 4}),
        anna.event("order.changed", ORDER),
    ]
    assert check_events(rows) == []
    assert check_events([*rows, rows[0]]) == []  # a retry is no fault


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"gtin": "4006381333932"}, "gtin.check_digit", "data.gtin"),
        ({"gtin": None}, "gtin.missing", "data.gtin"),
        ({"sku": None}, "sku.missing", "data.sku"),
        ({"price": None}, "price.missing", "data.price"),
        ({"price": "0.00"}, "price.zero", "data.price"),
        ({"price": 7.9}, "field.invalid", "data.price"),
        ({"price": "7.905"}, "field.invalid", "data.price"),
        ({"currency": None}, "field.missing", "data.currency"),
        ({"stock": -1}, "stock.negative", "data.stock"),
        ({"images": ["http://tee.example/a.jpg"]}, "image.insecure", "data.images"),
        ({"kind": "variation", "parent_id": "P"}, "parent.unknown", "data.parent_id"),
    ],
)
def test_products(anna: Sender, changed: dict[str, Any], code: str, field: str) -> None:
    assert codes(anna.event("product.changed", PRODUCT | changed)) == [(code, field)]


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"lines": [{"id": 1, "quantity": 2, "total": "15.80"}]}, "order.key_lost", "data.lines"),
        ({"stock_sequence": None}, "order.stock_sequence", "data.stock_sequence"),
        ({"total": "15.79"}, "order.total", "data.total"),
        ({"tracking": []}, "order.no_tracking", "data.tracking"),
        ({"status": "refunded"}, "refund.missing", "data.refunds"),
        ({"refunds": [{"id": 1, "amount": "15.81", "currency": "EUR"}]}, "refund.too_much", "data.refunds"),
    ],
)
def test_orders(anna: Sender, changed: dict[str, Any], code: str, field: str) -> None:
    assert codes(anna.event("order.changed", ORDER | changed)) == [(code, field)]


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"type": "product.exploded"}, "type.unknown", "type"),
        ({"subject": "order/A-17"}, "subject.kind", "subject"),
        ({"subject": "product/A-18"}, "subject.other_id", "data.id"),
        ({"timestamp": "2026-11-21T14:12:11Z"}, "timestamp.future", "timestamp"),
        ({"timestamp": "2026-11-17T14:02:11Z"}, "timestamp.old", "timestamp"),
        ({"sequence": 1795269731}, "sequence.clock", "sequence"),
        ({"sequence": 1795269731000}, "sequence.clock", "sequence"),
        ({"sequence": "1"}, "field.invalid", "sequence"),
    ],
)
def test_envelopes(anna: Sender, changed: dict[str, Any], code: str, field: str) -> None:
    assert codes(anna.event("product.changed", PRODUCT, **changed)) == [(code, field)]


def test_what_only_several_messages_show(anna: Sender) -> None:
    first, second = anna.event("product.changed", PRODUCT), anna.event("product.changed", PRODUCT)
    assert codes(second, first) == [("sequence.backwards", "sequence")]
    assert codes(first, anna.event("product.changed", PRODUCT, sequence=101)) == [
        ("sequence.repeated", "sequence")
    ]
    other = anna.event("stock.changed", {"id": "A-17", "stock": 4}, message=first.delivery_id)
    assert codes(first, other) == [("id.reused", "webhook-id")]
    twin = anna.event("product.changed", PRODUCT | {"id": "A-18"})
    assert codes(first, twin) == [("gtin.twice", "data.gtin")]


def test_days_without_a_manifest(anna: Sender) -> None:
    rows = [
        anna.event("stock.changed", {"id": "A-17", "stock": 4}, at=NOW + timedelta(days=day))
        for day in range(3)
    ]
    assert codes(*rows) == [("manifest.missing", None)]
    day = {"day": "2026-11-21", "first_sequence": 1, "last_sequence": 9, "count": 3}
    assert codes(*rows, anna.event("manifest.daily", day)) == []


def test_bodies_that_cannot_be_read_and_ids_that_are_none() -> None:
    found = check_events([StoredEvent("1", NOW, b"\xff{")])
    assert [(each.code, each.level) for each in found] == [("body", "wrong"), ("id.form", "look")]
    assert "not utf8" in found[0].says


def test_findings_are_numbered_counted_and_the_wrong_ones_come_first(anna: Sender) -> None:
    rows = [anna.event("product.changed", PRODUCT | {"id": f"A-{each}", "gtin": None}) for each in range(9)]
    rows.append(anna.event("product.changed", PRODUCT | {"price": "0"}))
    found = check_events(rows)
    assert [(each.number, each.code, each.times) for each in found] == [
        (1, "price.zero", 1),
        (2, "gtin.missing", 9),
    ]
    assert len(found[1].ids) == 5


def test_no_finding_repeats_what_stands_in_an_order(anna: Sender) -> None:
    broken = ORDER | {"status": {"Mia": "Muster"}, "number": ["Beispielweg 4"]}
    lines: list[str] = []
    assert run([anna.event("order.changed", broken)], write=lines.append) == 1
    assert run([anna.event("order.changed", broken)], as_json=True, write=lines.append) == 1
    assert not any(word in line for word in ("Muster", "Beispielweg") for line in lines)


def test_the_report_says_what_to_do(anna: Sender) -> None:
    lines: list[str] = []
    assert run([anna.event("product.changed", PRODUCT | {"gtin": "1"})], write=lines.append) == 1
    assert lines[0] == "1 events read."
    assert lines[2].startswith("1. WRONG [data.gtin] The GTIN is none")
    assert lines[-1] == "1 to mend, 0 to look at."
    lines.clear()
    assert run([], write=lines.append) == 0
    assert lines[-1] == "Everything is as agreed."


def test_plugins_are_checked_with_their_own_translator(anna: Sender) -> None:
    lamp = {
        "id": 11,
        "name": "Lampe",
        "status": "publish",
        "manage_stock": True,
        "stock_quantity": 1,
        "stock_status": "instock",
    }
    found = codes(anna.event("product.changed", lamp | {"sku": "L", "price": "1"}), provider="woocommerce")
    assert found == [("gtin.missing", "data.gtin")]


def test_every_rule_can_be_told() -> None:
    for level, says, to_do in RULES.values():
        assert level in {"wrong", "look"}
        assert says.format(field="x", detail="y").endswith(".")
        assert to_do.format(field="x", detail="y")


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_the_samples_are_answered_as_they_say(sample: conformance.Sample) -> None:
    try:
        signing.verify([SAMPLE_SECRET], sample.headers, sample.body, SAMPLE_TIME)
    except signing.SignatureInvalid:
        assert sample.status == 401
        return
    try:
        event = envelope.parse(sample.body)
    except Invalid as error:
        assert sample.status == (422 if error.code.startswith("field.") else 400)  # noqa: PT017
        return
    assert sample.status == 202
    if "price as a number" in sample.name:
        with pytest.raises(Invalid):
            translate.product(event.data)
    else:
        assert translate.product(event.data).gtin == "4006381333931"


def test_the_kit_shows_every_byte() -> None:
    lines = list(kit())
    assert f"Secret: {SAMPLE_SECRET}" in lines
    assert sum(" -> " in line for line in lines) == len(samples())
    assert any("\\xfc" in line for line in lines)  # the Latin-1 sample


# --- the network ----------------------------------------------------------------------------------------------------------

GOOD = NetworkSeen(
    released=3,
    orders=2,
    fetched=2,
    accepted=1,
    parcels=1,
    cancelled=1,
    refunds=1,
    replayed=True,
    wrong_token=401,
    foreign_order=404,
)


def test_a_supplier_who_does_everything_has_nine_checks_that_are_ok() -> None:
    found = check_network(GOOD)
    assert [each.number for each in found] == list(range(1, 10))
    assert [each.code for each in found] == [
        "product.releasable",
        "order.pulled",
        "order.accepted",
        "order.shipped",
        "order.cancelled",
        "refund.once",
        "request.replayed",
        "token.wrong",
        "order.foreign",
    ]
    assert {each.state for each in found} == {"ok"}


@pytest.mark.parametrize(
    ("changed", "code", "state", "word"),
    [
        ({"released": 0}, "product.releasable", "open", "No product was sent"),
        (
            {"released": 0, "reasons": [("release.gtin_missing", "gtin", 4)]},
            "product.releasable",
            "wrong",
            "release.gtin_missing [gtin] 4x",
        ),
        ({"fetched": 0}, "order.pulled", "open", "No order was fetched"),
        ({"accepted": 0, "orders": 0}, "order.accepted", "open", "No order was accepted"),
        ({"parcels": 0}, "order.shipped", "open", "No parcel"),
        ({"parcels_wrong": 1}, "order.shipped", "wrong", "1 of 1 parcels"),
        ({"cancelled": 0}, "order.cancelled", "open", "No order was cancelled"),
        ({"refunds": 0}, "refund.once", "open", "No refund object"),
        ({"refunds_refused": 1}, "refund.once", "wrong", "1 of 1 refund objects"),
        ({"replayed": False}, "request.replayed", "wrong", "False"),
        ({"wrong_token": 200}, "token.wrong", "wrong", "200"),
        ({"foreign_order": 200}, "order.foreign", "wrong", "200"),
        ({"foreign_order": None}, "order.foreign", "open", "not tried"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(
    changed: dict[str, Any], code: str, state: str, word: str
) -> None:
    (found,) = [each for each in check_network(replace(GOOD, **changed)) if each.state != "ok"]
    assert (found.code, found.state) == (code, state)
    assert word in found.says
    assert found.to_do


def test_the_network_checks_stand_below_the_findings_and_count_for_the_exit_code() -> None:
    lines: list[str] = []
    assert run([], network=GOOD, write=lines.append) == 0
    assert (
        "7. ok request.replayed: The same Idempotency-Key again is known as a repeat and does nothing."
        in lines
    )
    assert run([], network=replace(GOOD, wrong_token=200), write=lines.append) == 1
    lines.clear()
    run([], network=GOOD, as_json=True, write=lines.append)
    assert len(json.loads(lines[0])["network"]) == 9
