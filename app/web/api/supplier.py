"""The supplier API: a supplier's system without a shop and without an address pulls its orders here and reports what became of them (D6, K6-K11).

Reading is for every supplier; deeds are for orders that no shop has, and become events of the connection (flows/supplier_orders.py). What may go
wrong: one supplier asks for another's order. Every query is bound to the caller's account; of the retailer he sees the company that stands on the
label, of the customer what a parcel needs, never the e-mail address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from flask import Response, after_this_request
from marshmallow import Schema, fields, validate
from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from app import inbox, ledger, queues, trades
from app.errors import Refused
from app.extensions import db
from app.flows import packing_slip, statements, supplier_orders, trade_passed_on
from app.messages import PieceState
from app.models import (
    Account,
    Case,
    Connection,
    Event,
    LedgerAccount,
    Order,
    OrderLine,
    OrderPiece,
    Product,
    Profile,
    Refund,
    Release,
    Shipment,
    Trade,
)
from app.papers import slip
from app.rules import address as addresses
from app.rules import release as release_rules
from app.web import answers
from app.web.api import cases, ids, pages, shapes, telling
from app.web.api.asking import Flag, Moment, text
from app.web.api.caller import Stop, may_see_buyers, mine, not_found, one_account, stop
from app.web.api.connections import AccountQuery
from app.web.api.once import once
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint
from app.web.ringing import commit_and_ring

STATES = ("to_accept", "waiting", "new", "accepted", "part_shipped", "shipped", "cancelled", "rejected")
MAX_MINOR = 10**12
MAX_LINES = 1000
OVERLAP = timedelta(minutes=1)
"""A change that was under way while a page was read shows on the next one: the cursor of a last page never comes nearer to now than this."""

_CURSOR = re.compile(r"([0-9]{1,16})_([0-9]{1,18})")
_CONFLICTS = frozenset(
    {
        "trade.not_open", "supplier.in_a_shop", "supplier.not_yours_yet", "supplier.order_over", "supplier.stopped",
        "supplier.nothing_to_ship", "supplier.too_many_reports", "slip.sender_unknown", "slip.recipient_unknown",
    }
)  # fmt: skip

# --- what is asked -----------------------------------------------------------------------------------------------------------


class OrdersQuery(Schema):
    """Which orders, and from where on."""

    state = fields.String(validate=validate.OneOf(STATES))
    since = text(40, metadata={"description": "`next` of the answer before; without it from the beginning"})
    limit = fields.Integer(load_default=50, validate=validate.Range(1, pages.MOST))
    account = fields.String(metadata={"description": "Operators only: one account, e.g. acc_1."})


class ProductsQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(("released", "not_released")))
    reason = text()
    product_id = text(190, metadata={"description": "your id of one product"})


class MoneyQuery(AccountQuery):
    """Which money, and which period of the statement."""

    currency = fields.String(validate=validate.Regexp(r"[A-Z]{3}\Z", error="a currency like EUR"))
    since = Moment(metadata={"description": "from; 30 days back when not given"})
    until = Moment(metadata={"description": "before; now when not given"})


def whole(lowest: int, highest: int, **kwargs: Any) -> fields.Integer:
    """A whole number, never text and never 2.0."""
    return fields.Integer(strict=True, validate=validate.Range(lowest, highest), **kwargs)


class Taken(Schema):
    """That the system has the order."""

    stock_sequence = whole(
        1,
        inbox.OWN_SEQUENCES,
        load_default=None,
        allow_none=True,
        metadata={"description": "of your own, drawn after your stock was reduced for this order"},
    )


class Rejection(Schema):
    """Why the supplier says no; the retailer reads it."""

    reason = text(200, required=True)


class Line(Schema):
    """Pieces of one line."""

    id = text(64, required=True, metadata={"description": "of the line, e.g. ln_77"})
    quantity = whole(1, 100_000, required=True)


class ParcelTold(Schema):
    """A parcel that has left."""

    tracking_number = text(100, load_default=None, allow_none=True)
    carrier = text(100, load_default=None, allow_none=True)
    lines = fields.List(
        fields.Nested(Line), load_default=None, allow_none=True, validate=validate.Length(1, MAX_LINES)
    )


class RefundedLine(Schema):
    """Money, and pieces if any came back, of one line."""

    id = text(64, required=True)
    quantity = whole(0, 100_000, load_default=0)
    amount = whole(0, MAX_MINOR, required=True)


class RefundTold(Schema):
    """A refund object: it counts once, by its `id`."""

    id = text(100, required=True, metadata={"description": "your own, e.g. of the credit note"})
    amount = whole(1, MAX_MINOR, required=True)
    reason = text(500, load_default="")
    lines = fields.List(
        fields.Nested(RefundedLine), load_default=list, validate=validate.Length(max=MAX_LINES)
    )
    restocked = Flag(load_default=False)


# --- what is answered ----------------------------------------------------------------------------------------------------------


class AddressShown(Schema):
    """A postal address, without e-mail."""

    first_name = fields.String()
    last_name = fields.String()
    company = fields.String()
    address_1 = fields.String()
    address_2 = fields.String()
    postcode = fields.String()
    city = fields.String()
    state = fields.String()
    country = fields.String()
    phone = fields.String()
    extra = fields.Raw(metadata={"description": "what only some carriers read, e.g. post_number"})


class SupplierLineShown(Schema):
    """Pieces of one product at the gross price of one piece: the dealer price in orders of the network."""

    id = fields.String()
    product_id = shapes.word("your own id of the product")
    sku = shapes.word()
    gtin = shapes.word()
    title = fields.String()
    quantity = fields.Integer()
    shipped = fields.Integer()
    cancelled = fields.Integer()
    left = fields.Integer(metadata={"description": "still to send"})
    unit_price = shapes.money()
    vat_percent = shapes.word()


class ParcelShown(Schema):
    """One parcel."""

    tracking_number = shapes.word()
    carrier = shapes.word()
    lines = fields.List(fields.Nested(Line))
    reported_at = shapes.moment()
    confirmed_at = shapes.moment("passed on to the retailer or marketplace")


class SupplierRefundShown(Schema):
    """One refund that was worked off."""

    id = fields.String()
    amount = shapes.money()
    currency = fields.String()
    reason = fields.String()
    at = shapes.moment()


class SupplierOrderShown(Schema):
    """An order as the one who ships it sees it."""

    id = fields.String()
    number = shapes.word("the retailer's number: it stands on the packing slip")
    state = fields.String(metadata={"description": ", ".join(STATES)})
    here = fields.Boolean(
        metadata={"description": "deeds are reported here; false: the order is in a shop of yours"}
    )
    waiting = fields.Boolean(metadata={"description": "something you reported is still being worked off"})
    sold_by = shapes.word("the retailer's company, or the marketplace")
    note = fields.String()
    currency = fields.String()
    goods = shapes.money()
    shipping_price = shapes.money()
    total = shapes.money()
    placed_at = shapes.moment()
    passed_on_at = shapes.moment()
    ship_by = shapes.moment("the deadline, where the marketplace behind it has one")
    on_hold = fields.Boolean(metadata={"description": "the retailer has put it on hold"})
    stopped = fields.Boolean(metadata={"description": "the buyer cancelled: nothing may leave any more"})
    shipping = fields.Nested(AddressShown, allow_none=True)
    sender = fields.Nested(
        AddressShown,
        allow_none=True,
        metadata={"description": "whose address stands on the label; null in an order of the network: print none (K7)"},
    )  # fmt: skip
    lines = fields.List(fields.Nested(SupplierLineShown))
    parcels = fields.List(fields.Nested(ParcelShown))
    refunds = fields.List(fields.Nested(SupplierRefundShown))
    updated_at = shapes.moment()


class TradeMoneyShown(Schema):
    """One order's money; minor units."""

    captured = shapes.money()
    refunded = shapes.money()
    released = shapes.money()
    paid_out = shapes.money()
    held = shapes.money()
    payable = shapes.money()
    receivable = shapes.money()


