"""A trade with its two orders: the retailer's and the supplier's child order (K6). What several flows need, because flows do not import flows.

Locks are always taken in one order: child orders by id, then the retailer's order, then trades by id. What may go wrong: the retailer must never
lose what happened, and the supplier must never see another supplier's part; so each side is told by its own line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, aliased

from app import ledger, outbox, reservations
from app import messages as m
from app.models import Connection, Order, OrderLine, OrderPiece, Profile, Trade
from app.rules import status
from app.rules import trade as rules
from app.story import close_case, order_case, tell

OPEN = (m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)
SUPPLIER, RETAILER = "shop", "marketplace"
"""Who asked for the cancellation of a child order's piece, in the words of OrderPiece.cancel_asked_by: to the supplier, the network is his market."""

GONE = (m.PieceState.SHIPPED, m.PieceState.DELIVERED, m.PieceState.RETURNED)


# --- finding and locking ------------------------------------------------------------------------------------------------------


def of_child(session: Session, order_id: int) -> Trade | None:
    """The trade whose child order this is, locked together with the retailer's order. The caller holds the child order already."""
    found = session.scalar(select(Trade).where(Trade.order_id == order_id))
    return None if found is None else _locked(session, found)


def lock(session: Session, trade_id: int) -> Trade:
    """A trade, locked together with its child order and the retailer's order, with what is true now."""
    found = session.scalars(select(Trade).where(Trade.id == trade_id)).one()
    if found.order_id is not None:
        lock_orders(session, [found.order_id])
    return _locked(session, found)


