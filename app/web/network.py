"""What a shop plugin asks about the dropshipping network: its profile, its partners, the catalogue, packing slips. Signed POSTs, JSON in and out.

What may go wrong: see web/questions.py. Every query is bound to the shop's own account: of others one sees only what is public in the network
(names of approved suppliers) and, as a retailer, released products of suppliers with an active partnership (T9).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import func, select, true

from app import ledger
from app.errors import Invalid, Refused
from app.extensions import db
from app.flows import catalogue, network_members, packing_slip, products_released
from app.messages import Reason
from app.models import Account, Connection, Partnership, PriceGroup, Profile, Release
from app.papers import slip
from app.rules import network_categories, reasons
from app.web import answers, network_forms
from app.web.api import ids
from app.web.questions import locale_of, signed
from app.web.ringing import commit_and_ring

blueprint = Blueprint("network", __name__)

MAX_PRODUCTS = 1000  # of one import


# --- profile and partners -----------------------------------------------------------------------------------------------------


@blueprint.post("/plugin/network/state", provide_automatic_options=False)
@signed
def state(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Everything the plugin's network page shows."""
    return answers.answer(200, state_of(shop))


def state_of(shop: Connection) -> dict[str, Any]:
    """The network as one shop's merchant sees it; amounts are decimal text."""
    session, account_id, locale = db.session(), shop.account_id, locale_of(shop)
    profile = session.get(Profile, account_id)
    retails = profile is not None and profile.retailer and profile.state == "approved"
    counts = _counts(account_id)
    found = network_members.suppliers(session, account_id) if retails else []
    return {
        "profile": _profile_shown(shop, profile),
        "supplier": profile is not None and profile.supplier,
        "retailer": profile is not None and profile.retailer,
        "released": counts.get("released", 0),
        "not_released": counts.get("not_released", 0),
        "by_reason": _by_reason(account_id, locale),
        "partners": _partners(account_id),
        "price_groups": _price_groups(account_id),
        "suppliers": [{"id": f"acc_{number}", "name": name, "products": n} for number, name, n in found],
        "categories": network_categories.choices(locale),
        "money": _money(account_id, profile.currency if profile is not None else "EUR"),
    }


def _counts(account_id: int) -> dict[str, int]:
    query = (
        select(Release.state, func.count())
        .where(Release.account_id == account_id, ~products_released.not_sold_itself())
        .group_by(Release.state)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}


def _by_reason(account_id: int, locale: str) -> list[dict[str, Any]]:
    """Why products are not released, most frequent first. One product may have several reasons; what is never sold itself has none to mend."""
    reason = func.jsonb_array_elements(Release.reasons).table_valued("value").alias("reason")
    code = reason.c.value.op("->>")("code")
    query = (
        select(code, func.count())
        .select_from(Release)
        .join(reason, true())
        .where(
            Release.account_id == account_id,
            Release.state == "not_released",
            ~products_released.not_sold_itself(),
        )
        .group_by(code)
        .order_by(func.count().desc(), code)
        .limit(50)
    )
    return [
        {"code": row[0], "text": reasons.sentence(row[0], {}, locale), "count": row[1]}
        for row in db.session.execute(query)
    ]


def _partners(account_id: int) -> list[dict[str, Any]]:
    rows = db.session.scalars(network_members.partnerships(account_id).limit(500)).all()
    return [partner_shown(row, account_id) for row in rows]


def partner_shown(row: Partnership, account_id: int) -> dict[str, Any]:
    """The other side of a partnership: `role` is the other's. `by`: who paused or ended it, "us" or "them"."""
    theirs = "supplier" if row.retailer_id == account_id else "retailer"
    other = row.supplier_id if theirs == "supplier" else row.retailer_id
    group = db.session.get(PriceGroup, row.price_group_id) if row.price_group_id is not None else None
    return {
        "id": f"pts_{row.id}",
        "account": f"acc_{other}",
        "name": network_members.company(db.session(), other),
        "role": theirs,
        "state": row.state,
        "by": None if row.reason is None else ("them" if row.reason == theirs else "us"),
        "price_group": group.name if group is not None else None,
    }


def _price_groups(account_id: int) -> list[dict[str, str]]:
    rows = db.session.scalars(
        select(PriceGroup).where(PriceGroup.supplier_id == account_id).order_by(PriceGroup.id)
    )
    return [{"name": row.name, "discount": network_forms.percent(row.discount_bp)} for row in rows]


