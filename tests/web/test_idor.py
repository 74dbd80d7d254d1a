"""T9: every route, asked by nobody, with a wrong token, by a stranger with Anna's ids, by the operator and by Anna herself.

A route that is not in the matrix fails the test. Anna's own call must succeed, else a refusal of the stranger would prove nothing.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from senders_of_tests import Shop, event, new_id
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).parent / "api"))

from api_world import Api, World, world_of
from members_world import Network, network_of

from app import accounts
from app.extensions import db
from app.models import Account, OrderLine, OrderPiece
from app.shops import signing


@dataclass(frozen=True)
class Row:
    """One route: how it is called with Anna's ids, and what each caller gets."""

    path: Callable[[World], str]
    owner: int = 200
    stranger: int = 200  # 200: an answer in which nothing of Anna's appears
    operator: int = 200
    body: Callable[[World], Any] | None = None


def listing(name: str) -> Row:
    return Row(lambda anna: f"/api/v1/{name}")


MATRIX: dict[tuple[str, str], Row] = {
    ("GET", "/api/v1/events"): listing("events"),
    ("GET", "/api/v1/events/<event_id>"): Row(
        lambda anna: f"/api/v1/events/evt_{anna.event.id}", stranger=404
    ),
    ("POST", "/api/v1/events/replay"): Row(
        lambda anna: "/api/v1/events/replay", body=lambda anna: {"ids": [f"evt_{anna.event.id}"]}
    ),
    ("GET", "/api/v1/commands"): Row(lambda anna: f"/api/v1/commands?order=ord_{anna.order.id}"),
    ("POST", "/api/v1/commands/replay"): Row(
        lambda anna: "/api/v1/commands/replay", body=lambda anna: {"ids": [f"cmd_{anna.command.id}"]}
    ),
    ("GET", "/api/v1/attempts"): Row(lambda anna: f"/api/v1/attempts?command=cmd_{anna.command.id}"),
    ("GET", "/api/v1/dead"): listing("dead"),
    ("GET", "/api/v1/orders"): Row(lambda anna: f"/api/v1/orders?external_id={anna.order.external_id}"),
    ("GET", "/api/v1/orders/<order_id>"): Row(
        lambda anna: f"/api/v1/orders/ord_{anna.order.id}", stranger=404
    ),
    ("POST", "/api/v1/orders/<order_id>/answer"): Row(
        lambda anna: f"/api/v1/orders/ord_{anna.order.id}/answer",
        stranger=404,
        owner=422,  # nothing of it waits
        operator=422,
        body=lambda anna: {"accept": True},
    ),
    ("POST", "/api/v1/orders/<order_id>/reject-return"): Row(
        lambda anna: f"/api/v1/orders/ord_{anna.order.id}/reject-return",
        stranger=404,
        owner=422,
        operator=422,
        body=lambda anna: {"reason": "damaged"},
    ),
    ("GET", "/api/v1/offers"): Row(lambda anna: "/api/v1/offers?sku=TEE-001"),
    ("GET", "/api/v1/offers/<offer_id>"): Row(
        lambda anna: f"/api/v1/offers/off_{anna.offer.id}", stranger=404
    ),
    ("PATCH", "/api/v1/offers/<offer_id>"): Row(
        lambda anna: f"/api/v1/offers/off_{anna.offer.id}", stranger=404, body=lambda anna: {"on": False}
    ),
    ("GET", "/api/v1/connections"): listing("connections"),
    ("POST", "/api/v1/connections/<key>/sync"): Row(
        lambda anna: f"/api/v1/connections/{anna.marketplace.key}/sync",
        stranger=404,
        body=lambda anna: {"on": False},
    ),
    ("GET", "/api/v1/holiday"): Row(lambda anna: f"/api/v1/holiday?account=acc_{anna.account.id}"),
    ("POST", "/api/v1/holiday"): Row(
        lambda anna: f"/api/v1/holiday?account=acc_{anna.account.id}",
        stranger=404,
        body=lambda anna: {"on": True, "connection": anna.marketplace.key},
    ),
    ("GET", "/api/v1/completeness"): listing("completeness"),
    ("GET", "/api/v1/cases"): listing("cases"),
    ("GET", "/api/v1/network/profiles"): listing("network/profiles"),
    ("GET", "/api/v1/network/profile"): Row(
        lambda anna: f"/api/v1/network/profile?account=acc_{anna.account.id}"
    ),
    ("PATCH", "/api/v1/network/profile"): Row(
        lambda anna: f"/api/v1/network/profile?account=acc_{anna.account.id}",
        body=lambda anna: {"hold_minutes": 7},
    ),
    ("POST", "/api/v1/network/profile/approve"): Row(
        lambda anna: f"/api/v1/network/profile/approve?account=acc_{anna.account.id}",
        owner=403,
        stranger=403,
        body=lambda anna: {},
    ),
    ("POST", "/api/v1/network/profile/refuse"): Row(
        lambda anna: f"/api/v1/network/profile/refuse?account=acc_{anna.account.id}",
        owner=403,
        stranger=403,
        body=lambda anna: {"reason": "Handelsregister fehlt"},
    ),
    ("POST", "/api/v1/network/profile/withdraw"): Row(
        lambda anna: f"/api/v1/network/profile/withdraw?account=acc_{anna.account.id}",
        owner=422,  # an order of hers is under way
        stranger=422,
        operator=422,
        body=lambda anna: {},
    ),
    ("GET", "/api/v1/network/partnerships"): listing("network/partnerships"),
    ("POST", "/api/v1/network/partnerships"): Row(
        lambda anna: f"/api/v1/network/partnerships?account=acc_{anna.account.id}",
        body=lambda anna: {"supplier": f"acc_{network(anna).new.id}"},
    ),
    ("PATCH", "/api/v1/network/partnerships/<partnership_id>"): Row(
        lambda anna: (
            f"/api/v1/network/partnerships/pts_{network(anna).partnership.id}?account=acc_{anna.account.id}"
        ),
        stranger=404,
        body=lambda anna: {"action": "pause"},
    ),
    ("GET", "/api/v1/network/price-groups"): Row(
        lambda anna: f"/api/v1/network/price-groups?account=acc_{anna.account.id}"
    ),
    ("PUT", "/api/v1/network/price-groups"): Row(
        lambda anna: f"/api/v1/network/price-groups?account=acc_{anna.account.id}",
        body=lambda anna: {"price_groups": [{"name": "Silber", "discount_bp": 250}]},
    ),
    ("GET", "/api/v1/network/trades"): listing("network/trades"),
    ("GET", "/api/v1/network/trades/<trade_id>"): Row(
        lambda anna: f"/api/v1/network/trades/trd_{network(anna).trade.id}", stranger=404
    ),
    ("POST", "/api/v1/network/trades/<trade_id>/received"): Row(
        lambda anna: (
            f"/api/v1/network/trades/trd_{network(anna).trade.id}/received?account=acc_{network(anna).boldt.id}"
        ),
        owner=403,  # she supplies it: only the retailer confirms
        stranger=404,
        operator=422,
        body=lambda anna: {},
    ),
    ("POST", "/api/v1/network/parcels/seen"): Row(
        lambda anna: "/api/v1/network/parcels/seen",
        owner=403,
        stranger=403,
        operator=422,
        body=lambda anna: {
            "trade": f"trd_{network(anna).trade.id}",
            "kind": "delivered",
            "at": datetime.now(UTC).isoformat(),
        },
    ),
    ("GET", "/api/v1/network/money"): listing("network/money"),
    ("GET", "/api/v1/network/listings"): listing("network/listings"),
    ("PATCH", "/api/v1/network/listings/<listing_id>"): Row(
        lambda anna: f"/api/v1/network/listings/lst_{network(anna).listing.id}",
        stranger=404,
        body=lambda anna: {"on": False},
    ),
    ("GET", "/api/v1/network/catalogue"): Row(
        lambda anna: f"/api/v1/network/catalogue?account=acc_{anna.account.id}"
    ),
    ("POST", "/api/v1/network/import"): Row(
        lambda anna: f"/api/v1/network/import?account=acc_{anna.account.id}",
        stranger=400,  # her shop is not his
        body=lambda anna: {"products": [f"prd_{network(anna).listing.product_id}"], "shop": anna.shop.key},
    ),
    ("POST", "/api/v1/network/unlist"): Row(
        lambda anna: f"/api/v1/network/unlist?account=acc_{anna.account.id}",
        stranger=400,
        body=lambda anna: {"products": [f"prd_{network(anna).listing.product_id}"], "shop": anna.shop.key},
    ),
    ("GET", "/api/v1/network/releases"): listing("network/releases"),
    ("GET", "/api/v1/supplier/orders"): listing("supplier/orders"),
    ("GET", "/api/v1/supplier/orders/<order_id>"): Row(lambda anna: pulled(anna, ""), stranger=404),
    ("GET", "/api/v1/supplier/orders/<order_id>/packing-slip"): Row(
        lambda anna: pulled(anna, "/packing-slip"), stranger=404, operator=403
    ),
    ("POST", "/api/v1/supplier/orders/<order_id>/accept"): Row(
        lambda anna: pulled(anna, "/accept"), stranger=404, body=lambda anna: {}
    ),
    ("POST", "/api/v1/supplier/orders/<order_id>/reject"): Row(
        lambda anna: pulled(anna, "/reject"),
        owner=409,
        stranger=404,
        operator=409,
        body=lambda anna: {"reason": "ausverkauft"},
    ),
    ("POST", "/api/v1/supplier/orders/<order_id>/ship"): Row(
        lambda anna: pulled(anna, "/ship"),
        stranger=404,
        body=lambda anna: {"tracking_number": "00340434161094015902"},
    ),
    ("POST", "/api/v1/supplier/orders/<order_id>/cancel"): Row(
        lambda anna: pulled(anna, "/cancel"), stranger=404, body=lambda anna: {}
    ),
    ("POST", "/api/v1/supplier/orders/<order_id>/refunds"): Row(
        lambda anna: pulled(anna, "/refunds"),
        stranger=404,
        owner=422,
        operator=422,
        body=lambda anna: {"id": "RE-1", "amount": 420},
    ),
    ("GET", "/api/v1/supplier/products"): listing("supplier/products"),
    ("GET", "/api/v1/supplier/money"): Row(
        lambda anna: f"/api/v1/supplier/money?account=acc_{anna.account.id}"
    ),
}

