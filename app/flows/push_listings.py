"""Make a retailer's shop show what his suppliers offer: desired state, the newest truth at the moment of sending (K3-K5).

Whoever changes something marks the listing `stale`; here it is computed anew and sent when it differs from what the shop shows. What is sold out
or withdrawn goes first. Values are absolute, so repeating a push is harmless. What may go wrong: the shop is down (the listings stay due), it
refuses one (a case, the others go on), a worker dies (its lease ends and they are pushed again), or a person changes the stock there by hand
(pushed again; fewer than ours only after a while, because it may be a sale that we hear of in a moment). What is taken out for good is let go:
the shop hears so once, and after that while the product is the retailer's own, or another supplier's who has the same article.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, aliased

from app import messages as m
from app import outbox, plan, reservations
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable
from app.models import (
    Account,
    Connection,
    Listing,
    Partnership,
    PriceGroup,
    Product,
    Profile,
    Release,
)
from app.registry import ShopClient
from app.rules import listing as rules
from app.rules import network_categories, stock, trade
from app.rules.release import gtin_forms, percent
from app.shops.reading import amount_text
from app.story import close_case, open_case

AT_ONCE = 25
SECONDS = 1.0  # for one batch: then commands have their turn again, and what is left is computed anew
SHOP_DOWN = (
    2  # step of the plan: when the shop is back after a day, an old stock must not stay on sale for another
)
SALE_GRACE = 60.0  # seconds in which a stock that fell in the retailer's shop is taken for a sale whose order is on its way
DATA = ("title", "gtin", "price", "images", "brand", "category", "tax_rate", "status", "managed")
OURS_ALONE = (
    "images",
    "brand",
    "category",
    "tax_rate",
    "status",
)  # never told of a product that the retailer had before

# Urgency: what must go to 0, what must go down, what may go up, what is new. Rough, because the exact stock is computed after the claim.
_CLAIM = text("""
    UPDATE listing SET stale = false, lease_token = :token, lease_until = now() + make_interval(secs => :lease)
    WHERE id IN (
        SELECT l.id FROM listing l
        JOIN product p ON p.id = l.product_id
        JOIN partnership s ON s.id = l.partnership_id
        LEFT JOIN release r ON r.product_id = l.product_id
        WHERE l.shop_id = :shop AND (l.stale OR l.lease_until IS NOT NULL) AND l.next_attempt_at <= now()
          AND (l.lease_until IS NULL OR l.lease_until < now())
        ORDER BY CASE
            WHEN l.shop_product_id IS NULL OR l.sent IS NULL THEN 3
            WHEN NOT l.switched_on OR NOT p.in_stock OR s.state <> 'active' OR r.state IS DISTINCT FROM 'released'
                 OR p.stock - (SELECT count(*) FROM reservation h WHERE h.product_id = p.id AND h.state = 'open') <= 0 THEN 0
            WHEN p.stock < coalesce((l.sent->>'stock')::bigint, p.stock + 1) THEN 1
            ELSE 2 END, l.next_attempt_at, l.id
        LIMIT :limit FOR UPDATE OF l SKIP LOCKED)
    RETURNING id
