"""What a retailer finds in the network, takes into his shop and takes out again (K3, K5).

Only released products of active partnerships are ever shown. What may go wrong: the retailer has the product already (his own is taken over by
GTIN instead of being doubled), or another supplier's with the same GTIN (refused, because two suppliers cannot keep one stock).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, reservations
from app.models import Connection, Listing, Partnership, PriceGroup, Product, Profile, Release
from app.models.columns import table_of
from app.rules import listing as rules
from app.rules import release, stock, trade
from app.rules.offers import SELLABLE_KINDS

PAGE = 25
GONE = "listing.gone_from_shop"
LISTINGS = table_of(Listing)


@dataclass(frozen=True)
class Query:
    """What the retailer looks for; None = anything. `minimum_margin` in whole percent of the recommended price. Pages count from 1."""

    text: str | None = None
    category: str | None = None
    gtin: str | None = None
    brand: str | None = None
    supplier_id: int | None = None
    minimum_margin: int | None = None
    listed: bool | None = None
    page: int = 1
    per_page: int = PAGE


@dataclass(frozen=True)
class Item:
    """One product of the catalogue. Prices are gross minor units of `currency`; `dealer_price` after the retailer's price group.

    `listed`: it is in this retailer's shop, then `state` and `reason` tell how it stands there (models.Listing). They also tell of one that he
    took and deleted in his shop. One that he lists and that is not offered any more stays with its reason (K4): no `dealer_price`, stock 0.
    """

    product_id: int
    title: str
    gtin: str | None
    brand: str | None
    category: str | None
    image: str | None
    dealer_price: int | None
    recommended_price: int | None
    currency: str
    stock: int
    supplier_id: int
    supplier: str
    margin_percent: int | None
    listed: bool
    state: str | None = None
    reason: m.Reason | None = None
    price_rule: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Found:
    """One page."""

    items: list[Item]
    total: int
    next_page: int | None


@dataclass(frozen=True)
class Refusal:
    """A product that was not taken, and why."""

    product_id: int
    reason: m.Reason


@dataclass(frozen=True)
class Listed:
    """How many will be pushed into the shop, and which were refused."""

    queued: int
    refused: list[Refusal]


def search(session: Session, shop: Connection, query: Query) -> Found:
    """What this retailer may list in his shop, and what he lists though it is not offered any more (K4), by title."""
    known = _known(shop.account_id, shop.id).where(or_(_ON_OFFER, _IS_LISTED))
    asked = known.where(*_filters(query))
    total = session.scalar(select(func.count()).select_from(asked.subquery())) or 0
    page, size = max(1, query.page), min(max(1, query.per_page), 100)
    order = (func.lower(Product.title), Product.id)
    rows = session.execute(asked.order_by(*order).offset((page - 1) * size).limit(size)).all()
    held = reservations.held(session, [row.Product.id for row in rows])
    items = [_item(row, held.get(row.Product.id, 0)) for row in rows]
    return Found(items, total, page + 1 if page * size < total else None)


def list_products(
    session: Session, shop: Connection, product_ids: Sequence[int], price_rule: Mapping[str, Any]
) -> Listed:
    """Take products into the retailer's shop; one that is there already gets the new price rule. The caller commits and rings (outbox.given_work).

    Raises Invalid("price.rule_invalid"). The rest is refused product by product: not offered to him, his own, a GTIN that he has from another
    supplier, another currency than his shop's.
    """
    rule = rules.rule_row(rules.rule_from(price_rule))
    wanted = list(dict.fromkeys(product_ids))
    _one_at_a_time(session, shop)
    rows = session.execute(_offered(shop.account_id, shop.id).where(Product.id.in_(wanted))).all()
    offered = {row.Product.id: row for row in rows}
    own = set(
        session.scalars(
            select(Product.id).where(Product.id.in_(wanted), Product.account_id == shop.account_id)
        )
    )
    taken = _listed_gtins(session, shop)
    at_home = _own_products(session, shop, [row.Product.gtin for row in rows])
    refused: list[Refusal] = []
    for product_id in wanted:
        row = offered.get(product_id)
        reason = _refusal(shop, row, taken, own=product_id in own)
        if reason is not None or row is None:
            refused.append(Refusal(product_id, reason or m.Reason("catalogue.not_offered")))
            continue
        taken.update(dict.fromkeys(release.gtin_forms(row.Product.gtin), product_id))
        _take(session, shop, row, rule, at_home)
    outbox.note_work(session, [shop.id])
    return Listed(len(wanted) - len(refused), refused)


def unlist(session: Session, shop: Connection, product_ids: Collection[int]) -> int:
    """Take products out of the shop again: stock 0, and what came from the network is hidden. Answers how many."""
    done = session.execute(
        update(Listing)
        .where(Listing.shop_id == shop.id, Listing.product_id.in_(product_ids), Listing.state != "withdrawn")
        .values(switched_on=False, state="withdrawn", stale=True, next_attempt_at=func.now())
        .returning(Listing.id)
    )
    withdrawn = len(done.scalars().all())
    outbox.note_work(session, [shop.id] if withdrawn else [])
    return withdrawn


def switch(session: Session, shop: Connection, product_ids: Collection[int], on: bool) -> int:
    """Put listings on sale or to stock 0 without taking them out. Answers how many changed."""
    done = session.execute(
        update(Listing)
        .where(
            Listing.shop_id == shop.id,
            Listing.product_id.in_(product_ids),
            Listing.state != "withdrawn",
            Listing.switched_on.is_not(on),
        )
        .values(switched_on=on, stale=True, next_attempt_at=func.now())
        .returning(Listing.id)
    )
    switched = len(done.scalars().all())
    outbox.note_work(session, [shop.id] if switched else [])
    return switched


# --- what is offered ---------------------------------------------------------------------------------------------------------

_DISCOUNT = func.coalesce(PriceGroup.discount_bp, 0)
# As rules.trade.unit_price: half up, in whole minor units.
_DEALER = (Release.price * (10_000 - _DISCOUNT) + 5_000) // 10_000
_COMPANY = Profile.address["company"].astext


_ON_OFFER = and_(
    Release.state == "released",
    Partnership.state == "active",
    Product.deleted.is_(False),
    Product.kind.in_(SELLABLE_KINDS),
)
_IS_LISTED = and_(Listing.id.is_not(None), Listing.state != "withdrawn")


def _offered(retailer_id: int, shop_id: int) -> Select[Any]:
    """Released products of the suppliers that this retailer works with, each with his conditions and his listing."""
    return _known(retailer_id, shop_id).where(_ON_OFFER)


def _known(retailer_id: int, shop_id: int) -> Select[Any]:
    """Products of every supplier that this retailer ever asked; the caller says which of them he may see."""
    return (
        select(
            Product,
            Release,
            Partnership.id.label("partnership_id"),
            _DISCOUNT.label("discount_bp"),
            _COMPANY.label("company"),
            func.coalesce(_ON_OFFER, False).label("on_offer"),
            Connection.key.label("supplier_shop"),
            Connection.settings.label("settings"),
            Listing,
        )
        .outerjoin(Release, Release.product_id == Product.id)
        .join(
            Partnership,
            and_(Partnership.supplier_id == Product.account_id, Partnership.retailer_id == retailer_id),
        )
        .join(Profile, Profile.account_id == Product.account_id)
        .join(Connection, Connection.id == Product.connection_id)
        .outerjoin(PriceGroup, PriceGroup.id == Partnership.price_group_id)
        .outerjoin(Listing, and_(Listing.product_id == Product.id, Listing.shop_id == shop_id))
        .execution_options(populate_existing=True)
    )


def _filters(query: Query) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for word in (query.text or "").split()[:10]:
        like = f"%{_escaped(word)}%"
        found.append(
            or_(
                Product.title.ilike(like, escape="\\"),
                Product.brand.ilike(like, escape="\\"),
                Product.gtin.ilike(like, escape="\\"),
            )
        )
    if query.category:
        found.append(Release.category == query.category)
    if query.gtin:
        found.append(Product.gtin.in_(release.gtin_forms(query.gtin) or (query.gtin.strip(),)))
    if query.brand:
        found.append(func.lower(Product.brand) == query.brand.strip().lower())
    if query.supplier_id is not None:
        found.append(Product.account_id == query.supplier_id)
    if query.minimum_margin is not None:
        # Not divided: a product without a recommended price has no margin, and none is counted as enough.
        left = (Product.price - _DEALER) * 100
        found.append(and_(_ON_OFFER, Product.price > 0, left >= Product.price * query.minimum_margin))
    if query.listed is not None:
        found.append(_IS_LISTED if query.listed else ~func.coalesce(_IS_LISTED, False))
    return found


def _escaped(word: str) -> str:
    """Percent and underscore are letters here, not wildcards."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _item(row: Any, held: int) -> Item:
    product: Product = row.Product
    listing: Listing | None = row.Listing
    dealer = trade.unit_price(row.Release.price, row.discount_bp) if row.on_offer else None
    listed = listing is not None and listing.state != "withdrawn"
    told = listing if listing is not None and (listed or listing.reason_code == GONE) else None
    return Item(
        product_id=product.id,
        title=product.title,
        gtin=product.gtin,
        brand=product.brand,
        category=None if row.Release is None else row.Release.category,
        image=next(iter(product.extra.get("images") or ()), None),
        dealer_price=dealer,
        recommended_price=product.price,
        currency=product.currency or "EUR",
        stock=sellable(product, row.settings, held) if row.on_offer else 0,
        supplier_id=product.account_id,
        supplier=row.company or "",
        margin_percent=None if dealer is None else rules.margin_percent(product.price, dealer),
        listed=listed,
        state=told.state if told is not None else None,
        reason=m.Reason(told.reason_code, told.reason_params)
        if told is not None and told.reason_code
        else None,
        price_rule=listing.price_rule if listing is not None and listed else None,
    )


