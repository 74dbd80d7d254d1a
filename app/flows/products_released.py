"""Keep for every product of a supplier whether retailers may list it, and tell his shop (K1, K2, K4).

Decided anew in the transaction in which a product changed, and for a whole account when what holds for all its products has changed. What may go
wrong: two looks at one account at the same moment (they take turns, else two products could get the same GTIN released), or a shop that
cannot be reached: what it was not told stays marked and is told later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, collate, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app import outbox, reservations
from app.errors import Refused, Unauthorised
from app.models import Account, Connection, Listing, Product, Profile, Release
from app.models.columns import table_of
from app.registry import ShopClient
from app.rules import reasons, release
from app.rules.offers import SELLABLE_KINDS

RELEASES = table_of(Release)
AT_ONCE = 100  # docs/protocol.md 4.1
CHUNK = 500

log = structlog.get_logger(__name__)

_DUPLICATE = [{"code": "release.gtin_duplicate"}]
_PARENT, _DELETED = [{"code": "release.parent"}], [{"code": "release.deleted"}]
_STATES = {True: "released", False: "not_released"}


@dataclass(frozen=True)
class _Supplier:
    """What an account's products are decided by: the shop that the network's orders go to, and the terms of each of its shops."""

    network_id: int | None
    terms: Mapping[int, release.Terms]


def take_turns(session: Session, account_id: int) -> None:
    """Wait until nobody else decides about this account, until the end of the transaction. Whoever writes products takes his turn before he
    writes them, so that two who wait for each other's rows never meet. Nothing happens for who is no supplier.
    """
    if _is_supplier(session, account_id):
        _take_turn(session, account_id)


def _take_turn(session: Session, account_id: int) -> None:
    session.execute(_TURN, {"name": f"release/{account_id}"})


_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def after_change(session: Session, shop: Connection, product_ids: Sequence[int]) -> int:
    """Products of this shop changed; the caller has just written and so locked them. Nothing happens for who is no supplier.

    Answers how many products changed between released and not, or why.
    """
    if not product_ids or not _is_supplier(session, shop.account_id):
        return 0
    _take_turn(session, shop.account_id)
    return _decide(session, shop.account_id, _supplier(session, shop.account_id), product_ids)


def look(session: Session, account_id: int) -> int:
    """Decide every product of an account anew: its profile, a shop's options or the connection changed. Answers how many changed.

    The doors call it after such a change; the clock finds what nobody told (catch_up).
    """
    _take_turn(session, account_id)
    supplier = _supplier(session, account_id)
    changed, last = 0, 0
    while ids := _some(session, account_id, last):
        changed += _decide(session, account_id, supplier, ids)
        last = ids[-1]
    _remember(session, supplier)
    return changed


def catch_up(session: Session) -> int:
    """Look at every account whose profile, options or connection are other than at the last look. Commits account by account."""
    remembered: dict[int, Any] = {}
    found: dict[int, dict[str, Any]] = {}
    for profile, network, shop in session.execute(_ALL_TERMS):
        remembered[network.account_id] = network.facts.get("released_under")
        found.setdefault(network.account_id, {})[str(shop.id)] = asdict(_terms(shop, network, profile))
    session.commit()
    changed = 0
    for account_id in sorted(found):
        if found[account_id] != remembered[account_id]:
            changed += look(session, account_id)
            session.commit()
    return changed


def not_sold_itself() -> ColumnElement[bool]:
    """Releases of what is never sold itself: a parent, whose variations are (K2), and what is gone from the shop. Nothing is to be mended
    there, so no count of what is not released contains them.
    """
    return or_(Release.reasons.contains(_PARENT), Release.reasons.contains(_DELETED))


# --- deciding ---------------------------------------------------------------------------------------------------------------

# Who was a supplier and is none any more still has products that must go off sale.
_TAKES_PART = (
    Profile.supplier | select(Release.product_id).where(Release.account_id == Profile.account_id).exists()
)


def _is_supplier(session: Session, account_id: int) -> bool:
    """One look by primary key: that is all the network costs a shop that does not take part."""
    return bool(session.scalar(select(_TAKES_PART).where(Profile.account_id == account_id)))


_SHOP = aliased(Connection)
_ALL_TERMS = (
    select(Profile, Connection, _SHOP)
    .join(Connection, (Connection.account_id == Profile.account_id) & (Connection.role == "network"))
    .join(_SHOP, (_SHOP.account_id == Profile.account_id) & (_SHOP.role == "shop"))
    .where(_TAKES_PART)
)


def _supplier(session: Session, account_id: int) -> _Supplier:
    profile = session.get(Profile, account_id, populate_existing=True)
    connections = session.scalars(
        select(Connection)
        .where(Connection.account_id == account_id, Connection.role.in_(("shop", "network")))
        .execution_options(populate_existing=True)
    ).all()
    network = next((each for each in connections if each.role == "network"), None)
    return _Supplier(
        network.id if network is not None else None,
        {each.id: _terms(each, network, profile) for each in connections if each.role == "shop"},
    )


def _terms(shop: Connection, network: Connection | None, profile: Profile | None) -> release.Terms:
    return release.Terms(
        shop_state=shop.state,
        orders_come_here=network is not None and network.shop_id == shop.id,
        is_supplier=profile is not None and profile.supplier,
        profile_state=profile.state if profile is not None else "draft",
        currency=profile.currency if profile is not None else "EUR",
        dealer_prices=shop.settings.get("dealer_prices") or "net",
        vat_percent=shop.settings.get("dealer_vat_percent"),
    )


_LOOKED_AT = (
    Product.id,
    Product.connection_id,
    Product.kind,
    Product.published,
    Product.deleted,
    Product.gtin,
    Product.price,
    Product.dealer_price,
    Product.currency,
    Product.vat_percent,
    Product.network_category,
    Release.state,
    Release.reasons,
    Release.category,
    Release.price.label("dealer_gross"),
    Release.currency.label("release_currency"),
    Release.vat_percent.label("release_vat"),
    # An order for it would end with somebody who has no goods: a supplier's order is never split again.
    select(Listing.id)
    .where(
        Listing.shop_id == Product.connection_id,
        Listing.shop_product_id == Product.external_id,
        Listing.state != "withdrawn",
    )
    .exists()
    .label("from_network"),
)


def _some(session: Session, account_id: int, after: int) -> list[int]:
    query = select(Product.id).where(Product.account_id == account_id, Product.id > after)
    return list(session.scalars(query.order_by(Product.id).limit(CHUNK)))


def _decide(session: Session, account_id: int, supplier: _Supplier, product_ids: Iterable[int]) -> int:
    """Decide these, then those that waited for a GTIN which one of them may have given up."""
    asked = set(product_ids)
    changed = _decided(session, account_id, supplier, asked)
    waiting = select(Release.product_id).where(
        Release.account_id == account_id,
        Release.state == "not_released",
        Release.reasons.contains(_DUPLICATE),
        Release.product_id.not_in(asked),
    )
    changed += _decided(session, account_id, supplier, set(session.scalars(waiting)))
    reservations.mark_listings(session, Listing.product_id.in_(changed))
    return len(changed)


def _decided(session: Session, account_id: int, supplier: _Supplier, product_ids: set[int]) -> list[int]:
    """Answers the products whose release is another now; only these are written and told."""
    if not product_ids:
        return []
    rows = session.execute(
        select(*_LOOKED_AT)
        .outerjoin(Release, Release.product_id == Product.id)
        .where(Product.id.in_(product_ids), Product.kind != "unknown")
        .order_by(collate(Product.external_id, "C"))
        .with_for_update(of=Product)
    ).all()
    taken = _taken_gtins(session, account_id, [row.gtin for row in rows])
    wanted = []
    for row in rows:
        terms = supplier.terms.get(row.connection_id)
        if terms is None:
            continue
        verdict = release.decide(_goods(row, taken), terms)
        if _told(verdict) != _known(row):
            wanted.append({"product_id": row.id, "account_id": account_id, **_told(verdict)})
    if wanted:
        session.execute(_WRITE, wanted)
    return [each["product_id"] for each in wanted]


def _goods(row: Row[Any], taken: Mapping[str, tuple[int, str]]) -> release.Goods:
    keeper = next((taken[form] for form in release.gtin_forms(row.gtin) if form in taken), None)
    return release.Goods(
        kind=row.kind,
        published=row.published,
        deleted=row.deleted,
        gtin=row.gtin,
        price=row.price,
        dealer_price=row.dealer_price,
        currency=row.currency,
        vat_percent=row.vat_percent,
        network_category=row.network_category,
        from_network=row.from_network,
        same_gtin=keeper[1] if keeper is not None and keeper[0] != row.id else None,
    )


def _taken_gtins(
    session: Session, account_id: int, gtins: Iterable[str | None]
) -> dict[str, tuple[int, str]]:
    """GTIN (in its longest form) -> (id, title) of the one product of the account that may carry it: the one that is released already, else the
    one that was there first.
    """
    forms = {form for number in gtins for form in release.gtin_forms(number)}
    if not forms:
        return {}
    rows = session.execute(
        select(Product.gtin, Product.id, Product.title)
        .outerjoin(Release, Release.product_id == Product.id)
        .where(
            Product.account_id == account_id,
            Product.gtin.in_(forms),
            Product.deleted.is_(False),
            Product.published.is_(True),
            Product.kind.in_(SELLABLE_KINDS),
        )
        .order_by((func.coalesce(Release.state, "") == "released").desc(), Product.id)
    )
    taken: dict[str, tuple[int, str]] = {}
    for number, product_id, title in rows:
        if longest := release.gtin_forms(number)[:1]:
            taken.setdefault(longest[0], (product_id, title))
    return taken


def _told(verdict: release.Verdict) -> dict[str, Any]:
    return {
        "state": _STATES[verdict.released],
        "reasons": release.as_rows(verdict.reasons),
        "category": verdict.category,
        "price": verdict.price,
        "currency": verdict.currency,
        "vat_percent": verdict.vat_percent,
    }


def _known(row: Row[Any]) -> dict[str, Any]:
    return {
        "state": row.state,
        "reasons": row.reasons,
        "category": row.category,
        "price": row.dealer_gross,
        "currency": row.release_currency,
        "vat_percent": row.release_vat,
    }


def _write_statement() -> Any:
    stmt = insert(RELEASES)
    names = ("state", "reasons", "category", "price", "currency", "vat_percent")
    values: dict[str, Any] = {name: stmt.excluded[name] for name in names}
    values |= {"told": literal(False), "changed_at": func.clock_timestamp()}
    return stmt.on_conflict_do_update(index_elements=["product_id"], set_=values)


_WRITE = _write_statement()


def _fingerprint(supplier: _Supplier) -> dict[str, Any]:
    return {str(shop_id): asdict(terms) for shop_id, terms in supplier.terms.items()}


def _remember(session: Session, supplier: _Supplier) -> None:
    """By which terms all products were decided last; it stands with the network's connection."""
    if supplier.network_id is None:
        return
    network = session.get_one(Connection, supplier.network_id)
    network.facts = {**network.facts, "released_under": _fingerprint(supplier)}
    session.flush()


