"""Products that the operator does not know: uploaded once, asked about, and offered as soon as the operator has them."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from app import messages as m
from app.errors import Refused, Unauthorised, Unavailable
from app.marketplaces.mirakl import PROVIDER
from app.marketplaces.mirakl import translate as t
from app.marketplaces.mirakl.client import DAY, MiraklClient
from app.outbound import Limiter
from tests.marketplaces.doors import ScriptedDoor, answer
from tests.marketplaces.mirakl.conftest import UNKNOWN_GTIN, Mirakl, wanted

NEW, OTHER_NEW = UNKNOWN_GTIN, "4006381333962"
MAPPED = {
    "categories": {"Tee": "TEE", "*": "TAZZE"},
    "product_mapping": {
        "marca": "brand",
        "peso": "attribute:Gewicht",
        "taglia": "=unica",
        "image_1": "image",
    },
}
FILE = r"/api/products/imports$"


def product(category: str = "Tee", **more: str) -> m.ProductData:
    fields = {"brand": "Anna", "category": category, "attribute:Gewicht": "100 g"} | more
    return m.ProductData(
        {name: value for name, value in fields.items() if value}, ("https://x.example/1.jpg",)
    )


def new(sku: str = "TEE-009", gtin: str = NEW, **more: Any) -> m.OfferWanted:
    return wanted(sku, gtin=gtin, **({"title": "Neuer Tee", "product": product()} | more))


def creating(mirakl: Mirakl, door: Any = None, **settings: Any) -> MiraklClient:
    return mirakl.client(door, **(MAPPED | settings))


def at_pace(mirakl: Mirakl, **settings: Any) -> MiraklClient:
    """With the lanes that a real connection has."""
    return creating(
        mirakl, mirakl.door(limiter=Limiter.in_memory(patience=0), lanes=PROVIDER.lanes), **settings
    )


def note(name: str) -> str:
    """What the client remembers it under."""
    return f"product:https://eprice.mirakl.example:None:{name}"


def uploads(mirakl: Mirakl) -> list[list[dict[str, str]]]:
    return [each["rows"] for each in mirakl.world.imports.values() if each["kind"] == "P41"]


def ended(client: MiraklClient, task: str | None) -> dict[str, m.OfferAnswer]:
    """What became of an upload; the simulator has worked on it when it is asked for the second time."""
    assert task is not None
    first, second = client.read_tasks([task]) + client.read_tasks([task])
    assert not first.done
    assert second.done
    return {each.sku: each for each in second.answers}


def why(answer: m.OfferAnswer) -> str | None:
    return answer.reason.code if answer.reason else None


# --- the upload --------------------------------------------------------------------------------------------------------------


def test_without_categories_nothing_is_created(mirakl: Mirakl) -> None:
    (told,) = mirakl.client().push_offers([new()])
    assert (told.state, why(told), told.task) == (m.OfferState.NEEDS_PRODUCT, "product.unknown_gtin", None)
    assert uploads(mirakl) == []
    assert not PROVIDER.can({"categories": {}}).creates_products
    assert PROVIDER.can(MAPPED).creates_products


def test_all_unknown_products_of_a_push_go_out_in_one_file(mirakl: Mirakl) -> None:
    mug = new("TAZZA-1", OTHER_NEW, product=product("Tassen", **{"attribute:Gewicht": ""}))
    known, *told = creating(mirakl).push_offers([wanted(), new(), mug])
    assert known.task is not None
    assert known.task.startswith("OF01:")
    assert {each.task for each in told} == {told[0].task}
    assert [(each.ok, each.state) for each in told] == [(True, m.OfferState.WAITING)] * 2
    (rows,) = uploads(mirakl)
    shared = {"marca": "Anna", "title": "Neuer Tee", "image_1": "https://x.example/1.jpg"}
    assert rows == [
        shared | {"shop_sku": "TEE-009", "ean": NEW, "category": "TEE", "peso": "100 g", "taglia": ""},
        shared
        | {"shop_sku": "TAZZA-1", "ean": OTHER_NEW, "category": "TAZZE", "peso": "", "taglia": "unica"},
    ]


def test_an_offer_goes_out_when_the_operator_has_its_product(mirakl: Mirakl) -> None:
    client = creating(mirakl)
    (told,) = client.push_offers([new()])
    assert NEW not in mirakl.world.products
    answer = ended(client, told.task)["TEE-009"]
    assert (answer.ok, answer.retry, answer.state) == (True, True, m.OfferState.WAITING)
    (again,) = client.push_offers([new()])
    assert again.task is not None
    assert again.task.startswith("OF01:")
    mirakl.world.settle()
    assert mirakl.world.offers["TEE-009"]["stock"] == 5
    assert len(uploads(mirakl)) == 1


def test_an_offer_that_is_off_needs_no_product(mirakl: Mirakl) -> None:
    creating(mirakl).push_offers([new(on=False)])
    assert uploads(mirakl) == []


def test_what_is_missing_is_named_as_the_operator_names_it(mirakl: Mirakl) -> None:
    client = creating(mirakl)
    bare = new("TEE-010", OTHER_NEW, product=product(brand="", **{"attribute:Gewicht": ""}))
    told, good = client.push_offers([bare, new()])
    assert (told.state, why(told)) == (m.OfferState.NEEDS_PRODUCT, "product.data_missing")
    assert told.reason is not None
    assert told.reason.params["fields"] == "Marca (marca), Peso netto (peso)"
    assert good.task is not None
    assert [row["shop_sku"] for row in uploads(mirakl)[0]] == ["TEE-009"]


def test_a_category_that_is_not_mapped_or_that_nobody_knows_is_said(mirakl: Mirakl) -> None:
    settings = {"categories": {"Tee": "TEE", "Kaffee": "GONE"}}
    offers = [new(product=product("Kakao")), new("TEE-010", OTHER_NEW, product=product("Kaffee"))]
    told = creating(mirakl, **settings).push_offers(offers)
    assert [why(each) for each in told] == ["mirakl.category_missing", "mirakl.category_unknown"]
    assert [each.reason and each.reason.params["category"] for each in told] == ["Kakao", "GONE"]
    assert uploads(mirakl) == []


def test_the_form_and_the_file_are_the_operators(mirakl: Mirakl) -> None:
    creating(mirakl).push_offers([new(title='Tee "grün"; 5 €')])
    assert uploads(mirakl)[0][0]["title"] == 'Tee "grün"; 5 €'
    file = t.product_file([{"a": "ü;1"}, {"b": 'x"y\nz'}])
    assert file.decode().splitlines()[0] == '"a";"b"'
    assert list(csv.reader(io.StringIO(file.decode()), delimiter=";"))[1:] == [["ü;1", ""], ["", 'x"y\nz']]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(400, {"message": "hierarchy"}), "mirakl.category_unknown"),
        (answer(403, {"message": "no right"}), "account.not_allowed"),
        (Refused("answer.too_large"), None),
    ],
)
def test_attributes_that_are_not_given(mirakl: Mirakl, said: Any, code: str | None) -> None:
    """Too many attributes for one answer keep no product here: the operator's report says what is missing."""
    door = (
        ScriptedDoor()
        .on("GET", "/api/products", answer(200, {"products": [], "total_count": 0}))
        .on("GET", ".*/attributes", said)
        .on("POST", ".*", answer(201, {"import_id": 7}))
    )
    client = creating(mirakl, door, product_mapping={"ean": "gtin"})
    told = [client.push_offers([new()])[0] for _ in range(2)]
    assert [(why(each), each.task) for each in told] == [(code, None if code else "product:7")] * 2


