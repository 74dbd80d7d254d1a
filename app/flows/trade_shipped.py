"""The supplier's parcel has left: his money is released for what is in it (K11), and the retailer's shop gets its number.

Told in the same transaction in which the network's "ship" is done. From the retailer's shop the existing flows bring the parcel to the marketplace
and the customer. What may go wrong: there is no number. Then the retailer hears that it has left, and no money moves until a number comes. Or
two parts of one order leave under one number: then his shop is told everything that is in that parcel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import ledger, outbox, trades
from app import messages as m
from app.delivery import Delivered
from app.models import Connection, Order, OrderPiece, Shipment, Trade, TradeParcel
from app.registry import ShopClient
from app.rules import release_policy, tracking
from app.rules import trade as rules
from app.story import close_case, order_case, tell


def left(session: Session, command: outbox.Claimed, network: Connection) -> None:
    """The pieces of a shipment have left the supplier's house. The child order is locked by who delivered."""
    shipment = session.scalars(select(Shipment).where(Shipment.id == command.payload["shipment"])).one()
    trade = trades.of_child(session, shipment.order_id)
    if trade is None:
        return
    gone = [piece for piece in trades.pieces_of(session, trade) if piece.state in trades.GONE]
    inside = [piece for piece in gone if piece.id in set(shipment.piece_ids)]
    if not inside:
        return
    told_now = set(command.payload.get("pieces", shipment.piece_ids))
    _release(session, command, network, trade, shipment, gone=gone, inside=inside)
    _pass_on(session, trade, shipment, inside, [piece for piece in inside if piece.id in told_now])
    trades.follow_pieces(session, trade)


