"""A marketplace shows an order: remember every piece, hold its stock, create it in the shop exactly once (C1, I13).

The same order comes with every look; a look only adds what is new and moves pieces forward. Whatever is odd (a product we do not know, a
status we have never seen, a foreign currency, no stock left) the order lands all the same and the problem becomes a visible case.
What may go wrong: the answer of the shop to `order.create` is lost. Then the command is repeated; the shop looks our key up in the same
transaction and answers with the order it has (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import messages as m
from app import outbox, reservations
from app.delivery import Delivered
from app.errors import Refused
from app.models import Command, Connection, Offer, Order, OrderLine, OrderPiece, Product, Reservation
from app.registry import ShopClient, provider
from app.rules import gtin, status, stock
from app.story import close_case, order_case, tell

KEY_LENGTH = 90  # shops keep up to 100 characters, and a joined order adds a few
MISSING = ("order.no_shop", "order.address_missing", "order.rest_not_released")
LANDS = (m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)
HOLDING = (m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP, m.PieceState.UNCLEAR)


def receive(session: Session, marketplace: Connection, seen: m.OrderSeen) -> list[Order]:
    """Take in one look at one order. Answers the orders it touched, locked: the order itself and what joined it later.

    An order that we never saw and in which nothing is left to ship is history from before we were connected: it is left alone.
    """
    if not any(piece.state in HOLDING for piece in seen.pieces) and not _is_known(session, marketplace, seen):
        return []
    root = _root(session, marketplace, seen)
    _lock_joined(session, marketplace, seen)
    known = {piece.external_id: piece for piece in _pieces(session, marketplace, seen)}
    _remember_buyer(session, root, seen)
    for piece in seen.pieces:
        if piece.external_id in known:
            _move(session, known[piece.external_id], piece)
    new = [piece for piece in seen.pieces if piece.external_id not in known]
    touched = {known[key].order_id for key in known} | {root.id}
    if new:
        order = _order_beside(session, root, "order.pieces_joined")
        _add_pieces(session, order, marketplace, new)
        touched.add(order.id)
    orders = [root]
    if touched != {root.id}:
        all_of_them = select(Order).where(Order.id.in_(touched)).order_by(Order.id).with_for_update()
        orders = list(session.scalars(all_of_them))
    for order in orders:
        _want_in_shop(session, marketplace, order)
    return orders


def into_shop(session: Session, source: Connection, order: Order) -> None:
    """The pieces of a known order, locked, may be shipped from now on: write its creation in the shop, once."""
    _want_in_shop(session, source, order)


def catch_up(session: Session, limit: int = 200) -> int:
    """Orders that could not go into the shop when they were seen: no shop was connected then. Answers how many were looked at."""
    created = select(Command.id).where(Command.order_id == Order.id, Command.kind == "order.create").exists()
    to_ship = (
        select(OrderPiece.id).where(OrderPiece.order_id == Order.id, OrderPiece.state.in_(LANDS)).exists()
    )
    found = session.scalars(
        select(Order)
        .join(Connection, Connection.id == Order.connection_id)
        .where(
            Order.shop_order_id.is_(None),
            Connection.shop_id.is_not(None),
            Order.buyer.is_not(None),
            to_ship,
            ~created,
        )
        .order_by(Order.id)
        .limit(limit)
        .with_for_update(of=Order, skip_locked=True)
    ).all()
    for order in found:
        _want_in_shop(session, session.get_one(Connection, order.connection_id), order)
    return len(found)


def deliver_create(
    session: Session, command: outbox.Claimed, shop: Connection, client: ShopClient
) -> Delivered:
    """Create the order in the shop. The pieces it will contain are fixed before the first call, so a repeat asks for the same order."""
    order = _locked(session, command.order_id)
    if order is None or order.buyer is None:
        return Delivered(refused=m.Reason("order.address_missing", {}))
    pieces = _fix_pieces(session, order)
    if not pieces:
        return Delivered({"skipped": "every piece was cancelled before"})
    draft = _draft(session, order, pieces, shop)
    session.commit()
    truth = client.create_order(command.public_id, draft)
    return _created(session, command, shop, truth)


# --- remembering ------------------------------------------------------------------------------------------------------------


def _is_known(session: Session, marketplace: Connection, seen: m.OrderSeen) -> bool:
    query = select(Order.id).where(
        Order.connection_id == marketplace.id, Order.external_id == seen.external_id
    )
    return session.scalar(query) is not None


def _root(session: Session, marketplace: Connection, seen: m.OrderSeen) -> Order:
    """The row of this order, made on first sight, and locked: two looks at the same time wait for each other here."""
    known = (
        select(Order)
        .where(Order.connection_id == marketplace.id, Order.external_id == seen.external_id)
        .with_for_update()
    )
    order = session.scalars(known).one_or_none()
    if order is not None:
        return order
    session.execute(
        insert(Order)
        .values(
            account_id=marketplace.account_id,
            connection_id=marketplace.id,
            external_id=seen.external_id,
            key=_free_key(session, marketplace, seen),
            country=seen.country,
            currency=seen.currency,
            placed_at=seen.placed_at,
            shop_id=marketplace.shop_id,
            stopped=False,
        )
        .on_conflict_do_nothing(index_elements=["connection_id", "external_id"])
    )
    return session.scalars(known).one()


def _free_key(session: Session, marketplace: Connection, seen: m.OrderSeen) -> str:
    """The key of this order, told apart where another connection of the merchant has one of the same number: a second seller account may have other
    pieces of the same buyer's order, and operators that run the same software number each for itself (docs/decisions/0008).

    Raises Refused("order.seen_twice") for the same pieces at the same address: that is one seller account connected twice.
    """
    key = _key(marketplace, seen.external_id)
    others = _like(session, marketplace)
    if not others:
        return key
    query = select(Order.id, Order.connection_id, Order.key)
    taken = session.execute(
        query.where(Order.connection_id.in_(others), Order.external_id == seen.external_id)
    ).all()
    ids, address = [piece.external_id for piece in seen.pieces], _called_at(marketplace)
    here = [row.id for row in taken if others[row.connection_id] == address]
    same = select(OrderPiece.id).where(OrderPiece.order_id.in_(here), OrderPiece.external_id.in_(ids))
    if session.scalar(same.limit(1)) is not None:
        raise Refused("order.seen_twice", order=seen.external_id)
    owner = next((others[row.connection_id] for row in taken if row.key == key), None)
    if owner is None:
        return key
    where = "" if owner == address else f"@{address}"
    return _key(marketplace, f"{seen.external_id}:{min(ids)}{where}")


def _like(session: Session, marketplace: Connection) -> dict[int, str]:
    """The merchant's other connections of this provider, and where each is called."""
    query = select(Connection).where(
        Connection.account_id == marketplace.account_id,
        Connection.provider == marketplace.provider,
        Connection.id != marketplace.id,
    )
    return {each.id: _called_at(each) for each in session.scalars(query)}


