"""The retailer's status changes reach his suppliers, except COMPLETED, REFUNDED and CANCELLED (K12).

What may go wrong: the supplier is done with his order. Then nothing touches it any more. A status that his shop does not know becomes a note.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, trades
from app.delivery import Delivered
from app.errors import Refused
from app.models import Account, Connection, Order, Trade
from app.registry import ShopClient
from app.rules import reasons
from app.rules import trade as rules
from app.story import tell

_THEIRS = {m.ShopStatus.ON_HOLD: "on-hold"}


def by_retailer(session: Session, order: Order, was: str | None, seen: m.ShopOrderSeen) -> None:
    """The newest status of a retailer's order; `was` is the one before. Every part that its supplier has gets it."""
    if was is None or was == seen.status or not rules.forwarded(seen.status):
        return
    for trade in trades.of_retail(session, order):
        child = session.get(Order, trade.order_id) if trade.order_id is not None else None
        if child is None or child.shop_id is None or trade.passed_on_at is None or _is_over(trade, child):
            continue
        payload = {"status": _word(seen)}
        key = f"trade.status:{trade.id}:{order.shop_sequence}"
        outbox.write_for_order(session, child, child.shop_id, "trade.status", key, payload)


def deliver(session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient) -> Delivered:
    """Give the supplier's order the status, unless he is done with it by now."""
    child = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    trade = session.scalars(select(Trade).where(Trade.order_id == child.id)).one()
    if child.shop_order_id is None or _is_over(trade, child):
        return Delivered({"skipped": f"the shop's order is {child.shop_status}"})
    status, order_id = str(command.payload["status"]), child.shop_order_id
    locale = session.get_one(Account, child.account_id).locale
    session.commit()
    try:
        client.send(command.public_id, "order.status", {"order_id": order_id, "status": status, "note": ""})
    except Refused as error:
        if error.code != "shop.status_unknown":
            raise
        note = reasons.sentence("trade.note_status", {"status": status}, locale)
        data = {"order_id": order_id, "note": note, "key": f"note_{command.public_id}"}
        client.send(f"{command.public_id}_n", "order.note", data)
    child = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    tell(session, child, "trade.status_forwarded", command_id=command.id, status=status)
    return Delivered({"status": status})


def _is_over(trade: Trade, child: Order) -> bool:
    done = child.shop_status is not None and m.ShopStatus(child.shop_status) in rules.TERMINAL
    return done or trade.state in rules.OVER or trade.state == "closed"


def _word(seen: m.ShopOrderSeen) -> str:
    """The status in the protocol's words; what only the retailer's shop knows goes out as it is."""
    if seen.status is m.ShopStatus.OTHER:
        return seen.raw_status.strip().lower().removeprefix("wc-")
    return _THEIRS.get(seen.status, str(seen.status))