# What these answer names nobody: figures, switches, the groups that were just given, the goods of others.
NAMELESS = ("/sync", "/money", "/price-groups", "/packing-slip", "/catalogue")


def pulled(anna: World, deed: str) -> str:
    """A deed of the child order that a retailer bought from Anna."""
    return f"/api/v1/supplier/orders/ord_{network(anna).child.id}{deed}"


def network(anna: World) -> Network:
    found: Network = anna.network
    return found


# Routes without accounts behind them; each has its own check below.
OPEN = {
    ("GET", "/api/v1/openapi.json"): "a description, the same for everybody",
    ("GET", "/healthz"): "figures without names",
    ("GET", "/metrics"): "from this machine or with the metrics token",
    ("POST", "/plugin/connect"): "the pairing code is the proof",
    (
        "GET",
        "/hints/<key>/<secret>",
    ): "the address is the secret; it answers nothing but that it heard (tests/web/test_hints.py)",
    ("POST", "/hints/<key>/<secret>"): "the same",
}
# Routes whose proof is a signature.
NETWORK = ("state", "profile", "partner", "catalogue", "import", "unlist")
SIGNED = {
    ("POST", "/webhooks/<key>"),
    ("POST", "/webhooks/payments/<key>"),
    ("GET", "/plugin/status"),
    ("POST", "/plugin/packing-slip"),
    *(("POST", f"/plugin/network/{name}") for name in NETWORK),
    *(("POST", f"/plugin/orders/{name}") for name in ("waiting", "answer", "reject-return")),
}

