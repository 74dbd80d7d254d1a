"""What a retailer's programs find in the network, take into his shop, change there and take out again: the flows of the shop plugin (K3, K5).

What may go wrong: a program takes what its owner may not have. Only approved retailers look, only released products of active partnerships are
found, and those that cannot be taken are told one by one; taking out is always possible.
"""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from sqlalchemy import select

from app.errors import Refused
from app.extensions import db
from app.flows import catalogue
from app.models import Account, Connection, Listing, Product, Profile
from app.web.api import ids, shapes, telling
from app.web.api.asking import Flag, text
from app.web.api.caller import mine, not_found, one_account, stop
from app.web.api.connections import AccountQuery
from app.web.api.network import ListingShown, listing_shown, refusals
from app.web.api.once import once
from app.web.api.routes import Blueprint
from app.web.ringing import commit_and_ring

MOST = 1000  # products of one request, as the shop plugin's
PAGES = 100_000


class CatalogueQuery(Schema):
    """What is looked for; nothing = everything that is offered."""

    account = fields.String(metadata={"description": "Operators only: one account, e.g. acc_1."})
    shop = text(64, metadata={"description": "Key of the shop, where the account has several."})
    search = text(metadata={"description": "Words of title, brand or GTIN."})
    category = text(80)
    supplier = text(30, metadata={"description": "e.g. acc_3"})
    gtin = text(20)
    brand = text()
    margin = fields.Integer(
        validate=validate.Range(0, 100), metadata={"description": "At least so many percent."}
    )
    listed = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "In this shop or not."}
    )
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 100))
    cursor = fields.String(metadata={"description": "`next` of the page before."})


def _one_product(value: str) -> None:
    if ids.read("prd", value) is None:
        raise ValidationError("an id like prd_12")


def _products() -> fields.List[str]:
    each = fields.String(validate=_one_product)
    return fields.List(each, required=True, validate=validate.Length(1, MOST))


class PriceRuleAsked(Schema):
    """A price rule as it is kept: `value` is decimal text, "60" percent or "9.90" of the currency."""

    class Meta:
        unknown = RAISE

    kind = text(20, required=True)
    value = text(20)
    base = text(20)


class ImportAsked(Schema):
    """Which products, and at what price; without a rule at the supplier's recommended one."""

    class Meta:
        unknown = RAISE

    shop = text(64)
    products = _products()
    price_rule = fields.Nested(PriceRuleAsked)


class UnlistAsked(Schema):
    """Which products."""

    class Meta:
        unknown = RAISE

    shop = text(64)
    products = _products()


class ListingChange(Schema):
    """On sale, or stock 0 for now (the product stays in the shop)."""

    class Meta:
        unknown = RAISE

    on = Flag(required=True)


class OfferedShown(Schema):
    """One product of the catalogue."""

    id = fields.String()
    title = fields.String()
    gtin = shapes.word()
    brand = shapes.word()
    category = shapes.word()
    image = shapes.word()
    supplier = fields.String()
    supplier_name = fields.String()
    dealer_price = shapes.money("Gross, after your price group; null where it is not offered any more.")
    recommended_price = shapes.money()
    currency = fields.String()
    margin_percent = fields.Integer(allow_none=True)
    stock = fields.Integer()
    listed = fields.Boolean()
    state = shapes.word("Of the listing in your shop.")
    reason = fields.Nested(shapes.Told, allow_none=True)
    price_rule = fields.Raw(allow_none=True)


class CatalogueShown(Schema):
    """A page, by title."""

    data = fields.List(fields.Nested(OfferedShown))
    has_more = fields.Boolean()
    next = shapes.word("Cursor of the next page.")
    total = fields.Integer()


class RefusedShown(Schema):
    """A product that was not taken, and why."""

    product = fields.String()
    reason = fields.Nested(shapes.Told)


class ImportShown(Schema):
    """What is on its way into the shop."""

    shop = fields.String()
    queued = fields.Integer()
    refused = fields.List(fields.Nested(RefusedShown))


class UnlistShown(Schema):
    """What is taken out."""

    shop = fields.String()
    withdrawn = fields.Integer()


blueprint = Blueprint(
    "catalogue_api", __name__, url_prefix="/api/v1/network", description="What suppliers offer a retailer"
)


