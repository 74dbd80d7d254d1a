"""Once an hour: read back what the marketplace really shows, repair drift, notice what a person changed there (I11).

Stock that differs is always sent again, because the shop's stock is the truth. A price or preparation time that differs from what we last sent
was changed at the marketplace: it is shown, and the merchant's setting says who wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session

from app import messages as m
from app.models import Connection, Offer, Product
from app.story import open_case

FIELDS = ("price", "handling_days", "on", "shipping_group")

_MISSING = text("""
    INSERT INTO offer (account_id, connection_id, product_id, switched_on, overrides, stale, revision, sent_revision, confirmed_revision, state,
                       reason_code, reason_params, attempts)
    SELECT p.account_id, c.id, p.id, coalesce((c.settings->>'export')::boolean, true), '{}', true, 0, 0, 0, 'waiting', 'offer.waiting', '{}', 0
    FROM product p JOIN connection c ON c.id = :connection AND p.connection_id = c.shop_id
    WHERE p.kind IN ('simple', 'variation') AND NOT p.deleted
    ON CONFLICT (product_id, connection_id) DO NOTHING
""")


def make_missing_offers(session: Session, marketplace: Connection) -> None:
    """Products that were there before the marketplace was connected get their offers."""
    session.execute(_MISSING, {"connection": marketplace.id})


_AGAIN = text("""
    UPDATE offer SET revision = revision + 1, next_attempt_at = now()
    WHERE id IN (SELECT id FROM offer WHERE connection_id = :connection AND state IN ('needs_product', 'needs_variation')
                 AND sent_revision = revision ORDER BY sent_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")
AGAIN_AT_ONCE = 500


def try_unknown_products_again(session: Session, marketplace: Connection) -> None:
    """A product that the marketplace did not know may exist there by now: the longest waiting ones are tried again (I9). A SKU that two
    products shared may be the other's no longer.
    """
    session.execute(_AGAIN, {"connection": marketplace.id, "limit": AGAIN_AT_ONCE})
    shared = [Offer.connection_id == marketplace.id, Offer.reason_code == "product.sku_duplicate"]
    session.execute(update(Offer).where(*shared).values(stale=True))


def compare(session: Session, marketplace: Connection, shown: Iterable[m.OfferShown]) -> int:
    """Hold one page of what is shown against what was sent. Answers how many offers had drifted."""
    page = list(shown)
    by_sku = {item.sku: item for item in page}
    # Where a marketplace does not keep our SKU, its own id of the offer tells which one it is.
    by_ref = {item.external_ref: item for item in page if item.external_ref}
    rows = session.execute(
        select(Offer, Product)
        .join(Product, Product.id == Offer.product_id)
        .where(
            Offer.connection_id == marketplace.id,
            or_(Product.sku.in_(by_sku), Offer.external_ref.in_(by_ref)),
        )
        .order_by(Offer.id)
        .with_for_update(of=Offer)
    ).all()
    drifted = 0
    for offer, product in rows:
        if (
            offer.stale
            or offer.sent is None
            or offer.sent_revision < offer.revision
            or offer.task_due_at is not None
        ):
            continue  # a newer wish is on its way; what is shown now says nothing
        drifted += _hold_against(
            session, marketplace, offer, by_sku.get(product.sku or "") or by_ref[offer.external_ref or ""]
        )
    return drifted


def _hold_against(session: Session, marketplace: Connection, offer: Offer, shown: m.OfferShown) -> int:
    sent = offer.sent or {}
    changed = [name for name in FIELDS if _differs(sent.get(name), getattr(shown, name))]
    if shown.external_ref:
        offer.external_ref = shown.external_ref
    # A price that the marketplace cannot tell in our terms (without tax) stays as it was confirmed: nothing else need be sent for it.
    known = offer.confirmed or {}
    offer.confirmed = {
        "price": known.get("price") if shown.price is None else shown.price,
        "stock": shown.stock,
        "handling_days": shown.handling_days,
        "on": shown.on,
        "shipping_group": shown.shipping_group or known.get("shipping_group"),
        "raw_state": shown.raw_state,
    }
    offer.confirmed_at = datetime.now(UTC)
    keep_theirs = marketplace.settings.get("changed_elsewhere", "shop") == "marketplace"
    if changed:
        open_case(
            session,
            account_id=offer.account_id,
            connection_id=marketplace.id,
            subject=f"offer/{offer.id}/{','.join(changed)}",
            code="offer.changed_elsewhere",
            params={"sku": shown.sku, "fields": ", ".join(changed)},
        )
        if keep_theirs:
            offer.state, offer.reason_code = m.OfferState.CHANGED_ELSEWHERE, "offer.changed_elsewhere"
            offer.reason_params = {"fields": ", ".join(changed)}
    wrong_stock = shown.stock is not None and shown.stock != sent.get("stock")
    if wrong_stock or (changed and not keep_theirs):
        offer.revision += 1
        return 1
    if not changed:
        offer.confirmed_revision = offer.sent_revision
        if shown.state is not None and offer.state not in {m.OfferState.OFF, m.OfferState.REFUSED}:
            offer.state = shown.state
            offer.reason_code = shown.reason.code if shown.reason else None
            offer.reason_params = dict(shown.reason.params) if shown.reason else {}
    return len(changed)


def _differs(sent: object, shown: object) -> bool:
    """What we never sent is the marketplace's own choice, and what it does not say cannot differ."""
    return sent is not None and shown is not None and sent != shown
