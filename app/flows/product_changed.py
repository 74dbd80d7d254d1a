"""A product or its stock changed in the shop: remember the newest state and mark the offers that depend on it.

Works on many events at once, because a shop that saves 1,000 products sends 1,000 events. An older state never overwrites a newer one: every
write carries the shop's sequence and the database compares (I13). What may go wrong: a stock message can come before the product
itself; then a row with only the stock is kept until the rest arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, case, func, or_, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import messages as m
from app import reservations
from app.models import Connection, Product
from app.models.columns import table_of
from app.rules import gtin

PRODUCTS = table_of(Product)
FIELDS = (
    "parent_external_id",
    "kind",
    "published",
    "deleted",
    "title",
    "sku",
    "gtin",
    "price",
    "currency",
    "handling_days",
    "dealer_price",
    "vat_percent",
    "brand",
    "network_category",
    "extra",
    "texts",
)


def receive(session: Session, shop: Connection, seen: Iterable[tuple[int, m.ProductSeen]]) -> list[int]:
    """Take in (sequence, product) pairs. Answers the ids of the products that really changed."""
    newest = _newest(seen)
    rows = [_product_row(shop, sequence, product) for sequence, product in newest]
    changed = _upsert(session, rows)
    _offer_new_products(session, changed)
    return _mark_offers(session, changed, _variations(session, changed))


def receive_stock(session: Session, shop: Connection, seen: Iterable[tuple[int, m.StockSeen]]) -> list[int]:
    """Take in (sequence, stock) pairs; absolute values. Answers the ids of the products whose stock really changed."""
    newest = _newest(seen)
    if not newest:
        return []
    rows = [_stock_row(shop, sequence, stock) for sequence, stock in newest]
    changed = session.execute(_STOCK, rows).scalars()
    return _mark_offers(session, list(changed))


def removed(session: Session, shop: Connection, seen: Iterable[tuple[int, str]]) -> list[int]:
    """Products that were trashed or deleted in the shop: (sequence, shop's id). Their offers go to stock 0.

    A product that we do not know yet leaves a row too: an older message about it may still be on its way and must not bring it back.
    """
    newest = {external_id: sequence for sequence, external_id in sorted(seen)}
    if not newest:
        return []
    stmt = insert(PRODUCTS).values(
        [_gone_row(shop, newest[external_id], external_id) for external_id in sorted(newest)]
    )
    new, old = stmt.excluded, PRODUCTS.c
    done = session.execute(
        stmt.on_conflict_do_update(
            index_elements=["connection_id", "external_id"],
            set_={
                "deleted": True,
                "stock": 0,
                "in_stock": False,
                "sequence": new.sequence,
                "stock_sequence": func.greatest(old.stock_sequence, new.sequence),
                "updated_at": func.now(),
            },
            where=or_(old.sequence.is_(None), old.sequence < new.sequence),
        ).returning(PRODUCTS.c.id)
    )
    changed = list(done.scalars())
    return _mark_offers(session, changed)


def _newest(seen: Iterable[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Of several states of one product only the newest counts; in a fixed order, so that two workers never wait for each other in a ring."""
    best: dict[str, tuple[int, Any]] = {}
    for sequence, thing in seen:
        known = best.get(thing.external_id)
        if known is None or known[0] < sequence:
            best[thing.external_id] = (sequence, thing)
    return [best[key] for key in sorted(best)]


def _product_row(shop: Connection, sequence: int, product: m.ProductSeen) -> dict[str, Any]:
    return {
        "account_id": shop.account_id,
        "connection_id": shop.id,
        "external_id": product.external_id,
        "parent_external_id": product.parent_external_id,
        "kind": product.kind,
        "published": product.published,
        "deleted": False,
        "title": product.title,
        "sku": product.sku,
        "gtin": gtin.clean(product.gtin),
        "price": product.price,
        "currency": product.currency,
        "handling_days": product.handling_days,
        "dealer_price": product.dealer_price,
        "vat_percent": product.vat_percent,
        "brand": product.brand,
        "network_category": product.network_category,
        "extra": {
            "images": list(product.images),
            "attributes": product.attributes,
            "zero_rated": product.zero_rated,
            "categories": list(product.categories),
            "weight": product.weight,
        },
        "texts": {
            name: told
            for name, told in (
                ("description", product.description),
                ("short_description", product.short_description),
            )
            if told
        },
        "stock": product.stock,
        "in_stock": product.in_stock,
        "sequence": sequence,
        "stock_sequence": sequence,
    }


def _stock_row(shop: Connection, sequence: int, stock: m.StockSeen) -> dict[str, Any]:
    return {
        "account_id": shop.account_id,
        "connection_id": shop.id,
        "external_id": stock.external_id,
        "kind": "unknown",
        "published": False,
        "deleted": False,
        "title": "",
        "sku": stock.sku,
        "stock": stock.stock,
        "in_stock": stock.in_stock,
        "extra": {},
        "stock_sequence": sequence,
    }


def _gone_row(shop: Connection, sequence: int, external_id: str) -> dict[str, Any]:
    return {
        "account_id": shop.account_id,
        "connection_id": shop.id,
        "external_id": external_id,
        "kind": "unknown",
        "published": False,
        "deleted": True,
        "title": "",
        "stock": 0,
        "in_stock": False,
        "extra": {},
        "sequence": sequence,
        "stock_sequence": sequence,
    }


def _upsert(session: Session, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert or overwrite with what is newer."""
    return list(session.execute(_PRODUCT, rows).scalars()) if rows else []


# Both statements are made once and take their rows as parameters: one with the rows inside would be compiled anew for every batch, and that
# took most of a worker's time.


def _product_statement() -> Any:
    """Fields and stock are guarded apart, because stock messages overtake product messages."""
    stmt = insert(PRODUCTS)
    new, old = stmt.excluded, PRODUCTS.c
    fields_newer = or_(old.sequence.is_(None), old.sequence < new.sequence)
    stock_newer = or_(old.stock_sequence.is_(None), old.stock_sequence < new.stock_sequence)
    values: dict[str, Any] = {
        name: _case(fields_newer, new[name], old[name]) for name in (*FIELDS, "sequence")
    }
    values |= {
        name: _case(stock_newer, new[name], old[name]) for name in ("stock", "in_stock", "stock_sequence")
    }
    values["updated_at"] = func.now()
    return stmt.on_conflict_do_update(
        index_elements=["connection_id", "external_id"], set_=values, where=or_(fields_newer, stock_newer)
    ).returning(old.id)


def _stock_statement() -> Any:
    """Only the stock, and only when it is newer."""
    stmt = insert(PRODUCTS)
    new, old = stmt.excluded, PRODUCTS.c
    return stmt.on_conflict_do_update(
        index_elements=["connection_id", "external_id"],
        set_={name: new[name] for name in ("stock", "in_stock", "stock_sequence")},
        where=or_(old.stock_sequence.is_(None), old.stock_sequence < new.stock_sequence),
    ).returning(old.id)


def _case(condition: Any, yes: Any, no: Any) -> Any:
    return case((condition, yes), else_=no)


_PRODUCT = _product_statement()
_STOCK = _stock_statement()

_OFFER_NEW = text("""
    INSERT INTO offer (account_id, connection_id, product_id, switched_on, overrides, stale, revision, sent_revision, confirmed_revision, state,
                       reason_code, reason_params, attempts)
    SELECT p.account_id, c.id, p.id, coalesce((c.settings->>'export')::boolean, true), '{}', true, 0, 0, 0, 'waiting', 'offer.waiting', '{}', 0
    FROM product p JOIN connection c ON c.account_id = p.account_id AND c.role = 'marketplace' AND c.shop_id = p.connection_id
    WHERE p.id = ANY(:products) AND p.kind IN ('simple', 'variation') AND c.state <> 'removed'
    ON CONFLICT (product_id, connection_id) DO NOTHING
""").bindparams(bindparam("products"))


def _offer_new_products(session: Session, product_ids: list[int]) -> None:
    """Every sellable product gets an offer row at every marketplace that sells for this shop (I3)."""
    if product_ids:
        session.execute(_OFFER_NEW, {"products": product_ids})


_VARIATIONS = text("""
    SELECT v.id FROM product p JOIN product v ON v.connection_id = p.connection_id AND v.parent_external_id = p.external_id
    WHERE p.id = ANY(:products) AND p.kind = 'variable'
""").bindparams(bindparam("products"))


def _variations(session: Session, product_ids: list[int]) -> list[int]:
    """Variations have from their parent what they lack (brand, description, images), so a change of it may be a change of theirs (O5)."""
    return list(session.execute(_VARIATIONS, {"products": product_ids}).scalars()) if product_ids else []


def _mark_offers(session: Session, product_ids: list[int], dependent: Sequence[int] = ()) -> list[int]:
    reservations.flag_oversold(session, product_ids)
    reservations.mark_offers(session, [*product_ids, *dependent])
    return product_ids
