"""A retailer has sold something that suppliers ship: each of them gets his part, reserved at first sight and not yet passed on (K6).

The door plays the story in three steps, because flows do not call flows: `receive` says which parts are new, `order_placed.receive` takes each
part in as announced pieces of a child order (so its stock is held), `reserved` binds both together and asks for the money.
What may go wrong: a line that cannot be traded (partnership ended, no dealer price, supplier not connected) becomes a case and never holds up
the others; the retailer's own goods are none of our business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from app import ledger, reservations, trades
from app import messages as m
from app.models import (
    Account,
    Connection,
    Listing,
    Order,
    OrderLine,
    Partnership,
    PriceGroup,
    Product,
    Profile,
    Release,
    Trade,
    TradeLine,
)
from app.rules import trade as rules
from app.story import close_case, close_cases, order_case, tell

MAX_UNITS = 5_000
"""So many units one look at an order passes on. Every unit is a row of its own (a piece), about a millisecond's work, and a worker holds an event
for half a minute (SHOPBRIDGE_IN_LEASE_SECONDS): one that takes longer would be begun again and again.
"""


@dataclass(frozen=True)
class Conditions:
    """What the operator keeps, copied into every trade: basis points of the released amount, and the VAT on that."""

    fee_bp: int = 0
    fee_vat_bp: int = 1900


@dataclass(frozen=True)
class Part:
    """One supplier's new part: the trade, the connection his orders come by, and what that connection sees of it."""

    trade: Trade
    network: Connection
    seen: m.OrderSeen


@dataclass(frozen=True)
class _Line:
    """One line that a supplier ships. `price` is the gross dealer price of one unit for this retailer."""

    seen: m.ShopLineSeen
    listing: Listing
    partnership: Partnership
    product: Product
    release: Release
    price: int
    quantity: int


class _Sides:
    """Who trades with whom, read once for a whole order: the session alone forgets what nobody holds."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.profiles: dict[int, Profile | None] = {}
        self.networks: dict[int, tuple[Connection, Connection] | None] = {}

    def profile(self, account_id: int) -> Profile | None:
        """A member's profile, when the operator has approved it."""
        if account_id not in self.profiles:
            self.profiles[account_id] = self.session.get(Profile, account_id)
        found = self.profiles[account_id]
        return found if found is not None and found.state == "approved" else None

    def network(self, supplier_id: int) -> tuple[Connection, Connection] | None:
        """The connection by which a supplier gets his orders, and the shop they go into."""
        if supplier_id not in self.networks:
            found = trades.network_of(self.session, supplier_id)
            shop = (
                self.session.get(Connection, found.shop_id) if found is not None and found.shop_id else None
            )
            # A shop that only rests gets the order later; one whose plugin is gone may never come back.
            if found is None or shop is None or shop.state == "removed":
                self.networks[supplier_id] = None
            else:
                self.networks[supplier_id] = (found, shop)
        return self.networks[supplier_id]


_OF_THE_NETWORK = text("""
    SELECT 'product', shop_product_id FROM listing WHERE shop_id = :shop AND shop_product_id = ANY(:products)
    UNION ALL
    SELECT DISTINCT 'order', o.shop_order_id FROM orders o JOIN trade t ON t.retail_order_id = o.id
    WHERE o.shop_id = :shop AND o.shop_order_id = ANY(:orders)
""").bindparams(bindparam("products", type_=ARRAY(Text)), bindparam("orders", type_=ARRAY(Text)))


def of_the_network(session: Session, shop: Connection, orders: Iterable[m.ShopOrderSeen]) -> set[str]:
    """Ids of those orders in which a supplier has or may get a part: one question for a whole batch, answered by two indexes."""
    by_id: dict[str, set[str]] = {}
    for seen in orders:
        products = {line.product_external_id for line in seen.lines if line.product_external_id}
        by_id.setdefault(seen.external_id, set()).update(products)
    if not by_id:
        return set()
    asked = {"shop": shop.id, "products": sorted(set().union(*by_id.values())), "orders": sorted(by_id)}
    found = session.execute(_OF_THE_NETWORK, asked).all()
    listed = {name for kind, name in found if kind == "product"}
    known = {name for kind, name in found if kind == "order"}
    return {name for name, products in by_id.items() if name in known or products & listed}


def remember(session: Session, shop: Connection, seen: m.ShopOrderSeen, now: datetime) -> None:
    """A row for an order that the shop sold itself, whatever its status: an older event of it may still be on its way."""
    session.execute(
        insert(Order)
        .values(
            account_id=shop.account_id,
            connection_id=shop.id,
            external_id=seen.external_id,
            key=f"shop:{shop.key}:{seen.external_id}",
            currency=seen.currency,
            placed_at=seen.placed_at or now,
            shop_id=shop.id,
            shop_order_id=seen.external_id,
            shop_number=seen.number,
            stopped=False,
        )
        .on_conflict_do_nothing()
    )