class SupplierOrderWhole(SupplierOrderShown):
    """With its money and what somebody must look at."""

    money = fields.Nested(TradeMoneyShown, allow_none=True)
    cases = fields.List(fields.Nested(shapes.CaseShown))


class SupplierOrders(Schema):
    """Orders, the longest unchanged first."""

    data = fields.List(fields.Nested(SupplierOrderShown))
    has_more = fields.Boolean()
    next = fields.String(metadata={"description": "give it as `since` the next time, also tomorrow"})


class DeedShown(Schema):
    """What became of a deed."""

    order = fields.String()
    event = shapes.word("the event it became; null when there was nothing to write")
    already = fields.Boolean(metadata={"description": "it had been reported before"})


class FieldReason(shapes.Told):
    """A reason with the field that mends it."""

    field = shapes.word()


class SupplierProductShown(Schema):
    """Whether retailers may list a product, and if not, why (K1, K2)."""

    id = fields.String()
    product_id = fields.String(metadata={"description": "your own"})
    connection = shapes.word()
    sku = shapes.word()
    gtin = shapes.word()
    title = fields.String()
    stock = fields.Integer(allow_none=True)
    state = fields.String()
    reasons = fields.List(fields.Nested(FieldReason))
    category = shapes.word()
    price = shapes.money("Gross dealer price, before any price group.")
    currency = shapes.word()
    changed_at = shapes.moment()


