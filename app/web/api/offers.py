"""Offers: what each marketplace should show and shows, and one offer changed by hand (I4, I5, I9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from sqlalchemy import Select, select

from app import queues
from app.extensions import db
from app.models import Offer, Product
from app.web import answers
from app.web.api import ids, pages, shapes, telling
from app.web.api.asking import Flag, text
from app.web.api.caller import mine, not_found
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint

STATES = ("waiting", "on_sale", "off", "needs_product", "needs_variation", "refused", "changed_elsewhere")


class OfferQuery(PageQuery):
    """Filters of the list."""

    connection = text(64)
    state = fields.String(validate=validate.OneOf(STATES))
    reason = text()
    sku = text()
    gtin = text(14)


class Overrides(Schema):
    """Values that replace the shop's for this one offer; null takes the replacement away (I4)."""

    price = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, 10**11),
        metadata={"description": "Minor units."},
    )
    stock = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 1_000_000))
    handling_days = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 100))
    shipping_group = text(100, allow_none=True)


class OfferChange(Schema):
    """`on` false shows stock 0 at the marketplace (I5)."""

    on = Flag()
    overrides = fields.Nested(Overrides)

    @validates_schema
    def something(self, data: dict[str, Any], **_: Any) -> None:
        """A change that changes nothing is a mistake of the caller."""
        if not data:
            raise ValidationError("give on or overrides", "on")


blueprint = Blueprint("offers", __name__, url_prefix="/api/v1", description="What marketplaces show")


@blueprint.get("/offers")
@blueprint.arguments(OfferQuery, location="query")
@blueprint.response(200, shapes.listed(shapes.OfferShown))
def list_offers(asked: dict[str, Any]) -> dict[str, Any]:
    """Offers with their state and reason, newest first."""
    query = _offers()
    if "connection" in asked:
        query = query.where(Offer.connection_id == telling.connection_id(asked["connection"]))
    for name, column in (
        ("state", Offer.state),
        ("reason", Offer.reason_code),
        ("sku", Product.sku),
        ("gtin", Product.gtin),
    ):
        if name in asked:
            query = query.where(column == asked[name])
    return pages.page(query, Offer.id, "off", asked, shown)


def _offers() -> Select[Any, Any]:
    joined = select(Offer, Product).join(Product, Product.id == Offer.product_id)
    return joined.where(mine(Offer.account_id))


def shown(row: Any) -> dict[str, Any]:
    """An offer and its product, with what is wanted, sent and confirmed."""
    offer, product = row
    return {
        "id": f"off_{offer.id}",
        "connection": telling.key_of(offer.connection_id),
        "product": f"prd_{offer.product_id}",
        "sku": product.sku,
        "gtin": product.gtin,
        "title": product.title,
        "on": offer.on,
        "overrides": offer.overrides,
        "state": offer.state,
        "reason": telling.reason(offer.reason_code, offer.reason_params),
        "desired": offer.desired,
        "sent": offer.sent,
        "confirmed": offer.confirmed,
        "revision": offer.revision,
        "sent_revision": offer.sent_revision,
        "confirmed_revision": offer.confirmed_revision,
        "waiting": offer.stale or offer.sent_revision < offer.revision,
        "sent_at": answers.iso(offer.sent_at),
        "confirmed_at": answers.iso(offer.confirmed_at),
    }


@blueprint.get("/offers/<offer_id>")
@blueprint.response(200, shapes.OfferShown)
def one_offer(offer_id: str) -> dict[str, Any]:
    """One offer."""
    row = db.session.execute(_offers().where(Offer.id == ids.number("off", offer_id))).one_or_none()
    return shown(row) if row is not None else not_found()


@blueprint.patch("/offers/<offer_id>")
@blueprint.arguments(OfferChange)
@blueprint.response(200, shapes.OfferShown)
def change_offer(asked: dict[str, Any], offer_id: str) -> dict[str, Any]:
    """Switch one offer on or off, or replace values of the shop; it leaves for the marketplace within seconds (I11)."""
    query = _offers().where(Offer.id == ids.number("off", offer_id)).with_for_update(of=Offer)
    row = db.session.execute(query).one_or_none()
    if row is None:
        not_found()
    offer = row[0]
    if "on" in asked:
        offer.on = asked["on"]
    merged = {**offer.overrides, **asked.get("overrides", {})}
    offer.overrides = {name: value for name, value in merged.items() if value is not None}
    offer.stale, offer.next_attempt_at = True, datetime.now(UTC)
    told, connection_id = shown(row), offer.connection_id
    db.session.commit()
    queues.ring("out", connection_id)
    return told