def _locked(session: Session, trade: Trade) -> Trade:
    lock_orders(session, [trade.retail_order_id])
    query = select(Trade).where(Trade.id == trade.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def lock_orders(session: Session, order_ids: Iterable[int]) -> None:
    """Lock these orders one after another, by id."""
    ids = sorted(set(order_ids))
    session.execute(select(Order.id).where(Order.id.in_(ids)).order_by(Order.id).with_for_update())


def lock_children_of(session: Session, shop: Connection, seen: m.ShopOrderSeen) -> None:
    """Lock the child orders of a retailer's order before that order itself is locked (see the lock order above)."""
    if seen.key is None:
        lock_children(session, shop, seen.external_id)
    else:
        _lock_children(session, shop, (Order.account_id == shop.account_id) & (Order.key == seen.key))


def lock_children(session: Session, shop: Connection, shop_order_id: str) -> None:
    """The same for an order of which only the shop's id is known."""
    _lock_children(session, shop, Order.shop_order_id == shop_order_id)


def _lock_children(session: Session, shop: Connection, which: ColumnElement[bool]) -> None:
    query = (
        select(Trade.order_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(Order.shop_id == shop.id, which, Trade.order_id.is_not(None))
    )
    lock_orders(session, [found for found in session.scalars(query) if found is not None])


def of_retail(session: Session, order: Order) -> list[Trade]:
    """All trades of a retailer's order, locked, oldest first."""
    query = select(Trade).where(Trade.retail_order_id == order.id).order_by(Trade.id).with_for_update()
    return list(session.scalars(query.execution_options(populate_existing=True)))


def child_of(session: Session, trade: Trade) -> Order:
    """The supplier's order."""
    return session.get_one(Order, trade.order_id)


def retail_of(session: Session, trade: Trade) -> Order:
    """The retailer's order."""
    return session.get_one(Order, trade.retail_order_id)


def pieces_of(session: Session, trade: Trade) -> list[OrderPiece]:
    """All pieces of the child order."""
    query = select(OrderPiece).where(OrderPiece.order_id == trade.order_id).order_by(OrderPiece.id)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def by_line(session: Session, trade: Trade, pieces: Iterable[OrderPiece]) -> dict[str, list[OrderPiece]]:
    """Pieces of the child order by the retailer's shop line id (the group of their line)."""
    names = dict(
        session.execute(
            select(OrderLine.id, OrderLine.group_key).where(OrderLine.order_id == trade.order_id)
        ).all()
    )
    found: dict[str, list[OrderPiece]] = {}
    for piece in pieces:
        found.setdefault(names[piece.line_id], []).append(piece)
    return found


def units_of(session: Session, trades: Iterable[Trade]) -> dict[str, rules.Units]:
    """What became of every line of a retailer's order, over all his trades, by shop line id."""
    found: dict[str, rules.Units] = {}
    for trade in trades:
        pieces = by_line(session, trade, pieces_of(session, trade))
        for line in trade.lines:
            gone = [piece for piece in pieces.get(line.shop_line_id, ()) if piece.state == "cancelled"]
            back = sum(1 for piece in gone if piece.cancel_asked_by == RETAILER)
            known = found.get(line.shop_line_id, rules.Units())
            found[line.shop_line_id] = rules.Units(
                known.ordered + line.quantity, known.taken_back + back, known.called_off + len(gone) - back
            )
    return found


def is_native(order: Order) -> bool:
    """Whether the shop sold this order itself; else a marketplace did, and there are pieces to be shipped and cancelled there."""
    return order.connection_id == order.shop_id


def network_of(session: Session, supplier_id: int) -> Connection | None:
    """The connection by which a supplier gets child orders; None before his shop is plugged in."""
    query = select(Connection).where(
        Connection.account_id == supplier_id, Connection.role == "network", Connection.state != "removed"
    )
    return session.scalars(query.order_by(Connection.id).limit(1)).one_or_none()


def company(session: Session, account_id: int) -> str:
    """The name by which the other side of a trade knows a member."""
    return address_of(session, account_id).company


def address_of(session: Session, account_id: int) -> m.Address:
    """The address that a member has in his profile; empty where nothing is filled in."""
    told = session.scalar(select(Profile.address).where(Profile.account_id == account_id)) or {}
    return m.Address(**{name: told[name] for name in m.Address.__dataclass_fields__ if told.get(name)})


# --- what both sides are told ---------------------------------------------------------------------------------------------------


def tell_both(session: Session, trade: Trade, code: str, /, **params: Any) -> None:
    """The same line in both orders. The retailer's names the supplier: he knows him, his customers never read it."""
    tell(session, child_of(session, trade), code, **params)
    tell_retailer(session, trade, code, **params)


def tell_retailer(session: Session, trade: Trade, code: str, /, **params: Any) -> None:
    """A line in the retailer's order."""
    tell(session, retail_of(session, trade), code, supplier=company(session, trade.supplier_id), **params)


def note_in_shop(session: Session, order: Order, key: str, code: str, /, **params: Any) -> None:
    """A note on the order page of the shop, once by `key`. `params` must name nobody: in some shops customers read notes."""
    if order.shop_id is not None:
        payload = {"code": code, "params": params}
        outbox.write_for_order(session, order, order.shop_id, "order.note", key, payload)


def move(trade: Trade, wanted: str) -> bool:
    """A step forward of the trade's state; False when it was none."""
    before, trade.state = trade.state, rules.after(trade.state, wanted)
    return trade.state != before


# --- taking back -----------------------------------------------------------------------------------------------------------------


def take_back(session: Session, pieces: Sequence[OrderPiece], *, by: str) -> list[OrderPiece]:
    """These pieces of a child order will not be shipped: what they held is free again. Answers those that really were taken back now.

    `by`: who wanted it, SUPPLIER or RETAILER.
    """
    done = []
    for piece in pieces:
        state = m.PieceState(piece.state)
        if status.piece_after(state, m.PieceState.CANCELLED) is state:
            continue
        piece.state, piece.cancel_asked_by = m.PieceState.CANCELLED, by
        done.append(piece)
    session.flush()
    reservations.release(session, [piece.id for piece in done])
    return done


def cancel_in_marketplace(
    session: Session, retail: Order, lines: dict[str, int], reason: str
) -> list[OrderPiece]:
    """The pieces behind these lines (retailer's shop line id -> units) are cancelled at the marketplace that sold them.

    Answers those that have left already: nobody can cancel them there any more.
    """
    if is_native(retail):
        return []
    late: list[OrderPiece] = []
    due: list[OrderPiece] = []
    names = {line.shop_line_id: line.id for line in _lines(session, retail)}
    for name, quantity in sorted(lines.items()):
        behind = _pieces_of_line(session, names.get(name))
        free = [piece for piece in behind if piece.state in OPEN and piece.cancel_asked_by is None]
        due += [piece for piece in free if piece.shipment_id is None][:quantity]
        late += [piece for piece in behind if piece.state in GONE or piece.shipment_id is not None]
    if due:
        payload = {"pieces": [piece.id for piece in due], "reason": reason}
        key = f"cancel:{due[0].id}"
        if outbox.write_for_order(session, retail, retail.connection_id, "cancel", key, payload) is not None:
            for piece in due:
                piece.cancel_asked_by = "shop"
            tell(session, retail, "cancel.by_shop", pieces=len(due))
    return late


def _pieces_of_line(session: Session, line_id: int | None) -> list[OrderPiece]:
    if line_id is None:
        return []
    query = select(OrderPiece).where(OrderPiece.line_id == line_id).order_by(OrderPiece.id)
    return list(session.scalars(query))


def answered(session: Session, trade: Trade) -> None:
    """Nobody waits any more for the supplier's yes: he has answered, or there is nothing left to say yes to."""
    child = f"order/{trade.order_id}"
    for code in ("trade.to_accept", "trade.answer_due"):
        close_case(session, account_id=trade.supplier_id, subject=child, code=code)
    retail = f"order/{trade.retail_order_id}/trade/{trade.id}"
    close_case(session, account_id=trade.retailer_id, subject=retail, code="trade.not_answered_yet")


def over(session: Session, trade: Trade) -> None:
    """Nothing of this trade will be shipped any more: nobody has to wait for an answer, or for a shop that is not connected."""
    answered(session, trade)
    child, retail = f"order/{trade.order_id}", f"order/{trade.retail_order_id}/trade/{trade.id}"
    for account_id, subject, code in (
        (trade.supplier_id, child, "trade.own_shop_gone"),
        (trade.supplier_id, child, "trade.retailer_shop_gone"),
        (trade.retailer_id, retail, "trade.own_shop_gone"),
        (trade.retailer_id, retail, "trade.supplier_shop_gone"),
        (trade.retailer_id, retail, "trade.supplier_shop_gone_late"),
    ):
        close_case(session, account_id=account_id, subject=subject, code=code)


def end(session: Session, trade: Trade, *, state: str, code: str, by: ledger.Source, **told: Any) -> None:
    """Everything of this trade is over by the supplier's word (`state` cancelled or rejected): the retailer gets the whole rest of his money
    back (K9), and his shop and a marketplace behind it hear of it (K10). `told` fills the sentence of `code`. Locked by the caller.
    """
    before = pieces_of(session, trade)
    live = [piece for piece in before if piece.state != m.PieceState.CANCELLED]
    left = [piece for piece in live if piece.state in GONE]
    take_back(session, live, by=SUPPLIER)
    trade.state = rules.after(trade.state, state)
    trade.cancelled_at, trade.pass_on_at = datetime.now(UTC), None
    child_of(session, trade).wait_until = None
    returned = ledger.cancel(session, trade, key=state, by=by)
    over(session, trade)
    tell_both(session, trade, code, amount=returned.amount, currency=trade.currency, **told)
    lines = {name: len(pieces) for name, pieces in by_line(session, trade, live).items()}
    late = mirror(session, trade, lines)
    if left or late:
        order_case(
            session, retail_of(session, trade), "trade.cancelled_after_shipping", part=f"trade/{trade.id}"
        )
    complete_when_all_left(session, retail_of(session, trade))


def mirror(session: Session, trade: Trade, lines: dict[str, int]) -> list[OrderPiece]:
    """Units (retailer's shop line id -> how many) that the supplier called off are cancelled in the retailer's shop, and at the marketplace
    behind it. Answers the marketplace's pieces that have left already.
    """
    retail = retail_of(session, trade)
    lines = _not_gone_yet(session, retail, lines)
    late = cancel_in_marketplace(session, retail, lines, "out_of_stock")
    if lines and retail.shop_id is not None:
        payload = {"trade": trade.id, "lines": sorted(lines.items())}
        called_off = sum(1 for piece in pieces_of(session, trade) if piece.state == m.PieceState.CANCELLED)
        key = f"trade.cancel:{trade.id}:{called_off}"
        outbox.write_for_order(session, retail, retail.shop_id, "trade.cancel", key, payload)
    return late


def _not_gone_yet(session: Session, retail: Order, lines: Mapping[str, int]) -> dict[str, int]:
    """Of units that no supplier ships any more those that the marketplace still waits for: its buyer may have cancelled them before, and what
    is called off for that reason must not take another unit with it.
    """
    if is_native(retail):
        return dict(lines)
    units = units_of(session, of_retail(session, retail))
    names = {line.shop_line_id: line.id for line in _lines(session, retail)}
    found = {}
    for name, quantity in lines.items():
        behind = _pieces_of_line(session, names.get(name))
        gone = sum(1 for each in behind if each.state == "cancelled" or each.cancel_asked_by is not None)
        unshipped = units[name].taken_back + units[name].called_off - gone
        if unshipped > 0:
            found[name] = min(quantity, unshipped)
    return found


def complete_when_all_left(session: Session, retail: Order) -> None:
    """The retailer's order is completed in his shop once every part of it has left and nothing in it is his own to ship."""
    trades = of_retail(session, retail)
    shipped = [trade for trade in trades if trade.state in {"shipped", "closed"}]
    waiting = [trade for trade in trades if trade.state not in rules.OVER and trade not in shipped]
    if not shipped or waiting or retail.shop_id is None or foreign_lines(session, retail, trades):
        return
    key = f"trade.completed:{retail.id}:{trades[-1].id}"
    outbox.write_for_order(session, retail, retail.shop_id, "trade.completed", key, {})


def behind(session: Session, retail: Order, lines: Mapping[str, int]) -> list[OrderPiece]:
    """The marketplace's pieces behind these lines that are cancelled or being cancelled."""
    names = {line.shop_line_id: line.id for line in _lines(session, retail)}
    found: list[OrderPiece] = []
    for name, quantity in sorted(lines.items()):
        pieces = _pieces_of_line(session, names.get(name))
        found += [piece for piece in pieces if piece.cancel_asked_by is not None and not piece.refunded][
            :quantity
        ]
    return found


def follow_pieces(session: Session, trade: Trade) -> None:
    """The trade's state follows what became of its pieces; the retailer's order is completed when this was the last of it."""
    wanted = rules.progress(m.PieceState(piece.state) for piece in pieces_of(session, trade))
    if wanted is not None:
        move(trade, wanted)
    complete_when_all_left(session, retail_of(session, trade))


def foreign_lines(session: Session, retail: Order, trades: Collection[Trade]) -> list[OrderLine]:
    """Lines of a retailer's order in which no supplier has a part: his own goods."""
    ours = {line.shop_line_id for trade in trades for line in trade.lines}
    return [line for line in _lines(session, retail) if line.shop_line_id not in ours]


def _lines(session: Session, order: Order) -> list[OrderLine]:
    return list(
        session.scalars(select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.id))
    )


_NETWORK, _SHOP = aliased(Connection), aliased(Connection)
_UNPLUGGED = (
    select(_NETWORK.id)
    .join(_SHOP, _SHOP.id == _NETWORK.shop_id)
    .where(_NETWORK.account_id == Trade.supplier_id, _NETWORK.role == "network", _SHOP.state == "removed")
    .correlate(Trade)
    .exists()
)
"""The supplier's plugin is gone: his part waits until it is back, and the retailer can take it back until then."""


def is_unplugged(session: Session, trade: Trade) -> bool:
    """Whether the shop into which this part would go is not connected any more."""
    return session.scalar(select(Trade.id).where(Trade.id == trade.id, _UNPLUGGED)) is not None


def waiting_networks(session: Session, now: datetime) -> list[int]:
    """Network connections with a trade that may be passed on `now`, or whose payment has failed: the sweep rings their out lanes."""
    query = (
        select(Connection.id)
        .join(Trade, Trade.supplier_id == Connection.account_id)
        .join(Profile, Profile.account_id == Trade.supplier_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(Connection.role == "network", Connection.state == "active", due(now))
        .distinct()
    )
    return list(session.scalars(query))


def due(now: datetime) -> ColumnElement[bool]:
    """When the out lane of a supplier works on a trade: the condition over Trade, its supplier's Profile and the retailer's Order."""
    passable = and_(
        or_(Trade.state == "accepted", and_(Trade.state == "held", Profile.accepts_orders)),
        Trade.pass_on_at <= now,
        Trade.frozen.is_(False),
        Order.shop_status.in_(sorted(rules.PAID)),
        ~_UNPLUGGED,
    )
    return and_(
        Trade.pass_on_at.is_not(None),
        Trade.passed_on_at.is_(None),
        or_(passable, Trade.state == "payment_failed"),
    )