class BalancesShown(Schema):
    """The money of your orders now; minor units."""

    held = shapes.money("captured, waiting for your parcels")
    disputed = shapes.money()
    payable = shapes.money("released, paid out next")
    receivable = shapes.money("refunded after payout: taken off later releases")
    payout_in_transit = shapes.money()


class StatementRow(Schema):
    """One movement of your balance."""

    at = shapes.moment()
    kind = fields.String()
    order = shapes.word("number of the order")
    reference = fields.String()
    gross = shapes.money()
    fee = shapes.money()
    fee_vat = shapes.money()
    amount = shapes.money("effect on your balance")
    balance = shapes.money("afterwards")


class MoneyTold(Schema):
    """Balances, and the statement of a period from balance to balance."""

    currency = fields.String()
    balances = fields.Nested(BalancesShown)
    since = shapes.moment()
    until = shapes.moment()
    opening = shapes.money()
    rows = fields.List(fields.Nested(StatementRow))
    closing = shapes.money()


blueprint = Blueprint(
    "supplier_api", __name__, url_prefix="/api/v1/supplier", description="For supplier systems that pull"
)

# --- which orders there are -----------------------------------------------------------------------------------------------------

_SHOP = aliased(Connection)
_OPEN = tuple(supplier_orders.HERE)
_GONE = (PieceState.SHIPPED, PieceState.DELIVERED, PieceState.RETURNED)


class Row(NamedTuple):
    """An order with what belongs to it."""

    order: Order
    trade: Trade | None
    shop: Connection | None
    state: str
    waiting: bool


def _pieces(*states: PieceState) -> ColumnElement[bool]:
    return exists().where(
        OrderPiece.order_id == Order.id, OrderPiece.in_shop, OrderPiece.state.in_(list(states))
    )


def _reported(*states: str) -> ColumnElement[bool]:
    """Whether a deed of this order was reported (and is in one of these states). By the index over sequences."""
    first = literal(inbox.OWN_SEQUENCES) + Order.id * supplier_orders.REPORTS
    where = [
        Event.connection_id == Order.shop_id,
        Event.sequence > first,
        Event.sequence < first + supplier_orders.REPORTS,
    ]
    return exists().where(*where, *([Event.state.in_(states)] if states else []))


_STATE = case(
    (Trade.state == "rejected", "rejected"),
    (Trade.state == "cancelled", "cancelled"),
    (and_(Trade.id.is_not(None), Trade.passed_on_at.is_(None), Trade.state == "held"), "to_accept"),
    (Order.shop_order_id.is_(None), "waiting"),
    (and_(~_pieces(*_OPEN), ~_pieces(*_GONE)), "cancelled"),
    (~_pieces(*_OPEN), "shipped"),
    (_pieces(*_GONE), "part_shipped"),
    (and_(Order.shop_sequence.is_(None), ~_reported()), "new"),
    else_="accepted",
)
_BY_HAND = exists().where(Profile.account_id == Trade.supplier_id, Profile.accepts_orders.is_(False))
# A part that nobody has passed on is its retailer's secret (K12), unless its supplier is asked whether he wants it.
_VISIBLE = or_(
    Trade.passed_on_at.is_not(None),
    and_(Trade.state.in_(("held", "accepted", "rejected", "cancelled")), _BY_HAND),
    and_(
        Trade.id.is_(None),
        Order.shop_order_id.is_not(None),
        Order.connection_id != Order.shop_id,
        _SHOP.base_url.is_(None),
    ),
)


