"""What time starts: sweeps over columns. Retries, polls, three-hour waits, lost bells and purges are rows with a time, never sleeping jobs.

Any number of clocks may run; a lock in the database lets one act. What may go wrong: the clock dies. Another takes over at its next pass, and
nothing that was due is lost, because being due is a property of the row.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from flask import current_app
from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import inbox, ledger, outbox, queues, reservations, trades
from app.extensions import db
from app.flows import (
    compare_money,
    label_sender,
    order_cancelled,
    order_placed,
    order_shipped,
    parcel_seen,
    pay,
    products_released,
    supplier_orders,
    trade_closed,
    trade_overdue,
)
from app.models import (
    Attempt,
    Connection,
    Heartbeat,
    Idempotency,
    KeptValue,
    LedgerAccount,
    Order,
    Pairing,
    Schedule,
)
from app.registry import provider
from app.rules import waiting

BATCH = 100  # parcels whose money is released in one transaction
LOCK = 7315001  # any number that nobody else uses in this database

log = structlog.get_logger(__name__)


def run(stop: threading.Event | None = None) -> None:
    """Sweep until told to stop (SIGTERM, SIGINT). Needs an application context."""
    stop = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
    seconds = current_app.config["SHOPBRIDGE_SWEEP_SECONDS"]
    last_purge = datetime.min.replace(tzinfo=UTC)
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            purge = abs(now - last_purge) > timedelta(
                minutes=10
            )  # a clock that was set back has a purge in its future
            if sweep(now, purge=purge):
                last_purge = now if purge else last_purge
        except Exception:
            log.exception("sweep.failed")
            db.session.rollback()
        db.session.remove()
        stop.wait(seconds)


def sweep(now: datetime, *, purge: bool = False) -> bool:
    """One pass; False when another clock holds the lock."""
    with db.engine.connect() as guard:
        if not guard.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar():
            return False
        try:
            seldom = (after_a_wrong_clock, *PARTS, look_at_cancellations, forget)
            for part in seldom if purge else PARTS:
                _take_turn(part, now)
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
            guard.rollback()
    return True


def _take_turn(part: Callable[[Session, datetime], None], now: datetime) -> None:
    """One part; what goes wrong in it must not keep the others from their turn, in this pass and in every later one."""
    try:
        part(db.session(), now)
    except Exception:
        log.exception("sweep.part_failed", part=getattr(part, "__name__", str(part)))
        db.session.rollback()


_UNREACHABLE = (
    "UPDATE schedule SET due_at = now(), lease_until = NULL WHERE due_at > now() + interval '2 days'",
    "UPDATE schedule SET lease_until = NULL WHERE lease_until > now() + interval '2 days'",
    "UPDATE event SET next_attempt_at = now() WHERE state IN ('due', 'leased') AND next_attempt_at > now() + interval '2 days'",
    "UPDATE event SET lease_until = now() WHERE state = 'leased' AND lease_until > now() + interval '2 days'",
    "UPDATE command SET next_attempt_at = now() WHERE state IN ('due', 'leased') AND next_attempt_at > now() + interval '2 days'",
    "UPDATE command SET lease_until = now() WHERE state = 'leased' AND lease_until > now() + interval '2 days'",
    "UPDATE offer SET next_attempt_at = now() WHERE next_attempt_at > now() + interval '2 days'",
    "UPDATE offer SET lease_until = now() WHERE lease_until > now() + interval '2 days'",
    "UPDATE offer SET task_due_at = now() WHERE task_due_at > now() + interval '2 days'",
    "UPDATE connection SET paused_until = NULL WHERE paused_until > now() + interval '2 days'",
)


def after_a_wrong_clock(session: Session, now: datetime) -> None:
    """Times that no plan reaches were written while the machine's clock was far ahead: they are due now, not in a month (C1).

    The longest wait of the plan is 24 hours and a tenth; leases and rests are shorter.
    """
    for statement in _UNREACHABLE:
        session.execute(text(statement))
    session.commit()


def ring_for_events(session: Session, now: datetime) -> None:
    """Events that are due, were retried, or whose worker died."""
    for connection_id in inbox.waiting_connections(session):
        queues.ring("in", connection_id)
    session.commit()


def ring_for_commands(session: Session, now: datetime) -> None:
    """The same for commands and offers."""
    for connection_id in outbox.waiting_connections(session):
        queues.ring("out", connection_id)
    session.commit()


def ring_for_trades(session: Session, now: datetime) -> None:
    """Suppliers' parts whose regret window is over, that were paid for or accepted meanwhile; labels that waited for a sender's address (K6, K7)."""
    for connection_id in trades.waiting_networks(session, now):
        queues.ring("out", connection_id)
    for connection_id in label_sender.catch_up(session):
        queues.ring("out", connection_id)
    session.commit()


def end_patience(session: Session, now: datetime) -> None:
    """Goods held for orders that nobody pays for, and suppliers who do not answer (K6); each trade in a transaction of its own."""
    patience = trade_overdue.Patience(
        current_app.config["SHOPBRIDGE_NETWORK_UNPAID_DAYS"],
        current_app.config["SHOPBRIDGE_NETWORK_ANSWER_WARN_HOURS"],
        current_app.config["SHOPBRIDGE_NETWORK_ANSWER_HOURS"],
    )
    trade_overdue.begin_anew(session, now)
    session.commit()
    for step, found in (
        (trade_overdue.free, trade_overdue.unpaid(session, now, patience)),
        (trade_overdue.next_step, trade_overdue.unanswered(session, now)),
    ):
        for trade_id in found:
            try:
                step(session, trade_id, now, patience)
                session.commit()
            except Exception:  # one trade must not keep the others waiting (C10)
                log.exception("trade.not_ended", trade=trade_id)
                session.rollback()
    for connection_id in sorted(outbox.given_work(session)):
        queues.ring("out", connection_id)
    session.commit()


def ring_for_polls(session: Session, now: datetime) -> None:
    """Marketplaces that want to be asked."""
    due = (
        select(Schedule.connection_id)
        .join(Connection, Connection.id == Schedule.connection_id)
        .where(Schedule.due_at <= now, Connection.state == "active")
        .distinct()
    )
    for connection_id in list(session.scalars(due)):
        queues.ring("poll", connection_id)
    session.commit()


def end_waits(session: Session, now: datetime) -> None:
    """Orders that waited long enough for a tracking number (C3); each in a transaction of its own."""
    over = select(Order.id).where(Order.wait_until <= now).order_by(Order.wait_until).limit(200)
    for order_id in list(session.scalars(over)):
        try:
            _end_wait(session, order_id, now)
        except Exception:  # one order must not keep the others waiting (C10)
            log.exception("wait.not_ended", order=order_id)
            session.rollback()


def _end_wait(session: Session, order_id: int, now: datetime) -> None:
    waiting_order = select(Order).where(Order.id == order_id, Order.wait_until <= now)
    order = session.scalar(waiting_order.with_for_update(skip_locked=True))
    if order is None:
        session.commit()
        return
    marketplace = session.get_one(Connection, order.connection_id)
    order_shipped.wait_is_over(session, order, provider(marketplace.provider).can(marketplace.settings), now)
    session.commit()
    queues.ring("out", marketplace.id)


def catch_up_orders(session: Session, now: datetime) -> None:
    """Orders that came before a shop was connected, or before their address was shown (C1)."""
    order_placed.catch_up(session)
    session.commit()


def look_at_releases(session: Session, now: datetime) -> None:
    """Suppliers whose profile, options or connection are others than when their products were decided last (K4)."""
    products_released.catch_up(session)


def alarm_before_deadlines(session: Session, now: datetime) -> None:
    """Orders whose marketplace deadline comes near while nothing has left (C3)."""
    near = select(Order.id).where(
        Order.alarmed_at.is_(None),
        Order.ship_by <= now + waiting.ALARM_BEFORE_DEADLINE,
        Order.ship_by > now - timedelta(days=30),
    )
    for order_id in list(session.scalars(near.order_by(Order.ship_by).limit(200))):
        order = session.scalar(select(Order).where(Order.id == order_id).with_for_update(skip_locked=True))
        if order is not None:
            order_shipped.deadline_is_near(session, order, now)
        session.commit()


def look_at_cancellations(session: Session, now: datetime) -> None:
    """Cancellations that a marketplace has taken and not carried out in hours (C6); each order in a transaction of its own."""
    for order_id in order_cancelled.not_done(session, now):
        order = session.scalar(select(Order).where(Order.id == order_id).with_for_update(skip_locked=True))
        if order is not None:
            order_cancelled.counts_again(session, order, now)
        session.commit()


def warn_of_unfetched_orders(session: Session, now: datetime) -> None:
    """Orders that a supplier system without an address has not fetched in time (D6)."""
    supplier_orders.warn(session, now)


def look_after_money(session: Session, now: datetime) -> None:
    """Payments whose last word is missing are asked about; once a day what is payable is paid out and the books are compared (K8, K11)."""
    pay.ask_open(session, now)
    pay.write_daily(session, now)
    compare_money.write_daily(session, now)


def keep_the_books(session: Session, now: datetime) -> None:
    """Money whose time has come is released (K11); every hour all invariants are looked at, and a broken one stops the money (reliability 4.3)."""
    while _release_due(session, now) >= BATCH:
        pass
    last = session.scalar(select(Heartbeat.at).where(Heartbeat.name == "ledger"))
    if last is not None and last <= now < last + timedelta(hours=1):
        return
    found = []
    if session.scalar(select(LedgerAccount.id).limit(1)) is not None:
        found = ledger.watch(session, now)
        ledger.watch_debts(session, now)
        ledger.forget_recipients(session, now)
        session.commit()
        trade_closed.close_settled(session)
    values = {"at": now, "facts": {"breaches": len(found)}}
    stmt = insert(Heartbeat).values(name="ledger", **values)
    session.execute(stmt.on_conflict_do_update(index_elements=["name"], set_=values))
    session.commit()


def _release_due(session: Session, now: datetime) -> int:
    """One transaction of money, then one for each story that tells of it. Answers how many parcels were released."""
    released = ledger.release_due(session, now)
    session.commit()
    for trade_id, result in released:
        parcel_seen.released_by_time(session, trade_id, result.amount)
        session.commit()
    return len(released)


def beat(session: Session, now: datetime) -> None:
    """A sign of life, for the doctor."""
    values = {"at": now, "facts": {"pid": os.getpid()}}
    stmt = insert(Heartbeat).values(name="clock", **values)
    session.execute(stmt.on_conflict_do_update(index_elements=["name"], set_=values))
    session.commit()


PARTS: tuple[Callable[[Session, datetime], None], ...] = (
    ring_for_events,
    ring_for_commands,
    ring_for_trades,
    end_patience,
    ring_for_polls,
    end_waits,
    catch_up_orders,
    look_at_releases,
    alarm_before_deadlines,
    warn_of_unfetched_orders,
    look_after_money,
    keep_the_books,
    beat,
)


def forget(session: Session, now: datetime) -> None:
    """Raw events after the replay window, addresses 30 days after delivery, what nobody asks for any more."""
    bodies = inbox.purge_bodies(
        session, now - timedelta(days=current_app.config["SHOPBRIDGE_KEEP_BODIES_DAYS"])
    )
    addresses = _forget_addresses(
        session, now - timedelta(days=current_app.config["SHOPBRIDGE_KEEP_ADDRESSES_DAYS"])
    )
    reservations.close_contained(session)
    session.execute(delete(Attempt).where(Attempt.started_at < now - timedelta(days=90)))
    session.execute(delete(Pairing).where(Pairing.expires_at < now - timedelta(days=1)))
    session.execute(delete(KeptValue).where(KeptValue.until < now))
    session.execute(delete(Idempotency).where(Idempotency.created_at < now - timedelta(days=2)))
    session.commit()
    log.info("purged", bodies=bodies, addresses=addresses)


def _forget_addresses(session: Session, before: datetime) -> int:
    """Orders in which nothing can move any more and nothing has moved since."""
    done = session.execute(
        text("""
            UPDATE orders SET buyer = NULL, purged_at = now()
            WHERE buyer IS NOT NULL AND updated_at < :before AND NOT EXISTS (
                SELECT 1 FROM order_piece p WHERE p.order_id = orders.id AND p.state IN ('announced', 'to_ship', 'unclear'))
        """),
        {"before": before},
    )
    session.commit()
    return int(done.rowcount)  # type: ignore[attr-defined]
