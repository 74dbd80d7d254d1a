"""What a merchant decides about an order of a marketplace, from his own program: its answer, and the rejection of a return.

What may go wrong: somebody else, the buyer or the marketplace has decided meanwhile. Then the deed is refused in words and nothing is written.
What waits is in `GET /api/v1/cases` (order.awaits_acceptance) and in the `returns` of an order. A return is accepted by a refund in the shop.
"""

from __future__ import annotations

from typing import Any

from flask import Response, after_this_request
from marshmallow import RAISE, Schema, fields, validate
from sqlalchemy import select

from app.errors import Refused
from app.extensions import db
from app.flows import order_accepted, return_rejected
from app.models import Order
from app.web.api import ids
from app.web.api.asking import Flag, text
from app.web.api.caller import mine, not_found
from app.web.api.connections import AccountQuery
from app.web.api.network import refusals
from app.web.api.once import once
from app.web.api.routes import Blueprint
from app.web.ringing import commit_and_ring


class OrderAnswer(Schema):
    """Yes or no to everything of the order that waits for it."""

    class Meta:
        unknown = RAISE

    accept = Flag(required=True)


class ReturnRejection(Schema):
    """Which returned pieces, and why."""

    class Meta:
        unknown = RAISE

    reason = text(
        40, required=True, metadata={"description": "damaged, wrong_item, ... as far as it knows it."}
    )
    note = fields.String(load_default="", validate=validate.Length(max=return_rejected.LONGEST_NOTE))
    chosen = fields.List(
        text(),
        data_key="only",
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "SKUs, ids of returns or of returned pieces there."},
    )
    every = Flag(load_default=False, metadata={"description": "All returns of the order."})


class OrderAnswered(Schema):
    """What is being told to the marketplace."""

    order = fields.String()
    answer = fields.String(validate=validate.OneOf(("accepted", "refused")))


class ReturnRejected(Schema):
    """How many pieces are being rejected."""

    order = fields.String()
    pieces = fields.Integer()


blueprint = Blueprint("decisions_api", __name__, url_prefix="/api/v1", description="Decisions about orders")


@blueprint.post("/orders/<order_id>/answer")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(OrderAnswer)
@blueprint.response(200, OrderAnswered)
@once
def answer(_query: dict[str, Any], asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Accept or refuse an order that waits for the seller's answer; 422 when nothing of it does."""
    order = _order(order_id, lock=True)
    with refusals():
        if not order_accepted.by_hand(db.session(), order, accept=asked["accept"]):
            raise Refused("order.nothing_waits", order=order.external_id)
    _ring_at_the_end()
    return {"order": order_id, "answer": "accepted" if asked["accept"] else "refused"}


@blueprint.post("/orders/<order_id>/reject-return")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(ReturnRejection)
@blueprint.response(200, ReturnRejected)
@once
def reject_return(_query: dict[str, Any], asked: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Reject what came back of an order: nothing is refunded. Without `only` or `every` there may be one return."""
    order = _order(order_id)
    reason, note, only = asked["reason"], asked["note"], asked["chosen"]
    with refusals():
        count = return_rejected.by_hand(db.session(), order, reason, note, only, every=asked["every"])
    _ring_at_the_end()
    return {"order": order_id, "pieces": count}


def _ring_at_the_end() -> None:
    """`once` commits the deed together with its answer; only then there is something to ring for."""

    @after_this_request
    def ring(response: Response) -> Response:
        commit_and_ring()
        return response


def _order(order_id: str, *, lock: bool = False) -> Order:
    """The order that is meant, if the caller may see it."""
    query = select(Order).where(Order.id == ids.number("ord", order_id), mine(Order.account_id))
    found = db.session.scalar(query.with_for_update() if lock else query)
    return found if found is not None else not_found()