def sellable(product: Product, settings: Mapping[str, Any], held: int) -> int:
    """What the supplier can sell now: his stock less what open orders hold anywhere, less his buffer (I13, K5)."""
    return stock.published(
        product.stock,
        held,
        int(settings.get("stock_buffer") or 0),
        on=True,
        holiday=False,
        unmanaged=int(settings.get("default_stock") or 0),
        in_stock=product.in_stock,
    )


# --- taking ------------------------------------------------------------------------------------------------------------------


def _one_at_a_time(session: Session, shop: Connection) -> None:
    """Two imports of one retailer at the same moment would not see each other's GTINs."""
    session.execute(select(Connection.id).where(Connection.id == shop.id).with_for_update())


def _refusal(shop: Connection, row: Any | None, taken: Mapping[str, int], *, own: bool) -> m.Reason | None:
    if own:
        return m.Reason("catalogue.own_product")
    if row is None:
        return m.Reason("catalogue.not_offered")
    product: Product = row.Product
    others = {taken[form] for form in release.gtin_forms(product.gtin) if form in taken} - {product.id}
    if others:
        return m.Reason("catalogue.gtin_taken", {"gtin": product.gtin})
    expected = shop.facts.get("currency") or product.currency
    if product.currency != expected:
        return m.Reason("listing.currency", {"currency": product.currency, "expected": expected})
    return None


