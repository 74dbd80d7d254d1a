"""What waits for the merchant's decision at his marketplaces, for the page in his shop: orders that want an answer, returns that he may reject.

What may go wrong: see web/questions.py; and that the page is old, when somebody else, the buyer or the marketplace has decided. Then the deed
is refused in words and nothing is written. To accept a return needs nothing of this: the shop's refund says it (C7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import select

from app import overview
from app.errors import Invalid, Refused
from app.extensions import db
from app.flows import order_accepted, return_rejected
from app.models import Connection, Order, OrderLine, OrderPiece, Return
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
    orders = order_accepted.waiting(session, shop, MOST + 1)
    returns = return_rejected.waiting(session, shop, MOST + 1)
    body = {
        "orders": [_order(each, locale_of(shop)) for each in orders[:MOST]],
        "returns": [_return(shop, each) for each in returns[:MOST]],
        "more": max(len(orders), len(returns)) > MOST,
    }
    return answers.answer(200, body)


def _order(each: order_accepted.Waiting, locale: str) -> dict[str, Any]:
    """Only what waits of it: the rest may be cancelled, or answered before."""
    order, case = each.order, each.case
    pieces = [piece for piece, _ in each.pieces]
    counts = Counter(line.id for _, line in each.pieces)
    lines = {line.id: line for _, line in each.pieces}
    return {
        "id": f"ord_{order.id}",
        "marketplace": _place(order.connection_id),
        "external_id": order.external_id,
        "placed_at": answers.iso(order.placed_at),
        "ship_by": answers.iso(min((piece.ship_by for piece in pieces if piece.ship_by), default=None)),
        "total": network_forms.hundredths(sum(piece.price + piece.shipping_price for piece in pieces)),
        "currency": order.currency,
        "reason": reasons.sentence(case.code, case.params, locale),
        "lines": [
            {"sku": line.sku, "title": line.title, "quantity": counts[line.id]} for line in lines.values()
        ],
        "pieces": [f"pc_{piece.id}" for piece in pieces],
    }


def _return(shop: Connection, each: return_rejected.Waiting) -> dict[str, Any]:
    order, problem, locale = each.order, each.problem, locale_of(shop)
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
        "since": answers.iso(min(row.created_at for row, _, _ in each.pieces)),
        "currency": order.currency,
        "pieces": [_piece(*parts) for parts in each.pieces],
        "rejections": rejections.choices(each.can.return_rejections, locale),
        "note_for": each.can.rejection_note,
        "problem": None if problem is None else reasons.sentence(problem.code, problem.params, locale),
    }


def _piece(row: Return, piece: OrderPiece, line: OrderLine) -> dict[str, Any]:
    """`refunded`: so much of this piece was given back by amount before."""
    return {
        "id": f"ret_{row.id}",
        "sku": line.sku,
        "title": line.title,
        "reason": row.note or row.reason,
        "refunded": network_forms.hundredths(piece.refunded) if piece.refunded else None,
    }


def _place(connection_id: int) -> str:
    """The connection as its merchant calls it; two of the same marketplace have different names."""
    found = db.session.get_one(Connection, connection_id)
    return found.name or provider(found.provider).name


@blueprint.post("/plugin/orders/answer", provide_automatic_options=False)
@signed
def answer(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Accept or refuse what waits of an order; `pieces` says what the merchant has seen."""
    accept = told.get("accept")
    if not isinstance(accept, bool):
        raise Invalid("field.invalid", field="accept", expected="true, false")
    order = _mine(shop, told, lock=True)
    seen = _ids(told, "pieces", "pc") if "pieces" in told else ()
    if not order_accepted.by_hand(db.session(), order, accept=accept, pieces=seen):
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
    rows = _ids(told, "pieces", "ret")
    order = _mine(shop, told)
    count = return_rejected.by_hand(db.session(), order, reason, note, rows=rows)
    commit_and_ring()
    return answers.answer(200, {"order": told["order"], "pieces": count})


def _mine(shop: Connection, told: Mapping[str, Any], *, lock: bool = False) -> Order:
    """The order that is meant. Raises Refused("order.unknown") for all that are not this shop's, existing or not (T9)."""
    named = told.get("order")
    number = ids.read("ord", named) if isinstance(named, str) else None
    query = select(Order).where(Order.id == number, overview.decided_in(shop))
    found = None if number is None else db.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise Refused("order.unknown")
    return found


def _ids(told: Mapping[str, Any], field: str, prefix: str) -> list[int]:
    named = told.get(field)
    if not isinstance(named, list) or not 1 <= len(named) <= MOST_PIECES:
        raise Invalid("field.invalid", field=field, expected=f"1 to {MOST_PIECES} ids like {prefix}_12")
    found = [ids.read(prefix, each) if isinstance(each, str) else None for each in named]
    if None in found:
        raise Invalid("field.invalid", field=f"{field}.{found.index(None)}", expected=f"{prefix}_12")
    return [number for number in found if number is not None]


def _text(told: Mapping[str, Any], field: str, longest: int, *, may_be_empty: bool = False) -> str:
    value = told.get(field, "" if may_be_empty else None)
    if not isinstance(value, str) or len(value) > longest or not (value or may_be_empty):
        raise Invalid("field.invalid", field=field, expected=f"a text of at most {longest} characters")
    return value