""")


@dataclass(frozen=True)
class Wish:
    """What one listing needs: the whole product (`upsert`), only its stock (`stock`), or nothing. `values` is what the shop will show then."""

    deed: str  # upsert, stock, none
    values: dict[str, Any]
    reason: m.Reason | None
    state: str

    def urgency(self, sent: Mapping[str, Any] | None) -> tuple[int, int]:
        """Zero first, then what falls, then what rises, new ones last."""
        before = (sent or {}).get("stock")
        now = self.values.get("stock") or 0
        if sent is None:
            return (3, 0)
        if now == 0:
            return (0, 0)
        return (1, now) if before is None or now < before else (2, 0)


def push(
    session: Session,
    shop: Connection,
    client: ShopClient,
    *,
    lease: int,
    scale: float,
    at_once: int = AT_ONCE,
) -> int:
    """Push one batch, most urgent first, for about SECONDS. Answers how many listings were taken up; 0 = nothing was due.

    Raises what concerns the whole shop (Unauthorised, a pause) after giving back what was not sent.
    """
    token = secrets.token_hex(8)
    found = {"token": token, "lease": lease, "shop": shop.id, "limit": at_once}
    ids = list(session.execute(_CLAIM, found).scalars())
    if not ids:
        session.commit()
        return 0
    shop_id, until = shop.id, time.monotonic() + SECONDS
    wishes = _wishes(session, shop, ids)
    session.commit()
    open_ids = [listing_id for listing_id, _ in wishes]
    try:
        for place, (listing_id, wish) in enumerate(wishes):
            if place and time.monotonic() > until:
                break
            _make_true(session, shop_id, client, listing_id, token, wish, scale)
            open_ids.remove(listing_id)
    finally:
        session.rollback()
        _give_back(session, token, open_ids)
        session.commit()
    return len(ids)


def shown(session: Session, shop: Connection, product_ids: Collection[int]) -> None:
    """A shop reported products; those that are listings and show another stock than we sent are looked at again."""
    if not product_ids:
        return
    found = session.execute(
        select(Listing.id)
        .join(
            Product,
            (Product.connection_id == Listing.shop_id) & (Product.external_id == Listing.shop_product_id),
        )
        .where(
            Listing.shop_id == shop.id,
            Product.id.in_(product_ids),
            Product.deleted | Product.stock.is_distinct_from(Listing.sent["stock"].as_integer()),
        )
    ).scalars()
    if ids := list(found):
        reservations.mark_listings(session, Listing.id.in_(ids))


# --- what it should show -----------------------------------------------------------------------------------------------------

_OWN = aliased(Product)  # the retailer's product row that stands for the listing
_ROWS = (
    select(Listing, Product, Release, Partnership, PriceGroup.discount_bp, Connection, Account.holiday, _OWN)
    .join(Product, Product.id == Listing.product_id)
    .join(Partnership, Partnership.id == Listing.partnership_id)
    .join(Connection, Connection.id == Product.connection_id)
    .join(Account, Account.id == Product.account_id)
    .outerjoin(Release, Release.product_id == Listing.product_id)
    .outerjoin(PriceGroup, PriceGroup.id == Partnership.price_group_id)
    .outerjoin(_OWN, (_OWN.connection_id == Listing.shop_id) & (_OWN.external_id == Listing.shop_product_id))
    .execution_options(populate_existing=True)
)


def _wishes(session: Session, shop: Connection, ids: Sequence[int]) -> list[tuple[int, Wish]]:
    """Those that need a call, most urgent first; the others are settled here. The row lock of the claim keeps later changes waiting until
    this commits.
    """
    rows = session.execute(_ROWS.where(Listing.id.in_(ids)).order_by(Listing.id)).all()
    held = reservations.held(session, [row.Product.id for row in rows])
    retailer = session.get(Profile, shop.account_id, populate_existing=True)
    approved = retailer is not None and retailer.retailer and retailer.state == "approved"
    due: list[tuple[tuple[int, int], int, Wish]] = []
    for row in rows:
        wish = _wish(row, shop, held.get(row.Product.id, 0), approved=approved)
        wait = _sale_may_be_on_its_way(row, wish)
        if wait is not None:
            _wait(row.Listing, wait)
        elif let_go := _lets_go_until(row, wish):
            _wait(row.Listing, let_go)
        elif wish.deed == "none":
            _settle(session, row, wish)
        else:
            due.append((wish.urgency(row.Listing.sent), row.Listing.id, wish))
    return [(listing_id, wish) for _, listing_id, wish in sorted(due, key=lambda each: each[:2])]


def _wish(row: Any, shop: Connection, held: int, *, approved: bool) -> Wish:
    listing: Listing = row.Listing
    if _is_gone(row):
        return Wish("none", dict(listing.sent or {}), m.Reason("listing.gone_from_shop"), "withdrawn")
    if listing.state == "withdrawn":
        return _let_go(row)
    reason = _withheld(row, approved=approved)
    data = _data(row, shop) if reason is None else None
    if isinstance(data, m.Reason):
        reason, data = data, None
    if data is None:
        return _taken_down(row, reason)
    values = {**data, "stock": _sellable(row, held)}
    sent = listing.sent or {}
    if listing.shop_product_id is None or any(sent.get(name) != values[name] for name in DATA):
        return Wish("upsert", values, None, "listed")
    same = _in_shop(row) == values["stock"]
    return Wish("none" if same else "stock", values, None, "listed")


def _is_gone(row: Any) -> bool:
    """The retailer deleted it in his shop: it is not made again until he imports it again."""
    listing: Listing = row.Listing
    if listing.state == "withdrawn" and listing.reason_code == "listing.gone_from_shop":
        return True
    return row[-1] is not None and row[-1].deleted and listing.sent is not None


def _withheld(row: Any, *, approved: bool) -> m.Reason | None:
    supplier_shop: Connection = row.Connection
    released = row.Release is not None and row.Release.state == "released"
    return rules.withheld(
        rules.Circumstances(
            switched_on=row.Listing.switched_on,
            released=released and supplier_shop.state == "active" and not row.Product.deleted,
            partnership_state=row.Partnership.state,
            retailer_approved=approved,
            supplier_on_holiday=row.holiday,
        )
    )


def _taken_down(row: Any, reason: m.Reason | None) -> Wish:
    """Stock 0, and nothing else changes. What was never in the shop is not put there for it; one that may be there is made sure of."""
    listing: Listing = row.Listing
    if listing.sent is None:
        return Wish("none", {}, reason, "waiting")
    values = {**listing.sent, "stock": 0}
    if listing.shop_product_id is None:
        values |= {
            "status": "draft",
            "managed": True,
            "title": listing.sent.get("title") or _title(row.Product),
        }
        return Wish("upsert", values, reason, "waiting")
    return Wish("none" if _in_shop(row) == 0 else "stock", values, reason, "waiting")


def _let_go(row: Any) -> Wish:
    """Taken out for good: told once, with stock 0, that it is not kept by us any more; what came from us is hidden. A shop that never had it
    hears nothing, and one that may have it makes none (docs/protocol.md 4).
    """
    listing: Listing = row.Listing
    if listing.sent is None or "left" in listing.sent or listing.sent.get("managed") is False:
        return Wish("none", dict(listing.sent or {}), None, "withdrawn")
    values = {**listing.sent, "stock": 0, "managed": False}
    values["title"] = listing.sent.get("title") or _title(row.Product)
    if not listing.adopted:
        values["status"] = "draft"
    return Wish("upsert", values, None, "withdrawn")


def _lets_go_until(row: Any, wish: Wish) -> datetime | None:
    """How long one that was let go still stands for its product: an order from before may be on its way."""
    listing: Listing = row.Listing
    if wish.deed != "none" or wish.state != "withdrawn" or (listing.sent or {}).get("managed") is not False:
        return None
    over = (listing.sent_at or datetime.now(UTC)) + timedelta(seconds=SALE_GRACE)
    return over if over > datetime.now(UTC) else None


def _left(listing: Listing) -> dict[str, Any] | None:
    """What is remembered of a product that is not ours any more: which one we had made. Whoever takes it again may show it and call it his."""
    return None if listing.adopted or listing.shop_product_id is None else {"left": listing.shop_product_id}


def _data(row: Any, shop: Connection) -> dict[str, Any] | m.Reason:
    """Everything but the stock; never a description (K3)."""
    product: Product = row.Product
    listing: Listing = row.Listing
    expected = shop.facts.get("currency") or product.currency
    if product.currency != expected:
        return m.Reason("listing.currency", {"currency": product.currency, "expected": expected})
    dealer = trade.unit_price(row.Release.price, row.discount_bp or 0)
    try:
        price = rules.price(rules.rule_from(listing.price_rule), dealer, product.price)
    except Invalid as error:
        return m.Reason(error.code, dict(error.params))
    if isinstance(price, m.Reason):
        return price
    locale = shop.settings.get("locale")
    return {
        "title": _title(product),
        "gtin": product.gtin,
        "price": price,
        "currency": product.currency,
        "images": list(product.extra.get("images") or ()),
        "brand": product.brand,
        "category": network_categories.name(row.Release.category, locale),
        "tax_rate": _tax_rate(row.Release.vat_percent, zero_rated=product.extra.get("zero_rated") is True),
        "status": "publish",
        "managed": True,
    }


def _tax_rate(vat_percent: str | None, *, zero_rated: bool) -> str | None:
    """The rate of the goods. 0 is told only where it is that of the goods themselves: a supplier who charges no VAT at all (a small business)
    says nothing about what his retailer owes.
    """
    rate = percent(vat_percent)
    if zero_rated and rate == 0:
        return "0"
    return format(rate.normalize(), "f") if rate else None


def _title(product: Product) -> str:
    return (product.title.strip() or product.sku or product.gtin or product.external_id)[:500]


def _sellable(row: Any, held: int) -> int:
    """What the supplier can sell now: his stock less what open orders hold anywhere, less his buffer (I13, K5)."""
    product: Product = row.Product
    settings = row.Connection.settings
    return stock.published(
        product.stock,
        held,
        int(settings.get("stock_buffer") or 0),
        on=True,
        holiday=False,
        unmanaged=int(settings.get("default_stock") or 0),
        in_stock=product.in_stock,
    )


def _in_shop(row: Any) -> int | None:
    """What the retailer's shop shows: its own word where that is newer than our last push."""
    own: Product | None = row[-1]
    sent = row.Listing.sent or {}
    if own is not None and _is_newer(own, sent):
        return own.stock
    found: int | None = sent.get("stock")
    return found


