"""The supplier's label shows the retailer as sender, never the supplier (K7).

Written with the order's creation and delivered after it. What may go wrong: the retailer's address is incomplete. Then nothing is sent, the
supplier's plugin refuses every label of this order, and both sides read why; `catch_up` sends it once the address is there.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, trades
from app.delivery import Delivered
from app.models import Command, Connection, Order, Trade
from app.registry import ShopClient
from app.rules import address as addresses
from app.story import close_case, order_case, tell

MISSING = "trade.sender_missing"


def want(session: Session, order: Order) -> None:
    """Write it once for a child order, right after its creation."""
    if order.shop_id is not None:
        outbox.write_for_order(
            session, order, order.shop_id, "order.label_sender", f"order.label_sender:{order.id}"
        )


def deliver(session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient) -> Delivered:
    """Hand the retailer's address, as it is now, to the supplier's shop."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    trade = session.scalars(select(Trade).where(Trade.order_id == order.id)).one()
    sender = trades.address_of(session, trade.retailer_id)
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    if addresses.mistakes(sender):
        return _incomplete(session, trade)
    data = {"order_id": order.shop_order_id, "address": _fields(sender)}
    order_id, trade_id = order.id, trade.id
    session.commit()
    client.send(command.public_id, "order.label_sender", data)
    order = session.scalars(select(Order).where(Order.id == order_id).with_for_update()).one()
    tell(session, order, "trade.label_sender", command_id=command.id)
    _mended(session, session.get_one(Trade, trade_id))
    return Delivered()


def catch_up(session: Session) -> list[int]:
    """Labels that waited for an address which is complete now. Answers the shops' connections that have work. Commits."""
    waiting = (
        select(Trade.retailer_id)
        .join(Command, Command.order_id == Trade.order_id)
        .where(Command.state == "refused", Command.reason_code == MISSING)
        .distinct()
    )
    ready = [
        account_id
        for account_id in session.scalars(waiting)
        if not addresses.mistakes(trades.address_of(session, account_id))
    ]
    if not ready:
        session.commit()
        return []
    theirs = select(Trade.order_id).where(Trade.retailer_id.in_(ready))
    return outbox.replay(
        session,
        Command.kind == "order.label_sender",
        Command.reason_code == MISSING,
        Command.order_id.in_(theirs),
    )


def _fields(sender: m.Address) -> dict[str, str]:
    """As the protocol has it. The retailer's mail address stays with us: carriers would write to him about every parcel."""
    names = (
        "first_name",
        "last_name",
        "company",
        "address_1",
        "address_2",
        "postcode",
        "city",
        "state",
        "country",
    )
    return {name: getattr(sender, name) for name in names}


def _incomplete(session: Session, trade: Trade) -> Delivered:
    field = str(addresses.mistakes(trades.address_of(session, trade.retailer_id))[0].params.get("field", ""))
    for order in (trades.child_of(session, trade), trades.retail_of(session, trade)):
        order_case(session, order, MISSING, part="label", field=field)
    return Delivered(refused=m.Reason(MISSING, {"field": field}))


def _mended(session: Session, trade: Trade) -> None:
    for account_id, order_id in (
        (trade.supplier_id, trade.order_id),
        (trade.retailer_id, trade.retail_order_id),
    ):
        close_case(session, account_id=account_id, subject=f"order/{order_id}/label", code=MISSING)