CASES = [pytest.param(route, row, id=" ".join(route)) for route, row in MATRIX.items()]


@pytest.fixture
def annas(app: Flask, session: Session, anna: Account) -> World:
    return with_network(session, world_of(session, anna))


@pytest.fixture
def chais(app: Flask, session: Session, chai: Account) -> World:
    return with_network(session, world_of(session, chai))


def with_network(session: Session, world: World) -> World:
    world.network = network_of(session, world.account, world.shop, world.product)
    passed_on(session, world)
    return world


def passed_on(session: Session, world: World) -> None:
    """The part that Boldt bought is with its supplier, whose system has no address: the supplier API has something to do."""
    trade, child = world.network.trade, world.network.child
    trade.state, trade.passed_on_at = "accepted", trade.created_at
    if world.account.name != "Anna's Teeladen":  # a stranger has customers of his own
        shipping = {**child.buyer["shipping"], "last_name": "Eigenkunde"}
        child.buyer = {"shipping": {**shipping, "email": "eigen@kunde.example"}}
    line = OrderLine(order_id=child.id, group_key="311", title="Assam", unit_price=420, sku="TEE-001")
    session.add(line)
    session.flush()
    line.shop_line_id = f"ln_{line.id}"
    values = {
        "price": 420,
        "shipping_price": 0,
        "state": "to_ship",
        "raw_state": "passed_on",
        "in_shop": True,
    }
    names = {"connection_id": child.connection_id, "order_id": child.id, "line_id": line.id}
    session.add(OrderPiece(external_id=f"{child.key}-311-1", **names, **values))
    session.commit()


