"""What open orders hold of the shop's stock, and the moment from which the shop's own numbers contain it (I13).

A reservation counts until the shop's stock carries a sequence from which on it includes the order. The rule is one comparison, so nothing
depends on which message comes first, comes twice or comes late.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from app import outbox
from app.models import Listing, Offer, Order, OrderPiece, Product, Reservation
from app.models.columns import table_of
from app.story import order_case

LISTINGS = table_of(Listing)


def held(session: Session, product_ids: Iterable[int]) -> dict[int, int]:
    """Units by product that open orders hold and that the shop's stock does not contain yet."""
    return _counted(session, product_ids)


def held_by_later(session: Session, product_ids: Iterable[int], piece_id: int) -> dict[int, int]:
    """Those of `held` that came after this piece and that nobody has promised yet: who came first may have them."""
    later = select(OrderPiece.id).where(
        OrderPiece.id == Reservation.piece_id, OrderPiece.id > piece_id, OrderPiece.state == "announced"
    )
    return _counted(session, product_ids, later.exists())


def _counted(session: Session, product_ids: Iterable[int], *which: ColumnElement[bool]) -> dict[int, int]:
    rows = session.execute(
        select(Reservation.product_id, func.count())
        .join(Product, Product.id == Reservation.product_id)
        .where(
            *which,
            Reservation.product_id.in_(list(product_ids)),
            Reservation.state == "open",
            or_(
                Reservation.stock_sequence.is_(None),
                Product.stock_sequence.is_(None),
                Product.stock_sequence < Reservation.stock_sequence,
            ),
        )
        .group_by(Reservation.product_id)
    )
    return dict(rows.all())


def contained_from(session: Session, order_id: int, sequence: int | None) -> None:
    """The shop has reduced its stock for this order: from `sequence` on its own numbers contain it. The earliest word counts."""
    if sequence is None:
        return
    pieces = select(OrderPiece.id).where(OrderPiece.order_id == order_id, OrderPiece.in_shop)
    touched = set(
        session.execute(
            update(Reservation)
            .where(
                Reservation.piece_id.in_(pieces),
                or_(Reservation.stock_sequence.is_(None), Reservation.stock_sequence > sequence),
            )
            .values(stock_sequence=sequence)
            .returning(Reservation.product_id)
            .execution_options(synchronize_session=False)
        ).scalars()
    )
    flag_oversold(session, touched)
    mark_offers(session, touched)


def release(session: Session, piece_ids: Iterable[int]) -> None:
    """These pieces will not leave the house: what they held is free again."""
    pieces = list(piece_ids)
    gone = session.execute(
        delete(Reservation).where(Reservation.piece_id.in_(pieces)).returning(Reservation.product_id)
    )
    products = set(gone.scalars())
    if not products:
        return
    mark_offers(session, products)
    sold_at = select(OrderPiece.connection_id).where(OrderPiece.id.in_(pieces)).distinct()
    counted_itself(session, session.scalars(sold_at), products)


def left_the_house(session: Session, piece_ids: Iterable[int]) -> None:
    """Pieces were shipped that the shop never counted down (it does not know the order's product): the next stock it reports counts."""
    session.execute(
        update(Reservation)
        .where(
            Reservation.piece_id.in_(list(piece_ids)),
            Reservation.stock_sequence.is_(None),
            Reservation.product_id == Product.id,
        )
        .values(stock_sequence=func.coalesce(Product.stock_sequence, 0) + 1)
        .execution_options(synchronize_session=False)
    )


def close_contained(session: Session) -> int:
    """Close what the shop's stock contains: a sequence only grows, so these never count again and need not be looked at with every push."""
    done = session.execute(
        update(Reservation)
        .where(
            Reservation.state == "open",
            Reservation.product_id == Product.id,
            Reservation.stock_sequence <= Product.stock_sequence,
        )
        .values(state="closed")
        .execution_options(synchronize_session=False)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


_OVERSOLD = text("""
    SELECT p.sku, p.id AS product, count(*) FILTER (WHERE NOT contained AND NOT unsure) - p.stock AS missing,
           max(order_id) FILTER (WHERE state IN ('announced', 'to_ship', 'unclear')) AS newest
    FROM product p JOIN LATERAL (
        SELECT q.order_id, q.state, coalesce(r.stock_sequence <= p.stock_sequence, false) AS contained,
               q.in_shop AND r.stock_sequence IS NULL AS unsure
        FROM reservation r JOIN order_piece q ON q.id = r.piece_id WHERE r.product_id = p.id AND r.state = 'open') AS held ON true
    WHERE p.id = ANY(:products) AND p.stock IS NOT NULL AND NOT p.deleted
    GROUP BY p.id
    HAVING count(*) FILTER (WHERE NOT contained AND NOT unsure) > p.stock
    ORDER BY newest
""")


def flag_oversold(session: Session, product_ids: Iterable[int]) -> None:
    """The shop has less than open orders were promised (its own customers were faster), or is below zero: the newest of these orders becomes
    a case, never in silence. A piece whose order is just being written into the shop is not counted: whether the stock contains it is known
    with the answer, and then this is asked again.
    """
    changed = sorted(set(product_ids))
    if not changed:
        return
    for row in session.execute(_OVERSOLD, {"products": changed}).all():
        if row.newest is not None:
            order = session.get_one(Order, row.newest)
            part = f"product/{row.product}"
            order_case(session, order, "order.oversold", part=part, sku=row.sku, missing=row.missing)


def mark_offers(session: Session, product_ids: Iterable[int]) -> None:
    """What these products' offers and listings show must be computed anew, at once: a new truth does not wait for the next try of an old one. Locked in one order, so that two workers never wait for each other in a ring."""
    changed = sorted(set(product_ids))
    if not changed:
        return
    rows = select(Offer.id).where(Offer.product_id.in_(changed)).order_by(Offer.id).with_for_update()
    session.execute(
        update(Offer)
        .where(Offer.id.in_(rows))
        .values(stale=True, next_attempt_at=func.least(Offer.next_attempt_at, func.now()))
        .execution_options(synchronize_session="fetch")
    )
    mark_listings(session, Listing.product_id.in_(changed))


def mark_listings(session: Session, *which: ColumnElement[bool]) -> None:
    """The same for what retailers' shops show of suppliers' products (K4, K5). These shops belong to other accounts: outbox.given_work names them."""
    rows = select(LISTINGS.c.id).where(*which).order_by(LISTINGS.c.id).with_for_update()
    shops = session.execute(
        update(LISTINGS)
        .where(LISTINGS.c.id.in_(rows))
        .values(stale=True, next_attempt_at=func.least(LISTINGS.c.next_attempt_at, func.now()))
        .returning(LISTINGS.c.shop_id)
    )
    outbox.note_work(session, shops.scalars())


def counted_itself(session: Session, connection_ids: Iterable[int], product_ids: Iterable[int]) -> None:
    """A marketplace has counted its own stock down for an order, or up again for a cancellation: what was sent last may not be what it shows.
    So the next push sends the stock even when the wish is the same as before (two sold there, two put into the shelf here).
    """
    rows = (
        select(Offer.id)
        .where(
            Offer.product_id.in_(sorted(set(product_ids))),
            Offer.connection_id.in_(list(connection_ids)),
            Offer.desired.is_not(None),
        )
        .order_by(Offer.id)
        .with_for_update()
    )
    session.execute(
        update(Offer)
        .where(Offer.id.in_(rows))
        .values(revision=Offer.revision + 1, counted_revision=Offer.revision + 1)
        .execution_options(synchronize_session="fetch")
    )