def _called_at(marketplace: Connection) -> str:
    """One marketplace has one address for all its sellers."""
    return provider(marketplace.provider).address(marketplace.settings) or ""


def _key(marketplace: Connection, external_id: str) -> str:
    """What the shop recognises the order by for ever. No number of ours: those begin anew with a new database."""
    key = f"{marketplace.provider}:{external_id}"
    return (
        key
        if len(key) <= KEY_LENGTH
        else f"{marketplace.provider}:{sha256(external_id.encode()).hexdigest()}"
    )


def _lock_joined(session: Session, marketplace: Connection, seen: m.OrderSeen) -> None:
    """The orders that pieces of this one belong to, before the pieces themselves: a deed locks its order and then changes its pieces."""
    ids = [piece.external_id for piece in seen.pieces]
    mine = select(OrderPiece.order_id).where(
        OrderPiece.connection_id == marketplace.id, OrderPiece.external_id.in_(ids)
    )
    session.execute(select(Order.id).where(Order.id.in_(mine)).order_by(Order.id).with_for_update())


def _pieces(session: Session, marketplace: Connection, seen: m.OrderSeen) -> Iterable[OrderPiece]:
    ids = [piece.external_id for piece in seen.pieces]
    return session.scalars(
        select(OrderPiece)
        .where(OrderPiece.connection_id == marketplace.id, OrderPiece.external_id.in_(ids))
        .with_for_update()
    )