def _is_newer(own: Product, sent: Mapping[str, Any]) -> bool:
    known = sent.get("sequence")
    return known is not None and stock.is_newer(own.stock_sequence or 0, known)


def _sale_may_be_on_its_way(row: Any, wish: Wish) -> datetime | None:
    """Until when a stock that fell in the retailer's shop is left alone: its order comes with the next events, and putting the piece back
    meanwhile would sell it twice.
    """
    own: Product | None = row[-1]
    if own is None or wish.deed == "none" or not _is_newer(own, row.Listing.sent or {}):
        return None
    if own.stock is None or own.stock >= wish.values["stock"]:
        return None
    if own.stock == (row.Listing.sent or {}).get("stock"):
        return None  # it did not fall: the shop only reports what we wrote there
    over = own.updated_at + timedelta(seconds=SALE_GRACE)
    return over if over > datetime.now(UTC) else None


# --- making it so ---------------------------------------------------------------------------------------------------------------


def _make_true(
    session: Session,
    shop_id: int,
    client: ShopClient,
    listing_id: int,
    token: str,
    wish: Wish,
    scale: float,
) -> None:
    """One call and what came of it, committed. Raises only what concerns the whole shop."""
    listing = session.get_one(Listing, listing_id)
    kind, data = _message(session, listing, wish)
    if listing.sent is None:
        listing.sent = {}  # from now on the shop may know it, whatever becomes of the answer
    session.commit()
    try:
        answer = client.send(outbox.message_id(), kind, data)
    except Unauthorised:
        raise
    except Refused as error:
        _refused(session, listing_id, token, wish, error)
    except ShopbridgeError as error:
        _later(session, listing_id, token, error, scale)
        if isinstance(error, Unavailable) and error.pauses:
            session.commit()
            raise
    else:
        _done(session, shop_id, listing_id, token, wish, answer, scale)
    session.commit()


