"""Something a person in the shop should read on the order page, such as "a return is on its way". Nothing is decided by it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import outbox
from app.delivery import Delivered
from app.messages import ShopStatus
from app.models import Account, Connection, Order, Return
from app.registry import ShopClient
from app.rules import reasons


def deliver_status(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Give the shop's order another status; only one that the shop itself put on hold for us is ever changed."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if order.shop_order_id is None or order.shop_status != ShopStatus.ON_HOLD:
        return Delivered({"skipped": f"the shop's order is {order.shop_status}"})
    data = {"order_id": order.shop_order_id, "status": command.payload["status"], "note": ""}
    session.commit()
    client.send(command.public_id, "order.status", data)
    return Delivered()


def deliver(session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient) -> Delivered:
    """Write a note to the shop's order, in the language of the account."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    locale = session.get_one(Account, order.account_id).locale
    row = session.get(Return, command.payload.get("return", 0))
    params = (
        {"reason": row.reason, "number": row.tracking_number, "carrier": row.carrier}
        if row
        else command.payload.get("params", {})
    )
    data = {
        "order_id": order.shop_order_id,
        "note": reasons.sentence(command.payload["code"], params, locale),
        "key": f"note_{command.public_id}",
    }
    session.commit()
    client.send(command.public_id, "order.note", data)
    return Delivered()