def test_what_one_operator_got_the_next_one_has_not(mirakl: Mirakl) -> None:
    (first,) = creating(mirakl).push_offers([new()])
    (second,) = creating(mirakl, host="https://other.mirakl.example").push_offers([new()])
    assert second.task not in {None, first.task}
    assert len(uploads(mirakl)) == 2


# --- never twice -------------------------------------------------------------------------------------------------------------


def test_the_same_product_is_uploaded_once(mirakl: Mirakl) -> None:
    client = creating(mirakl)
    (first,) = client.push_offers([new()])
    (second,) = client.push_offers([new(stock=3, price=890)])
    assert second.task == first.task
    mirakl.world.conduct.product_review = True
    ended(client, first.task)
    for _ in range(3):
        (later,) = client.push_offers([new()])
        assert (later.ok, later.state, why(later)) == (
            True,
            m.OfferState.NEEDS_PRODUCT,
            "mirakl.product_in_review",
        )
    assert len(uploads(mirakl)) == 1


def test_a_product_that_changed_is_uploaded_again(mirakl: Mirakl) -> None:
    client = creating(mirakl)
    (first,) = client.push_offers([new()])
    (second,) = client.push_offers([new(product=product(brand="Boldt"))])
    assert second.task not in {None, first.task}
    mirakl.world.conduct.product_errors = {NEW: "no"}
    ended(client, first.task)
    # The first upload's end says nothing about the second.
    (third,) = client.push_offers([new(product=product(brand="Boldt"))])
    assert third.task == second.task