# --- telling the shop -------------------------------------------------------------------------------------------------------

_UNTOLD = text("""
    SELECT r.product_id, p.external_id, r.state, r.reasons, r.changed_at
    FROM release r JOIN product p ON p.id = r.product_id
    WHERE r.account_id = :account AND NOT r.told AND p.connection_id = :shop
    ORDER BY r.product_id LIMIT :limit
""")
_SET_TOLD = text("""
    UPDATE release SET told = (changed_at = :changed_at) WHERE product_id = :product
""")


def push(session: Session, shop: Connection, client: ShopClient) -> int:
    """Tell the shop of up to AT_ONCE products. Answers how many; 0 = it knows everything. Raises what the client raises, and nothing is told then.

    Each message replaces what was told before, so a worker that dies after the call only tells it again. A plugin that does not know the
    command is not asked again about the same.
    """
    found = session.execute(_UNTOLD, {"account": shop.account_id, "shop": shop.id, "limit": AT_ONCE}).all()
    if not found or shop.base_url is None:  # who has no command URL reads it by the supplier API
        session.commit()
        return 0
    told = {"products": [_shown(row, _locale(session, shop)) for row in found]}
    session.commit()
    try:
        client.send(outbox.message_id(), "product.release", told)
    except Unauthorised:
        raise
    except Refused as error:
        log.info("release.not_shown", connection=shop.id, code=error.code)
    # One that changed meanwhile is told again, also when a message sent later has overtaken this one.
    session.execute(_SET_TOLD, [{"product": row.product_id, "changed_at": row.changed_at} for row in found])
    session.commit()
    return len(found)


def _shown(row: Row[Any], locale: str) -> dict[str, Any]:
    return {
        "product_id": row.external_id,
        "state": row.state,
        "reasons": [
            {
                "code": each["code"],
                "text": reasons.sentence(each["code"], each["params"], locale),
                "field": release.field_of(each["code"]),
            }
            for each in row.reasons
        ],
    }


def _locale(session: Session, shop: Connection) -> str:
    return str(shop.settings.get("locale") or session.get_one(Account, shop.account_id).locale)