def _listed_gtins(session: Session, shop: Connection) -> dict[str, int]:
    """Every way to write a GTIN that is listed in this shop -> the supplier's product behind it."""
    rows = session.execute(
        select(Product.gtin, Product.id)
        .join(Listing, Listing.product_id == Product.id)
        .where(Listing.shop_id == shop.id, Listing.state != "withdrawn")
    )
    return {form: product_id for number, product_id in rows for form in release.gtin_forms(number)}


@dataclass(frozen=True)
class _AtHome:
    """A product of the retailer's shop that a listing may take over. `external_id` None: one that was taken out for good still stands for it,
    and is pushed first. `adopted`: it is his own, none that we had made for a listing before.
    """

    external_id: str | None
    adopted: bool


_NOT_AT_HOME = _AtHome(None, adopted=False)


def _own_products(session: Session, shop: Connection, gtins: Collection[str | None]) -> dict[str, _AtHome]:
    """GTIN in its longest form -> the retailer's product that has it and stands for no listing that is still wanted."""
    forms = {form for number in gtins for form in release.gtin_forms(number)}
    if not forms:
        return {}
    rows: Sequence[Any] = session.execute(
        select(Product.gtin, Product.external_id, Listing.id, Listing.adopted)
        .outerjoin(
            Listing,
            and_(Listing.shop_id == Product.connection_id, Listing.shop_product_id == Product.external_id),
        )
        .where(
            Product.connection_id == shop.id,
            Product.gtin.in_(forms),
            Product.deleted.is_(False),
            Product.kind.in_(SELLABLE_KINDS),
            or_(Listing.id.is_(None), Listing.state == "withdrawn"),
        )
        .order_by(
            Product.published, Product.id.desc()
        )  # the last one wins: published before hidden, the oldest
    ).all()
    left = _left_behind(session, shop)
    found: dict[str, _AtHome] = {}
    for number, external_id, holder, adopted in rows:
        free = _AtHome(external_id, adopted=external_id not in left)
        found[release.gtin_forms(number)[0]] = free if holder is None else _AtHome(None, adopted=adopted)
    return found


