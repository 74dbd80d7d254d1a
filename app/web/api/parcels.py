"""What became of a supplier's parcel, told by whoever does not profit from it: the operator's tracking service, or the retailer (K11).

What may go wrong: the supplier wants to tell it himself. He is paid when his parcel was seen, so his token is refused here, and no status of a shop
counts either (K12).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import or_, select

from app import ledger
from app.extensions import db
from app.flows import parcel_seen
from app.models import Trade
from app.web.api import ids, shapes, telling
from app.web.api.asking import Moment, text
from app.web.api.caller import caller, chosen_account, mine, not_found, one_account, stop
from app.web.api.connections import AccountQuery
from app.web.api.network import refusals
from app.web.api.once import once
from app.web.api.routes import Blueprint
from app.web.ringing import commit_and_ring


class Sighting(Schema):
    """What a carrier says of a parcel: by its number, by the trade, or by both where a trade has several parcels."""

    class Meta:
        unknown = RAISE

    tracking_number = text(60)
    trade = text(30, metadata={"description": "e.g. trd_12"})
    kind = fields.String(required=True, validate=validate.OneOf(("carrier_scan", "delivered")))
    at = Moment(required=True, metadata={"description": "When the carrier saw it, not when you heard of it."})

    @validates_schema
    def _named(self, data: dict[str, Any], **_: Any) -> None:
        if "tracking_number" not in data and "trade" not in data:
            raise ValidationError("a tracking number or a trade", "tracking_number")


class Receipt(Schema):
    """The retailer's word that his customer has it."""

    class Meta:
        unknown = RAISE

    tracking_number = text(60, metadata={"description": "Only this parcel."})
    at = Moment(metadata={"description": "Default: now."})


class SeenShown(Schema):
    """What the word did to one trade."""

    trade = fields.String()
    released = shapes.money("Released to the supplier by this word; minor units.")
    currency = fields.String()
    waits = fields.List(fields.Nested(shapes.Told), metadata={"description": "For what the rest waits."})


class SeenList(Schema):
    """One entry for each trade in the parcel."""

    data = fields.List(fields.Nested(SeenShown))


blueprint = Blueprint(
    "parcels_api", __name__, url_prefix="/api/v1/network", description="What became of suppliers' parcels"
)


@blueprint.post("/parcels/seen")
@blueprint.arguments(Sighting)
@blueprint.response(200, SeenList)
def seen(asked: dict[str, Any]) -> dict[str, Any]:
    """Operators only: the carrier has scanned or delivered a parcel. A repeat changes nothing: the first word of each kind counts."""
    if not caller().is_operator:
        stop(403, "http.403")
    number, kind, at = asked.get("tracking_number"), asked["kind"], asked["at"]
    source = ledger.Source(
        f"token {caller().token_id}",
        f"{kind} of {number or asked['trade']} at {at.isoformat()}",
        "parcel.seen",
    )
    with refusals():
        if "trade" in asked:
            found = [_trade(asked["trade"], param="trade")]
        else:
            found = parcel_seen.trades_of(db.session(), str(number))
        told = []
        for trade_id in found:
            done = parcel_seen.seen(
                db.session(), trade_id, kind, at, now=datetime.now(UTC), by=source, number=number
            )
            commit_and_ring()  # one trade is one transaction
            told.append(seen_shown(done))
    return {"data": told}


@blueprint.post("/trades/<trade_id>/received")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(Receipt)
@blueprint.response(200, SeenShown)
@once
def received(_query: dict[str, Any], asked: dict[str, Any], trade_id: str) -> dict[str, Any]:
    """As the retailer: the customer has it. It counts as delivered; a supplier cannot say it (403)."""
    number, now = _trade(trade_id), datetime.now(UTC)
    account_id = one_account().id
    if db.session.scalar(select(Trade.retailer_id).where(Trade.id == number)) != account_id:
        stop(403, "parcel.not_your_order")
    with refusals():
        done = parcel_seen.received(
            db.session(),
            account_id,
            number,
            asked.get("at", now),
            now=now,
            number=asked.get("tracking_number"),
        )
    return seen_shown(done)


def _trade(text_: str, *, param: str = "id") -> int:
    """The number of a trade that the caller may see."""
    number = ids.number("trd", text_, param=param)
    visible = or_(mine(Trade.supplier_id), mine(Trade.retailer_id)) if chosen_account() is not None else None
    query = select(Trade.id).where(Trade.id == number)
    found = db.session.scalar(query if visible is None else query.where(visible))
    return int(found) if found is not None else not_found()


def seen_shown(done: parcel_seen.Seen) -> dict[str, Any]:
    """What the word did."""
    return {
        "trade": f"trd_{done.trade_id}",
        "released": done.released,
        "currency": done.currency,
        "waits": [telling.reason(each.code, each.params) for each in done.waits],
    }