def _money(account_id: int, currency: str) -> dict[str, str]:
    told = ledger.totals(db.session(), account_id, currency)
    amounts = {
        "held": told.held_minor,
        "released": told.released_minor,
        "paid_out": told.paid_out_minor,
        "receivable": told.receivable_minor,
        "refunded": told.refunded_minor,
    }
    return {
        "currency": currency,
        **{name: network_forms.hundredths(value) for name, value in amounts.items()},
    }


@blueprint.post("/plugin/network/profile", provide_automatic_options=False)
@signed
def profile(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Save the profile and hand it to the operator; `"submit": false` keeps a draft.

    What the shop's dealer prices mean is saved with it; the clock then decides its products anew (flows/products_released).
    """
    wanted = network_forms.load(network_forms.ShopProfileForm(), told)
    options = {name: wanted.pop(name) for name in network_forms.SHOP_OPTIONS if name in wanted}
    if options:
        shop.settings = {**shop.settings, **options}
    saved = save(db.session.get_one(Account, shop.account_id), wanted, datetime.now(UTC))
    return answers.answer(200, {"profile": _profile_shown(shop, saved)})


def _profile_shown(shop: Connection, profile: Profile | None) -> dict[str, Any]:
    return network_forms.profile_shown(profile, decimal=True) | network_forms.shop_options(shop.settings)


def save(account: Account, wanted: dict[str, Any], now: datetime) -> Profile:
    """Save a profile that was read from a form, and commit."""
    session = db.session()
    groups = wanted.pop("price_groups", None)
    submit = wanted.pop("submit", True)
    if groups is not None:
        named = [(each["name"], each["discount"]) for each in groups]
        network_members.set_groups(session, account.id, named)
    saved = network_members.save_profile(session, account, wanted, submit=submit, now=now)
    commit_and_ring()
    return saved


@blueprint.post("/plugin/network/partner", provide_automatic_options=False)
@signed
def partner(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Ask a supplier, answer a retailer, pause, resume, end, or change the price group."""
    found = change_partner(shop.account_id, told)
    shown = partner_shown(found, shop.account_id)
    commit_and_ring()
    return answers.answer(200, {"partner": shown})


def change_partner(account_id: int, told: Mapping[str, Any]) -> Partnership:
    """What `{"id", "action", "price_group"}` wants. Raises Refused; the caller commits."""
    session, action = db.session(), told.get("action")
    supplier_id, partnership_id = (ids.read(kind, str(told.get("id") or "")) for kind in ("acc", "pts"))
    if action is not None and action not in network_members.ACTIONS:
        raise Invalid("profile.field_invalid", field="action", expected=", ".join(network_members.ACTIONS))
    found = None
    if supplier_id is not None and action == "ask":
        found = network_members.ask(session, account_id, supplier_id)
    elif partnership_id is not None and action is not None:
        found = network_members.act(session, account_id, partnership_id, action)
    # A form sends its price group along with every action; only the supplier's counts.
    if (
        partnership_id is not None
        and "price_group" in told
        and (found is None or found.supplier_id == account_id)
    ):
        group = told["price_group"]
        found = network_members.give_group(session, account_id, partnership_id, str(group) if group else None)
    if found is None:
        raise Refused("partnership.unknown")
    return found


# --- catalogue ------------------------------------------------------------------------------------------------------------------


def _retailer(shop: Connection) -> None:
    """Only approved retailers look into the goods of others. Raises Refused("profile.not_approved")."""
    found = db.session.get(Profile, shop.account_id)
    if found is None or not found.retailer or found.state != "approved":
        raise Refused("profile.not_approved")


@blueprint.post("/plugin/network/catalogue", provide_automatic_options=False)
@signed
def look_around(shop: Connection, told: Mapping[str, Any]) -> Response:
    """A page of what the suppliers with an active partnership have released."""
    _retailer(shop)
    asked = network_forms.load(network_forms.CatalogueForm(), told)
    supplier_id = ids.read("acc", asked["supplier"]) if asked.get("supplier") else None
    if asked.get("supplier") and supplier_id is None:
        raise Invalid("profile.field_invalid", field="supplier", expected="acc_3")
    query = catalogue.Query(
        text=asked.get("search") or None,
        category=asked.get("category") or None,
        gtin=asked.get("gtin") or None,
        brand=asked.get("brand") or None,
        supplier_id=supplier_id,
        minimum_margin=asked.get("margin"),
        listed=asked.get("listed"),
        page=asked["page"],
    )
    found = catalogue.search(db.session(), shop, query)
    items = [_item_shown(item, locale_of(shop)) for item in found.items]
    return answers.answer(200, {"items": items, "next_page": found.next_page, "total": found.total})


def _item_shown(item: catalogue.Item, locale: str) -> dict[str, Any]:
    """One product; amounts are decimal text. `state` and `reason` only where it is in this shop, or was until it was deleted there."""
    plain = (
        "title",
        "gtin",
        "brand",
        "category",
        "image",
        "currency",
        "stock",
        "supplier",
        "listed",
        "margin_percent",
        "state",
    )
    reason = item.reason
    return {
        "product": f"prd_{item.product_id}",
        **{name: getattr(item, name) for name in plain},
        "supplier_id": f"acc_{item.supplier_id}",
        "dealer_price": None if item.dealer_price is None else network_forms.hundredths(item.dealer_price),
        "recommended_price": None
        if item.recommended_price is None
        else network_forms.hundredths(item.recommended_price),
        "reason": None if reason is None else _reason(reason, locale),
        "price_rule": item.price_rule,
    }


def _reason(reason: Reason, locale: str) -> dict[str, str]:
    return {"code": reason.code, "message": reasons.sentence(reason.code, reason.params, locale)}


@blueprint.post("/plugin/network/import", provide_automatic_options=False)
@signed
def take_over(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Put products of the catalogue into this shop (K3); those that cannot be taken are told one by one."""
    _retailer(shop)
    rule = told.get("price_rule")
    if rule is not None and not isinstance(rule, dict):
        raise Invalid("price.rule_invalid", field="price_rule")
    taken = catalogue.list_products(db.session(), shop, _products(told), rule or {})
    refused = [
        {"product": f"prd_{each.product_id}", **_reason(each.reason, locale_of(shop))}
        for each in taken.refused
    ]
    commit_and_ring()
    return answers.answer(200, {"queued": taken.queued, "refused": refused})


@blueprint.post("/plugin/network/unlist", provide_automatic_options=False)
@signed
def give_back(shop: Connection, told: Mapping[str, Any]) -> Response:
    """Take products of the network out of this shop's sale; a shop may always do that."""
    withdrawn = catalogue.unlist(db.session(), shop, _products(told))
    commit_and_ring()
    return answers.answer(200, {"withdrawn": withdrawn})


def _products(told: Mapping[str, Any]) -> list[int]:
    """The numbers in {"products": ["prd_12"]}. Raises Invalid("profile.field_invalid") naming the place."""
    named = told.get("products")
    if not isinstance(named, list) or not 1 <= len(named) <= MAX_PRODUCTS:
        raise Invalid(
            "profile.field_invalid", field="products", expected=f"1 to {MAX_PRODUCTS} ids like prd_12"
        )
    found = [ids.read("prd", each) if isinstance(each, str) else None for each in named]
    if None in found:
        raise Invalid("profile.field_invalid", field=f"products.{found.index(None)}", expected="prd_12")
    return [number for number in dict.fromkeys(found) if number is not None]


# --- papers ---------------------------------------------------------------------------------------------------------------------


@blueprint.post("/plugin/packing-slip", provide_automatic_options=False)
@signed
def packing_slip_of(shop: Connection, told: Mapping[str, Any]) -> Response:
    """The white-label packing slip of an order of this shop as PDF (K7)."""
    order_id = told.get("order_id")
    if isinstance(order_id, bool) or not isinstance(order_id, str | int) or not 0 < len(str(order_id)) <= 190:
        raise Invalid("profile.field_invalid", field="order_id", expected="the shop's id of an order")
    found = packing_slip.papers(db.session(), shop, str(order_id))
    paper = slip.pdf(found.slips, made_at=datetime.now(UTC), never=found.never)
    headers = {"Content-Disposition": 'inline; filename="packing-slip.pdf"'}
    return Response(paper, 200, headers, mimetype="application/pdf")
