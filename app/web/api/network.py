"""The dropshipping network for programs and for the operator: profiles and his word on them, partnerships, price groups, trades, money (K1, K6, K8).

What may go wrong: one member asks for another's rows. Every query is bound to the caller's account; of the other side of a trade only its
company's name is shown, never a customer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, fields, validate
from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from app import ledger
from app.errors import Refused
from app.extensions import db
from app.flows import network_members, products_released
from app.models import Account, Listing, Partnership, PriceGroup, Product, Profile, Release, Trade
from app.web import answers, network_forms
from app.web.api import ids, pages, shapes, telling
from app.web.api.asking import Moment, text
from app.web.api.caller import Stop, caller, chosen_account, mine, not_found, one_account, stop
from app.web.api.connections import AccountQuery
from app.web.api.once import once
from app.web.api.pages import PageQuery
from app.web.api.routes import Blueprint
from app.web.ringing import commit_and_ring

PROFILE_STATES = ("draft", "submitted", "approved", "refused")
TRADE_STATES = (
    "received", "payment_pending", "held", "accepted", "part_shipped", "shipped", "closed", "payment_failed", "rejected", "cancelled",
)  # fmt: skip
LISTING_STATES = ("waiting", "listed", "withdrawn", "refused")

# --- what is asked -----------------------------------------------------------------------------------------------------------


class ProfileChange(network_forms.ProfileForm):
    """What is named is changed; amounts in minor units. `submit` false keeps a draft."""

    class Meta:
        unknown = RAISE
        exclude = ("price_groups",)  # they have a route of their own

    shipping_price = network_forms.Number(0, network_forms.MAX_MINOR)  # type: ignore[assignment]
    shipping_free_from = network_forms.Number(0, network_forms.MAX_MINOR, allow_none=True)  # type: ignore[assignment]


class Approval(Schema):
    """What the operator has looked at."""

    class Meta:
        unknown = RAISE

    submitted_at = Moment(
        metadata={
            "description": "As the profile said; refused when it was changed since. Left out: whatever is there now."
        }
    )


class Refusal(Schema):
    """Why the operator says no; the merchant reads it."""

    reason = text(500, required=True)


class Ask(Schema):
    """Whom a retailer asks."""

    supplier = text(30, required=True, metadata={"description": "Account of the supplier, e.g. acc_3."})


class PolicyAsked(Schema):
    """A release policy: `days` only with delivered."""

    class Meta:
        unknown = RAISE

    kind = text(20, required=True)
    days = fields.Integer(strict=True)


class PartnerChange(Schema):
    """What one side does, and for the supplier the retailer's price group (null: none)."""

    action = fields.String(validate=validate.OneOf(network_members.ACTIONS))
    price_group = text(80, allow_none=True)
    policy = fields.Nested(
        PolicyAsked, metadata={"description": "Operators only: when the supplier is paid (K11)."}
    )


class Group(Schema):
    """A discount on the gross dealer price, in basis points: 500 = 5 %."""

    name = text(80, required=True)
    discount_bp = fields.Integer(strict=True, required=True, validate=validate.Range(0, 10_000))


class Groups(Schema):
    """All price groups of a supplier."""

    price_groups = fields.List(
        fields.Nested(Group), required=True, validate=validate.Length(max=network_members.MAX_GROUPS)
    )


class ProfileQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(PROFILE_STATES))


class PartnerQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(("asked", "active", "paused", "refused", "ended")))


class TradeQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(TRADE_STATES))
    role = fields.String(
        validate=validate.OneOf(("supplier", "retailer")), metadata={"description": "your side"}
    )
    order = text(30, metadata={"description": "your order, e.g. ord_88"})


class ListingQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(LISTING_STATES))
    reason = text()


class ReleaseQuery(PageQuery):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(("released", "not_released")))
    reason = text()


# --- what is answered ----------------------------------------------------------------------------------------------------------


class MemberAddress(Schema):
    """A postal address."""

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
    email = fields.String()


class ProfileShown(Schema):
    """A member of the network."""

    id = fields.String(metadata={"description": "The account."})
    account = fields.String(metadata={"description": "Its name."})
    supplier = fields.Boolean()
    retailer = fields.Boolean()
    address = fields.Nested(MemberAddress)
    return_address = fields.Nested(MemberAddress, allow_none=True)
    vat_id = shapes.word()
    bank = fields.Raw(allow_none=True, metadata={"description": "iban, bic, holder"})
    documents = fields.List(fields.Raw())
    currency = fields.String()
    accepts_partners = fields.Boolean()
    accepts_orders = fields.Boolean()
    shipping_price = shapes.money()
    shipping_free_from = shapes.money()
    hold_minutes = fields.Integer()
    payout_blocked = fields.Boolean()
    state = fields.String()
    reason = shapes.word("Why the operator refused.")
    submitted_at = shapes.moment()
    decided_at = shapes.moment()