def _orders() -> Any:
    """Rows of all orders that the caller may see."""
    return (
        select(Order, Trade, _SHOP, _STATE.label("state"), _reported("due", "leased").label("waiting"))
        .outerjoin(Trade, Trade.order_id == Order.id)
        .outerjoin(_SHOP, _SHOP.id == Order.shop_id)
        .where(mine(Order.account_id), _VISIBLE)
    )


def _one(order_id: str) -> Row:
    """The order of this request; 404 for what is not there and for what is somebody else's."""
    found = db.session.execute(_orders().where(Order.id == ids.number("ord", order_id))).one_or_none()
    return Row(*found) if found is not None else not_found()


@blueprint.get("/orders")
@blueprint.arguments(OrdersQuery, location="query")
@blueprint.response(200, SupplierOrders)
def list_supplier_orders(asked: dict[str, Any]) -> dict[str, Any]:
    """Your orders, the longest unchanged first. A changed one comes again: know it by its `id`."""
    query = _orders()
    if "state" in asked:
        query = query.where(_STATE.in_([asked["state"]]))
    begin = _cursor(asked["since"]) if "since" in asked else None
    if begin is not None:
        query = query.where(tuple_(Order.updated_at, Order.id) > tuple_(*begin))
    limit = asked["limit"]
    found = db.session.execute(query.order_by(Order.updated_at, Order.id).limit(limit + 1)).all()
    rows = [Row(*each) for each in found[:limit]]
    more = len(found) > limit
    told = [order_shown(row) for row in rows]
    following = _next(rows, begin, more=more)
    _handed_out(rows)
    return {"data": told, "has_more": more, "next": following}


def _cursor(given: str) -> tuple[datetime, int]:
    found = _CURSOR.fullmatch(given) if given.isascii() else None
    if found is None:
        stop(400, "id.invalid", "Give what `next` said.", param="since")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found[1])), int(found[2])


def _next(rows: list[Row], begin: tuple[datetime, int] | None, *, more: bool) -> str:
    """Behind the last row; at the end a minute earlier, because a transaction that is not over yet may still bring an older change."""
    behind = begin or (datetime(1970, 1, 1, tzinfo=UTC), 0)
    if rows:
        behind = (rows[-1].order.updated_at, rows[-1].order.id)
    early = datetime.now(UTC) - OVERLAP
    moment, number = behind if more or behind[0] < early else (early, 0)
    return f"{int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))}_{number}"


def _handed_out(rows: list[Row]) -> None:
    """An operator's look does not count: he does not send parcels."""
    if may_see_buyers():
        supplier_orders.fetched(
            db.session(), [row.order.id for row in rows if row.order.fetch_by is not None]
        )
    db.session.commit()


@blueprint.get("/orders/<order_id>")
@blueprint.response(200, SupplierOrderWhole)
def one_supplier_order(order_id: str) -> dict[str, Any]:
    """One order, with its money and what somebody must look at."""
    row = _one(order_id)
    query = select(Case).where(Case.order_id == row.order.id, Case.state == "open").order_by(Case.id)
    told = {
        **order_shown(row),
        "money": _money_of(row.trade),
        "cases": [cases.shown(each) for each in db.session.scalars(query.limit(100))],
    }
    _handed_out([row])
    return told


def _money_of(trade: Trade | None) -> dict[str, int] | None:
    if trade is None:
        return None
    money = ledger.money(db.session(), trade)
    names = ("captured", "refunded", "released", "paid_out", "payable", "receivable")
    return {"held": money.escrow, **{name: getattr(money, name) for name in names}}