def receive(
    session: Session,
    shop: Connection,
    order: Order,
    seen: m.ShopOrderSeen,
    conditions: Conditions,
    now: datetime,
    *,
    was: str | None = None,
) -> list[Part]:
    """The newest look at a retailer's order, locked with its children; `was` is the status before. Answers the parts that are new.

    A line that was added later, or more units of one, is a part of its own: what a supplier has taken in never changes. An order on hold
    reserves (its own shop has taken the goods out of its stock); what it reserved is charged when it is paid. It reserves once: what nobody has
    paid for in time is free until the money is there.
    """
    if trades.is_native(order):
        _keep_lines(session, order, seen)
        _keep_buyer(session, order, seen)
    known = trades.of_retail(session, order)
    _new_address(session, order, known)
    if seen.status in rules.PAID:
        _charge_reserved(session, known, now)
    expired = [trade for trade in known if trade.expired_at is not None]
    if expired and seen.status not in rules.RESERVED - rules.PAID:
        _paid_or_over(session, expired)
    if not rules.orders_now(seen.status, was) or (expired and seen.status not in rules.PAID):
        return []
    sides = _Sides(session)
    lines = _new_lines(sides, shop, order, seen, known)
    parts: dict[tuple[int, str], list[_Line]] = {}
    for line in lines:
        parts.setdefault((line.partnership.supplier_id, line.release.currency or ""), []).append(line)
    made = [_part(sides, shop, order, seen, parts[which], known, conditions, now) for which in sorted(parts)]
    return [part for part in made if part is not None]


def reserved(session: Session, part: Part, child: Order) -> None:
    """The child order is there and holds the stock: bind both together, ask for the retailer's money."""
    trade = part.trade
    trade.order_id = child.id
    session.flush()
    if trades.retail_of(session, trade).shop_status in rules.PAID:
        _charge(session, trade)
        _say_what_is_short(session, trade)
    else:
        trades.tell_both(session, trade, "trade.reserved")


def _charge_reserved(session: Session, known: Iterable[Trade], now: datetime) -> None:
    """The order is paid: what was only reserved is charged, and the retailer's regret window begins."""
    for trade in known:
        if trade.state == "received" and trade.order_id is not None:
            retailer = session.get_one(Profile, trade.retailer_id)
            trade.pass_on_at = now + timedelta(minutes=max(0, retailer.hold_minutes))
            _charge(session, trade)


def _charge(session: Session, trade: Trade) -> None:
    child = trades.child_of(session, trade)
    tell(session, child, "trade.received", amount=trade.total, currency=trade.currency)
    trades.tell_retailer(
        session,
        trade,
        "trade.placed",
        lines=len(trade.lines),
        amount=trade.total,
        currency=trade.currency,
    )
    ledger.charge(session, trade)
    accepts = select(Profile.accepts_orders).where(Profile.account_id == trade.supplier_id)
    if not session.scalar(accepts):
        order_case(session, child, "trade.to_accept", amount=trade.total, currency=trade.currency)


def _paid_or_over(session: Session, expired: Iterable[Trade]) -> None:
    """Nobody has to wait for the money of an order any more whose goods were free again."""
    for trade in expired:
        subject = f"order/{trade.retail_order_id}/trade/{trade.id}"
        close_case(session, account_id=trade.retailer_id, subject=subject, code="trade.reservation_over")


def _say_what_is_short(session: Session, trade: Trade) -> None:
    """The money came after the goods were free again, and others may have bought them: the retailer is told at once what is missing."""
    earlier = select(Trade.id).where(
        Trade.retail_order_id == trade.retail_order_id,
        Trade.supplier_id == trade.supplier_id,
        Trade.expired_at.is_not(None),
    )
    if session.scalar(earlier.limit(1)) is None:
        return
    held = reservations.held(session, [line.product_id for line in trade.lines if line.product_id])
    for line in trade.lines:
        product = session.get(Product, line.product_id) if line.product_id is not None else None
        missing = 0 if product is None or product.stock is None else held.get(product.id, 0) - product.stock
        if missing > 0:
            order_case(
                session,
                trades.retail_of(session, trade),
                "trade.paid_late",
                part=f"trade/{trade.id}/line/{line.shop_line_id}",
                title=line.title,
                missing=min(missing, line.quantity),
            )


# --- the shop's own order -----------------------------------------------------------------------------------------------------