class PartnershipShown(Schema):
    """A retailer and a supplier."""

    id = fields.String()
    supplier = fields.String()
    supplier_name = fields.String()
    retailer = fields.String()
    retailer_name = fields.String()
    state = fields.String()
    paused_by = shapes.word("supplier or retailer; who ended it, when it is ended")
    price_group = shapes.word()
    policy = fields.Raw(metadata={"description": "When the supplier's money is released (K11)."})
    asked_at = shapes.moment()
    changed_at = shapes.moment()


class GroupsShown(Schema):
    """All price groups of the supplier."""

    price_groups = fields.List(fields.Nested(Group))


class TradeLineShown(Schema):
    """Units of one product at the gross dealer price."""

    id = fields.String()
    sku = shapes.word()
    gtin = shapes.word()
    title = fields.String()
    quantity = fields.Integer()
    unit_price = shapes.money()
    vat_percent = shapes.word()


class MoneyShown(Schema):
    """One trade's money, read from its entries; minor units."""

    captured = shapes.money()
    refunded = shapes.money()
    released = shapes.money()
    paid_out = shapes.money()
    held = shapes.money()
    payable = shapes.money()
    receivable = shapes.money()
    disputed = shapes.money()
    fees = shapes.money()
    fee_vat = shapes.money()


class TradeShown(Schema):
    """One supplier's part of a retailer's order."""

    id = fields.String()
    supplier = fields.String()
    supplier_name = fields.String()
    retailer = fields.String()
    retailer_name = fields.String()
    order = shapes.word("Your own order: the supplier's child order, or the retailer's.")
    state = fields.String()
    currency = fields.String()
    goods = shapes.money()
    shipping = shapes.money()
    total = shapes.money()
    frozen = fields.Boolean()
    pass_on_at = shapes.moment()
    passed_on_at = shapes.moment()
    cancelled_at = shapes.moment()
    created_at = shapes.moment()


class TradeWhole(TradeShown):
    """With its lines and its money."""

    lines = fields.List(fields.Nested(TradeLineShown))
    money = fields.Nested(MoneyShown)


class TotalsShown(Schema):
    """All trades of an account in one currency; minor units."""

    currency = fields.String()
    held = shapes.money()
    released = shapes.money()
    refunded = shapes.money()
    paid_out = shapes.money()
    receivable = shapes.money()
    payable = shapes.money()
    fees = shapes.money()


class ListingShown(Schema):
    """A supplier's product in a retailer's shop."""

    id = fields.String()
    partnership = fields.String()
    shop = shapes.word()
    product = fields.String()
    shop_product_id = shapes.word()
    title = fields.String()
    gtin = shapes.word()
    on = fields.Boolean()
    price_rule = fields.Raw()
    state = fields.String()
    reason = fields.Nested(shapes.Told, allow_none=True)
    sent = fields.Raw(allow_none=True)
    waiting = fields.Boolean(metadata={"description": "A change is on its way."})
    sent_at = shapes.moment()


class ReleaseShown(Schema):
    """Whether retailers may list a product, and if not, why (K1, K2)."""

    id = fields.String()
    sku = shapes.word()
    gtin = shapes.word()
    title = fields.String()
    state = fields.String()
    reasons = fields.List(fields.Nested(shapes.Told))
    category = shapes.word()
    price = shapes.money("Gross dealer price, before any price group.")
    currency = shapes.word()
    changed_at = shapes.moment()


blueprint = Blueprint(
    "network_api", __name__, url_prefix="/api/v1/network", description="The dropshipping network"
)


@contextmanager
def refusals() -> Iterator[None]:
    """Our own errors as the API's one error object, in the account's language."""
    try:
        yield
    except Refused as error:
        db.session.rollback()
        status = 404 if error.code == "partnership.unknown" else 422
        told = network_forms.mistakes_shown(error, telling.language())
        sentence = network_forms.sentence(error, telling.language())
        raise Stop(
            answers.problem(status, error.code, sentence, param=told[0]["field"] or None, mistakes=told)
        ) from None