def test_a_refused_product_waits_for_other_data(mirakl: Mirakl) -> None:
    mirakl.world.conduct.product_errors = {NEW: "The image is too small"}
    client = creating(mirakl)
    told = client.push_offers([new(), new("TEE-010", OTHER_NEW)])
    found = ended(client, told[0].task)
    assert (found["TEE-009"].ok, why(found["TEE-009"])) == (False, "product.data_refused")
    assert found["TEE-009"].reason is not None
    assert found["TEE-009"].reason.params["marketplace_reason"] == "The image is too small"
    assert found["TEE-010"].retry
    (again,) = client.push_offers([new()])
    assert (again.state, again.reason) == (m.OfferState.NEEDS_PRODUCT, found["TEE-009"].reason)
    assert len(uploads(mirakl)) == 1
    mirakl.world.conduct.product_errors = {}
    (better,) = client.push_offers([new(title="Grüner Tee")])
    assert ended(client, better.task)["TEE-009"].retry


def test_a_lost_answer_is_not_repeated_within_the_pace(mirakl: Mirakl) -> None:
    mirakl.faults.add({"kind": "timeout", "method": "POST", "path": FILE, "seconds": 0.2})
    mirakl.offer(stock=9)
    client = creating(mirakl)
    told = [client.push_offers([new()])[0] for _ in range(3)]
    assert [(each.ok, each.retry, each.state) for each in told] == [(False, True, m.OfferState.WAITING)] * 3
    assert why(told[2]) == "mirakl.product_turn"
    assert len(uploads(mirakl)) == 1
    # What the operator got all the same is found by the next question.
    mirakl.world.settle()
    (found,) = client.push_offers([new()])
    assert (found.task or "").startswith("OF01:")


def test_the_same_file_twice_does_no_harm(mirakl: Mirakl) -> None:
    client = creating(mirakl)
    (first,) = client.push_offers([new()])
    mirakl.kept.forget(note("TEE-009"))
    (second,) = client.push_offers([new()])
    assert len(uploads(mirakl)) == 2
    for task in (first.task, second.task):
        assert ended(client, task)["TEE-009"].retry
    assert [sku for sku in mirakl.world.products if sku == NEW] == [NEW]


def test_an_upload_every_quarter_of_an_hour(mirakl: Mirakl) -> None:
    client = at_pace(mirakl)
    mirakl.world.conduct.frequency = True
    (first,) = client.push_offers([new()])
    stock, second = client.push_offers([wanted(), new("TEE-010", OTHER_NEW)])
    assert first.task is not None
    assert stock.task is not None
    assert (second.ok, second.retry, why(second)) == (False, True, "mirakl.product_turn")
    assert mirakl.faults.count("POST", FILE) == 1


