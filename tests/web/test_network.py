"""The signed questions of a shop plugin about the network: what each answers, what each refuses, and that nobody sees another's rows (T9)."""

import io
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest
from flask import Flask
from senders_of_tests import Shop, new_id, shop_of
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

sys.path.insert(0, str(Path(__file__).parent / "api"))

from members_world import ADDRESS, BANK, a_trade, goods, member, released

from app import accounts
from app.flows import network_members as members
from app.models import (
    Account,
    Connection,
    Listing,
    Order,
    OrderLine,
    OrderPiece,
    Partnership,
    Product,
    Profile,
)
from app.rules import network_categories
from app.shops import signing

ROUTES = (
    "network/state",
    "network/profile",
    "network/partner",
    "network/catalogue",
    "network/import",
    "network/unlist",
    "packing-slip",
)
NOW = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)
FORM = {
    "supplier": True,
    "address": {"company": "Anna Teekanne e.K.", **ADDRESS},
    "vat_id": "DE 136 695 976",
    "bank": {"iban": "DE89 3704 0044 0532 0130 00", "bic": None, "holder": "Anna Teekanne"},
    "shipping_price": "4,90",
    "shipping_free_from": "50",
}


def ask(
    shop: Shop, route: str, told: Any = None, *, raw: bytes | None = None, **changes: Any
) -> TestResponse:
    """A signed question."""
    body = json.dumps({} if told is None else told).encode() if raw is None else raw
    headers = {**shop.headers(body, **changes), "shopbridge-connection": shop.key}
    return shop.app.test_client().post(f"/plugin/{route}", data=body, headers=headers)


def good(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return dict(answer.get_json())


def error(answer: TestResponse, status: int = 422) -> dict[str, Any]:
    assert answer.status_code == status, answer.get_data(as_text=True)
    return dict(answer.get_json()["error"])


@dataclass
class Cast:
    """Anna supplies, Boldt retails and is her partner, Chai has a shop and no profile."""

    anna: Shop
    boldt: Shop
    chai: Shop
    pair: Partnership
    assam: Product


@pytest.fixture
def cast(app: Flask, session: Session, shop: Shop, other_shop: Shop, anna: Account) -> Cast:
    boldt = accounts.create_account(session, "Bücher Boldt")
    buchladen = shop_of(app, session, boldt, "Buchladen")
    member(
        session, anna, "Anna Teekanne e.K.", retailer=False, return_address={**ADDRESS, "company": "Teelager"}
    )
    member(session, boldt, "Bücher Boldt GmbH", supplier=False)
    pair = members.ask(session, boldt.id, anna.id)
    members.act(session, anna.id, pair.id, "accept")
    assam = goods(session, session.get_one(Connection, shop.id), "Assam", "17", sku="TEE-001")
    session.commit()
    return Cast(shop, buchladen, other_shop, pair, assam)


# --- who may ask at all -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_only_the_shop_itself_gets_an_answer(cast: Cast, route: str) -> None:
    body = b"{}"
    client = cast.anna.app.test_client()
    path = f"/plugin/{route}"
    named = {"shopbridge-connection": cast.anna.key}
    foreign = cast.chai.headers(body)
    attempts = [
        client.post(path, json={}),
        client.post(path, json={}, headers=named),
        client.post(path, data=body, headers={**foreign, **named}),
        client.post(path, data=b'{"a":1}', headers={**cast.anna.headers(body), **named}),
        client.post(path, data=body, headers={**cast.anna.headers(body, late=400), **named}),
        client.post(
            path, data=body, headers={**cast.anna.headers(body), "shopbridge-connection": "cn_nobody"}
        ),
    ]
    assert {(answer.status_code, answer.get_json()["error"]["code"]) for answer in attempts} == {
        (401, "signature.invalid")
    }


@pytest.mark.parametrize("route", ROUTES)
def test_a_removed_shop_is_told_so(cast: Cast, session: Session, route: str) -> None:
    session.execute(text("UPDATE connection SET state = 'removed' WHERE id = :id"), {"id": cast.chai.id})
    session.commit()
    assert error(ask(cast.chai, route), 410)["code"] == "connection.removed"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b"null", 422), (b'{"a":1,"a":2}', 400), (b"\xff", 400), (b'{"a":"\\u0000"}', 400), (b"[" * 5000, 422)],
)  # fmt: skip
def test_odd_bodies_are_refused_before_anything_is_read(
    cast: Cast, route: str, raw: bytes, status: int
) -> None:
    assert ask(cast.anna, route, raw=raw).status_code == status


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_is_too_large_or_of_another_kind_is_refused(cast: Cast, route: str) -> None:
    assert ask(cast.anna, route, raw=b'{"a":"' + b"x" * 300_000 + b'"}').status_code == 413
    headers = {
        **cast.anna.headers(b"{}"),
        "shopbridge-connection": cast.anna.key,
        "Content-Type": "text/plain",
    }
    assert (
        cast.anna.app.test_client().post(f"/plugin/{route}", data=b"{}", headers=headers).status_code == 415
    )