def _keep_lines(session: Session, order: Order, seen: m.ShopOrderSeen) -> None:
    """The lines of the shop's order, without pieces: so it is known whether something in it is the retailer's own to ship."""
    known = {
        line.shop_line_id: line
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    for line in seen.lines:
        if line.external_id not in known and line.quantity:
            session.add(
                OrderLine(
                    order_id=order.id,
                    group_key=line.external_id,
                    shop_line_id=line.external_id,
                    sku=line.sku,
                    title=line.title,
                    unit_price=line.total // line.quantity,
                )
            )
    there = {line.external_id for line in seen.lines}
    for name, row in known.items():
        if name not in there:
            session.delete(row)
    session.flush()


def _keep_buyer(session: Session, order: Order, seen: m.ShopOrderSeen) -> None:
    if seen.shipping is None or order.purged_at is not None:
        return
    buyer = {"billing": asdict(seen.billing or seen.shipping), "shipping": asdict(seen.shipping)}
    if order.buyer != buyer:
        order.buyer = buyer
        session.flush()


def _new_address(session: Session, order: Order, known: Iterable[Trade]) -> None:
    """The customer moves before the part is passed on: the supplier gets the new address. Afterwards somebody has to tell him."""
    if order.buyer is None:
        return
    address = asdict(_delivery_address(order))
    for trade in known:
        child = session.get(Order, trade.order_id) if trade.order_id is not None else None
        if child is None or child.buyer is None or child.buyer["shipping"] == address:
            continue
        if trade.passed_on_at is None:
            child.buyer = {**child.buyer, "shipping": address}
        elif trade.state in {"accepted", "part_shipped"}:
            order_case(session, order, "trade.address_changed", part=f"trade/{trade.id}")


def _delivery_address(order: Order) -> m.Address:
    """As the supplier gets it."""
    buyer = order.buyer or {"shipping": {}}
    return rules.for_the_supplier(m.Address(**buyer["shipping"]))


# --- which lines are traded ------------------------------------------------------------------------------------------------------


def _new_lines(
    sides: _Sides, shop: Connection, order: Order, seen: m.ShopOrderSeen, known: list[Trade]
) -> list[_Line]:
    """Lines, or units of lines, that no trade has yet and that can be traded."""
    session = sides.session
    listings = _listings(session, shop, seen)
    units, wanted = trades.units_of(session, known), rules.wanted(seen)
    found: list[_Line] = []
    well: list[str] = []
    for line in seen.lines:
        listing = listings.get(line.product_external_id or "")
        missing = units.get(line.external_id, rules.Units()).missing(wanted[line.external_id])
        if listing is None or not missing or _is_his_own(order, listing):
            continue
        made = _line(sides, order, line, listing, missing)
        if isinstance(made, _Line) and sum(each.quantity for each in found) + missing > MAX_UNITS:
            # The whole line or nothing of it: half of what a customer has bought is worse than a case.
            made = m.Reason("trade.too_many_units", {"pieces": missing, "limit": MAX_UNITS})
        if isinstance(made, m.Reason):
            where = f"trade-line/{line.external_id}"
            order_case(session, order, made.code, part=where, title=line.title, **made.params)
        else:
            found.append(made)
            well.append(f"order/{order.id}/trade-line/{line.external_id}")
    close_cases(session, account_id=order.account_id, subjects=well)
    return found


def _is_his_own(order: Order, listing: Listing) -> bool:
    return rules.is_his_own(adopted=listing.adopted, placed_at=order.placed_at, listed_at=listing.created_at)


def _listings(session: Session, shop: Connection, seen: m.ShopOrderSeen) -> Mapping[str, Listing]:
    ids = {line.product_external_id for line in seen.lines if line.product_external_id}
    query = select(Listing).where(Listing.shop_id == shop.id, Listing.shop_product_id.in_(ids))
    return {row.shop_product_id or "": row for row in session.scalars(query)}


def _line(
    sides: _Sides, order: Order, line: m.ShopLineSeen, listing: Listing, quantity: int
) -> _Line | m.Reason:
    """The line with its price, or why it cannot be traded."""
    session = sides.session
    partnership = session.get_one(Partnership, listing.partnership_id)
    release = session.get(Release, listing.product_id)
    why = _obstacle(sides, order, partnership, release)
    if why is not None or release is None:
        return why or m.Reason("trade.no_dealer_price")
    return _Line(
        seen=line,
        listing=listing,
        partnership=partnership,
        product=session.get_one(Product, listing.product_id),
        release=release,
        price=rules.unit_price(release.price or 0, _discount(session, partnership)),
        quantity=quantity,
    )


def _obstacle(
    sides: _Sides, order: Order, partnership: Partnership, release: Release | None
) -> m.Reason | None:
    if partnership.state != "active":
        return m.Reason("trade.partnership_not_active")
    if sides.network(partnership.supplier_id) is None or sides.profile(partnership.supplier_id) is None:
        return m.Reason("trade.supplier_not_ready")
    if sides.profile(partnership.retailer_id) is None:
        return m.Reason("trade.retailer_not_approved")
    # What is no longer released was sold by a listing that the shop had not taken off yet: the goods are there, and the last price stands.
    if release is None or not release.price or not release.currency:
        return m.Reason("trade.no_dealer_price")
    if order.buyer is None or not rules.is_deliverable(_delivery_address(order)):
        return m.Reason("trade.address_missing")
    return None


def _discount(session: Session, partnership: Partnership) -> int:
    group = session.get(PriceGroup, partnership.price_group_id) if partnership.price_group_id else None
    return group.discount_bp if group is not None else 0


# --- one supplier's part -----------------------------------------------------------------------------------------------------------


def _part(
    sides: _Sides,
    shop: Connection,
    order: Order,
    seen: m.ShopOrderSeen,
    lines: list[_Line],
    known: list[Trade],
    conditions: Conditions,
    now: datetime,
) -> Part | None:
    partnership = lines[0].partnership
    his = sides.network(partnership.supplier_id)
    if his is None:
        return None  # said by _obstacle
    network, suppliers_shop = his
    earlier = [trade.part for trade in known if trade.supplier_id == partnership.supplier_id]
    number = max(earlier, default=0) + 1
    external_id = rules.external_id(_name(shop), _name(suppliers_shop), seen.external_id, number)
    trade = _trade(sides, order, partnership, lines, number, rules.key(external_id), conditions, now)
    known.append(trade)
    return Part(trade, network, _seen(sides.session, order, seen, trade, lines, external_id))


def _name(shop: Connection) -> str:
    """What a shop is called for ever: its address; a system without one by its key."""
    return shop.base_url or shop.key


def _trade(
    sides: _Sides,
    order: Order,
    partnership: Partnership,
    lines: list[_Line],
    number: int,
    key: str,
    conditions: Conditions,
    now: datetime,
) -> Trade:
    """Prices, policy and fee are copied: a later change of conditions does not touch what was sold."""
    supplier, retailer = sides.profile(partnership.supplier_id), sides.profile(partnership.retailer_id)
    goods, shipping = sum(line.price * line.quantity for line in lines), 0
    if supplier is not None:
        shipping = rules.shipping_price(goods, supplier.shipping_price, supplier.shipping_free_from)
    hold = max(0, retailer.hold_minutes) if retailer is not None else 0
    trade = Trade(
        key=key,
        partnership_id=partnership.id,
        retailer_id=partnership.retailer_id,
        supplier_id=partnership.supplier_id,
        retail_order_id=order.id,
        part=number,
        state="received",
        currency=lines[0].release.currency or "",
        goods=goods,
        shipping=shipping,
        total=goods + shipping,
        fee_bp=conditions.fee_bp,
        fee_vat_bp=conditions.fee_vat_bp,
        policy=dict(partnership.policy),
        pass_on_at=now + timedelta(minutes=hold),
        lines=[_trade_line(line) for line in lines],
    )
    sides.session.add(trade)
    sides.session.flush()
    return trade


def _trade_line(line: _Line) -> TradeLine:
    return TradeLine(
        listing_id=line.listing.id,
        product_id=line.product.id,
        shop_line_id=line.seen.external_id,
        sku=line.product.sku,
        gtin=line.product.gtin,
        title=line.product.title or line.seen.title,
        quantity=line.quantity,
        unit_price=line.price,
        vat_percent=line.release.vat_percent,
    )


def _seen(
    session: Session,
    order: Order,
    seen: m.ShopOrderSeen,
    trade: Trade,
    lines: list[_Line],
    external_id: str,
) -> m.OrderSeen:
    """The part as the supplier's network connection sees it: pieces at dealer prices, shipping on the first one, the retailer as buyer."""
    pieces = [
        _piece(trade, line, number, order.ship_by) for line in lines for number in range(1, line.quantity + 1)
    ]
    pieces[0] = replace(pieces[0], shipping_price=trade.shipping)
    retailer = trades.address_of(session, trade.retailer_id)
    return m.OrderSeen(
        external_id=external_id,
        placed_at=order.placed_at,
        currency=trade.currency,
        pieces=tuple(pieces),
        billing=retailer,
        shipping=_delivery_address(order),
        country=(order.buyer or {}).get("shipping", {}).get("country") or None,
        sold_by=retailer.company or session.get_one(Account, trade.retailer_id).name,
        number=seen.number,
    )


def _piece(trade: Trade, line: _Line, number: int, ship_by: datetime | None) -> m.PieceSeen:
    return m.PieceSeen(
        external_id=f"{trade.key}-{line.seen.external_id}-{number}",
        group=line.seen.external_id,
        sku=line.product.sku,
        gtin=line.product.gtin,
        title=line.product.title or line.seen.title,
        unit_price=line.price,
        shipping_price=0,
        state=m.PieceState.ANNOUNCED,
        raw_state="announced",
        vat_percent=line.release.vat_percent,
        ship_by=ship_by,
        product_external_id=line.product.external_id,
    )