def test_attributes_are_asked_for_one_category_in_an_hour(mirakl: Mirakl) -> None:
    client = at_pace(mirakl)
    mug = new("TAZZA-1", OTHER_NEW, product=product("Tassen"))
    told = client.push_offers([new(), mug])
    (taken,) = [each for each in told if each.task]
    (waits,) = [each for each in told if not each.task]
    assert taken.ok
    assert (waits.retry, why(waits)) == (True, "mirakl.product_turn")
    assert mirakl.faults.count("GET", "/products/attributes$") == 1


# --- trouble -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [FILE, "/products/attributes$"])
def test_too_many_uploads_keep_no_stock_waiting(mirakl: Mirakl, path: str) -> None:
    mirakl.faults.add({"kind": "status", "status": 429, "path": path, "retry_after": 1800})
    client = creating(mirakl)
    offers = [wanted(), new()]
    stock, waits = client.push_offers(offers)
    assert stock.task is not None
    assert (waits.ok, waits.retry, why(waits)) == (False, True, "mirakl.product_turn")


def test_a_pause_that_the_operator_asks_for_is_kept(mirakl: Mirakl) -> None:
    mirakl.faults.add({"kind": "status", "status": 429, "path": FILE, "retry_after": 1800})
    client = creating(mirakl)
    for _ in range(3):
        client.push_offers([new()])
    assert mirakl.faults.count("POST", FILE) == 1


@pytest.mark.parametrize(
    "fault",
    [{"kind": "garbage"}, {"kind": "reset"}, {"kind": "status", "status": 503}],
    ids=lambda each: each["kind"],
)
def test_an_upload_that_ends_in_nothing_loses_no_offer(mirakl: Mirakl, fault: dict[str, Any]) -> None:
    mirakl.faults.add({"method": "POST", "path": FILE, **fault})
    stock, waits = creating(mirakl).push_offers([wanted(), new()])
    assert stock.task is not None
    assert (waits.ok, waits.retry, waits.state) == (False, True, m.OfferState.WAITING)


def test_a_key_that_may_not_upload_is_told_and_tried_again_the_next_day(mirakl: Mirakl) -> None:
    mirakl.faults.add({"kind": "status", "status": 403, "method": "POST", "path": FILE})
    client = creating(mirakl)
    told = [client.push_offers([new()])[0] for _ in range(2)]
    assert [why(each) for each in told] == ["mirakl.product_file_failed"] * 2
    assert mirakl.faults.count("POST", FILE) == 1
    until, _ = mirakl.kept._values[note("TEE-009")]
    assert until - mirakl.kept._clock() == pytest.approx(DAY, abs=60)


OPEN = ["TRANSFORMATION_WAITING", "TRANSFORMATION_RUNNING", "WAITING", "RUNNING", "NEVER_SEEN_BEFORE"]


def test_a_withdrawn_key_stops_the_upload_too(mirakl: Mirakl) -> None:
    mirakl.faults.add({"kind": "status", "status": 401, "method": "POST", "path": FILE})
    with pytest.raises(Unauthorised):
        creating(mirakl).push_offers([new()])


def test_attributes_that_cannot_be_read_leave_the_other_offers_alone(mirakl: Mirakl) -> None:
    mirakl.faults.add(
        {"kind": "schema_change", "path": "/products/attributes$", "rows": "attributes", "name": "code"}
    )
    stock, told = creating(mirakl).push_offers([wanted(), new()])
    assert stock.task is not None
    assert (told.state, why(told)) == (m.OfferState.NEEDS_PRODUCT, "data.missing")
    assert (creating(mirakl).push_offers([new()])[0].task or "").startswith("product:")


def test_a_category_without_attributes_takes_the_columns_of_the_mapping(mirakl: Mirakl) -> None:
    mapping = {"shop_sku": "sku", "ean": "gtin", "category": "category_code", "title": "title"}
    door = (
        ScriptedDoor()
        .on("GET", "/api/products", answer(200, {"products": [], "total_count": 0}))
        .on("GET", ".*/attributes", answer(200, {"attributes": []}))
        .on("POST", ".*", answer(201, {"import_id": 7}))
    )
    client = creating(mirakl, door, product_mapping=mapping)
    assert client.push_offers([new()])[0].task == "product:7"
    body = bytes(door.sent[-1].body).decode()
    assert '"shop_sku";"ean";"category";"title"\n"TEE-009"' in body
    assert 'name="operator_format"\r\n\r\ntrue' in body