VALUES: tuple[Any, ...] = (None, True, 0, -1, 2**53, 1.5, "", "x", "acc_1", "pts_1", "acc_99999999999999999999", "pts_٣", "\u202e", "'--", [], [None], {}, {"kind": []}, ["prd_1"] * 3, "a" * 5000)  # fmt: skip
NAMES = {
    "network/profile": (
        *FORM,
        "retailer",
        "documents",
        "price_groups",
        "hold_minutes",
        "return_address",
        "submit",
    ),
    "network/partner": ("id", "action", "price_group"),
    "network/catalogue": ("search", "category", "supplier", "page", "gtin", "brand", "margin", "listed"),
    "network/import": ("products", "price_rule"),
    "network/unlist": ("products",),
    "packing-slip": ("order_id",),
}


@pytest.mark.parametrize(
    ("route", "name"), [(route, name) for route, names in NAMES.items() for name in names]
)
def test_no_value_anywhere_makes_a_500(
    cast: Cast, route: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.rate.Buckets.take", lambda *_: 0.0)
    whole: dict[str, Any] = {"network/profile": FORM, "network/import": {"products": ["prd_1"]}}.get(
        route, {}
    )
    for value in VALUES:
        answer = ask(cast.boldt, route, {**whole, name: value})
        assert answer.status_code in {200, 404, 422}, (value, answer.get_data(as_text=True))


def test_a_shop_that_asks_too_fast_is_told_to_wait(
    cast: Cast, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.rate.Buckets.take", lambda *_: 3.0)
    answer = ask(cast.anna, "network/state")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")


# --- state ------------------------------------------------------------------------------------------------------------------------


def test_a_shop_without_a_profile_sees_an_empty_draft_and_the_categories(cast: Cast) -> None:
    told = good(ask(cast.chai, "network/state"))
    assert (told["profile"]["state"], told["profile"]["address"]["company"]) == ("draft", "")
    assert (told["supplier"], told["retailer"], told["released"], told["partners"], told["suppliers"]) == (
        False,
        False,
        0,
        [],
        [],
    )
    assert told["categories"] == network_categories.choices("de")
    assert told["money"] == {
        "currency": "EUR",
        "held": "0.00",
        "released": "0.00",
        "paid_out": "0.00",
        "receivable": "0.00",
        "refunded": "0.00",
    }


def test_a_supplier_sees_his_profile_his_partners_and_why_products_are_not_released(
    cast: Cast, session: Session
) -> None:
    shop = session.get_one(Connection, cast.anna.id)
    for number in (1, 2, 3):
        made = Product(
            account_id=cast.anna.account_id,
            connection_id=shop.id,
            external_id=f"9{number}",
            title="x",
            extra={},
        )
        session.add(made)
        session.flush()
        released(
            session,
            made,
            reasons=("product.gtin_missing",)
            if number < 3
            else ("product.gtin_missing", "product.price_missing"),
        )
    session.commit()
    told = good(ask(cast.anna, "network/state"))
    assert (told["released"], told["not_released"]) == (1, 3)
    assert [(each["code"], each["count"]) for each in told["by_reason"]] == [
        ("product.gtin_missing", 3),
        ("product.price_missing", 1),
    ]
    assert told["by_reason"][0]["text"].startswith("Der Artikel hat keine GTIN")
    assert told["partners"] == [
        {"id": f"pts_{cast.pair.id}", "account": f"acc_{cast.boldt.account_id}", "name": "Bücher Boldt GmbH", "role": "retailer",
         "state": "active", "by": None, "price_group": None}
    ]  # fmt: skip
    assert told["suppliers"] == [], "who does not retail has nobody to ask"


def test_a_retailer_sees_whom_he_may_ask(cast: Cast) -> None:
    told = good(ask(cast.boldt, "network/state"))
    assert told["suppliers"] == [
        {"id": f"acc_{cast.anna.account_id}", "name": "Anna Teekanne e.K.", "products": 1}
    ]
    assert told["partners"][0]["role"] == "supplier"


def test_the_account_number_is_shown_by_its_end_only(cast: Cast) -> None:
    answer = ask(cast.anna, "network/state")
    assert good(answer)["profile"]["bank"] == {"iban": "DE** **** 3000", "bic": "", "holder": "Anna"}
    assert BANK["iban"] not in answer.get_data(as_text=True)


# --- profile ----------------------------------------------------------------------------------------------------------------------


def test_a_profile_is_saved_and_submitted(cast: Cast, session: Session) -> None:
    told = good(ask(cast.chai, "network/profile", FORM))["profile"]
    assert (told["state"], told["shipping_price"], told["shipping_free_from"], told["vat_id"]) == (
        "submitted",
        "4.90",
        "50.00",
        "DE136695976",
    )
    saved = session.get_one(Profile, cast.chai.account_id)
    assert (saved.shipping_price, saved.shipping_free_from, saved.bank["iban"]) == (
        490,
        5000,
        "DE89370400440532013000",
    )
    networks = select(func.count()).where(
        Connection.role == "network", Connection.account_id == cast.chai.account_id
    )
    assert session.scalar(networks) == 1


def test_every_mistake_comes_back_with_its_field_in_the_shops_language(cast: Cast, session: Session) -> None:
    wrong = {**FORM, "vat_id": "DE136695977", "address": {**FORM["address"], "postcode": "123"}}  # type: ignore[dict-item]
    told = error(ask(cast.chai, "network/profile", wrong))
    assert (told["code"], told["field"], told["param"]) == (
        "postal.postcode_invalid",
        "address.postcode",
        "address.postcode",
    )
    assert told["message"] == "Die Postleitzahl passt nicht zum Land DE (Beispiel: 26133)."
    assert told["mistakes"] == [
        {"field": "address.postcode", "code": "postal.postcode_invalid", "message": told["message"]},
        {
            "field": "vat_id",
            "code": "vat_id.check_digit_wrong",
            "message": "Die Prüfziffer der USt-IdNr. stimmt nicht. Wahrscheinlich ist eine Ziffer vertauscht.",
        },
    ]
    session.execute(
        text('UPDATE connection SET settings = settings || \'{"locale": "en"}\' WHERE id = :id'),
        {"id": cast.chai.id},
    )
    session.commit()
    assert (
        error(ask(cast.chai, "network/profile", wrong))["message"]
        == "The postcode does not fit the country DE (example: 26133)."
    )


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"address": {"company": "x\ny"}}, "address.company", "Das ist keine Zeile Text, oder sie ist zu lang: Firma."),
        ({"shipping_price": "viel"}, "shipping_price", "Das ist kein Betrag: Versandkosten. Erwartet wird zum Beispiel 4.90."),
        ({"shipping_price": 4.9}, "shipping_price", "Das ist kein Betrag: Versandkosten. Erwartet wird zum Beispiel 4.90."),
        ({"hold_minutes": -1}, "hold_minutes", "Diese Zahl ist keine ganze Zahl, oder sie ist zu klein oder zu groß: Bedenkzeit."),
        ({"supplier": "yes"}, "supplier", "Hier wird ja oder nein erwartet: Rolle."),
        ({"return_address": {"company": "Lager"}}, "return_address.address_1", "Eine Pflichtangabe fehlt: Rücksendeadresse, Straße und Hausnummer."),
        ({"documents": [{"kind": "song"}]}, "documents.0.kind", "Diese Art von Dokument gibt es nicht, oder es sind zu viele: Dokumente."),
        ({"price_groups": [{"name": "Gold", "discount": "101"}]}, "price_groups.0", "Eine Preisgruppe ist falsch (Preisgruppen): Jede braucht einen eigenen Namen und einen Rabatt von 0 bis 100 Prozent."),
    ],
)  # fmt: skip
def test_a_wrong_form_names_the_field_as_people_do(
    cast: Cast, changes: dict[str, Any], field: str, message: str
) -> None:
    told = error(ask(cast.chai, "network/profile", {**FORM, **changes}))
    assert (told["field"], told["message"]) == (field, message)


