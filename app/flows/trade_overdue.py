"""Somebody lets time pass: a retailer's customer does not pay, or a supplier who accepts by hand does not answer (K6).

What nobody paid for gives the supplier's stock back, and is ordered anew when the money comes after all. A supplier who does not answer is warned,
the retailer with him; in the end his silence counts as a no. What may go wrong: a clock that jumps ahead frees goods or warns too early, but
never rejects without a warning before, because the second period begins with the warning; a second look at the same row finds nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, text, update
from sqlalchemy.orm import Session

from app import ledger, trades
from app.models import Connection, Order, Profile, Trade
from app.rules import trade as rules
from app.story import order_case

AT_ONCE = 100
# Written out, not bound: PostgreSQL finds the partial index only by a literal.
_RESERVED = text("trade.state = 'received'")


@dataclass(frozen=True)
class Patience:
    """What the bridge waits for: days for the customer's money, hours for a supplier's answer until he is warned and until he is taken to
    have said no. 0 days or 0 `answer_hours` = without end.
    """

    unpaid_days: int = 7
    warn_hours: int = 48
    answer_hours: int = 168


# --- nobody pays ----------------------------------------------------------------------------------------------------------------


def unpaid(session: Session, now: datetime, patience: Patience) -> list[int]:
    """Ids of parts that hold stock for an order nobody has paid for in time, the oldest first."""
    if patience.unpaid_days <= 0:
        return []
    query = select(Trade.id).where(_RESERVED, _is_unpaid(now, patience)).order_by(Trade.created_at, Trade.id)
    return list(session.scalars(query.limit(AT_ONCE)))


def _is_unpaid(now: datetime, patience: Patience) -> ColumnElement[bool]:
    return and_(
        Trade.order_id.is_not(None),
        Trade.created_at <= now - timedelta(days=patience.unpaid_days),
        select(Order.id)
        .where(
            Order.id == Trade.retail_order_id,
            or_(Order.shop_status.is_(None), Order.shop_status.not_in(sorted(rules.PAID))),
        )
        .exists(),
    )


def free(session: Session, trade_id: int, now: datetime, patience: Patience) -> bool:
    """Give back what one part held; False when it was paid for, or is over, in the meantime. Nothing was charged, so no money moves."""
    trade = trades.lock(session, trade_id)
    still = select(Trade.id).where(Trade.id == trade_id, _RESERVED, _is_unpaid(now, patience))
    if session.scalar(still) is None:
        return False
    # Taken back and not called off: what the retailer wants is missing again, and is ordered when he has his money.
    trades.take_back(session, trades.pieces_of(session, trade), by=trades.RETAILER)
    trade.state = rules.after(trade.state, "cancelled")
    trade.expired_at, trade.cancelled_at, trade.pass_on_at = now, now, None
    by = ledger.Source("clock", f"trade {trade.key}", "trade.reservation_over")
    ledger.cancel(session, trade, key="expired", by=by)
    trades.over(session, trade)
    days, retail = patience.unpaid_days, trades.retail_of(session, trade)
    trades.tell_both(session, trade, "trade.reservation_over", days=days)
    order_case(session, retail, "trade.reservation_over", part=f"trade/{trade.id}", days=days)
    trades.note_in_shop(session, retail, f"note:expired:{trade.id}", "trade.note_reservation_over", days=days)
    return True


# --- nobody answers ---------------------------------------------------------------------------------------------------------------


def unanswered(session: Session, now: datetime) -> list[int]:
    """Ids of paid parts whose supplier is to be asked, warned or taken to have said no, the longest waiting first."""
    news = and_(Trade.answer_by.is_(None), Trade.answer_warned_at.is_(None))
    query = (
        select(Trade.id)
        .join(Profile, Profile.account_id == Trade.supplier_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(_waits(now), or_(news, Trade.answer_by <= now))
        .order_by(Trade.pass_on_at, Trade.id)
    )
    return list(session.scalars(query.limit(AT_ONCE)))


def _waits(now: datetime) -> ColumnElement[bool]:
    """A part that only its supplier's yes keeps from him: the condition over Trade, his Profile and the retailer's Order."""
    return and_(
        Trade.pass_on_at <= now,
        Trade.passed_on_at.is_(None),
        Trade.state == "held",
        Trade.frozen.is_(False),
        Profile.accepts_orders.is_(False),
        Order.shop_status.in_(sorted(rules.PAID)),
    )


def begin_anew(session: Session, now: datetime) -> None:
    """What does not wait for its supplier any more (accepted, on hold again, disputed) has its whole time when it waits again."""
    waiting = (
        select(Profile.account_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(Profile.account_id == Trade.supplier_id, _waits(now))
        .correlate(Trade)
        .exists()
    )
    session.execute(
        update(Trade)
        .where(Trade.answer_by.is_not(None), ~waiting)
        .values(answer_by=None, answer_warned_at=None)
        .execution_options(synchronize_session=False)
    )


def next_step(session: Session, trade_id: int, now: datetime, patience: Patience) -> str | None:
    """What is due for one part: its time begins ("asked"), both sides are warned ("warned"), or it is rejected ("rejected"); None = nothing."""
    trade = trades.lock(session, trade_id)
    still = (
        select(Trade.id)
        .join(Profile, Profile.account_id == Trade.supplier_id)
        .join(Order, Order.id == Trade.retail_order_id)
        .where(Trade.id == trade_id, _waits(now))
    )
    if session.scalar(still) is None or (trade.answer_by is not None and trade.answer_by > now):
        return None
    warn, rest = rules.answer_hours(*_hours(session, trade, patience))
    if trade.answer_by is None:
        if trade.answer_warned_at is not None:
            return None
        trade.answer_by = now + timedelta(hours=warn)
        return "asked"
    if trade.answer_warned_at is None:
        _warn(session, trade, now, warn, rest)
        return "warned"
    if rest is None:
        trade.answer_by = None
        return None
    _reject(session, trade, warn + rest)
    return "rejected"


def _hours(session: Session, trade: Trade, patience: Patience) -> tuple[int, int]:
    """The supplier's own time where the operator has given him one, else the bridge's."""
    network = session.get(Connection, trades.child_of(session, trade).connection_id)
    own = network.settings if network is not None else {}
    return own.get("answer_warn_hours", patience.warn_hours), own.get("answer_hours", patience.answer_hours)


def _warn(session: Session, trade: Trade, now: datetime, warn: int, rest: int | None) -> None:
    trade.answer_warned_at = now
    trade.answer_by = None if rest is None else now + timedelta(hours=rest)
    told: dict[str, Any] = {"hours": warn, "until": trade.answer_by}
    trades.tell_both(session, trade, "trade.not_answered_yet", **told)
    order_case(session, trades.child_of(session, trade), "trade.answer_due", **told)
    order_case(
        session,
        trades.retail_of(session, trade),
        "trade.not_answered_yet",
        part=f"trade/{trade.id}",
        supplier=trades.company(session, trade.supplier_id),
        **told,
    )


def _reject(session: Session, trade: Trade, hours: int) -> None:
    """Silence counts as a no: the same way as a rejection by hand, and a case, because nobody has looked at it."""
    by = ledger.Source("clock", f"trade {trade.key}", "trade.not_answered")
    trades.end(session, trade, state="rejected", code="trade.not_answered", by=by, hours=hours)
    trade.answer_by = None
    order_case(
        session,
        trades.retail_of(session, trade),
        "trade.not_answered",
        part=f"trade/{trade.id}",
        supplier=trades.company(session, trade.supplier_id),
        hours=hours,
    )
