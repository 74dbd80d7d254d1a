"""An order changed in the shop: find ours, remember the newest status, learn whether the shop's stock contains it already.

Only orders that the bridge created are followed here; what the shop sells itself reaches us as stock. What may go wrong: the event may arrive
before the answer to our own `order.create` (then it is the answer), or after a newer one (then only what can only grow is taken: tracking
numbers and refund objects).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app import reservations
from app.errors import Refused
from app.models import Connection, Order, OrderLine
from app.story import close_case, order_case, tell


@dataclass(frozen=True)
class Known:
    """Our order, locked, whether this look at it is newer than the last one, and the status it had before."""

    order: Order
    newer: bool
    was: str | None = None


def receive(session: Session, shop: Connection, sequence: int, seen: m.ShopOrderSeen) -> Known | None:
    """None when the order is the shop's own business. Raises Refused(order.key_unknown) when it carries a key that is not ours to touch."""
    order = _find(session, shop, seen)
    if order is None:
        return None
    newer, was = order.shop_sequence is None or sequence > order.shop_sequence, order.shop_status
    if newer:
        _remember(session, order, sequence, seen)
    reservations.contained_from(session, order.id, seen.stock_sequence)
    return Known(order, newer, was)


def known_of(session: Session, shop: Connection, shop_order_ids: Collection[str]) -> set[str]:
    """Those of the shop's order ids that belong to orders which the bridge created."""
    if not shop_order_ids:
        return set()
    query = select(Order.shop_order_id).where(
        Order.shop_id == shop.id, Order.shop_order_id.in_(shop_order_ids)
    )
    return {found for found in session.scalars(query) if found is not None}


def deleted(session: Session, shop: Connection, sequence: int, shop_order_id: str) -> Known | None:
    """The order was trashed or deleted in the shop."""
    order = session.scalar(
        select(Order).where(Order.shop_id == shop.id, Order.shop_order_id == shop_order_id).with_for_update()
    )
    if order is None:
        return None
    newer = order.shop_sequence is None or sequence > order.shop_sequence
    if newer:
        order.shop_sequence, order.shop_status = sequence, m.ShopStatus.DELETED
        tell(session, order, "order.deleted_in_shop")
        order_case(session, order, "order.deleted_in_shop", number=order.shop_number)
    return Known(order, newer)


def _find(session: Session, shop: Connection, seen: m.ShopOrderSeen) -> Order | None:
    if seen.key is None:
        return session.scalar(
            select(Order)
            .where(Order.shop_id == shop.id, Order.shop_order_id == seen.external_id)
            .with_for_update()
        )
    order = session.scalar(
        select(Order)
        .where(Order.account_id == shop.account_id, Order.key == seen.key, Order.shop_id == shop.id)
        .with_for_update()
    )
    if order is None or (order.shop_order_id is not None and order.shop_order_id != seen.external_id):
        raise Refused("order.key_unknown", key=seen.key, order=seen.external_id)
    return order


def _remember(session: Session, order: Order, sequence: int, seen: m.ShopOrderSeen) -> None:
    if order.shop_order_id is None:
        order.shop_order_id, order.shop_number = seen.external_id, seen.number
        tell(session, order, "order.created_in_shop", number=seen.number)
    if order.shop_status == m.ShopStatus.DELETED:
        subject = f"order/{order.id}"
        close_case(session, account_id=order.account_id, subject=subject, code="order.deleted_in_shop")
    if order.shop_status != seen.status:
        tell(session, order, "order.shop_status", status=seen.raw_status)
    order.shop_sequence, order.shop_status = sequence, seen.status
    ids = {line.key: line.external_id for line in seen.lines if line.key}
    for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id)):
        line.shop_line_id = ids.get(f"ln_{line.id}", line.shop_line_id)