@blueprint.get("/catalogue")
@blueprint.arguments(CatalogueQuery, location="query")
@blueprint.response(200, CatalogueShown)
def search(asked: dict[str, Any]) -> dict[str, Any]:
    """What the suppliers with an active partnership have released, with the retailer's own dealer prices."""
    page = _page(asked.get("cursor"))
    account = one_account()
    with refusals():
        _approved(account)
    query = catalogue.Query(
        text=asked.get("search"),
        category=asked.get("category"),
        gtin=asked.get("gtin"),
        brand=asked.get("brand"),
        supplier_id=ids.number("acc", asked["supplier"], param="supplier") if "supplier" in asked else None,
        minimum_margin=asked.get("margin"),
        listed=asked.get("listed"),
        page=page,
        per_page=asked["limit"],
    )
    found = catalogue.search(db.session(), _shop(account, asked.get("shop")), query)
    return {
        "data": [_offered(item) for item in found.items],
        "has_more": found.next_page is not None,
        "next": None if found.next_page is None else str(found.next_page),
        "total": found.total,
    }


@blueprint.post("/import")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(ImportAsked)
@blueprint.response(200, ImportShown)
@once
def take_over(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Put products into the retailer's shop (K3); one that is there already gets the new price rule."""
    account = one_account()
    with refusals():
        _approved(account)
        shop = _shop(account, asked.get("shop"))
        taken = catalogue.list_products(db.session(), shop, _numbers(asked), asked.get("price_rule", {}))
    told = {
        "shop": shop.key,
        "queued": taken.queued,
        "refused": [
            {
                "product": f"prd_{each.product_id}",
                "reason": telling.reason(each.reason.code, each.reason.params),
            }
            for each in taken.refused
        ],
    }
    commit_and_ring()
    return told


@blueprint.post("/unlist")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(UnlistAsked)
@blueprint.response(200, UnlistShown)
@once
def give_back(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Take products out of the retailer's shop; also without an approval, because a shop may always do that."""
    shop = _shop(one_account(), asked.get("shop"))
    told = {"shop": shop.key, "withdrawn": catalogue.unlist(db.session(), shop, _numbers(asked))}
    commit_and_ring()
    return told


@blueprint.patch("/listings/<listing_id>")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(ListingChange)
@blueprint.response(200, ListingShown)
def change_listing(_query: dict[str, Any], asked: dict[str, Any], listing_id: str) -> dict[str, Any]:
    """Put one listing on sale or to stock 0; the product stays in the shop."""
    query = select(Listing, Product.title, Product.gtin).join(Product, Product.id == Listing.product_id)
    query = query.where(Listing.id == ids.number("lst", listing_id), mine(Listing.account_id))
    row = db.session.execute(query).one_or_none()
    if row is None:
        not_found()
    listing: Listing = row[0]
    shop = db.session.get_one(Connection, listing.shop_id)
    catalogue.switch(db.session(), shop, [listing.product_id], asked["on"])
    db.session.refresh(listing)
    told = listing_shown(row)
    commit_and_ring()
    return told


def _approved(account: Account) -> None:
    """Only approved retailers look into the goods of others. Raises Refused("profile.not_approved")."""
    found = db.session.get(Profile, account.id)
    if found is None or not found.retailer or found.state != "approved":
        raise Refused("profile.not_approved")


def _shop(account: Account, key: str | None) -> Connection:
    """The shop that is meant: the only one, or the one that is named. Ends the request with 400 where that says nothing."""
    query = select(Connection).where(
        Connection.account_id == account.id, Connection.role == "shop", Connection.state != "removed"
    )
    if key is not None:
        query = query.where(Connection.key == key)
    found = db.session.scalars(query.order_by(Connection.id).limit(2)).all()
    if len(found) != 1:
        stop(400, "connection.unknown", _which_shop(found, key), param="shop")
    return found[0]


def _which_shop(found: Any, key: str | None) -> str:
    if key is not None:
        return "There is no shop with this key."
    return "This account has several shops: name one." if found else "This account has no shop."


def _numbers(asked: dict[str, Any]) -> list[int]:
    return list(dict.fromkeys(ids.number("prd", each, param="products") for each in asked["products"]))


def _page(cursor: str | None) -> int:
    """The catalogue is in the order of titles, so its cursor is a page."""
    if cursor is None:
        return 1
    if not (cursor.isascii() and cursor.isdigit() and 1 <= int(cursor[:9]) <= PAGES):
        stop(400, "id.invalid", "A cursor is `next` of the page before.", param="cursor")
    return int(cursor[:9])


def _offered(item: catalogue.Item) -> dict[str, Any]:
    plain = (
        "title", "gtin", "brand", "category", "image", "dealer_price", "recommended_price", "currency", "margin_percent", "stock",
        "listed", "state", "price_rule",
    )  # fmt: skip
    return {
        "id": f"prd_{item.product_id}",
        "supplier": f"acc_{item.supplier_id}",
        "supplier_name": item.supplier,
        **{name: getattr(item, name) for name in plain},
        "reason": None if item.reason is None else telling.reason(item.reason.code, item.reason.params),
    }