# --- what becomes of it --------------------------------------------------------------------------------------------------------


def uploaded(mirakl: Mirakl, *offers: m.OfferWanted, **conduct: Any) -> tuple[MiraklClient, str]:
    """Products on their way, at an operator that behaves so afterwards."""
    client = creating(mirakl)
    told = client.push_offers(list(offers or (new(),)))
    for name, value in conduct.items():
        setattr(mirakl.world.conduct, name, value)
    assert told[0].task is not None
    return client, told[0].task


def aged(mirakl: Mirakl, task: str) -> None:
    """The upload was made two hours ago."""
    mirakl.world.imports[task.partition(":")[2]]["made_at"] -= timedelta(hours=2)


@pytest.mark.parametrize("status", OPEN)
def test_an_upload_that_is_under_way_is_asked_for_again_in_a_minute(mirakl: Mirakl, status: str) -> None:
    client, task = uploaded(mirakl, product_status=status)
    seen = [client.read_tasks([task])[0] for _ in range(3)]
    assert [(each.done, each.again_in) for each in seen] == [(False, 60)] * 3


@pytest.mark.parametrize("status", OPEN)
def test_an_upload_that_never_ends_does_not_hold_its_offer(mirakl: Mirakl, status: str) -> None:
    client, task = uploaded(mirakl, product_status=status, product_review=True)
    aged(mirakl, task)
    (seen,) = client.read_tasks([task])
    (answer,) = seen.answers
    assert (seen.done, why(answer), answer.state) == (
        True,
        "mirakl.product_in_review",
        m.OfferState.NEEDS_PRODUCT,
    )
    mirakl.world.add_product(NEW, "Neuer Tee")
    (found,) = client.push_offers([new()])
    assert (found.task or "").startswith("OF01:")


def test_a_file_that_was_sent_on_is_looked_at_with_every_push(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl, product_status="SENT", product_review=True)
    (seen,) = client.read_tasks([task])
    assert [(each.ok, why(each)) for each in seen.answers] == [(True, "mirakl.product_in_review")]
    assert client.push_offers([new()])[0].reason == seen.answers[0].reason
    mirakl.world.conduct.product_status = ""
    mirakl.world.imports[task.partition(":")[2]]["errors"] = [
        (1, "Not for us", {"ean": NEW, "shop_sku": "TEE-009"})
    ]
    (told,) = client.push_offers([new()])
    assert (told.ok, why(told)) == (False, "product.data_refused")
    before = mirakl.faults.count("GET", "/imports/[0-9]+$")
    assert client.push_offers([new()])[0].reason == told.reason
    assert mirakl.faults.count("GET", "/imports/[0-9]+$") == before


def test_slow_uploads_are_looked_at_within_the_pace_and_each_gets_its_turn(mirakl: Mirakl) -> None:
    mirakl.world.conduct.product_review = True
    mirakl.world.conduct.per_second = 10_000
    client = creating(mirakl)
    offers = [new(f"TEE-{n}", f"{4006381000000 + n}") for n in range(4)]
    tasks = [client.push_offers([each])[0].task or "" for each in offers]
    mirakl.world.conduct.product_status = "SENT"
    client.read_tasks(tasks)
    seen: set[str] = set()
    for _ in range(200):
        mirakl.faults.calls.clear()
        told = at_pace(mirakl).push_offers(offers)
        assert {why(each) for each in told} == {"mirakl.product_in_review"}
        paths = [each.path for each in mirakl.faults.calls if "/products/imports/" in each.path]
        assert len(paths) == 1
        seen.update(paths)
        if len(seen) == len(tasks):
            return
    pytest.fail("an upload is never looked at")