def _remember_buyer(session: Session, order: Order, seen: m.OrderSeen) -> None:
    """Addresses are kept as soon as they are shown and never overwritten with nothing."""
    if seen.shipping is None or order.purged_at is not None:
        return
    buyer: dict[str, Any] = {
        "billing": _address(seen.billing or seen.shipping),
        "shipping": _address(seen.shipping),
    }
    if seen.sold_by is not None:
        buyer |= {"sold_by": seen.sold_by, "number": seen.number or seen.external_id}
    if order.buyer != buyer:
        order.buyer = buyer
        session.flush()


def _address(address: m.Address) -> dict[str, Any]:
    return {name: getattr(address, name) for name in m.Address.__dataclass_fields__}


def _move(session: Session, piece: OrderPiece, seen: m.PieceSeen) -> None:
    """A look moves a piece forward, never back (rules.status). The stock it held is given back when it will not be needed."""
    before, after = m.PieceState(piece.state), status.piece_after(m.PieceState(piece.state), seen.state)
    if piece.raw_state != seen.raw_state and before in LANDS:
        _cancellation_asked(session, piece, seen)
    piece.raw_state, piece.marketplace_reason = seen.raw_state, seen.reason or piece.marketplace_reason
    piece.ship_by = seen.ship_by or piece.ship_by
    if after is before:
        return
    piece.state = after
    order = session.get_one(Order, piece.order_id)
    tell(session, order, f"piece.{after}", piece=piece.external_id, was=before)
    if status.cancelled_after_shipping(before, seen.state):
        order_case(
            session,
            order,
            "cancel.after_shipping",
            part=f"piece/{piece.external_id}",
            piece=piece.external_id,
        )
    if before is m.PieceState.UNCLEAR:
        _understood(session, order, piece)
    if after is m.PieceState.CANCELLED:
        reservations.release(session, [piece.id])


def _cancellation_asked(session: Session, piece: OrderPiece, seen: m.PieceSeen) -> None:
    """A buyer asks to cancel what may be packed already: whoever packs it must read that at once (C6). Or the marketplace has decided by now."""
    order, line = session.get_one(Order, piece.order_id), session.get_one(OrderLine, piece.line_id)
    part, code = f"cancel_asked/{line.id}", "cancel.asked_by_buyer"
    if not seen.cancel_asked:
        close_case(session, account_id=order.account_id, subject=f"order/{order.id}/{part}", code=code)
    elif piece.cancel_asked_by is None:
        order_case(session, order, code, part=part, title=line.title)
        payload = {"code": code, "params": {"title": line.title}}
        key = f"note:{part}"
        if order.shop_id is not None and outbox.write_for_order(
            session, order, order.shop_id, "order.note", key, payload
        ):
            tell(session, order, code, title=line.title)


def _understood(session: Session, order: Order, piece: OrderPiece) -> None:
    """The marketplace's word for this piece makes sense now; when it was the last odd one, the shop may go on with the order."""
    subject = f"order/{order.id}"
    close_case(
        session,
        account_id=order.account_id,
        subject=f"{subject}/piece/{piece.external_id}",
        code="order.piece_unclear",
    )
    session.flush()
    odd = select(OrderPiece.id).where(
        OrderPiece.order_id == order.id, OrderPiece.state == m.PieceState.UNCLEAR
    )
    if (
        piece.state != m.PieceState.TO_SHIP
        or order.shop_id is None
        or session.scalar(odd.limit(1)) is not None
    ):
        return
    if outbox.is_written(session, order, "order.create"):
        outbox.write_for_order(
            session,
            order,
            order.shop_id,
            "order.status",
            f"order.status:understood:{order.id}",
            {"status": "processing"},
        )


def _order_beside(session: Session, root: Order, why: str) -> Order:
    """Where pieces belong that are not on their way into the shop: the order itself until it is, then an order of their own, with a parent."""
    family: list[Order] = [
        root,
        *session.scalars(
            select(Order).where(Order.parent_id == root.id).order_by(Order.id).with_for_update()
        ),
    ]
    for order in family:
        if order.shop_order_id is None and not outbox.is_written(session, order, "order.create"):
            return order
    child = Order(
        account_id=root.account_id,
        connection_id=root.connection_id,
        external_id=f"{root.external_id}/{len(family) + 1}",
        key=f"{root.key}/{len(family) + 1}",
        parent_id=root.id,
        country=root.country,
        currency=root.currency,
        placed_at=root.placed_at,
        buyer=root.buyer,
        shop_id=root.shop_id,
    )
    session.add(child)
    session.flush()
    tell(session, root, why, order=f"ord_{child.id}")
    return child