# --- profiles -----------------------------------------------------------------------------------------------------------------


@blueprint.get("/profiles")
@blueprint.arguments(ProfileQuery, location="query")
@blueprint.response(200, shapes.listed(ProfileShown))
def list_profiles(asked: dict[str, Any]) -> dict[str, Any]:
    """Members of the network: an operator sees all, a merchant himself."""
    query = select(Profile).where(mine(Profile.account_id))
    if "state" in asked:
        query = query.where(Profile.state == asked["state"])
    return pages.page(query, Profile.account_id, "acc", asked, profile_shown)


def profile_shown(profile: Profile) -> dict[str, Any]:
    """A profile with its account."""
    return {
        "id": f"acc_{profile.account_id}",
        "account": db.session.scalar(select(Account.name).where(Account.id == profile.account_id)),
        **network_forms.profile_shown(profile, decimal=False),
    }


@blueprint.get("/profile")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.response(200, ProfileShown)
def one_profile(asked: dict[str, Any]) -> dict[str, Any]:
    """The account's own profile; 404 until something was saved."""
    found = db.session.get(Profile, one_account().id)
    return profile_shown(found) if found is not None else not_found()


@blueprint.patch("/profile")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(ProfileChange)
@blueprint.response(200, ProfileShown)
def change_profile(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Change what is named and hand the profile to the operator; every mistake names its field."""
    account, submit = one_account(), asked.pop("submit", True)
    with refusals():
        saved = network_members.save_profile(
            db.session(), account, asked, submit=submit, now=datetime.now(UTC)
        )
    told = profile_shown(saved)
    commit_and_ring()
    return told


@blueprint.post("/profile/approve")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(Approval)
@blueprint.response(200, ProfileShown)
@once
def approve(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Operators only: yes to a submitted profile, or to a new bank account."""
    account_id = _decided_account()
    with refusals():
        found = network_members.approve(
            db.session(), account_id, now=datetime.now(UTC), submitted_at=asked.get("submitted_at")
        )
    told = profile_shown(found)
    commit_and_ring()
    return told


@blueprint.post("/profile/refuse")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(Refusal)
@blueprint.response(200, ProfileShown)
@once
def refuse(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Operators only: no, and why."""
    account_id = _decided_account()
    with refusals():
        found = network_members.refuse(db.session(), account_id, asked["reason"], now=datetime.now(UTC))
    told = profile_shown(found)
    commit_and_ring()
    return told


@blueprint.post("/profile/withdraw")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.response(200, ProfileShown)
@once
def withdraw(asked: dict[str, Any]) -> dict[str, Any]:
    """Leave the network: partnerships end, the profile is a draft again. Refused while an order is under way or money is not settled."""
    account_id = one_account().id
    with refusals():
        found = network_members.withdraw(db.session(), account_id)
    told = profile_shown(found)
    commit_and_ring()
    return told


def _decided_account() -> int:
    """Whom the operator decides about. A merchant cannot approve himself."""
    if not caller().is_operator:
        stop(403, "http.403")
    return one_account().id


# --- partnerships ----------------------------------------------------------------------------------------------------------------


@blueprint.get("/partnerships")
@blueprint.arguments(PartnerQuery, location="query")
@blueprint.response(200, shapes.listed(PartnershipShown))
def list_partnerships(asked: dict[str, Any]) -> dict[str, Any]:
    """Who trades with whom, both sides."""
    query = select(Partnership).where(or_(mine(Partnership.retailer_id), mine(Partnership.supplier_id)))
    if "state" in asked:
        query = query.where(Partnership.state == asked["state"])
    return pages.page(query, Partnership.id, "pts", asked, partnership_shown)


def partnership_shown(row: Partnership) -> dict[str, Any]:
    """A partnership with the names of both."""
    group = db.session.get(PriceGroup, row.price_group_id) if row.price_group_id is not None else None
    return {
        "id": f"pts_{row.id}",
        **_both(row.supplier_id, row.retailer_id),
        "state": row.state,
        "paused_by": row.reason,
        "price_group": group.name if group is not None else None,
        "policy": row.policy,
        "asked_at": answers.iso(row.asked_at),
        "changed_at": answers.iso(row.changed_at),
    }


def _both(supplier_id: int, retailer_id: int) -> dict[str, str]:
    session = db.session()
    return {
        "supplier": f"acc_{supplier_id}",
        "supplier_name": network_members.company(session, supplier_id),
        "retailer": f"acc_{retailer_id}",
        "retailer_name": network_members.company(session, retailer_id),
    }


@blueprint.post("/partnerships")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(Ask)
@blueprint.response(200, PartnershipShown)
@once
def ask(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """As a retailer: ask a supplier."""
    account = one_account()
    supplier_id = ids.number("acc", asked["supplier"], param="supplier")
    with refusals():
        found = network_members.ask(db.session(), account.id, supplier_id)
    return partnership_shown(found)


@blueprint.patch("/partnerships/<partnership_id>")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(PartnerChange)
@blueprint.response(200, PartnershipShown)
def change_partnership(_query: dict[str, Any], asked: dict[str, Any], partnership_id: str) -> dict[str, Any]:
    """Accept, refuse, pause, resume or end; a supplier also gives a price group."""
    number, account = ids.number("pts", partnership_id), one_account()
    if "policy" in asked and not caller().is_operator:
        stop(403, "http.403")
    with refusals():
        if "policy" in asked:
            _set_policy(account.id, number, asked["policy"])
        if "action" in asked:
            network_members.act(db.session(), account.id, number, asked["action"])
        if "price_group" in asked:
            network_members.give_group(db.session(), account.id, number, asked["price_group"])
    found = db.session.scalar(network_members.partnerships(account.id).where(Partnership.id == number))
    told = partnership_shown(found) if found is not None else not_found()
    commit_and_ring()
    return told


def _set_policy(account_id: int, number: int, policy: dict[str, Any]) -> None:
    """Of a partnership of the account that the operator has named."""
    found = db.session.scalar(network_members.partnerships(account_id).where(Partnership.id == number))
    network_members.set_policy(db.session(), found.id if found is not None else not_found(), policy)


@blueprint.get("/price-groups")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.response(200, GroupsShown)
def list_groups(asked: dict[str, Any]) -> dict[str, Any]:
    """The price groups of a supplier."""
    return _groups(one_account().id)


@blueprint.put("/price-groups")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.arguments(Groups)
@blueprint.response(200, GroupsShown)
def set_groups(_query: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """All price groups anew; who was in one that is gone pays the full dealer price."""
    account_id = one_account().id
    named = [(each["name"], each["discount_bp"]) for each in asked["price_groups"]]
    with refusals():
        network_members.set_groups(db.session(), account_id, named)
    told = _groups(account_id)
    commit_and_ring()
    return told


def _groups(account_id: int) -> dict[str, Any]:
    rows = db.session.scalars(
        select(PriceGroup).where(PriceGroup.supplier_id == account_id).order_by(PriceGroup.id)
    )
    return {"price_groups": [{"name": row.name, "discount_bp": row.discount_bp} for row in rows]}


# --- trades and money --------------------------------------------------------------------------------------------------------------


@blueprint.get("/trades")
@blueprint.arguments(TradeQuery, location="query")
@blueprint.response(200, shapes.listed(TradeShown))
def list_trades(asked: dict[str, Any]) -> dict[str, Any]:
    """Suppliers' parts of retailers' orders, newest first."""
    sides = {"supplier": mine(Trade.supplier_id), "retailer": mine(Trade.retailer_id)}
    query = select(Trade).where(sides[asked["role"]] if "role" in asked else or_(*sides.values()))
    if "state" in asked:
        query = query.where(Trade.state == asked["state"])
    if "order" in asked:
        number = ids.number("ord", asked["order"], param="order")
        query = query.where(or_(Trade.order_id == number, Trade.retail_order_id == number))
    return pages.page(query, Trade.id, "trd", asked, trade_shown)


def trade_shown(trade: Trade) -> dict[str, Any]:
    """A trade as its own side sees it: the order is the caller's, never the other side's."""
    return {
        "id": f"trd_{trade.id}",
        **_both(trade.supplier_id, trade.retailer_id),
        "order": _own_order(trade),
        "state": trade.state,
        "currency": trade.currency,
        "goods": trade.goods,
        "shipping": trade.shipping,
        "total": trade.total,
        "frozen": trade.frozen,
        "pass_on_at": answers.iso(trade.pass_on_at),
        "passed_on_at": answers.iso(trade.passed_on_at),
        "cancelled_at": answers.iso(trade.cancelled_at),
        "created_at": answers.iso(trade.created_at),
    }


def _own_order(trade: Trade) -> str | None:
    supplies = chosen_account() == trade.supplier_id
    return ids.public("ord", trade.order_id if supplies else trade.retail_order_id)


@blueprint.get("/trades/<trade_id>")
@blueprint.response(200, TradeWhole)
def one_trade(trade_id: str) -> dict[str, Any]:
    """One trade with its lines and its money."""
    query = select(Trade).where(
        Trade.id == ids.number("trd", trade_id), or_(mine(Trade.supplier_id), mine(Trade.retailer_id))
    )
    trade = db.session.scalar(query.options(selectinload(Trade.lines)))
    if trade is None:
        not_found()
    money = ledger.money(db.session(), trade)
    names = (
        "captured",
        "refunded",
        "released",
        "paid_out",
        "payable",
        "receivable",
        "disputed",
        "fees",
        "fee_vat",
    )
    return {
        **trade_shown(trade),
        "lines": [line_shown(line) for line in trade.lines],
        "money": {"held": money.escrow, **{name: getattr(money, name) for name in names}},
    }


def line_shown(line: Any) -> dict[str, Any]:
    """One line."""
    plain = ("sku", "gtin", "title", "quantity", "unit_price", "vat_percent")
    return {"id": f"tln_{line.id}", **{name: getattr(line, name) for name in plain}}


@blueprint.get("/money")
@blueprint.arguments(AccountQuery, location="query")
@blueprint.response(200, TotalsShown)
def totals(asked: dict[str, Any]) -> dict[str, Any]:
    """What is held, released, refunded, paid out and owed, over all trades of the account; for operators of everybody."""
    account_id = chosen_account()
    profile = db.session.get(Profile, account_id) if account_id is not None else None
    currency = profile.currency if profile is not None else "EUR"
    told = ledger.totals(db.session(), account_id, currency)
    names = ("held", "released", "refunded", "paid_out", "receivable", "payable", "fees")
    return {"currency": currency, **{name: getattr(told, f"{name}_minor") for name in names}}


# --- listings and releases ------------------------------------------------------------------------------------------------------------


@blueprint.get("/listings")
@blueprint.arguments(ListingQuery, location="query")
@blueprint.response(200, shapes.listed(ListingShown))
def list_listings(asked: dict[str, Any]) -> dict[str, Any]:
    """Products of suppliers in the retailer's own shops."""
    query = select(Listing, Product.title, Product.gtin).join(Product, Product.id == Listing.product_id)
    query = query.where(mine(Listing.account_id))
    if "state" in asked:
        query = query.where(Listing.state == asked["state"])
    if "reason" in asked:
        query = query.where(Listing.reason_code == asked["reason"])
    return pages.page(query, Listing.id, "lst", asked, listing_shown)


def listing_shown(row: Any) -> dict[str, Any]:
    """A listing with the name of the product; nothing else of the supplier's."""
    listing, title, gtin = row
    return {
        "id": f"lst_{listing.id}",
        "partnership": f"pts_{listing.partnership_id}",
        "shop": telling.key_of(listing.shop_id),
        "product": f"prd_{listing.product_id}",
        "shop_product_id": listing.shop_product_id,
        "title": title,
        "gtin": gtin,
        "on": listing.switched_on,
        "price_rule": listing.price_rule,
        "state": listing.state,
        "reason": telling.reason(listing.reason_code, listing.reason_params),
        "sent": listing.sent,
        "waiting": listing.stale,
        "sent_at": answers.iso(listing.sent_at),
    }


@blueprint.get("/releases")
@blueprint.arguments(ReleaseQuery, location="query")
@blueprint.response(200, shapes.listed(ReleaseShown))
def list_releases(asked: dict[str, Any]) -> dict[str, Any]:
    """The supplier's products: released, or not and why."""
    query = select(Release, Product).join(Product, Product.id == Release.product_id)
    query = query.where(mine(Release.account_id))
    if "state" in asked:
        query = query.where(Release.state == asked["state"], ~products_released.not_sold_itself())
    if "reason" in asked:
        query = query.where(Release.reasons.contains([{"code": asked["reason"]}]))
    return pages.page(query, Release.product_id, "prd", asked, release_shown)


def release_shown(row: Any) -> dict[str, Any]:
    """A product with every reason why it is not released."""
    release, product = row
    return {
        "id": f"prd_{product.id}",
        "sku": product.sku,
        "gtin": product.gtin,
        "title": product.title,
        "state": release.state,
        "reasons": [telling.reason(each["code"], each.get("params")) for each in release.reasons],
        "category": release.category,
        "price": release.price,
        "currency": release.currency,
        "changed_at": answers.iso(release.changed_at),
    }