def order_shown(row: Row) -> dict[str, Any]:
    """An order with its lines, parcels and refunds."""
    order, trade = row.order, row.trade
    handed_over = trade is None or trade.passed_on_at is not None
    pieces = _of(OrderPiece, order)
    lines = _of(OrderLine, order)
    shipping_price = trade.shipping if trade is not None else sum(piece.shipping_price for piece in pieces)
    goods = trade.goods if trade is not None else sum(piece.price for piece in pieces)
    sold_by = (order.buyer or {}).get("sold_by") or telling.name_of(order.connection_id)
    if trade is not None:
        sold_by = trades.company(db.session(), trade.retailer_id) or sold_by
    # The supplier's own number names the order; the note names the retailer's, as the one written into a shop does.
    sold_as = (order.buyer or {}).get("number") or order.external_id
    number = order.shop_number or sold_as
    return {
        "id": f"ord_{order.id}",
        "number": number,
        "state": row.state,
        "here": row.shop is not None and row.shop.base_url is None,
        "waiting": row.waiting,
        "sold_by": sold_by,
        "note": f"{sold_by} {'dropshipping order ' if trade is not None else ''}{sold_as}",
        "currency": order.currency,
        "goods": goods,
        "shipping_price": shipping_price,
        "total": goods + shipping_price,
        "placed_at": answers.iso(order.placed_at),
        "passed_on_at": answers.iso(trade.passed_on_at) if trade is not None else None,
        "ship_by": answers.iso(order.ship_by),
        "on_hold": trade is not None and trades.retail_of(db.session(), trade).shop_status == "on_hold",
        "stopped": order.stopped,
        "shipping": _shipping(order) if handed_over and may_see_buyers() else None,
        "sender": _sender(trade),
        "lines": [_line(line, [each for each in pieces if each.line_id == line.id]) for line in lines],
        "parcels": [_parcel(each, pieces) for each in _of(Shipment, order)],
        "refunds": [_refund(each) for each in _of(Refund, order) if each.origin == "shop"],
        "updated_at": answers.iso(order.updated_at),
    }


def _of(table: type[Any], order: Order) -> list[Any]:
    return list(db.session.scalars(select(table).where(table.order_id == order.id).order_by(table.id)))


_PARTS = tuple(AddressShown().fields)


def _shipping(order: Order) -> dict[str, Any] | None:
    told = (order.buyer or {}).get("shipping")
    return {name: told.get(name) for name in _PARTS if told.get(name) is not None} if told else None


def _sender(trade: Trade | None) -> dict[str, Any] | None:
    """Whose address stands on the label (K7); none while the retailer's is incomplete. His mail address and phone stay with us."""
    if trade is None:
        return None
    found = trades.address_of(db.session(), trade.retailer_id)
    if addresses.mistakes(found):
        return None
    return {name: getattr(found, name) for name in _PARTS if name not in {"phone", "extra"}}


def _line(line: OrderLine, pieces: list[OrderPiece]) -> dict[str, Any]:
    product = db.session.get(Product, line.product_id) if line.product_id is not None else None
    left = [piece for piece in pieces if piece.shipment_id is None and piece.cancel_asked_by is None]
    return {
        "id": f"ln_{line.id}",
        "product_id": product.external_id if product is not None else None,
        "sku": line.sku,
        "gtin": line.gtin,
        "title": line.title,
        "quantity": len(pieces),
        "shipped": sum(piece.state in _GONE for piece in pieces),
        "cancelled": sum(piece.state == PieceState.CANCELLED for piece in pieces),
        "left": sum(piece.state in (*_OPEN, PieceState.ANNOUNCED) for piece in left),
        "unit_price": line.unit_price,
        "vat_percent": line.vat_percent,
    }


def _parcel(shipment: Shipment, pieces: list[OrderPiece]) -> dict[str, Any]:
    inside = [f"ln_{piece.line_id}" for piece in pieces if piece.id in set(shipment.piece_ids)]
    return {
        "tracking_number": shipment.tracking_number or None,
        "carrier": shipment.carrier_name or shipment.carrier,
        "lines": [{"id": name, "quantity": inside.count(name)} for name in sorted(set(inside))],
        "reported_at": answers.iso(shipment.created_at),
        "confirmed_at": answers.iso(shipment.confirmed_at),
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.external_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
        "at": answers.iso(refund.created_at),
    }