def _left_behind(session: Session, shop: Connection) -> set[str]:
    """Products of this shop that were made for a listing which was taken out for good (flows/push_listings)."""
    which = Listing.sent["left"].astext
    rows = session.scalars(
        select(which).where(Listing.shop_id == shop.id, Listing.state == "withdrawn", which.is_not(None))
    )
    return set(rows)


def _take(
    session: Session, shop: Connection, row: Any, rule: Mapping[str, str], at_home: Mapping[str, _AtHome]
) -> None:
    """The listing as it is from now on. One that was there is looked at anew; its product in the shop stays the same unless it is gone."""
    listing: Listing | None = row.Listing
    own = at_home.get(release.gtin_forms(row.Product.gtin)[0], _NOT_AT_HOME)
    values: dict[str, Any] = {
        "price_rule": dict(rule),
        "partnership_id": row.partnership_id,
        "switched_on": True,
        "stale": True,
        "next_attempt_at": func.now(),
    }
    if listing is None:
        values |= {
            "account_id": shop.account_id,
            "shop_id": shop.id,
            "product_id": row.Product.id,
            "key": rules.key(row.supplier_shop, row.Product.external_id),
            "shop_product_id": own.external_id,
            "adopted": own.adopted,
            "state": "waiting",
            "reason_code": "listing.waiting",
            "reason_params": {},
            "revision": 0,
            "attempts": 0,
        }
        session.execute(insert(LISTINGS).values(**values).on_conflict_do_nothing())
        return
    if listing.state in {"withdrawn", "refused"}:
        values |= {"state": "waiting", "reason_code": "listing.waiting", "reason_params": {}}
        if _is_gone(session, shop, listing):
            values |= {"shop_product_id": own.external_id, "adopted": own.adopted, "sent": null()}
            values["created_at"] = func.now()  # what he sold meanwhile was his own (rules.trade.is_his_own)
    session.execute(update(LISTINGS).where(LISTINGS.c.id == listing.id).values(**values))


def _is_gone(session: Session, shop: Connection, listing: Listing) -> bool:
    """Whether its product was deleted in the shop, or never got there."""
    found = select(Product.id).where(
        Product.connection_id == shop.id,
        Product.external_id == listing.shop_product_id,
        Product.deleted.is_(False),
    )
    if listing.shop_product_id is None or listing.reason_code == GONE:
        return True
    return session.scalar(found) is None