def _add_pieces(session: Session, order: Order, marketplace: Connection, new: list[m.PieceSeen]) -> None:
    lines = {
        line.group_key: line
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id))
    }
    if not lines:
        tell(session, order, "order.seen", pieces=len(new), order=order.external_id)
    rows: list[tuple[OrderPiece, int | None]] = []
    for piece in new:
        line = lines.get(piece.group)
        if line is None:
            line = lines[piece.group] = _new_line(session, order, marketplace, piece)
        row = OrderPiece(
            connection_id=order.connection_id,
            order_id=order.id,
            line_id=line.id,
            external_id=piece.external_id,
            price=piece.unit_price,
            shipping_price=piece.shipping_price,
            state=piece.state,
            raw_state=piece.raw_state,
            ship_by=piece.ship_by,
            marketplace_reason=piece.reason,
        )
        rows.append((row, line.product_id if piece.state in HOLDING else None))
        if piece.state is m.PieceState.UNCLEAR:
            order_case(
                session,
                order,
                "order.piece_unclear",
                part=f"piece/{piece.external_id}",
                piece=piece.external_id,
                status=piece.raw_state,
            )
    _write_pieces(session, order, rows)
    _hold_stock(
        session, order, sorted({line.product_id for line in lines.values() if line.product_id is not None})
    )


def _write_pieces(session: Session, order: Order, rows: list[tuple[OrderPiece, int | None]]) -> None:
    """Pieces, and the unit of a product that each holds: together, not one statement after another for an order of thousands."""
    session.add_all([row for row, _ in rows])
    session.flush()
    session.add_all(
        [
            Reservation(account_id=order.account_id, product_id=product_id, piece_id=row.id)
            for row, product_id in rows
            if product_id is not None
        ]
    )


def _new_line(session: Session, order: Order, marketplace: Connection, piece: m.PieceSeen) -> OrderLine:
    product_id = _match(session, marketplace, piece)
    line = OrderLine(
        order_id=order.id,
        group_key=piece.group,
        product_id=product_id,
        sku=piece.sku,
        gtin=piece.gtin,
        title=piece.title,
        unit_price=piece.unit_price,
        vat_percent=piece.vat_percent,
    )
    session.add(line)
    session.flush()
    if product_id is None:
        order_case(
            session,
            order,
            "order.product_unknown",
            part=f"line/{line.id}",
            sku=piece.sku,
            gtin=piece.gtin,
            title=piece.title,
        )
    return line


def _match(session: Session, marketplace: Connection, piece: m.PieceSeen) -> int | None:
    """The shop's product: by the number of our offer or by its id where the source knows it, by SKU, else by GTIN. Two products with one SKU
    match neither, because a guess would ship the wrong thing.
    """
    if piece.offer_number is not None:
        # Not one that was refused because its number was taken there, nor one whose product was deleted and may have been made anew.
        ours = (
            select(Offer.product_id)
            .join(Product, Product.id == Offer.product_id)
            .where(
                Offer.connection_id == marketplace.id,
                Offer.number == piece.offer_number,
                Offer.external_ref.is_not(None),
                Product.deleted.is_(False),
            )
        )
        if (product_id := session.scalar(ours)) is not None:
            return product_id
    known_by = (
        (Product.external_id, piece.product_external_id),
        (Product.sku, piece.sku),
        (Product.gtin, gtin.clean(piece.gtin)),
    )
    for column, value in known_by:
        if not value:
            continue
        found = session.scalars(
            select(Product.id)
            .where(
                Product.connection_id == marketplace.shop_id,
                column == value,
                Product.deleted.is_(False),
                Product.kind.in_(("simple", "variation", "unknown")),
            )
            .limit(2)
        ).all()
        if len(found) == 1:
            return found[0]
    return None


def _hold_stock(session: Session, order: Order, product_ids: list[int]) -> None:
    """The offers must show less from now on; when more is promised than there is, somebody has to know at once."""
    if not product_ids:
        return
    session.flush()
    reservations.mark_offers(session, product_ids)
    reservations.counted_itself(session, [order.connection_id], product_ids)
    reserved = reservations.held(session, product_ids)
    for product in session.scalars(select(Product).where(Product.id.in_(product_ids))):
        missing = stock.oversold_by(product.stock, reserved.get(product.id, 0))
        if missing:
            order_case(
                session,
                order,
                "order.oversold",
                part=f"product/{product.id}",
                sku=product.sku,
                missing=missing,
            )


