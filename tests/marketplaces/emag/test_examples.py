"""Every example of eMAG's document goes through the translators, where the examples are at hand (../shared/specs beside the repository)."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app import messages as m
from app.marketplaces.emag import translate as t
from app.sandbox.emag import world as sandbox
from app.sandbox.emag.wire import EmagError
from tests.marketplaces.emag.conftest import OFFER
from tests.marketplaces.emag.test_translate import SENDER, TERMS, ZONE

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "specs" / "emag" / "examples"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the examples are not here")

SKIPPED = {
    "awb_save.return.request.json": "the bridge books no pickup of returns: eMAG or the buyer does",
    "order_attachments_save.invoice.request.json": "the bridge makes no invoices and has no labels of foreign couriers",
}
# What an order tells and the bridge does not need.
IGNORED = {
    "vendor_name": "our own name",
    "detailed_payment_method": "a word beside payment_mode_id",
    "delivery_mode": "a locker is told by details.locker_id",
    "cashed_co": "what eMAG has been paid is settled between seller and eMAG",
    "cashed_cod": "as above",
    "observation": "a remark without a place in the shop's order",
    "attachments": "invoices and the like",
    "is_storno": "only sent",
}
READ = {
    "id", "status", "is_complete", "type", "payment_mode_id", "date", "modified", "payment_status", "shipping_tax",
    "shipping_tax_voucher_split", "customer", "details", "products", "vouchers", "reason_cancellation",
    "enforced_vendor_courier_accounts",
}  # fmt: skip


def example(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"), parse_float=Decimal)


def told(name: str) -> t.Told:
    found = t.envelope(example(name))
    assert found is not None
    return found


def the_order() -> dict[str, Any]:
    (order,) = told("order_read.response").results
    return dict(order)


def test_an_order() -> None:
    seen = t.order(the_order(), t.PLATFORMS["ro"], ZONE)
    (piece,) = seen.pieces
    assert (seen.external_id, seen.currency, seen.awaits_acceptance) == ("41200", "RON", True)
    # 967.6613 net at 24 % are 1199.90, less a gift card of 10.00.
    assert (piece.external_id, piece.unit_price, piece.shipping_price) == ("41200/82407/1", 118_990, 1999)
    assert (piece.offer_number, piece.vat_percent, piece.state) == (1264, "24", m.PieceState.ANNOUNCED)
    assert seen.shipping is not None
    assert (seen.shipping.first_name, seen.shipping.last_name, seen.shipping.country) == (
        "Name",
        "Surname",
        "RO",
    )


def test_every_field_of_an_order_is_read_or_ignored_on_purpose() -> None:
    assert set(the_order()) == READ | set(IGNORED)
    assert not READ & set(IGNORED)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("order_save.finalize.request", lambda order: t.saved(order, status=t.FINALIZED)),
        (
            "order_save.cancel_by_seller.request",
            lambda order: t.saved(order, status=0, reason_cancellation=1),
        ),
        (
            "order_save.storno_line.request",
            lambda order: t.reduced(order, {"82407": 0}, status=4, is_storno=True),
        ),
    ],
)
def test_an_order_is_saved_as_the_document_does_it(name: str, made: Callable[[Any], Any]) -> None:
    assert json.loads(t.body(made(the_order()))) == json.loads(t.body(example(name)))


def test_the_ways_an_order_may_go_are_those_of_the_simulator() -> None:
    words = {"yes": "yes", "48h": "48h", "return_window": "window"}
    found = {
        int(old): {int(new): words[word] for new, word in ways.items() if word in words}
        for old, ways in example("order_status_matrix")["allowed"].items()
    }
    assert {old: ways for old, ways in found.items() if ways} == sandbox.MATRIX


def test_the_reasons_of_a_cancellation_are_theirs() -> None:
    known = example("order_cancellation_reasons")
    assert {int(each) for each in known} == sandbox.REASONS
    assert {ours: known[theirs] for ours, theirs in t.CANCEL_REASONS.items()} == {
        "buyer_cancelled": "Cancelled by the client",
        "out_of_stock": "Out of stock",
        "address_undeliverable": "Failed delivery",
        "wrong_price": "The eMAG Marketplace partner requested the order cancellation",
        "wrong_data": "The eMAG Marketplace partner requested the order cancellation",
        "other": "Others",
    }


@pytest.mark.parametrize("name", ["order_read.request", "order_read.modified.request"])
def test_the_simulator_takes_the_documents_questions(name: str) -> None:
    from app.sandbox.emag import _ORDER_FILTERS
    from app.sandbox.emag.wire import asked

    assert asked(example(name), _ORDER_FILTERS).size == 100


def test_a_parcel() -> None:
    assert t.tracking_number(told("awb_read.response").results, "41200") == "2EMG00011012"
    assert t.number(told("awb_save.response").results["reservation_id"]) == 4528511
    body = t.parcel_body(the_order() | {"details": {"locker_id": "d741"}}, SENDER, 10667, Decimal(1))
    theirs = example("awb_save.order_locker.request")
    # What we do not send is optional (FACTS 6): the unboxing.
    assert set(theirs) - set(body) == {"unboxing"}
    assert set(body) <= set(theirs)


def test_a_return() -> None:
    (rma,) = told("rma_read.response").results
    order = the_order() | {
        "id": 2003557593,
        "products": [the_order()["products"][0] | {"product_id": 1057106}],
    }
    seen = t.return_seen(rma, t.return_places(order, [rma]))
    (piece,) = seen.pieces
    assert (seen.external_id, piece.external_id) == ("289130", "289130/1057107/1")
    assert (piece.piece_external_id, piece.state) == ("2003557593/82407/1", m.ReturnState.ARRIVED)
    assert (piece.reason, piece.note) == ("11", "Arrived broken")
    assert [{**rma, "request_status": t.RETURN_DONE}] == example("rma_save.request")
    assert told("rma_save.response.error").failed


def test_the_ways_a_return_may_go_are_those_of_the_simulator() -> None:
    matrix = example("rma_status_matrix")
    assert {int(old): tuple(map(int, new)) for old, new in matrix["allowed"].items()} == sandbox.RMA_MATRIX
    assert {int(each) for each in matrix["statuses"]} == set(t.RETURN_STATES)
    assert all(after in sandbox.RMA_MATRIX[before] for before, after in t.RETURN_STEPS.items())


def test_what_is_found_by_ean() -> None:
    found = t.found_products(told("find_by_eans.response").results)
    assert found == {
        "5904862975146": t.Found(known=True, allowed=True, offered=False, key=None),
        "7086812930967": t.Found(),
    }


def test_saved_offers() -> None:
    assert t.save_results(told("offer_save.response.ok")) == {
        1235122: (False, "Offer 1235122 updated successfully")
    }
    partial = told("offer_save.response.partial_error")
    assert not partial.failed
    ((offer_id, (failed, message)),) = t.save_results(partial).items()
    assert (offer_id, failed, message.startswith("Stock should be 0 or more")) == (1235122, True, True)


def test_what_we_send_for_offers_has_their_fields() -> None:
    full = set(example("offer_save.full.request")[0]) - {"recommended_price"}
    assert set(t.changes(OFFER, TERMS)) == full
    attached = set(example("product_offer_save.attach_by_ean.request")[0]) - {"recommended_price"}
    assert set(t.attach_body(OFFER, TERMS, None)) == attached | {"part_number"}
    known = example("product_offer_save.new_product.request")[0]
    terms = t.Terms("EUR", {"20": 1}, (0, 1), default_rate="20", categories={"*": 1315}, characteristics={"5213": "brand"},
                    language="de_DE")  # fmt: skip
    data = m.ProductData(
        {"title": "Assam", "brand": "Teeladen", "description": "Gut"}, ("https://shop.example/1.jpg",)
    )
    made = t.product_body(m.OfferWanted(**{**vars(OFFER), "product": data}), terms)
    assert isinstance(made, dict)
    # Families join variations, `url` is our page, a recommended price shows a promotion: the bridge sends none of them.
    assert set(known) - set(made) == {"family", "url", "recommended_price"}
    assert set(made) <= set(known)


@pytest.mark.parametrize("name", ["offer_save.full.request", "offer_save.stock_status.request"])
def test_the_simulator_takes_the_documents_offers(name: str) -> None:
    world = sandbox.World()
    world.add_product("4006381333931", "Assam")
    row = json.loads(json.dumps(example(name), default=float))[0]
    first = {"sale_price": 42, "min_sale_price": 35, "max_sale_price": 60, "vat_id": 1, "status": 1,
             "handling_time": [{"warehouse_id": 1, "value": 2}], "stock": [{"warehouse_id": 1, "value": 1}]}  # fmt: skip
    assert world.place_offer({"id": row["id"], "name": "Assam", "ean": ["4006381333931"], **first}) == []
    if "recommended_price" in row:
        del row["recommended_price"]
    assert world.change_offer(row) == []


def test_a_price_alone_is_what_the_simulator_holds_against_its_bounds() -> None:
    (row,) = example("offer_save.price.request")
    assert set(row) == {"id", "sale_price", "recommended_price"}
    assert example("offer_stock_patch.request") == {"stock": 21}


def test_refusals_are_read_in_both_forms() -> None:
    bodies = example("offer_stock_patch.errors")
    said = {name: t.said(body) for name, body in bodies.items()}
    assert said["403"] == "You are not allowed to use this API."
    assert said["404_offer"] == "This offer does not exist"
    assert t.vanished(said["404_offer"])
    assert said["400_validation"].startswith("The offer is included in the active campaign BF")
    assert t.offer_reason(said["400_validation"], "TEE-001")[1]
    assert t.said(example("error.rate_limit.429")) == "API rate limit exceeded"
    many = told("error.too_many_elements")
    assert (many.failed, "input vars" in many.text) == (True, True)


@pytest.mark.parametrize("kind", ["validation_status", "translation_validation_status"])
def test_what_keeps_an_offer_from_buyers_is_told_in_their_words(kind: str) -> None:
    for value, (word, sold) in example("offer_validation_status")[kind].items():
        raw = f"1/1/{value}/-" if kind == "validation_status" else f"1/1/9/{value}"
        state, why = t.offer_state(raw, 5)
        assert (state is m.OfferState.ON_SALE) is sold, raw
        if why is not None and word != "EAN rejected":
            assert why.params["status"] == word


def test_every_example_is_used_or_left_out_on_purpose() -> None:
    text = Path(__file__).read_text("utf-8")
    names = {each.name for each in FOLDER.iterdir()}
    unused = {each for each in names - set(SKIPPED) if f'"{each.removesuffix(".json")}"' not in text}
    assert unused == set()
    assert set(SKIPPED) <= names
    assert issubclass(EmagError, Exception)
    assert ZoneInfo("Europe/Bucharest") == ZONE