def test_a_draft_is_kept_when_asked(cast: Cast) -> None:
    told = good(ask(cast.chai, "network/profile", {"address": {"company": "Chai"}, "submit": False}))[
        "profile"
    ]
    assert (told["state"], told["address"]["company"]) == ("draft", "Chai")


def test_price_groups_come_with_the_profile(cast: Cast) -> None:
    good(
        ask(
            cast.anna,
            "network/profile",
            {"price_groups": [{"name": "Gold", "discount": "7,5"}, {"name": "Silber", "discount": "5"}]},
        )
    )
    told = good(ask(cast.anna, "network/state"))["price_groups"]
    assert told == [{"name": "Gold", "discount": "7.5"}, {"name": "Silber", "discount": "5"}]


def test_nothing_of_a_refused_form_is_kept(cast: Cast) -> None:
    error(
        ask(
            cast.anna,
            "network/profile",
            {"price_groups": [{"name": "Gold", "discount": "5"}], "vat_id": "DE1"},
        )
    )
    told = good(ask(cast.anna, "network/state"))
    assert (told["price_groups"], told["profile"]["vat_id"]) == ([], "DE136695976")


# --- partners ---------------------------------------------------------------------------------------------------------------------


def test_a_retailer_asks_and_the_supplier_answers(cast: Cast, session: Session, app: Flask) -> None:
    member(session, session.get_one(Account, cast.chai.account_id), "Chai GmbH", supplier=False)
    session.commit()
    asked = good(
        ask(
            cast.chai,
            "network/partner",
            {"id": f"acc_{cast.anna.account_id}", "action": "ask", "price_group": None},
        )
    )["partner"]
    assert (asked["state"], asked["role"], asked["name"]) == ("asked", "supplier", "Anna Teekanne e.K.")
    good(ask(cast.anna, "network/profile", {"price_groups": [{"name": "Gold", "discount": "5"}]}))
    told = good(
        ask(cast.anna, "network/partner", {"id": asked["id"], "action": "accept", "price_group": "Gold"})
    )["partner"]
    assert (told["state"], told["role"], told["price_group"]) == ("active", "retailer", "Gold")
    paused = good(ask(cast.anna, "network/partner", {"id": asked["id"], "action": "pause"}))["partner"]
    assert (paused["state"], paused["by"]) == ("paused", "us")
    seen = good(ask(cast.chai, "network/state"))["partners"][0]
    assert (seen["state"], seen["by"]) == ("paused", "them")
    assert (
        error(ask(cast.chai, "network/partner", {"id": asked["id"], "action": "resume"}))["code"]
        == "partnership.paused_by_other"
    )
    assert (
        good(ask(cast.anna, "network/partner", {"id": asked["id"], "price_group": None}))["partner"][
            "price_group"
        ]
        is None
    )