# --- into the shop ------------------------------------------------------------------------------------------------------------


def _want_in_shop(session: Session, marketplace: Connection, order: Order) -> None:
    """Write the command once everything that a shop order needs is known; until then say what is missing."""
    if order.shop_order_id is not None:
        return
    subject = f"order/{order.id}"
    if not _has_piece_for_the_shop(session, order):
        for code in MISSING:  # nothing of it has to land any more, or not yet
            close_case(session, account_id=order.account_id, subject=subject, code=code)
        return
    order.shop_id = order.shop_id or marketplace.shop_id
    if order.shop_id is None:
        order_case(session, order, "order.no_shop")
        return
    if order.buyer is None:
        order_case(session, order, "order.address_missing")
        return
    close_case(session, account_id=order.account_id, subject=subject, code="order.no_shop")
    close_case(session, account_id=order.account_id, subject=subject, code="order.address_missing")
    if not _may_leave_in_parts(marketplace) and not outbox.is_written(session, order, "order.create"):
        if _waits(session, order):
            order_case(session, order, "order.rest_not_released")
            return
        close_case(session, account_id=order.account_id, subject=subject, code="order.rest_not_released")
    order.ship_by = session.scalar(
        select(func.min(OrderPiece.ship_by)).where(OrderPiece.order_id == order.id)
    )
    outbox.write_for_order(session, order, order.shop_id, "order.create", f"order.create:{order.id}")


def _has_piece_for_the_shop(session: Session, order: Order) -> bool:
    query = select(OrderPiece.id).where(OrderPiece.order_id == order.id, OrderPiece.state.in_(LANDS))
    return session.scalar(query.limit(1)) is not None


def _may_leave_in_parts(marketplace: Connection) -> bool:
    return provider(marketplace.provider).can(marketplace.settings).partial_shipment


def _waits(session: Session, order: Order) -> list[OrderPiece]:
    """Pieces of the order that may not be shipped yet, and that may still be cancelled (FACTS OTTO 4, FACTS Octopia 2)."""
    query = select(OrderPiece).where(
        OrderPiece.order_id == order.id, OrderPiece.state == m.PieceState.ANNOUNCED
    )
    return list(session.scalars(query.order_by(OrderPiece.id)))


def _locked(session: Session, order_id: int | None) -> Order | None:
    """The order, and before it the one that it joined: in the order in which a look locks them."""
    root = select(Order.parent_id).where(Order.id == order_id).scalar_subquery()
    both = select(Order).where(or_(Order.id == order_id, Order.id == root)).order_by(Order.id)
    return next((each for each in session.scalars(both.with_for_update()) if each.id == order_id), None)


def _fix_pieces(session: Session, order: Order) -> list[OrderPiece]:
    """The pieces of the shop order: those chosen by an earlier try, else every piece that may be shipped now. Whoever packs an order sends all of it, so
    what may not leave yet stays out of it; where an order leaves as one, it was waited for (docs/decisions/0014).
    """
    pieces = list(
        session.scalars(select(OrderPiece).where(OrderPiece.order_id == order.id).order_by(OrderPiece.id))
    )
    chosen = [piece for piece in pieces if piece.in_shop]
    if chosen:
        return chosen
    in_parts = _may_leave_in_parts(session.get_one(Connection, order.connection_id))
    if in_parts:
        _part(session, order, _waits(session, order))
    chosen = [piece for piece in pieces if piece.state in (LANDS if in_parts else HOLDING)]
    for piece in chosen:
        piece.in_shop = True
    return chosen


def _part(session: Session, order: Order, later: list[OrderPiece]) -> None:
    """These pieces become an order of their own, which goes into the shop when they may be shipped. What they hold of the stock they keep."""
    if not later:
        return
    root = session.get_one(Order, order.parent_id) if order.parent_id is not None else order
    beside = _order_beside(session, root, "order.pieces_later")
    known = {
        line.group_key: line
        for line in session.scalars(select(OrderLine).where(OrderLine.order_id == beside.id))
    }
    for piece in later:
        piece.order_id = beside.id
    session.flush()
    stay = set(session.scalars(select(OrderPiece.line_id).where(OrderPiece.order_id == order.id)))
    for piece in later:
        line = session.get_one(OrderLine, piece.line_id)
        if line.group_key not in known:
            known[line.group_key] = _line_of(session, beside, line, copy=line.id in stay)
        piece.line_id = known[line.group_key].id
    session.flush()