@blueprint.get("/orders/<order_id>/packing-slip")
@blueprint.response(200, content_type="application/pdf")
def supplier_packing_slip(order_id: str) -> Response:
    """The retailer's packing slip as PDF: nothing of you is on it (K7)."""
    row = _one(order_id)
    if not may_see_buyers():
        stop(403, "http.403")
    if row.shop is None or row.order.shop_order_id is None:
        raise _stopped(Refused("supplier.not_yours_yet"))
    try:
        found = packing_slip.papers(db.session(), row.shop, row.order.shop_order_id)
    except Refused as error:
        if error.code == "slip.order_unknown":
            not_found()
        raise _stopped(error) from None
    paper = slip.pdf(found.slips, made_at=datetime.now(UTC), never=found.never)
    _handed_out([row])
    headers = {"Content-Disposition": 'inline; filename="packing-slip.pdf"'}
    return Response(paper, 200, headers, mimetype="application/pdf")


# --- deeds ------------------------------------------------------------------------------------------------------------------------


def _stopped(error: Refused) -> Stop:
    """One of our refusals as the API's one error object."""
    db.session.rollback()
    status = 409 if error.code in _CONFLICTS else 422
    return Stop(answers.refusal(error, status, telling.language()))


def _done(row: Row, deed: Callable[[], supplier_orders.Reported]) -> dict[str, Any]:
    """Do it, and let the event be worked off once it is committed together with the Idempotency-Key."""
    order_id, shop_id = row.order.id, row.order.shop_id
    try:
        done = deed()
    except Refused as error:
        raise _stopped(error) from None
    if shop_id is not None and done.event_id is not None:
        _ring_afterwards("in", shop_id)
    return {"order": f"ord_{order_id}", "event": ids.public("evt", done.event_id), "already": done.already}


def _ring_afterwards(lane: queues.Lane, connection_id: int) -> None:
    @after_this_request
    def ring(response: Response) -> Response:
        queues.ring(lane, connection_id)
        return response