def test_strangers_and_unknown_ids_are_not_found(cast: Cast) -> None:
    for shop, name in (
        (cast.chai, f"pts_{cast.pair.id}"),
        (cast.anna, "pts_999"),
        (cast.anna, "prd_1"),
        (cast.anna, ""),
    ):
        for action in ("accept", "pause", "end", "resume", "refuse"):
            assert (
                error(ask(shop, "network/partner", {"id": name, "action": action}), 404)["code"]
                == "partnership.unknown"
            )
    assert (
        error(ask(cast.chai, "network/partner", {"id": f"acc_{cast.anna.account_id}", "action": "ask"}))[
            "code"
        ]
        == "profile.not_approved"
    )
    assert (
        error(ask(cast.anna, "network/partner", {"id": f"pts_{cast.pair.id}", "action": "marry"}))["field"]
        == "action"
    )


# --- catalogue, import, unlist ------------------------------------------------------------------------------------------------------


def test_a_retailer_finds_imports_and_withdraws(cast: Cast, session: Session, redis_url: str) -> None:
    found = good(ask(cast.boldt, "network/catalogue", {"search": "assam", "category": "", "supplier": None}))
    assert (found["total"], found["next_page"]) == (1, None)
    (item,) = found["items"]
    assert item == {
        "product": f"prd_{cast.assam.id}", "title": "Assam", "gtin": "4006381333931", "brand": None, "category": "tea", "image": None,
        "dealer_price": "4.20", "recommended_price": "12.90", "currency": "EUR", "stock": 5, "supplier": "Anna Teekanne e.K.",
        "supplier_id": f"acc_{cast.anna.account_id}", "listed": False, "margin_percent": 67, "state": None, "reason": None, "price_rule": None,
    }  # fmt: skip
    rule = {"kind": "plus_percent", "value": "30"}
    told = good(
        ask(cast.boldt, "network/import", {"products": [item["product"], "prd_999999"], "price_rule": rule})
    )
    assert (told["queued"], [each["product"] for each in told["refused"]]) == (1, ["prd_999999"])
    assert told["refused"][0]["message"], "in words"
    listing = session.scalars(select(Listing)).one()
    assert (listing.shop_id, listing.account_id, listing.stale) == (
        cast.boldt.id,
        cast.boldt.account_id,
        True,
    )
    again = good(ask(cast.boldt, "network/catalogue", {"listed": True}))["items"]
    assert (again[0]["listed"], again[0]["state"], again[0]["reason"]["code"]) == (
        True,
        "waiting",
        "listing.waiting",
    )
    assert good(ask(cast.boldt, "network/unlist", {"products": [item["product"]]})) == {"withdrawn": 1}
    assert good(ask(cast.boldt, "network/unlist", {"products": [item["product"]]})) == {"withdrawn": 0}


