"""The network in the JSON API: profiles and the operator's word, partnerships, price groups, trades and their money, listings, releases."""

from typing import Any

import pytest
from api_world import Api, World, world_of
from flask import Flask
from members_world import ADDRESS, Network, network_of, profile, released
from sqlalchemy.orm import Session

from app import accounts
from app.models import Account, Partnership, Product, Profile


@pytest.fixture
def annas(app: Flask, session: Session, anna: Account) -> World:
    """Anna's rows, with the network around her."""
    world = world_of(session, anna)
    world.network = network_of(session, world.account, world.shop, world.product)
    return world


def program(app: Flask, session: Session, account: Account) -> Api:
    token = accounts.make_token(session, account, "ERP")
    session.commit()
    return Api(app, token)


def told(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()


def test_a_profile_is_not_there_until_something_was_saved(
    chai_api: Api, session: Session, chai: Account
) -> None:
    assert told(chai_api.get("/network/profile"), 404)["error"]["code"] == "not_found"
    assert told(chai_api.get("/network/profiles"))["data"] == []
    saved = told(chai_api.patch("/network/profile", {**profile("Chai GmbH"), "shipping_price": 490}))
    assert (saved["id"], saved["account"], saved["state"], saved["shipping_price"]) == (
        f"acc_{chai.id}",
        "Chai GmbH",
        "submitted",
        490,
    )
    assert told(chai_api.get("/network/profile")) == saved


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"vat_id": "DE1"}, "vat_id.form_wrong", "vat_id"),
        ({"address": {"company": "x\u0007", **ADDRESS}}, "profile.text_wrong", "address.company"),
        ({"shipping_price": "4.90"}, "profile.number_wrong", "shipping_price"),
        ({"shipping_price": -1}, "profile.number_wrong", "shipping_price"),
        ({"colour": "red"}, "argument.invalid", "colour"),
        ({"price_groups": []}, "argument.invalid", "price_groups"),
    ],
)
def test_a_mistake_names_its_field(chai_api: Api, body: dict[str, Any], code: str, param: str) -> None:
    error = told(chai_api.patch("/network/profile", {**profile("Chai GmbH"), **body}), 422)["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_all_mistakes_are_told_in_the_accounts_language(chai_api: Api) -> None:
    error = told(chai_api.patch("/network/profile", {**profile("Chai"), "vat_id": "DE1", "bank": None}), 422)[
        "error"
    ]
    assert [each["field"] for each in error["mistakes"]] == ["vat_id", "bank.iban"]
    assert error["message"].startswith("Die USt-IdNr. hat nicht die Form")


def test_only_the_operator_decides(
    app: Flask, session: Session, chai_api: Api, operator: Api, chai: Account
) -> None:
    told(chai_api.patch("/network/profile", profile("Chai GmbH")))
    for path, body in (("approve", {}), ("refuse", {"reason": "x"})):
        told(chai_api.post(f"/network/profile/{path}", body), 403)
    waiting = told(operator.get("/network/profiles?state=submitted"))["data"]
    assert [each["id"] for each in waiting] == [f"acc_{chai.id}"]
    told(operator.post("/network/profile/approve", {}), 400)
    refused = told(
        operator.post(f"/network/profile/refuse?account=acc_{chai.id}", {"reason": "Kein Handelsregister"})
    )
    assert (refused["state"], refused["reason"]) == ("refused", "Kein Handelsregister")
    error = told(operator.post(f"/network/profile/approve?account=acc_{chai.id}", {}), 422)["error"]
    assert error["code"] == "profile.not_submitted"
    told(chai_api.patch("/network/profile", {"hold_minutes": 5}))
    assert told(operator.post(f"/network/profile/approve?account=acc_{chai.id}", {}))["state"] == "approved"


def test_an_approval_is_given_once_however_often_it_is_sent(
    operator: Api, chai_api: Api, chai: Account, session: Session
) -> None:
    told(chai_api.patch("/network/profile", profile("Chai GmbH")))
    headers = {"Idempotency-Key": "k1"}
    answers = [
        operator.post(f"/network/profile/approve?account=acc_{chai.id}", {}, headers=headers)
        for _ in range(2)
    ]
    assert [told(each)["state"] for each in answers] == ["approved", "approved"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_partnerships_are_asked_for_and_changed_by_both_sides(
    app: Flask, session: Session, annas: World, chai: Account
) -> None:
    anna, chais = program(app, session, annas.account), program(app, session, chai)
    net: Network = annas.network
    error = told(chais.post("/network/partnerships", {"supplier": f"acc_{annas.account.id}"}), 422)["error"]
    assert error["code"] == "profile.not_approved"
    asked = told(anna.post("/network/partnerships", {"supplier": f"acc_{net.new.id}"}))
    assert (asked["state"], asked["retailer_name"], asked["policy"]) == (
        "active",
        "Anna's Teeladen e.K.",
        {"kind": "tracking"},
    )
    paused = told(anna.patch(f"/network/partnerships/{asked['id']}", {"action": "pause"}))
    assert (paused["state"], paused["paused_by"]) == ("paused", "retailer")
    error = told(
        program(app, session, net.new).patch(f"/network/partnerships/{asked['id']}", {"action": "resume"}),
        422,
    )["error"]
    assert error["code"] == "partnership.paused_by_other"
    assert [each["id"] for each in told(anna.get("/network/partnerships?state=paused"))["data"]] == [
        asked["id"]
    ]
    told(chais.patch(f"/network/partnerships/{asked['id']}", {"action": "end"}), 404)
    told(anna.patch("/network/partnerships/pts_x", {"action": "end"}), 404)


def test_price_groups_are_replaced_and_given(app: Flask, session: Session, annas: World) -> None:
    anna, pair = program(app, session, annas.account), annas.network.partnership
    groups = {"price_groups": [{"name": "Silber", "discount_bp": 250}]}
    assert told(anna.call("PUT", "/network/price-groups", json=groups)) == groups
    assert told(anna.get("/network/price-groups")) == groups
    assert (
        told(anna.patch(f"/network/partnerships/pts_{pair.id}", {"price_group": "Silber"}))["price_group"]
        == "Silber"
    )
    error = told(
        anna.patch(f"/network/partnerships/pts_{pair.id}", {"action": "pause", "price_group": "Bronze"}), 422
    )["error"]
    assert error["code"] == "partnership.group_unknown"
    session.expire_all()
    assert session.get_one(Partnership, pair.id).state == "active", "together or not at all"


def test_each_side_sees_a_trade_with_its_own_order_and_no_buyer(
    app: Flask, session: Session, annas: World
) -> None:
    net: Network = annas.network
    for account, order in ((annas.account, net.child), (net.boldt, net.retail)):
        api = program(app, session, account)
        (listed,) = told(api.get("/network/trades?state=held"))["data"]
        answer = api.get(f"/network/trades/{listed['id']}")
        shown = told(answer)
        assert shown["order"] == f"ord_{order.id}"
        assert {name: shown[name] for name in listed} == listed
        assert (shown["goods"], shown["shipping"], shown["total"], shown["money"]["captured"]) == (
            840,
            490,
            1330,
            0,
        )
        assert [(each["quantity"], each["unit_price"]) for each in shown["lines"]] == [(2, 420)]
        assert "canary" not in answer.get_data(as_text=True).lower()
        assert len(told(api.get(f"/network/trades?order=ord_{order.id}"))["data"]) == 1
    assert told(program(app, session, net.boldt).get("/network/trades?role=supplier"))["data"] == []
    told(program(app, session, net.dora).get(f"/network/trades/trd_{net.trade.id}"), 404)


def test_money_is_nothing_before_anything_was_captured(
    app: Flask, session: Session, annas: World, operator: Api
) -> None:
    nothing = {
        "currency": "EUR",
        **dict.fromkeys(("held", "released", "refunded", "paid_out", "receivable", "payable", "fees"), 0),
    }
    assert told(program(app, session, annas.account).get("/network/money")) == nothing
    assert told(operator.get("/network/money")) == nothing


def test_listings_name_the_product_and_nothing_else_of_the_supplier(
    app: Flask, session: Session, annas: World
) -> None:
    (shown,) = told(program(app, session, annas.account).get("/network/listings?state=waiting"))["data"]
    assert (shown["title"], shown["shop"], shown["state"], shown["on"]) == (
        "Darjeeling",
        annas.shop.key,
        "waiting",
        True,
    )
    assert "sku" not in shown
    assert (
        told(program(app, session, annas.account).get("/network/listings?reason=listing.paused"))["data"]
        == []
    )


def test_releases_say_why_not(app: Flask, session: Session, annas: World) -> None:
    product = Product(
        account_id=annas.account.id, connection_id=annas.shop.id, external_id="99", title="Ohne", extra={}
    )
    session.add(product)
    session.flush()
    released(session, product, reasons=("product.gtin_missing",))
    api = program(app, session, annas.account)
    (shown,) = told(api.get("/network/releases?state=not_released"))["data"]
    assert (shown["id"], shown["title"], shown["reasons"][0]["code"]) == (
        f"prd_{product.id}",
        "Ohne",
        "product.gtin_missing",
    )
    assert shown["reasons"][0]["message"]
    assert [
        each["id"] for each in told(api.get("/network/releases?reason=product.gtin_missing"))["data"]
    ] == [shown["id"]]
    assert [each["state"] for each in told(api.get("/network/releases?state=released"))["data"]] == [
        "released"
    ]


def test_an_account_number_is_never_shown_whole(
    app: Flask, session: Session, annas: World, operator: Api
) -> None:
    for api in (program(app, session, annas.account), operator):
        answer = api.get("/network/profiles")
        assert "DE** **** 3000" in answer.get_data(as_text=True) or "AT** **** 3201" in answer.get_data(
            as_text=True
        )
        assert "DE89370400440532013000" not in answer.get_data(as_text=True)
    assert session.get_one(Profile, annas.account.id).bank["iban"] == "AT611904300234573201"


def test_only_the_operator_says_when_a_supplier_is_paid(
    app: Flask, session: Session, annas: World, operator: Api
) -> None:
    pair = annas.network.partnership
    path, body = f"/network/partnerships/pts_{pair.id}", {"policy": {"kind": "delivered", "days": 3}}
    for account in (annas.account, annas.network.boldt):
        told(program(app, session, account).patch(path, body), 403)
    chosen = told(operator.patch(f"{path}?account=acc_{annas.account.id}", body))
    assert chosen["policy"] == {"kind": "delivered", "days": 3}
    told(operator.patch(f"{path}?account=acc_{annas.network.dora.id}", body), 404)
    for wrong in ({"kind": "trust"}, {"kind": "delivered"}, {"kind": "delivered", "days": 91}):
        error = told(operator.patch(f"{path}?account=acc_{annas.account.id}", {"policy": wrong}), 422)[
            "error"
        ]
        assert error["code"] == "ledger.policy_wrong"


def test_an_operator_approves_only_what_he_has_read(operator: Api, chai_api: Api, chai: Account) -> None:
    path = f"/network/profile/approve?account=acc_{chai.id}"
    read = told(chai_api.patch("/network/profile", profile("Chai GmbH")))["submitted_at"]
    error = told(operator.post(path, {"submitted_at": "2020-01-01T00:00:00Z"}), 422)["error"]
    assert error["code"] == "profile.changed_meanwhile"
    assert told(operator.post(path, {"submitted_at": read}))["state"] == "approved"


def test_a_member_leaves_once_nothing_is_under_way(app: Flask, session: Session, annas: World) -> None:
    anna = program(app, session, annas.account)
    error = told(anna.post("/network/profile/withdraw", {}), 422)["error"]
    assert error["code"] == "profile.still_open"
    assert "1 Bestellungen" in error["message"]
    annas.network.trade.state = "closed"
    session.commit()
    assert told(anna.post("/network/profile/withdraw", {}))["state"] == "draft"
    assert {each["state"] for each in told(anna.get("/network/partnerships"))["data"]} == {"ended"}