@blueprint.post("/orders/<order_id>/accept")
@blueprint.arguments(Taken)
@blueprint.response(200, DeedShown)
@once
def accept_order(asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Yes to an order that waits for your yes; for one that is with you, that your system has it."""
    row = _one(order_id)
    if row.trade is not None and row.trade.passed_on_at is None:
        return _accepted(row, row.trade)
    return _done(row, lambda: supplier_orders.take(db.session(), row.order.id, asked["stock_sequence"]))


def _accepted(row: Row, trade: Trade) -> dict[str, Any]:
    if trade.state == "accepted":
        return {"order": f"ord_{row.order.id}", "event": None, "already": True}
    order_id, network_id = row.order.id, row.order.connection_id
    try:
        trade_passed_on.accept(db.session(), trade)
    except Refused as error:
        raise _stopped(error) from None
    _ring_afterwards("out", network_id)
    return {"order": f"ord_{order_id}", "event": None, "already": False}


@blueprint.post("/orders/<order_id>/reject")
@blueprint.arguments(Rejection)
@blueprint.response(200, DeedShown)
@once
def reject_order(asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """No to an order that waits for your yes: the retailer gets all his money back. Later: cancel."""
    row = _one(order_id)
    if row.trade is None:
        raise _stopped(Refused("trade.not_open"))
    if row.trade.state == "rejected":
        return {"order": order_id, "event": None, "already": True}
    try:
        trade_passed_on.reject(db.session(), row.trade, asked["reason"])
    except Refused as error:
        raise _stopped(error) from None
    commit_and_ring()
    return {"order": order_id, "event": None, "already": False}


@blueprint.post("/orders/<order_id>/ship")
@blueprint.arguments(ParcelTold)
@blueprint.response(200, DeedShown)
@once
def ship_order(asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """A parcel has left. Only with a tracking number is money released (K11)."""
    row, lines = _one(order_id), asked["lines"]
    parcel = supplier_orders.Parcel(
        number=asked["tracking_number"],
        carrier=asked["carrier"],
        lines=None if lines is None else [(each["id"], each["quantity"]) for each in lines],
    )
    return _done(row, lambda: supplier_orders.ship(db.session(), row.order.id, parcel))


@blueprint.post("/orders/<order_id>/cancel")
@blueprint.arguments(Schema.from_dict({}, name="Nothing"))
@blueprint.response(200, DeedShown)
@once
def cancel_order(_asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """The whole order is off: the retailer gets everything back that is left (K9). Single pieces: a refund with their lines."""
    row = _one(order_id)
    return _done(row, lambda: supplier_orders.cancel(db.session(), row.order.id))


@blueprint.post("/orders/<order_id>/refunds")
@blueprint.arguments(RefundTold)
@blueprint.response(200, DeedShown)
@once
def refund_order(asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Goods came back, or were not good: exactly this amount goes back to the retailer, once by your `id` (K8)."""
    row = _one(order_id)
    wanted = supplier_orders.GivenBack(
        id=asked["id"].strip(),
        amount=asked["amount"],
        reason=asked["reason"],
        lines=[(each["id"], each["quantity"], each["amount"]) for each in asked["lines"]],
        restocked=asked["restocked"],
    )
    if not wanted.id:
        stop(422, "argument.invalid", "id: not only blanks.", param="id")
    return _done(row, lambda: supplier_orders.refund(db.session(), row.order.id, wanted))


# --- products and money -----------------------------------------------------------------------------------------------------------


@blueprint.get("/products")
@blueprint.arguments(ProductsQuery, location="query")
@blueprint.response(200, shapes.listed(SupplierProductShown))
def list_supplier_products(asked: dict[str, Any]) -> dict[str, Any]:
    """Which of your products retailers may list, and which field of the others is missing."""
    query = select(Release, Product).join(Product, Product.id == Release.product_id)
    query = query.where(mine(Release.account_id))
    if "state" in asked:
        query = query.where(Release.state == asked["state"])
    if "reason" in asked:
        query = query.where(Release.reasons.contains([{"code": asked["reason"]}]))
    if "product_id" in asked:
        query = query.where(Product.external_id == asked["product_id"])
    return pages.page(query, Release.product_id, "prd", asked, product_shown)


def product_shown(row: Any) -> dict[str, Any]:
    """A product with every reason why it is not released."""
    release, product = row
    plain = ("sku", "gtin", "title", "stock")
    return {
        "id": f"prd_{product.id}",
        "product_id": product.external_id,
        "connection": telling.key_of(product.connection_id),
        **{name: getattr(product, name) for name in plain},
        "state": release.state,
        "reasons": [_reason(each) for each in release.reasons],
        "category": release.category,
        "price": release.price,
        "currency": release.currency,
        "changed_at": answers.iso(release.changed_at),
    }


def _reason(each: Mapping[str, Any]) -> dict[str, Any]:
    told = telling.reason(each["code"], each.get("params")) or {}
    return {**told, "field": release_rules.field_of(each["code"])}


@blueprint.get("/money")
@blueprint.arguments(MoneyQuery, location="query")
@blueprint.response(200, MoneyTold)
def supplier_money(asked: dict[str, Any]) -> dict[str, Any]:
    """What you have to get and what is held, and every movement of a period."""
    account = one_account()
    until = asked.get("until") or datetime.now(UTC)
    since = asked.get("since") or until - timedelta(days=30)
    if since > until:
        stop(422, "argument.invalid", "since: before until.", param="since")
    currency = asked.get("currency") or _currency(account)
    told = statements.statement(db.session(), account, "supplier", since, until, currency)
    plain = ("kind", "order", "reference", "gross", "fee", "fee_vat", "amount", "balance")
    return {
        "currency": currency,
        "balances": _balances(account.id, currency),
        "since": answers.iso(since),
        "until": answers.iso(until),
        "opening": told.opening,
        "rows": [
            {"at": answers.iso(line.at), **{name: getattr(line, name) for name in plain}}
            for line in told.lines
        ],
        "closing": told.closing,
    }


def _currency(account: Account) -> str:
    profile = db.session.get(Profile, account.id)
    return profile.currency if profile is not None else "EUR"


def _balances(account_id: int, currency: str) -> dict[str, int]:
    """The balances themselves, of all trades in which the account is the supplier."""
    query = (
        select(LedgerAccount.kind, func.sum(LedgerAccount.balance))
        .outerjoin(Trade, Trade.id == LedgerAccount.trade_id)
        .where(
            LedgerAccount.currency == currency,
            func.coalesce(Trade.supplier_id, LedgerAccount.owner_id) == account_id,
        )
        .group_by(LedgerAccount.kind)
    )
    found = {kind: int(amount) for kind, amount in db.session.execute(query)}
    names = {"held": "escrow", "disputed": "dispute_hold"}
    names |= {name: name for name in ("payable", "receivable", "payout_in_transit")}
    return {name: found.get(kind, 0) for name, kind in names.items()}