@pytest.mark.parametrize("state", ["asked", "paused", "refused", "ended"])
def test_without_an_active_partnership_nothing_is_shown_or_taken(
    cast: Cast, session: Session, state: str
) -> None:
    session.execute(text("UPDATE partnership SET state = :state"), {"state": state})
    session.commit()
    assert good(ask(cast.boldt, "network/catalogue"))["total"] == 0
    told = good(ask(cast.boldt, "network/import", {"products": [f"prd_{cast.assam.id}"]}))
    assert (told["queued"], len(told["refused"])) == (0, 1)


def test_who_is_no_approved_retailer_sees_no_goods(cast: Cast) -> None:
    for shop in (cast.chai, cast.anna):
        for route, asked in (("network/catalogue", {}), ("network/import", {"products": ["prd_1"]})):
            assert error(ask(shop, route, asked))["code"] == "profile.not_approved"


def test_a_stranger_withdraws_nothing_of_boldts(cast: Cast, session: Session) -> None:
    good(ask(cast.boldt, "network/import", {"products": [f"prd_{cast.assam.id}"]}))
    assert good(ask(cast.chai, "network/unlist", {"products": [f"prd_{cast.assam.id}"]})) == {"withdrawn": 0}
    assert session.scalars(select(Listing.state)).all() == ["waiting"]


