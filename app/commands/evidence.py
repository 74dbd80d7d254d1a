"""What the bridge has seen of a supplier of the network, for the conformance command; and the trial order that its developer may handle.

Everything is read from rows; three questions are asked of the bridge's own API with a token that lives as long as the question.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from flask import Flask
from sqlalchemy import ColumnElement, delete, func, select
from werkzeug.test import TestResponse

from app import accounts, outbox, queues
from app.commands.problems import stop
from app.conformance import NetworkSeen
from app.errors import Refused
from app.extensions import db
from app.flows import order_placed, trial_order
from app.models import (
    ApiToken,
    Connection,
    Event,
    Order,
    Product,
    Profile,
    Refund,
    Release,
    Shipment,
    Timeline,
)
from app.rules import reasons, release, tracking
from app.rules import trade as rules

MOST = 2000


def trial(shop: Connection) -> str:
    """Make a trial order for this system; answers its id. Ends the command when there is nothing to order."""
    try:
        network, seen = trial_order.made(db.session(), shop)
    except Refused as error:
        stop(reasons.sentence(error.code, error.params, "en"))
    (order, *_) = order_placed.receive(db.session(), network, seen)
    number = f"ord_{order.id}"
    db.session.commit()
    for connection_id in sorted({shop.id} | outbox.given_work(db.session())):
        queues.ring("out", connection_id)
    return number


def gather(app: Flask, shop: Connection) -> NetworkSeen | None:
    """None for who is no supplier of the network."""
    profile = db.session.get(Profile, shop.account_id)
    if profile is None or not profile.supplier:
        return None
    orders = db.session.scalars(
        select(Order)
        .where(Order.shop_id == shop.id, Order.key.startswith(rules.key("")))
        .order_by(Order.id.desc())
        .limit(MOST)
    ).all()
    ids = [order.id for order in orders]
    parcels = [bool(tracking.check(number, carrier)) for number, carrier in _parcels(ids)]
    pulls = shop.base_url is None
    return NetworkSeen(
        released=_count(Release, Release.account_id == shop.account_id, Release.state == "released"),
        reasons=_reasons(shop),
        orders=len(orders),
        fetched=_told(ids, "order.fetched")
        if pulls
        else sum(order.shop_order_id is not None for order in orders),
        accepted=sum((order.shop_sequence if pulls else order.shop_order_id) is not None for order in orders),
        parcels=len(parcels),
        parcels_wrong=sum(parcels),
        cancelled=sum(order.shop_status == "cancelled" for order in orders),
        refunds=_refunds(shop, ids),
        refunds_refused=_count(Refund, Refund.order_id.in_(ids), Refund.unassigned > 0),
        **_answers(app, shop),
    )


def _count(table: type[Any], *where: ColumnElement[bool]) -> int:
    return int(db.session.scalar(select(func.count()).select_from(table).where(*where)) or 0)


def _told(order_ids: list[int], code: str) -> int:
    query = select(func.count(Timeline.order_id.distinct()))
    return int(db.session.scalar(query.where(Timeline.order_id.in_(order_ids), Timeline.code == code)) or 0)


def _parcels(order_ids: list[int]) -> list[tuple[str, str | None]]:
    query = select(Shipment.tracking_number, Shipment.carrier)
    found = db.session.execute(query.where(Shipment.order_id.in_(order_ids), Shipment.tracking_number != ""))
    return [(row[0], row[1]) for row in found]


def _reasons(shop: Connection) -> list[tuple[str, str | None, int]]:
    """(code, field, products) of what this system has and what is not released."""
    query = (
        select(Release.reasons)
        .join(Product, Product.id == Release.product_id)
        .where(Product.connection_id == shop.id, Release.state == "not_released", Product.deleted.is_(False))
    )
    counts: dict[str, int] = {}
    for told in db.session.scalars(query):
        for each in told:
            counts[each["code"]] = counts.get(each["code"], 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(code, release.field_of(code), count) for code, count in ranked]


def _refunds(shop: Connection, order_ids: list[int]) -> int:
    """Refund objects that events of this system named, trial orders included. Bodies are kept for two weeks; what counted was named once."""
    counted = _count(Refund, Refund.order_id.in_(order_ids), Refund.origin == "shop")
    query = select(Event.id).where(
        Event.connection_id == shop.id, Event.type == "order.refunded", Event.body.is_not(None)
    )
    named: set[tuple[str, str]] = set()
    for event_id in db.session.scalars(query.order_by(Event.id.desc()).limit(MOST)).all():
        event = db.session.get_one(Event, event_id)
        data = json.loads(event.body or b"{}").get("data") or {}
        named |= {(event.subject, str(each.get("id"))) for each in data.get("refunds") or ()}
        db.session.expunge(event)
    return max(len(named), counted)


def _answers(app: Flask, shop: Connection) -> dict[str, Any]:
    """How the API answers a wrong token, somebody else's order and a repeat, just now."""
    account = shop.account
    foreign = db.session.scalar(select(Order.id).where(Order.account_id != account.id).limit(1)) or 10**17
    token = accounts.make_token(db.session(), account, "conformance")
    db.session.commit()
    try:
        nothing = {"reason": "conformance.nothing"}  # no event has this reason, so nothing is replayed
        key = {"Idempotency-Key": f"conformance-{secrets.token_hex(8)}"}
        first, again = (_ask(app, token, "/events/replay", nothing, key) for _ in range(2))
        return {
            "replayed": first.get_json() == again.get_json() and "Idempotency-Replayed" in again.headers,
            "wrong_token": _ask(app, "sb_" + secrets.token_urlsafe(32), "/supplier/orders").status_code,
            "foreign_order": _ask(app, token, f"/supplier/orders/ord_{foreign}").status_code,
        }
    finally:
        db.session.rollback()
        db.session.execute(delete(ApiToken).where(ApiToken.digest == accounts.digest(token)))
        db.session.commit()


def _ask(
    app: Flask, token: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> TestResponse:
    told = {"Authorization": f"Bearer {token}", **(headers or {})}
    method = "GET" if body is None else "POST"
    return app.test_client().open(f"/api/v1{path}", method=method, headers=told, json=body)