def _line_of(session: Session, order: Order, line: OrderLine, *, copy: bool) -> OrderLine:
    """The line itself, now of this order; a copy of it where some of its pieces stay behind."""
    if copy:
        same = ("group_key", "product_id", "sku", "gtin", "title", "unit_price", "vat_percent")
        line = OrderLine(**{name: getattr(line, name) for name in same})
        session.add(line)
    line.order_id = order.id
    session.flush()
    return line


def _draft(session: Session, order: Order, pieces: list[OrderPiece], shop: Connection) -> m.OrderDraft:
    marketplace = session.get_one(Connection, order.connection_id)
    lines = {
        line.id: line
        for line in session.scalars(
            select(OrderLine).where(OrderLine.order_id == order.id).order_by(OrderLine.id)
        )
    }
    buyer = order.buyer or {}
    quantity = {line_id: sum(1 for piece in pieces if piece.line_id == line_id) for line_id in lines}
    shipping = sum(piece.shipping_price for piece in pieces)
    shop_currency = shop.settings.get("currency")
    if shop_currency and shop_currency != order.currency:
        order_case(
            session, order, "order.currency_foreign", currency=order.currency, shop_currency=shop_currency
        )
    return m.OrderDraft(
        key=order.key,
        marketplace=marketplace.provider,
        marketplace_name=buyer.get("sold_by") or marketplace.name,
        marketplace_order_id=buyer.get("number") or order.external_id,
        currency=order.currency,
        placed_at=order.placed_at,
        ship_by=order.ship_by,
        billing=m.Address(**buyer["billing"]),
        shipping=m.Address(**buyer["shipping"]),
        lines=tuple(
            _line_draft(session, line, quantity[line.id]) for line in lines.values() if quantity[line.id]
        ),
        shipping_total=shipping,
        total=shipping + sum(piece.price for piece in pieces),
        note=_note(marketplace, order),
        hold=any(piece.state == m.PieceState.UNCLEAR for piece in pieces),
    )


def _note(marketplace: Connection, order: Order) -> str:
    """Where the order comes from, for whoever packs it; a network order says that it is one (K6)."""
    buyer = order.buyer or {}
    if buyer.get("sold_by"):
        return f"{buyer['sold_by']} dropshipping order {buyer['number']}"
    return f"{marketplace.name} {order.external_id}"


def _line_draft(session: Session, line: OrderLine, quantity: int) -> m.OrderLineDraft:
    product = session.get(Product, line.product_id) if line.product_id is not None else None
    return m.OrderLineDraft(
        key=f"ln_{line.id}",
        product_external_id=product.external_id if product else None,
        sku=line.sku,
        gtin=line.gtin,
        title=line.title,
        quantity=quantity,
        unit_price=line.unit_price,
        vat_percent=line.vat_percent,
    )


def _created(
    session: Session, command: outbox.Claimed, shop: Connection, truth: m.ShopOrderTruth
) -> Delivered:
    order = session.scalars(select(Order).where(Order.id == command.order_id).with_for_update()).one()
    if order.shop_order_id is None:
        order.shop_order_id, order.shop_number = truth.external_id, truth.number
        order.shop_status = truth.status
        if truth.fetch_hours is not None:
            order.fetch_by = datetime.now(UTC) + timedelta(hours=truth.fetch_hours)
        tell(
            session,
            order,
            "order.created_in_shop",
            number=truth.number or truth.external_id,
            command_id=command.id,
        )
    for line in session.scalars(select(OrderLine).where(OrderLine.order_id == order.id)):
        line.shop_line_id = truth.lines.get(f"ln_{line.id}", line.shop_line_id)
        if f"ln_{line.id}" in truth.lines_without_product:
            order_case(
                session,
                order,
                "order.product_unknown",
                part=f"line/{line.id}",
                sku=line.sku,
                gtin=line.gtin,
                title=line.title,
            )
    reservations.contained_from(session, order.id, truth.stock_sequence)
    outbox.take_up_skipped(session, order.id)
    return Delivered({"order_id": truth.external_id, "already": truth.already, "shop": shop.key})
