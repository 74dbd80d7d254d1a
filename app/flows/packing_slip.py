"""What is on the packing slip of an order of the network, asked from the supplier's or from the retailer's order screen (K7).

What may go wrong: the order is none of the asking shop's, or no trade: refused. The retailer's address is unknown: refused, never the supplier's
instead. Everything by which the supplier could be recognised is handed over as what must not be on the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from app.errors import Refused
from app.messages import Address
from app.models import (
    Account,
    Connection,
    Listing,
    Order,
    OrderLine,
    OrderPiece,
    Product,
    Profile,
    Trade,
    TradeLine,
)
from app.papers.slip import Slip, SlipLine


@dataclass(frozen=True)
class Papers:
    """One slip for each supplier's part that is still to be sent, and the words that may be on none of them."""

    slips: tuple[Slip, ...]
    never: frozenset[str]


def papers(session: Session, shop: Connection, shop_order_id: str) -> Papers:
    """The slips of one order of this shop. Raises Refused: slip.order_unknown, slip.sender_unknown, slip.recipient_unknown."""
    order = session.scalar(
        select(Order).where(
            Order.account_id == shop.account_id,
            Order.shop_id == shop.id,
            Order.shop_order_id == shop_order_id,
        )
    )
    trades = [] if order is None else _trades(session, order.id)
    if not trades:
        raise Refused("slip.order_unknown")
    never: set[str] = set()
    slips = []
    for trade in trades:
        never |= set(_words_of(session, trade))
        slips.append(_slip(session, trade))
    return Papers(tuple(slips), frozenset(never))


def _trades(session: Session, order_id: int) -> list[Trade]:
    """The supplier's own part, or all parts of a retailer's order; what was refused or cancelled is not sent."""
    query = (
        select(Trade)
        .where(
            or_(Trade.order_id == order_id, Trade.retail_order_id == order_id),
            Trade.state.not_in(("rejected", "cancelled")),
        )
        .order_by(Trade.id)
        .options(selectinload(Trade.lines))
    )
    return list(session.scalars(query))


def _slip(session: Session, trade: Trade) -> Slip:
    retail = session.get_one(Order, trade.retail_order_id)
    profile = session.get(Profile, trade.retailer_id)
    if profile is None or not (profile.address or {}).get("company"):
        raise Refused("slip.sender_unknown")
    child = session.get(Order, trade.order_id) if trade.order_id is not None else None
    left = _left(session, trade)
    return Slip(
        sender=Address(**profile.address),
        recipient=_recipient(retail, child),
        number=retail.shop_number or retail.shop_order_id or retail.external_id,
        placed_at=retail.placed_at,
        lines=tuple(_line(session, line, left[line.id]) for line in trade.lines if left[line.id]),
        returns_to=Address(**profile.return_address) if profile.return_address else None,
    )


def _left(session: Session, trade: Trade) -> dict[int, int]:
    """Units by trade line that are still to be sent or were sent: what was cancelled is not in the parcel."""
    gone = (
        select(OrderLine.group_key, func.count())
        .join(OrderPiece, OrderPiece.line_id == OrderLine.id)
        .where(OrderLine.order_id == trade.order_id, OrderPiece.state == "cancelled")
        .group_by(OrderLine.group_key)
    )
    cancelled = {row[0]: row[1] for row in session.execute(gone)} if trade.order_id is not None else {}
    return {line.id: line.quantity - cancelled.get(line.shop_line_id, 0) for line in trade.lines}


def _recipient(retail: Order, child: Order | None) -> Address:
    """The customer, as the retailer's order knows him, else as the child order does."""
    for order in (retail, child):
        buyer = (order.buyer or {}) if order is not None else {}
        told = buyer.get("shipping") or (buyer.get("billing") if order is retail else None)
        if told:
            return Address(**told)
    raise Refused("slip.recipient_unknown")


def _line(session: Session, line: TradeLine, quantity: int) -> SlipLine:
    """Title and SKU are those of the retailer's own product. An SKU that the supplier uses too is left out."""
    own = _retailers_product(session, line)
    theirs = {line.sku, _sku(session, line.product_id)}
    sku = own.sku if own is not None and own.sku not in theirs else None
    return SlipLine(own.title if own is not None and own.title else line.title, quantity, sku)


def _retailers_product(session: Session, line: TradeLine) -> Product | None:
    listing = session.get(Listing, line.listing_id) if line.listing_id is not None else None
    if listing is None or listing.shop_product_id is None:
        return None
    return session.scalar(
        select(Product).where(
            Product.connection_id == listing.shop_id, Product.external_id == listing.shop_product_id
        )
    )


def _sku(session: Session, product_id: int | None) -> str | None:
    return session.scalar(select(Product.sku).where(Product.id == product_id)) if product_id else None


def _words_of(session: Session, trade: Trade) -> Iterator[str]:
    """Names, addresses and numbers of the supplier, and his numbers of the goods."""
    yield str(session.scalar(select(Account.name).where(Account.id == trade.supplier_id)) or "")
    shops = select(Connection.name).where(
        Connection.account_id == trade.supplier_id, Connection.role == "shop"
    )
    yield from session.scalars(shops)
    profile = session.get(Profile, trade.supplier_id)
    for told in (profile.address, profile.return_address) if profile is not None else ():
        names = ("company", "email", "phone", "address_1", "address_2", "last_name")
        yield from (str(told.get(name) or "") for name in names) if told else ()
    if profile is not None:
        yield profile.vat_id or ""
        yield str((profile.bank or {}).get("iban") or "")
    for line in trade.lines:
        yield from (word for word in (line.sku, line.gtin, _sku(session, line.product_id)) if word)