def _message(session: Session, listing: Listing, wish: Wish) -> tuple[str, dict[str, Any]]:
    if wish.deed == "stock":
        return "stock.set", {
            "product_id": listing.shop_product_id,
            "stock_quantity": wish.values["stock"],
            "key": outbox.message_id(),
        }
    sent = listing.sent or {}
    new = {name: wish.values.get(name) for name in DATA if wish.values.get(name) != sent.get(name)}
    data: dict[str, Any] = {
        "key": listing.key,
        "name": _name(session, listing, wish, new),
        "stock_quantity": wish.values["stock"],
        "managed": wish.values.get("managed", True),
        "gtin": wish.values.get("gtin"),
        "sku": None if listing.adopted else rules.sku(listing.key),
    }
    price = new.get("price")
    if price is not None:
        data["price"] = amount_text(price, wish.values["currency"])
    if not listing.adopted:
        data |= {name: new[name] for name in OURS_ALONE if new.get(name)}
    return "product.upsert", data


def _name(session: Session, listing: Listing, wish: Wish, new: Mapping[str, Any]) -> str:
    """The supplier's title when it is news; else the one that the retailer's shop has, which may be his own by now."""
    if "title" in new and not listing.adopted:
        return str(new["title"])
    own = session.scalar(
        select(Product.title).where(
            Product.connection_id == listing.shop_id, Product.external_id == listing.shop_product_id
        )
    )
    return own or str(wish.values["title"])