def deliver_tracking(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Write the parcel into the retailer's order, by its number, with everything that is known to be in it: a repeat changes nothing."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    if order.shop_order_id is None:
        return Delivered({"skipped": "the shop never had this order"})
    data = {"order_id": order.shop_order_id, "key": f"tracking_{command.public_id}", **command.payload}
    data["lines"] = _inside(session, order, command.payload["number"])
    session.commit()
    client.send(command.public_id, "order.tracking", data)
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    tell(session, order, "trade.tracking_in_shop", command_id=command.id, number=data["number"])
    return Delivered()


def deliver_completed(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Complete the retailer's order. One that is completed, cancelled or refunded meanwhile is left as it is."""
    order = session.scalars(select(Order).where(Order.id == command.order_id)).one()
    status = m.ShopStatus(order.shop_status) if order.shop_status else None
    if order.shop_order_id is None or status in rules.TERMINAL:
        return Delivered({"skipped": f"the shop's order is {order.shop_status}"})
    data = {"order_id": order.shop_order_id, "status": "completed", "note": ""}
    session.commit()
    client.send(command.public_id, "order.status", data)
    return Delivered()


def _inside(session: Session, retail: Order, number: str) -> list[dict[str, object]]:
    """What has left under this number of all parts of the retailer's order, in his line ids: suppliers may put two parts into one parcel."""
    lines: Counter[str] = Counter()
    for trade in session.scalars(select(Trade).where(Trade.retail_order_id == retail.id)):
        query = select(Shipment.piece_ids).where(
            Shipment.order_id == trade.order_id, Shipment.tracking_number == number
        )
        ids = {piece_id for found in session.scalars(query) for piece_id in found}
        gone = [each for each in trades.pieces_of(session, trade) if each.state in trades.GONE]
        for name, pieces in trades.by_line(session, trade, gone).items():
            lines[name] += sum(1 for piece in pieces if piece.id in ids)
    return [{"id": name, "quantity": count} for name, count in sorted(lines.items()) if count]


def _release(
    session: Session,
    command: outbox.Claimed,
    network: Connection,
    trade: Trade,
    shipment: Shipment,
    *,
    gone: list[OrderPiece],
    inside: list[OrderPiece],
) -> None:
    """Money for what really left in this parcel and in no parcel with a number before it."""
    number = shipment.tracking_number or None
    units = _counts(session, trade, inside)
    if number is not None:
        free = _not_covered(session, trade, shipment, _counts(session, trade, gone))
        units = {line: min(count, free.get(line, 0)) for line, count in units.items()}
        units = {line: count for line, count in units.items() if count}
    if not units:
        return
    child = trades.child_of(session, trade)
    by = ledger.Source(f"network {network.key}", f"command {command.id}", "ship")
    if _counts_already(session, trade, shipment):
        done = ledger.release_added(session, trade, shipment_id=shipment.id, units=units, by=by)
    else:
        country = (child.buyer or {}).get("shipping", {}).get("country") or child.country
        done = ledger.release(
            session, trade, shipment_id=shipment.id, number=number, units=units, country=country, by=by
        )
    if done.amount:
        trades.tell_both(
            session, trade, "trade.released", amount=done.amount, currency=trade.currency, number=number
        )
    for reason in done.reasons if number is not None else ():
        if reason.code in release_policy.WAITS:
            trades.tell_both(session, trade, reason.code, **reason.params)
            continue
        order_case(session, child, reason.code, part=f"release/{shipment.id}", **reason.params)
    if number is None and trade.total:
        order_case(session, child, "trade.number_missing", part="number")
    elif done.amount:
        close_case(session, account_id=child.account_id, subject=f"order/{child.id}/number")


def _counts_already(session: Session, trade: Trade, shipment: Shipment) -> bool:
    """Whether money was or will be released for this parcel: what is told now was added to it."""
    query = select(TradeParcel.id).where(
        TradeParcel.trade_id == trade.id, TradeParcel.shipment_id == shipment.id
    )
    return session.scalar(query.limit(1)) is not None


def _counts(session: Session, trade: Trade, pieces: Iterable[OrderPiece]) -> dict[int, int]:
    """Units by trade line."""
    found = trades.by_line(session, trade, pieces)
    counts = {line.id: len(found.get(line.shop_line_id, ())) for line in trade.lines}
    return {line: count for line, count in counts.items() if count}


def _not_covered(
    session: Session, trade: Trade, shipment: Shipment, gone: Mapping[int, int]
) -> dict[int, int]:
    """Units that have left less those that were in another parcel whose number counts: a second parcel of one thing is no second thing."""
    free = dict(gone)
    query = select(TradeParcel.units).where(
        TradeParcel.trade_id == trade.id,
        TradeParcel.shipment_id != shipment.id,
        TradeParcel.number.is_not(None),
        TradeParcel.state != "refused",
    )
    for units in session.scalars(query):
        for line, count in units.items():
            free[int(line)] = max(0, free.get(int(line), 0) - count)
    return free


def _pass_on(
    session: Session, trade: Trade, shipment: Shipment, inside: list[OrderPiece], new: list[OrderPiece]
) -> None:
    """The retailer's shop gets the number with its own line ids (written when it is sent); without a number it gets a note. `new`: what is told
    of it for the first time.
    """
    retail, number = trades.retail_of(session, trade), shipment.tracking_number
    trades.tell_retailer(
        session,
        trade,
        "trade.shipped" if number else "trade.shipped_without_tracking",
        number=number or None,
        carrier=shipment.carrier or shipment.carrier_name,
        pieces=len(new),
    )
    if retail.shop_id is None:
        return
    if not number:
        key = f"note:shipped:{shipment.id}:{len(shipment.piece_ids)}"
        trades.note_in_shop(session, retail, key, "trade.note_shipped", pieces=len(new))
        return
    payload = {
        "number": number,
        "carrier": _carrier(shipment),
        "url": tracking.tracking_url(shipment.carrier, number),
    }
    key = f"order.tracking:{shipment.id}:{len(inside)}"
    outbox.write_for_order(session, retail, retail.shop_id, "order.tracking", key, payload)


def _carrier(shipment: Shipment) -> str | None:
    known = tracking.carriers().get(shipment.carrier or "")
    return known.name if known is not None else shipment.carrier_name