def program(app: Flask, session: Session, account: Account | None) -> Api:
    token = accounts.make_token(session, account, "test")
    session.commit()
    return Api(app, token)


def ask(api: Api, route: tuple[str, str], row: Row, anna: World) -> Any:
    options = {} if row.body is None else {"json": row.body(anna)}
    return api.call(route[0], row.path(anna).removeprefix("/api/v1"), **options)


def everything_of(session: Session, account_id: int) -> str:
    """All rows of an account as one text; how often a token was used is not a change."""
    session.rollback()
    found: dict[str, Any] = {}
    for name, table in db.metadata.tables.items():
        owners = [column for column in table.c if column.name in {"account_id", "supplier_id", "retailer_id"}]
        if owners and name not in {"api_token", "idempotency"}:
            mine = or_(*(column == account_id for column in owners))
            rows = session.execute(select(table).where(mine).order_by(*table.primary_key.columns)).all()
            found[name] = [str(row) for row in rows]
    found["account"] = [
        str(row) for row in session.execute(select(Account.__table__).where(Account.id == account_id))
    ]
    return json.dumps(found)


def names_of(anna: World) -> set[str]:
    """What must never appear in a stranger's answer."""
    ids = {"evt": anna.event, "cmd": anna.command, "ord": anna.order, "off": anna.offer, "prd": anna.product}
    ids |= {
        "acc": anna.account,
        "pts": network(anna).partnership,
        "trd": network(anna).trade,
        "lst": network(anna).listing,
    }
    child = f'"ord_{network(anna).child.id}"'
    named = {f'"{prefix}_{row.id}"' for prefix, row in ids.items()}
    return {anna.shop.key, anna.marketplace.key, child, *named}


def test_every_route_is_in_the_matrix(app: Flask) -> None:
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == set(MATRIX) | set(OPEN) | SIGNED


@pytest.mark.parametrize(("route", "row"), CASES)
def test_nobody_and_a_wrong_token_get_401(
    route: tuple[str, str], row: Row, app: Flask, session: Session, annas: World
) -> None:
    before = everything_of(session, annas.account.id)
    for api in (Api(app, None), Api(app, "sb_" + "x" * 43)):
        answer = ask(api, route, row, annas)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "token.invalid")
    assert everything_of(session, annas.account.id) == before


@pytest.mark.parametrize(("route", "row"), CASES)
def test_a_stranger_gets_and_changes_nothing_of_annas(
    route: tuple[str, str], row: Row, app: Flask, session: Session, annas: World, chais: World
) -> None:
    api = program(app, session, chais.account)
    before, secret = everything_of(session, annas.account.id), names_of(annas)
    answer = ask(api, route, row, annas)
    assert answer.status_code == row.stranger, answer.get_data(as_text=True)
    told = answer.get_data(as_text=True)
    assert not [name for name in secret if name in told]
    assert "canary" not in told.lower()
    if "/replay" in route[1]:
        assert answer.get_json() == {"replayed": 0}
    assert everything_of(session, annas.account.id) == before