def _done(
    session: Session,
    shop_id: int,
    listing_id: int,
    token: str,
    wish: Wish,
    answer: Mapping[str, Any],
    scale: float,
) -> None:
    listing = _locked(session, listing_id, token)
    if listing is None:
        _overtaken(session, listing_id)
        return
    product_id = str(answer["product_id"])
    if wish.deed == "upsert" and _is_taken(session, shop_id, listing, product_id):
        reason = m.Reason("listing.product_taken", {"product": product_id})
        _finish(listing, {}, reason, "refused")
        _case(session, listing, reason)
        _again(listing, scale)
        return
    if wish.deed == "upsert":
        listing.shop_product_id = product_id
    values = {**wish.values, "sequence": answer.get("sequence") or _last_sequence(session, shop_id)}
    if answer.get("stock_quantity", values["stock"]) != values["stock"]:
        # A repeat inside one call, with a sale in between: the shop says what is true, and it is looked at again.
        values["stock"], listing.stale = answer["stock_quantity"], True
    _no_case(session, listing)
    _finish(listing, values, wish.reason, wish.state)
    if wish.state == "withdrawn":
        _wait(listing, datetime.now(UTC) + timedelta(seconds=SALE_GRACE))
        _tell_rivals(session, listing)


def _tell_rivals(session: Session, listing: Listing) -> None:
    """Another supplier's product with the same GTIN, which the shop could not take while this one was kept, is tried again."""
    number = session.scalar(select(Product.gtin).where(Product.id == listing.product_id))
    if forms := gtin_forms(number):
        session.flush()
        same = select(Product.id).where(Product.gtin.in_(forms), Product.id != listing.product_id)
        refused = (
            Listing.shop_id == listing.shop_id,
            Listing.state == "refused",
            Listing.product_id.in_(same),
        )
        reservations.mark_listings(session, *refused)


def _last_sequence(session: Session, shop_id: int) -> int:
    """For a shop that does not say at which of its sequences it obeyed: what it reports from now on is newer."""
    return session.get_one(Connection, shop_id, populate_existing=True).last_sequence or 0


def _is_taken(session: Session, shop_id: int, listing: Listing, product_id: str) -> bool:
    """The shop found a product that stands for another listing: that one is made right again, or gives way when it was taken out for good."""
    other = session.scalar(
        select(Listing).where(
            Listing.shop_id == shop_id, Listing.shop_product_id == product_id, Listing.id != listing.id
        )
    )
    if other is None:
        return False
    if other.state == "withdrawn":
        other.sent, other.shop_product_id = _left(other), None
        session.flush()
        return False
    session.execute(update(Listing).where(Listing.id == other.id).values(sent={}, stale=True))
    return True


