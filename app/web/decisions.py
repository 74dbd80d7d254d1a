"""What waits for the merchant's decision at his marketplaces, for the page in his shop: orders that want an answer, returns that he may reject.

What may go wrong: see web/questions.py; and that the page is old, when somebody else, the buyer or the marketplace has decided. Then the deed
is refused in words and nothing is written. To accept a return needs nothing of this: the shop's refund says it (C7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import or_, select

from app import overview
from app.errors import Invalid, Refused
from app.extensions import db
from app.flows import order_accepted, return_rejected
from app.flows.return_rejected import Waiting
from app.messages import PieceState
from app.models import Case, Connection, Order
from app.registry import provider
from app.rules import reasons, rejections
from app.web import answers, network_forms
from app.web.api import ids
from app.web.questions import locale_of, signed
from app.web.ringing import commit_and_ring

blueprint = Blueprint("decisions", __name__)

MOST = 100  # of either kind on one page
MOST_PIECES = 1000  # of one rejection
LONGEST_REASON = 40


@blueprint.post("/plugin/orders/waiting", provide_automatic_options=False)
@signed
def waiting(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Everything that waits, the oldest first; `more` when there is more than MOST of a kind."""
    session = db.session()
    orders = order_accepted.waiting(session, shop.account_id, shop.id, MOST + 1)
    returns = return_rejected.waiting(session, shop.account_id, shop.id, MOST + 1)
    totals = overview.of(session, [order for order, _ in orders[:MOST]])
    body = {
        "orders": [_order(shop, order, case, totals[order.id]) for order, case in orders[:MOST]],
        "returns": [_return(shop, each) for each in returns[:MOST]],
        "more": max(len(orders), len(returns)) > MOST,
    }
    return answers.answer(200, body)


def _order(shop: Connection, order: Order, case: Case, standing: overview.Overview) -> dict[str, Any]:
    """Pieces that the buyer has cancelled are not sold any more."""
    left = {
        line.id: sum(piece.state != PieceState.CANCELLED for piece in line.pieces) for line in order.lines
    }
    return {
        "id": f"ord_{order.id}",
        "marketplace": _place(order.connection_id),
        "external_id": order.external_id,
        "placed_at": answers.iso(order.placed_at),
        "ship_by": answers.iso(order.ship_by),
        "total": None if standing.total is None else network_forms.hundredths(standing.total),
        "currency": standing.currency,
        "reason": reasons.sentence(case.code, case.params, locale_of(shop)),
        "lines": [
            {"sku": line.sku, "title": line.title, "quantity": left[line.id]}
            for line in order.lines
            if left[line.id]
        ],
    }


def _return(shop: Connection, each: Waiting) -> dict[str, Any]:
    order = each.order
    here = order.shop_id == shop.id
    return {
        "order": f"ord_{order.id}",
        "marketplace": _place(order.connection_id),
        "external_id": order.external_id,
        "shop_order_id": order.shop_order_id if here else None,
        "shop_number": order.shop_number if here else None,
        "return": each.number,
        "arrived": each.arrived,
        "whole": each.can.returns_whole,
        "since": answers.iso(min(row.created_at for row, _ in each.pieces)),
        "pieces": [
            {"id": f"ret_{row.id}", "sku": line.sku, "title": line.title, "reason": row.note or row.reason}
            for row, line in each.pieces
        ],
        "rejections": rejections.choices(each.can.return_rejections, locale_of(shop)),
    }


def _place(connection_id: int) -> str:
    """The connection as its merchant calls it; two of the same marketplace have different names."""
    found = db.session.get_one(Connection, connection_id)
    return found.name or provider(found.provider).name


@blueprint.post("/plugin/orders/answer", provide_automatic_options=False)
@signed
def answer(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Accept or refuse an order that waits for it."""
    accept = told.get("accept")
    if not isinstance(accept, bool):
        raise Invalid("field.invalid", field="accept", expected="true, false")
    order = _mine(shop, told, lock=True)
    if not order_accepted.by_hand(db.session(), order, accept=accept):
        raise Refused("order.nothing_waits", order=order.external_id)
    word = "accepted" if accept else "refused"
    commit_and_ring()
    return answers.answer(200, {"order": told["order"], "answer": word})


@blueprint.post("/plugin/orders/reject-return", provide_automatic_options=False)
@signed
def reject_return(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Reject these returned pieces, all of one order."""
    reason = _text(told, "reason", LONGEST_REASON)
    note = _text(told, "note", return_rejected.LONGEST_NOTE, may_be_empty=True)
    rows = _pieces(told)
    order = _mine(shop, told)
    count = return_rejected.by_hand(db.session(), order, reason, note, rows=rows)
    commit_and_ring()
    return answers.answer(200, {"order": told["order"], "pieces": count})


def _mine(shop: Connection, told: Mapping[str, Any], *, lock: bool = False) -> Order:
    """The order that is meant. Raises Refused("order.unknown") for all that are not this shop's, existing or not (T9)."""
    named = told.get("order")
    number = ids.read("ord", named) if isinstance(named, str) else None
    query = select(Order).where(
        Order.id == number,
        Order.account_id == shop.account_id,
        or_(Order.shop_id == shop.id, Order.shop_id.is_(None)),
    )
    found = None if number is None else db.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise Refused("order.unknown")
    return found


def _pieces(told: Mapping[str, Any]) -> list[int]:
    named = told.get("pieces")
    if not isinstance(named, list) or not 1 <= len(named) <= MOST_PIECES:
        raise Invalid("field.invalid", field="pieces", expected=f"1 to {MOST_PIECES} ids like ret_12")
    found = [ids.read("ret", each) if isinstance(each, str) else None for each in named]
    if None in found:
        raise Invalid("field.invalid", field=f"pieces.{found.index(None)}", expected="ret_12")
    return [number for number in found if number is not None]


def _text(told: Mapping[str, Any], field: str, longest: int, *, may_be_empty: bool = False) -> str:
    value = told.get(field, "" if may_be_empty else None)
    if not isinstance(value, str) or len(value) > longest or not (value or may_be_empty):
        raise Invalid("field.invalid", field=field, expected=f"a text of at most {longest} characters")
    return value
