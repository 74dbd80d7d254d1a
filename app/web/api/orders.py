"""Orders: the list, and one order with its pieces, parcels, refunds, its timeline and why it is not shipped yet (C8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import fields
from sqlalchemy import select
from sqlalchemy.orm import defer, selectinload

from app import obstacles, overview
from app.extensions import db
from app.models import (
    Case,
    Order,
    OrderLine,
    OrderPiece,
    Refund,
    Return,
    Shipment,
    Timeline,
)
from app.web import answers
from app.web.api import cases, ids, pages, shapes, telling
from app.web.api.asking import Moment, text
from app.web.api.caller import may_see_buyers, mine, not_found
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint


class OrderQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    external_id = text()
    shop_number = text()
    open = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "something is left to ship"}
    )
    since = Moment(metadata={"description": "placed at or after"})
    until = Moment(metadata={"description": "placed before"})


blueprint = Blueprint("orders", __name__, url_prefix="/api/v1", description="Orders of marketplaces")


@blueprint.get("/orders")
@blueprint.arguments(OrderQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.OrderShown))
def list_orders(asked: dict[str, Any]) -> dict[str, Any]:
    """Orders in one place (I12), newest first: of all marketplaces, of suppliers, and what a shop sold itself of its suppliers' goods (K6)."""
    query = (
        select(Order).where(mine(Order.account_id)).options(selectinload(Order.pieces), defer(Order.buyer))
    )
    if "connection" in asked:
        query = query.where(Order.connection_id == telling.connection_id(asked["connection"]))
    for name, column in (("external_id", Order.external_id), ("shop_number", Order.shop_number)):
        if name in asked:
            query = query.where(column == asked[name])
    if "open" in asked:
        query = query.where(overview.is_open() if asked["open"] else ~overview.is_open())
    if "since" in asked:
        query = query.where(Order.placed_at >= asked["since"])
    if "until" in asked:
        query = query.where(Order.placed_at < asked["until"])
    found = pages.page(query, Order.id, "ord", asked, lambda order: {"id": f"ord_{order.id}", "order": order})
    orders = [row["order"] for row in found["data"]]
    standing = overview.of(db.session(), orders)
    return {**found, "data": [shown(order, standing[order.id]) for order in orders]}


def shown(order: Order, standing: overview.Overview) -> dict[str, Any]:
    """An order as the list shows it."""
    return {
        "id": f"ord_{order.id}",
        "account": f"acc_{order.account_id}",
        "connection": telling.key_of(order.connection_id),
        "marketplace": telling.name_of(order.connection_id),
        "external_id": order.external_id,
        "parent": ids.public("ord", order.parent_id),
        "state": standing.state,
        "pieces": standing.pieces,
        "currency": standing.currency,
        "total": standing.total,
        "parts": [_part(part) for part in standing.parts],
        "placed_at": answers.iso(order.placed_at),
        "ship_by": answers.iso(order.ship_by),
        "wait_until": answers.iso(order.wait_until),
        "stopped": order.stopped,
        "shop": telling.key_of(order.shop_id),
        "shop_order_id": order.shop_order_id,
        "shop_number": order.shop_number,
        "shop_status": order.shop_status,
    }


def _part(part: overview.Part) -> dict[str, Any]:
    return {
        "trade": f"trd_{part.trade_id}",
        "supplier": f"acc_{part.supplier_id}",
        "supplier_name": part.supplier,
        "state": part.state,
        "pieces": part.pieces,
        "total": part.total,
        "currency": part.currency,
        "parcels": [
            {"tracking_number": each.number, "carrier_name": each.carrier, "created_at": answers.iso(each.at)}
            for each in part.parcels
        ],
    }


@blueprint.get("/orders/<order_id>")
@blueprint.response(200, shapes.OrderWhole)
def one_order(order_id: str) -> dict[str, Any]:
    """One order with everything that happened to it."""
    number = ids.number("ord", order_id)
    query = select(Order).where(Order.id == number, mine(Order.account_id))
    order = db.session.scalar(
        query.options(selectinload(Order.pieces), selectinload(Order.lines), defer(Order.buyer))
    )
    if order is None:
        not_found()
    theirs = overview.units(db.session(), order)
    return {
        **shown(order, overview.of(db.session(), [order])[order.id]),
        "buyer": order.buyer if may_see_buyers() else None,
        "lines": [_line(line, theirs.get(line.shop_line_id or "", [])) for line in order.lines],
        "shipments": [_shipment(each) for each in _parts(Shipment, number)],
        "refunds": [_refund(each) for each in _parts(Refund, number)],
        "returns": [_return(each) for each in _parts(Return, number)],
        "cases": [cases.shown(each) for each in _parts(Case, number)],
        "timeline": [_told(each) for each in _parts(Timeline, number)],
        "next": _next(order),
    }


def _parts(table: type[Any], order_id: int) -> Sequence[Any]:
    return db.session.scalars(
        select(table).where(table.order_id == order_id).order_by(table.id).limit(1000)
    ).all()


def _line(line: OrderLine, theirs: list[str]) -> dict[str, Any]:
    """`theirs`: states of the units that suppliers have, where the line has no pieces of its own."""
    return {
        "id": f"ln_{line.id}",
        "sku": line.sku,
        "gtin": line.gtin,
        "title": line.title,
        "quantity": len(line.pieces) or len(theirs),
        "states": [piece.state for piece in line.pieces] or theirs,
        "unit_price": line.unit_price,
        "vat_percent": line.vat_percent,
        "shop_line_id": line.shop_line_id,
        "product": ids.public("prd", line.product_id),
        "pieces": [_piece(piece) for piece in line.pieces],
    }


def _piece(piece: OrderPiece) -> dict[str, Any]:
    return {
        "id": f"pc_{piece.id}",
        "external_id": piece.external_id,
        "state": piece.state,
        "raw_state": piece.raw_state,
        "price": piece.price,
        "shipping_price": piece.shipping_price,
        "refunded": piece.refunded,
        "ship_by": answers.iso(piece.ship_by),
        "shipment": ids.public("shp", piece.shipment_id),
    }


def _shipment(shipment: Shipment) -> dict[str, Any]:
    return {
        "id": f"shp_{shipment.id}",
        "tracking_number": shipment.tracking_number or None,
        "carrier": shipment.carrier,
        "carrier_name": shipment.carrier_name,
        "carrier_source": shipment.carrier_source,
        "pieces": [f"pc_{piece}" for piece in shipment.piece_ids],
        "created_at": answers.iso(shipment.created_at),
        "confirmed_at": answers.iso(shipment.confirmed_at),
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": f"rfd_{refund.id}",
        "origin": refund.origin,
        "external_id": refund.external_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "unassigned": refund.unassigned,
        "created_at": answers.iso(refund.created_at),
    }


def _return(each: Return) -> dict[str, Any]:
    return {
        "id": f"ret_{each.id}",
        "external_id": each.external_id,
        "piece": f"pc_{each.piece_id}",
        "state": each.state,
        "raw_state": each.raw_state,
        "reason": each.reason,
        "tracking_number": each.tracking_number,
        "carrier": each.carrier,
        "updated_at": answers.iso(each.updated_at),
    }


def _told(line: Timeline) -> dict[str, Any]:
    return {
        "at": answers.iso(line.at),
        "code": line.code,
        "message": telling.sentence(line.code, line.params),
        "event": ids.public("evt", line.event_id),
        "command": ids.public("cmd", line.command_id),
    }


def _next(order: Order) -> dict[str, Any] | None:
    found = obstacles.nearest(db.session(), order)
    return None if found is None else telling.reason(found.code, found.params)