def _refused(session: Session, listing_id: int, token: str, wish: Wish, error: Refused) -> None:
    listing = _locked(session, listing_id, token)
    if listing is None:
        _overtaken(session, listing_id)
        return
    if error.code == "shop.product_not_found" and wish.state == "withdrawn":
        _no_case(session, listing)
        listing.shop_product_id = None
        _finish(listing, None, None, "withdrawn")
        return
    if error.code == "shop.product_not_found" and wish.deed == "stock":
        listing.switched_on = False
        _finish(listing, listing.sent, m.Reason("listing.gone_from_shop"), "withdrawn")
        return
    told = {"message": error.params.get("message") or error.params.get("field") or error.code}
    reason = m.Reason("listing.refused", told)
    _finish(listing, listing.sent, reason, "withdrawn" if wish.state == "withdrawn" else "refused")
    _case(session, listing, reason)


def _later(session: Session, listing_id: int, token: str, error: ShopbridgeError, scale: float) -> None:
    """Never given up: the desired state stays true."""
    listing = _locked(session, listing_id, token)
    if listing is None:
        _overtaken(session, listing_id)
        return
    _again(listing, scale)
    listing.reason_code, listing.reason_params = error.code, plan.jsonable(error.params)


def _again(listing: Listing, scale: float) -> None:
    """By the plan."""
    listing.attempts += 1
    seconds = plan.wait(min(listing.attempts, SHOP_DOWN), scale)
    _wait(listing, text("now() + make_interval(secs => :wait)").bindparams(wait=seconds))


def _locked(session: Session, listing_id: int, token: str) -> Listing | None:
    """The listing while it is ours; None when our lease was over and somebody else has it."""
    query = select(Listing).where(Listing.id == listing_id, Listing.lease_token == token)
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def _overtaken(session: Session, listing_id: int) -> None:
    """We were so slow that another worker took over: our older values may have arrived after its newer ones, so all is sent once more (I13)."""
    session.execute(
        update(Listing)
        .where(Listing.id == listing_id)
        .values(sent={}, stale=True, next_attempt_at=text("now()"))
    )


def _give_back(session: Session, token: str, ids: Sequence[int]) -> None:
    """Not sent in this turn."""
    if ids:
        session.execute(
            update(Listing)
            .where(Listing.id.in_(ids), Listing.lease_token == token)
            .values(stale=True, lease_token=None, lease_until=None)
        )


def _wait(listing: Listing, until: Any) -> None:
    listing.stale, listing.next_attempt_at = True, until
    listing.lease_token = listing.lease_until = None


def _settle(session: Session, row: Any, wish: Wish) -> None:
    """Nothing to send: it is as it should be, by our own push or by the shop's own doing."""
    listing: Listing = row.Listing
    sent, own = listing.sent, row[-1]
    if sent is not None and own is not None and _is_newer(own, sent):
        sent = {**sent, "stock": own.stock, "sequence": own.stock_sequence}
    if wish.reason is not None and wish.reason.code == "listing.gone_from_shop":
        listing.switched_on = False
    elif wish.state == "withdrawn" and listing.shop_product_id is not None:
        sent = _left(listing) if sent is not None else None
        listing.shop_product_id = None
    _no_case(session, listing)
    _finish(listing, sent, wish.reason, wish.state)


def _finish(listing: Listing, sent: dict[str, Any] | None, reason: m.Reason | None, state: str) -> None:
    if listing.sent != sent:
        listing.sent, listing.revision = sent, listing.revision + 1
    listing.state, listing.attempts, listing.sent_at = state, 0, datetime.now(UTC)
    listing.reason_code, listing.reason_params = (
        (None, {}) if reason is None else (reason.code, plan.jsonable(reason.params))
    )
    listing.lease_token = listing.lease_until = None


def _no_case(session: Session, listing: Listing) -> None:
    """One that is on sale has none. One that waits may have been refused before its retailer imported it again."""
    if listing.state != "listed":
        close_case(session, account_id=listing.account_id, subject=f"listing/{listing.id}")


def _case(session: Session, listing: Listing, reason: m.Reason) -> None:
    open_case(
        session,
        account_id=listing.account_id,
        connection_id=listing.shop_id,
        subject=f"listing/{listing.id}",
        code=reason.code,
        params=reason.params,
    )
