"""A shop with open orders of the network is unplugged: who waits for it must hear so, and what to do (K6, K9; never in silence).

Only cases are written: no money moves because a plugin was removed, it stays held until a parcel, a refund or a cancellation says where it goes. What
the supplier's shop has not been called for can still be taken back by the retailer. What may go wrong: the shop comes back (its cases are closed
then) or is unplugged twice (a case is open once).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from app import trades
from app.models import Connection, Order, OrderPiece, Trade
from app.story import close_case, order_case

_OPEN = ("received", "payment_pending", "held", "accepted", "part_shipped")
_CHILD, _RETAIL = aliased(Order), aliased(Order)


def gone(session: Session, shop: Connection) -> int:
    """The shop says nothing any more: both sides of every open trade in it get a case. Answers how many trades these are."""
    found = _of_shop(session, shop, _OPEN)
    for trade in found:
        if trades.retail_of(session, trade).shop_id == shop.id:
            _retailers_shop(session, trade)
        if trades.child_of(session, trade).shop_id == shop.id:
            _suppliers_shop(session, trade)
    return len(found)


def back(session: Session, shop: Connection) -> None:
    """It is plugged in again: what it did meanwhile is reported by its own outbox, so nobody has to act any more."""
    for trade in _of_shop(session, shop, None):
        child, retail = f"order/{trade.order_id}", f"order/{trade.retail_order_id}/trade/{trade.id}"
        if trades.retail_of(session, trade).shop_id == shop.id:
            close_case(session, account_id=trade.supplier_id, subject=child, code="trade.retailer_shop_gone")
            close_case(session, account_id=trade.retailer_id, subject=retail, code="trade.own_shop_gone")
        if trades.child_of(session, trade).shop_id == shop.id:
            close_case(session, account_id=trade.supplier_id, subject=child, code="trade.own_shop_gone")
            for code in ("trade.supplier_shop_gone", "trade.supplier_shop_gone_late"):
                close_case(session, account_id=trade.retailer_id, subject=retail, code=code)
    close_case(session, account_id=shop.account_id, subject=f"connection/{shop.id}", code="plugin.removed")


def _of_shop(session: Session, shop: Connection, states: Sequence[str] | None) -> Sequence[Trade]:
    """Trades of which one of the two orders stands in this shop."""
    query = (
        select(Trade)
        .join(_CHILD, _CHILD.id == Trade.order_id)
        .join(_RETAIL, _RETAIL.id == Trade.retail_order_id)
        .where(
            or_(Trade.supplier_id == shop.account_id, Trade.retailer_id == shop.account_id),
            or_(_CHILD.shop_id == shop.id, _RETAIL.shop_id == shop.id),
        )
        .order_by(Trade.id)
    )
    return session.scalars(query if states is None else query.where(Trade.state.in_(states))).all()


def _retailers_shop(session: Session, trade: Trade) -> None:
    """He cannot take anything back any more, and hears of no parcel and no cancellation in his shop; his supplier ships as ordered."""
    child, retail = trades.child_of(session, trade), trades.retail_of(session, trade)
    order_case(
        session, child, "trade.retailer_shop_gone", retailer=trades.company(session, trade.retailer_id)
    )
    order_case(session, retail, "trade.own_shop_gone", part=f"trade/{trade.id}")


def _suppliers_shop(session: Session, trade: Trade) -> None:
    """What he has in his shop he can only settle when it is connected; what it was never called for the retailer can take back."""
    child, retail = trades.child_of(session, trade), trades.retail_of(session, trade)
    begun = select(OrderPiece.id).where(OrderPiece.order_id == child.id, OrderPiece.in_shop).exists()
    late = trade.passed_on_at is not None and bool(session.scalar(select(begun)))
    order_case(session, child, "trade.own_shop_gone")
    order_case(
        session,
        retail,
        "trade.supplier_shop_gone_late" if late else "trade.supplier_shop_gone",
        part=f"trade/{trade.id}",
        supplier=trades.company(session, trade.supplier_id),
    )