@pytest.mark.parametrize("products", [None, [], "prd_1", [1], ["prd_0"], ["acc_1"], ["prd_1"] * 1001])
def test_wrong_lists_of_products_are_refused(cast: Cast, products: Any) -> None:
    for route in ("network/import", "network/unlist"):
        assert error(ask(cast.boldt, route, {"products": products}))["field"].startswith("products")


@pytest.mark.parametrize(
    ("rule", "field"),
    [({"kind": "half"}, "price_rule.kind"), ({"kind": "fixed"}, "price_rule.value"), ("cheap", "price_rule")],
)
def test_a_wrong_price_rule_names_its_field(cast: Cast, rule: Any, field: str) -> None:
    told = error(
        ask(cast.boldt, "network/import", {"products": [f"prd_{cast.assam.id}"], "price_rule": rule})
    )
    assert (told["code"], told["field"]) == ("price.rule_invalid", field)


# --- packing slip -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def orders(cast: Cast, session: Session) -> tuple[str, str]:
    """Boldt's order and Anna's child order, by the shops' ids; the title names Anna."""
    shops = [session.get_one(Connection, each.id) for each in (cast.boldt, cast.anna)]
    _, retail, child = a_trade(
        session, cast.pair, *shops, cast.assam, title="Anna's Teeladen Assam TEE-001, 100 g"
    )
    session.commit()
    return str(retail.shop_order_id), str(child.shop_order_id)