@pytest.mark.parametrize(("route", "row"), CASES)
def test_anna_herself_gets_it(
    route: tuple[str, str], row: Row, app: Flask, session: Session, annas: World, chais: World
) -> None:
    answer = ask(program(app, session, annas.account), route, row, annas)
    told = answer.get_data().decode("utf-8", "replace")  # a packing slip is no text
    assert answer.status_code == row.owner, told
    shows_annas = any(name in told for name in names_of(annas)) or answer.get_json() == {"replayed": 1}
    assert shows_annas or row.owner in {403, 409, 422} or any(name in route[1] for name in NAMELESS)
    assert not [name for name in names_of(chais) if name in told]


@pytest.mark.parametrize(("route", "row"), CASES)
def test_the_operator_gets_it_without_buyers(
    route: tuple[str, str], row: Row, app: Flask, session: Session, annas: World
) -> None:
    answer = ask(program(app, session, None), route, row, annas)
    assert answer.status_code == row.operator, answer.get_data(as_text=True)
    assert "canary" not in answer.get_data(as_text=True).lower()


FILTERS = [
    "/events?connection={anna.shop.key}",
    "/commands?connection={anna.marketplace.key}",
    "/attempts?connection={anna.marketplace.key}",
    "/dead?connection={anna.shop.key}",
    "/dead?cursor=evt_{anna.event.id}",
    "/dead?cursor=cmd_{anna.command.id}",
    "/orders?connection={anna.marketplace.key}",
    "/offers?connection={anna.marketplace.key}",
    "/connections?cursor={anna.shop.key}",
    "/completeness?connection={anna.shop.key}",
    "/cases?connection={anna.shop.key}",
]


@pytest.mark.parametrize("path", FILTERS)
def test_annas_names_in_a_filter_are_unknown_to_a_stranger(
    path: str, app: Flask, session: Session, annas: World, chais: World
) -> None:
    asked = path.format(anna=annas)
    assert program(app, session, chais.account).get(asked).status_code == 400
    assert program(app, session, annas.account).get(asked).status_code == 200


@pytest.mark.parametrize(
    "name", ["events", "commands", "orders", "offers", "connections", "dead", "cases", "completeness"]
)
def test_a_tenant_cannot_choose_another_account(
    name: str, app: Flask, session: Session, annas: World, chais: World
) -> None:
    answer = program(app, session, chais.account).get(f"/{name}?account=acc_{annas.account.id}")
    assert answer.status_code == 200
    assert not [each for each in names_of(annas) if each in answer.get_data(as_text=True)]


def test_replaying_everything_of_a_reason_stays_in_the_account(
    app: Flask, session: Session, annas: World, chais: World
) -> None:
    api = program(app, session, chais.account)
    before = everything_of(session, annas.account.id)
    assert api.post("/events/replay", {"reason": "field.missing"}).get_json() == {"replayed": 1}
    assert api.post("/commands/replay", {"reason": "retry.exhausted"}).get_json() == {"replayed": 1}
    assert api.post("/holiday", {"on": True}).status_code == 200
    assert everything_of(session, annas.account.id) == before


def test_signed_routes_take_no_token_and_no_other_shops_secret(
    app: Flask, session: Session, shop: Shop, other_shop: Shop, anna: Account
) -> None:
    client, body = app.test_client(), event()
    for account in (None, anna):
        bearer = {"Authorization": f"Bearer {program(app, session, account).token}"}
        assert (
            client.post(
                f"/webhooks/{shop.key}", data=body, headers={**bearer, "Content-Type": "application/json"}
            ).status_code
            == 401
        )
        assert (
            client.get("/plugin/status", headers={**bearer, "shopbridge-connection": shop.key}).status_code
            == 401
        )
    assert shop.post(body, other_shop.headers(body)).status_code == 401
    signed = signing.sign([other_shop.secret], new_id(), b"", datetime.now(UTC))
    assert (
        client.get("/plugin/status", headers={**signed, "shopbridge-connection": shop.key}).status_code == 401
    )


def test_open_routes_name_nobody(app: Flask, session: Session, annas: World) -> None:
    for path in ("/healthz", "/api/v1/openapi.json", "/metrics"):
        told = app.test_client().get(path).get_data(as_text=True)
        assert not [name for name in (*names_of(annas), annas.account.name) if name in told]
