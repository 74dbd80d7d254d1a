"""The catalogue in the JSON API: what a retailer's program finds, takes into his shop and takes out again (K3, K5)."""

from typing import Any

import pytest
from api_world import Api, World, world_of
from flask import Flask
from members_world import Network, goods, network_of
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import accounts
from app.flows import network_members
from app.models import Account, Connection, Listing, Partnership, Profile


@pytest.fixture
def annas(app: Flask, session: Session, anna: Account) -> World:
    """Anna retails for Dora, who has one product that Anna lists and one more that she does not."""
    world = world_of(session, anna)
    world.network = network_of(session, world.account, world.shop, world.product)
    network_members.approve(session, world.account.id, now=world.network.trade.created_at)
    goods(session, doras_shop(session, world.network), "Earl Grey", "78", gtin="4012345678901")
    session.commit()
    return world


def doras_shop(session: Session, net: Network) -> Connection:
    query = select(Connection).where(Connection.account_id == net.dora.id, Connection.role == "shop")
    return session.scalars(query).one()


def program(app: Flask, session: Session, account: Account) -> Api:
    token = accounts.make_token(session, account, "ERP")
    session.commit()
    return Api(app, token)


def told(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_json()


@pytest.fixture
def api(app: Flask, session: Session, annas: World) -> Api:
    return program(app, session, annas.account)


def offered(api: Api, query: str = "") -> list[str]:
    return [each["title"] for each in told(api.get(f"/network/catalogue{query}"))["data"]]


def listings(session: Session, annas: World) -> dict[int, Listing]:
    session.expire_all()
    rows = session.scalars(select(Listing).where(Listing.account_id == annas.account.id))
    return {row.product_id: row for row in rows}


def test_a_retailer_finds_what_his_partners_offer(api: Api, annas: World) -> None:
    answer = told(api.get("/network/catalogue"))
    assert (answer["total"], answer["has_more"], answer["next"]) == (2, False, None)
    first = answer["data"][0]
    assert (first["title"], first["dealer_price"], first["recommended_price"], first["listed"]) == (
        "Darjeeling",
        420,
        1290,
        True,
    )
    assert first["supplier"] == f"acc_{annas.network.dora.id}"
    assert offered(api, "?search=grey") == ["Earl Grey"]
    assert offered(api, "?listed=false") == ["Earl Grey"]
    assert offered(api, "?margin=90") == []
    assert offered(api, f"?supplier=acc_{annas.network.boldt.id}") == []


def test_the_catalogue_has_pages(api: Api) -> None:
    first = told(api.get("/network/catalogue?limit=1"))
    assert (first["has_more"], first["next"], first["total"]) == (True, "2", 2)
    second = told(api.get(f"/network/catalogue?limit=1&cursor={first['next']}"))
    assert ([each["title"] for each in second["data"]], second["next"]) == (["Earl Grey"], None)
    for wrong in ("0", "x", "-1"):
        assert told(api.get(f"/network/catalogue?cursor={wrong}"), 400)["error"]["param"] == "cursor"


def test_products_are_taken_switched_off_and_taken_out(api: Api, annas: World, session: Session) -> None:
    (product,) = [each["id"] for each in told(api.get("/network/catalogue?listed=false"))["data"]]
    rule = {"kind": "plus_percent", "value": "60"}
    taken = told(api.post("/network/import", {"products": [product, "prd_999999"], "price_rule": rule}))
    assert (taken["shop"], taken["queued"]) == (annas.shop.key, 1)
    assert [(each["product"], each["reason"]["code"]) for each in taken["refused"]] == [
        ("prd_999999", "catalogue.not_offered")
    ]
    made = listings(session, annas)[int(product[4:])]
    assert (made.state, made.price_rule) == ("waiting", {**rule, "base": "dealer"})
    off = told(api.patch(f"/network/listings/lst_{made.id}", {"on": False}))
    assert (off["on"], off["waiting"]) == (False, True)
    assert told(api.post("/network/unlist", {"products": [product]}))["withdrawn"] == 1
    assert listings(session, annas)[int(product[4:])].state == "withdrawn"
    assert told(api.post("/network/unlist", {"products": [product]}))["withdrawn"] == 0


def test_a_repeated_import_with_its_key_is_done_once(api: Api, annas: World) -> None:
    body = {"products": [f"prd_{annas.network.listing.product_id}"]}
    headers = {"Idempotency-Key": "k1"}
    both = [api.post("/network/import", body, headers=headers) for _ in range(2)]
    assert [told(each)["queued"] for each in both] == [1, 1]
    assert both[1].headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"products": ["TEE-1"]}, "products.0"),
        ({"products": []}, "products"),
        ({"products": ["prd_1"], "price_rule": {"kind": "magic"}}, "price_rule.kind"),
        ({"products": ["prd_1"], "price_rule": {"kind": "plus", "value": "x"}}, "price_rule.value"),
        ({"products": ["prd_1"], "colour": "red"}, "colour"),
    ],
)
def test_a_mistake_names_its_field(api: Api, body: dict[str, Any], param: str) -> None:
    assert told(api.post("/network/import", body), 422)["error"]["param"] == param


def test_who_has_several_shops_names_one(api: Api, annas: World, session: Session) -> None:
    accounts.connect_standard(session, annas.account, "Zweitladen")
    session.commit()
    error = told(api.get("/network/catalogue"), 400)["error"]
    assert (error["param"], error["message"]) == ("shop", "This account has several shops: name one.")
    assert len(offered(api, f"?shop={annas.shop.key}")) == 2
    theirs = doras_shop(session, annas.network).key
    assert told(api.get(f"/network/catalogue?shop={theirs}"), 400)["error"]["param"] == "shop"


def test_only_approved_retailers_look_and_take_but_anybody_takes_out(
    api: Api, annas: World, session: Session, chai_api: Api
) -> None:
    session.get_one(Profile, annas.account.id).state = "submitted"
    session.commit()
    body = {"products": [f"prd_{annas.network.listing.product_id}"]}
    for answer in (api.get("/network/catalogue"), api.post("/network/import", body)):
        assert told(answer, 422)["error"]["code"] == "profile.not_approved"
    assert told(chai_api.get("/network/catalogue"), 422)["error"]["code"] == "profile.not_approved"
    assert told(api.post("/network/unlist", body))["withdrawn"] == 1


def test_after_the_end_of_a_partnership_nothing_of_it_is_offered(
    api: Api, annas: World, session: Session
) -> None:
    session.get_one(Partnership, annas.network.listing.partnership_id).state = "ended"
    session.commit()
    assert offered(api, "?listed=false") == []