def paper(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.mimetype == "application/pdf"
    reader = pypdf.PdfReader(io.BytesIO(answer.get_data()))
    return "\n".join([*(page.extract_text() for page in reader.pages), str(reader.metadata)])


def test_both_shops_print_the_same_slip_without_a_trace_of_the_supplier(
    cast: Cast, orders: tuple[str, str], session: Session
) -> None:
    told = [
        paper(ask(shop, "packing-slip", {"order_id": number}))
        for shop, number in zip((cast.boldt, cast.anna), orders, strict=True)
    ]
    for words in told:
        assert "Bücher Boldt GmbH" in words
        assert "Bestellung: 9001" in words
        assert "Mia Canarybuyer" in words
        assert "2 Assam, 100 g" in words
        supplier = (
            "anna",
            "teeladen",
            "teekanne",
            "teelager",
            "TEE-001",
            "4006381333931",
            "4001",
            "DE89",
            "4.20",
            "4,20",
        )
        assert [word for word in supplier if word.lower() in words.lower()] == []


def test_what_was_cancelled_is_not_on_it(cast: Cast, orders: tuple[str, str], session: Session) -> None:
    child = session.scalars(select(Order).where(Order.shop_order_id == orders[1])).one()
    line = OrderLine(order_id=child.id, group_key="311", title="x", unit_price=420)
    session.add(line)
    session.flush()
    gone = {"external_id": "p1", "price": 420, "shipping_price": 0, "state": "cancelled", "raw_state": "x"}
    session.add(OrderPiece(connection_id=child.connection_id, order_id=child.id, line_id=line.id, **gone))
    session.commit()
    assert "1 Assam, 100 g" in paper(ask(cast.anna, "packing-slip", {"order_id": orders[1]}))


def test_a_slip_of_somebody_elses_order_is_not_found(cast: Cast, orders: tuple[str, str]) -> None:
    for shop, number in (
        (cast.chai, orders[0]),
        (cast.chai, orders[1]),
        (cast.anna, orders[0]),
        (cast.boldt, orders[1]),
        (cast.anna, "0"),
    ):
        told = error(ask(shop, "packing-slip", {"order_id": number}), 404)
        assert told["code"] == "slip.order_unknown"


def test_without_the_retailers_address_there_is_no_slip(
    cast: Cast, orders: tuple[str, str], session: Session
) -> None:
    session.execute(
        text("UPDATE profile SET address = '{}' WHERE account_id = :id"), {"id": cast.boldt.account_id}
    )
    session.commit()
    assert error(ask(cast.anna, "packing-slip", {"order_id": orders[1]}))["code"] == "slip.sender_unknown"


def test_after_the_purge_there_is_no_slip(cast: Cast, orders: tuple[str, str], session: Session) -> None:
    session.execute(text("UPDATE orders SET buyer = NULL"))
    session.commit()
    assert error(ask(cast.anna, "packing-slip", {"order_id": orders[1]}))["code"] == "slip.recipient_unknown"


def test_a_repeated_question_gets_the_same_answer(cast: Cast) -> None:
    body, number = json.dumps(FORM).encode(), new_id()
    now = datetime.now(UTC)
    headers = {
        **signing.sign([cast.chai.secret], number, body, now),
        "Content-Type": "application/json",
        "shopbridge-connection": cast.chai.key,
    }
    client = cast.chai.app.test_client()
    answers = [
        client.post("/plugin/network/profile", data=body, headers=headers).get_json()["profile"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]


# --- what dealer prices mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"dealer_prices": "gross", "dealer_vat_percent": "19"}, ("gross", "19")),
        ({"dealer_vat_percent": " 5,5 "}, ("net", "5.5")),
        ({"dealer_vat_percent": "100.00"}, ("net", "100.00")),
        ({"dealer_vat_percent": ""}, ("net", None)),
        ({"dealer_prices": "gross", "dealer_vat_percent": None}, ("gross", None)),
        ({}, ("net", "7")),
    ],
)
def test_the_options_of_the_shop_are_saved_with_the_profile(
    cast: Cast, session: Session, told: dict[str, Any], kept: tuple[str, str | None]
) -> None:
    shop = session.get_one(Connection, cast.anna.id)
    shop.settings = {**shop.settings, "dealer_vat_percent": "7", "stock_buffer": 2}
    session.commit()
    answer = good(ask(cast.anna, "network/profile", told | {"submit": False}))["profile"]
    assert (answer["dealer_prices"], answer["dealer_vat_percent"]) == kept
    shown = good(ask(cast.anna, "network/state"))["profile"]
    assert (shown["dealer_prices"], shown["dealer_vat_percent"]) == kept
    session.expire_all()
    settings = session.get_one(Connection, cast.anna.id).settings
    assert (settings["dealer_vat_percent"], settings["stock_buffer"]) == (kept[1], 2)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("dealer_vat_percent", "101", "profile.percent_wrong"),
        ("dealer_vat_percent", "-1", "profile.percent_wrong"),
        ("dealer_vat_percent", "1e1", "profile.percent_wrong"),
        ("dealer_vat_percent", "١٩", "profile.percent_wrong"),
        ("dealer_vat_percent", 19, "profile.percent_wrong"),
        ("dealer_prices", "half", "profile.field_invalid"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_with_its_place(
    cast: Cast, session: Session, field: str, value: Any, code: str
) -> None:
    before = session.get_one(Connection, cast.anna.id).settings
    told = error(ask(cast.anna, "network/profile", {field: value, "submit": False}))
    assert (told["code"], told["field"]) == (code, field)
    session.expire_all()
    assert session.get_one(Connection, cast.anna.id).settings == before


def test_a_profile_that_is_refused_changes_no_option(cast: Cast, session: Session) -> None:
    before = session.get_one(Connection, cast.anna.id).settings
    error(ask(cast.anna, "network/profile", {"dealer_prices": "gross", "vat_id": "XX1"}))
    session.expire_all()
    assert session.get_one(Connection, cast.anna.id).settings == before


def test_parents_and_what_is_gone_are_not_counted_as_not_released(cast: Cast, session: Session) -> None:
    before = good(ask(cast.anna, "network/state"))["not_released"]
    for place, code in enumerate(("release.parent", "release.deleted", "release.gtin_missing")):
        made = Product(
            account_id=cast.anna.account_id,
            connection_id=cast.anna.id,
            external_id=f"8{place}",
            title="x",
            extra={},
        )
        session.add(made)
        session.flush()
        released(session, made, reasons=(code,))
    session.commit()
    told = good(ask(cast.anna, "network/state"))
    assert told["not_released"] == before + 1
    assert {"release.parent", "release.deleted"}.isdisjoint(each["code"] for each in told["by_reason"])