def test_a_look_that_fails_changes_nothing(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl, product_status="SENT", product_review=True)
    (other,) = client.push_offers([new("TEE-010", OTHER_NEW)])
    client.read_tasks([task, other.task or ""])
    mirakl.faults.add({"kind": "status", "status": 503, "path": "/imports/[0-9]+$", "count": 9})
    before = mirakl.faults.count("GET", "/imports/[0-9]+$")
    stock, *told = client.push_offers([wanted(), new(), new("TEE-010", OTHER_NEW)])
    assert stock.task is not None
    assert [why(each) for each in told] == ["mirakl.product_in_review"] * 2
    assert (
        mirakl.faults.count("GET", "/imports/[0-9]+$") == before + 1
    )  # the second is asked about another time


def test_lines_that_are_no_products_say_why(mirakl: Mirakl) -> None:
    client = creating(mirakl, product_mapping=MAPPED["product_mapping"] | {"ean": "=12", "image_1": "gtin"})
    told = client.push_offers([new(), new("TEE-010", OTHER_NEW)])
    found = ended(client, told[0].task)
    assert {why(each) for each in found.values()} == {"product.data_refused"}
    assert {each.reason and each.reason.params["marketplace_reason"] for each in found.values()} == {
        "The EAN 12 is not valid"
    }


@pytest.mark.parametrize("status", ["FAILED", "TRANSFORMATION_FAILED", "CANCELLED"])
def test_a_file_that_failed_is_tried_again_the_next_day(mirakl: Mirakl, status: str) -> None:
    client, task = uploaded(mirakl, product_status=status)
    (answer,) = client.read_tasks([task])[0].answers
    assert (answer.ok, why(answer)) == (False, "mirakl.product_file_failed")
    assert answer.reason is not None
    assert answer.reason.params["message"] == "The file cannot be read"
    assert why(client.push_offers([new()])[0]) == "mirakl.product_file_failed"
    assert len(uploads(mirakl)) == 1
    mirakl.kept.forget(note("TEE-009"))  # a day later
    assert client.push_offers([new()])[0].task not in {None, task}


def test_a_report_in_the_operators_own_form_is_said(mirakl: Mirakl) -> None:
    client, task = uploaded(
        mirakl, new(), new("TEE-010", OTHER_NEW), product_errors={NEW: "no"}, product_report="own"
    )
    found = ended(client, task)
    assert (found["TEE-009"].ok, why(found["TEE-009"])) == (False, "mirakl.product_report")
    assert found["TEE-010"].retry  # the operator has it


def test_an_upload_that_the_operator_has_forgotten_is_not_repeated(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl)
    mirakl.world.imports.clear()
    (answer,) = client.read_tasks([task])[0].answers
    assert why(answer) == "mirakl.product_report"
    assert why(client.push_offers([new()])[0]) == "mirakl.product_report"
    assert uploads(mirakl) == []


def test_an_upload_that_nobody_remembers_is_done_without_a_word_and_made_again(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl, product_review=True)
    for name in (task, "TEE-009"):
        mirakl.kept.forget(note(name))
    assert ended(client, task) == {}
    assert client.push_offers([new()])[0].task not in {None, task}


def test_too_many_questions_are_asked_later_and_stop_nothing(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl)
    mirakl.faults.add({"kind": "status", "status": 429, "path": "/imports/[0-9]+$", "retry_after": 90})
    (seen,) = at_pace(mirakl).read_tasks([task])
    assert (seen.done, seen.again_in) == (False, 91)
    client = at_pace(mirakl)
    looked = [client.read_tasks([task])[0] for _ in range(2)]
    assert [each.done for each in looked] == [False, False]
    assert 1 <= looked[1].again_in <= 61


def test_an_operator_that_is_down_is_asked_again_by_the_bridge(mirakl: Mirakl) -> None:
    client, task = uploaded(mirakl)
    mirakl.faults.add({"kind": "status", "status": 503, "path": "/imports/[0-9]+$"})
    with pytest.raises(Unavailable):
        client.read_tasks([task])
