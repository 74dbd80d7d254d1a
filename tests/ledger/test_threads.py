"""Fifty threads at ten orders: refunds, releases, cancellations, disputes and payouts at once, and every invariant holds (invariant 14)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from desk import BY, Desk, dhl
from flask import Flask
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from app import ledger
from app import messages as m
from app.models import LedgerTransaction, Payment, Shipment, Trade

THREADS = 50
ORDERS = 10


def prepare(desk: Desk, size: int) -> dict[int, list[tuple[int, str, int]]]:
    """Ten captured orders of `size` units; trade -> (shipment, number, line) of every parcel that may leave."""
    parcels: dict[int, list[tuple[int, str, int]]] = {}
    for _ in range(ORDERS):
        trade = desk.trade(((size, 997),), shipping=490, fee_bp=550, vat=("19",))
        numbers = [dhl(trade.id * size + unit) for unit in range(size)]
        rows = [
            Shipment(order_id=trade.order_id, tracking_number=number, carrier="dhl", carrier_source="shop")
            for number in numbers
        ]
        desk.session.add_all(rows)
        desk.session.commit()
        line = trade.lines[0].id
        parcels[trade.id] = [(row.id, row.tracking_number, line) for row in rows]
    return parcels


class Hand:
    """One thread: does one random thing at a time, each in a transaction of its own."""

    def __init__(
        self, session: Session, parcels: dict[int, list[tuple[int, str, int]]], supplier: int, seed: int
    ) -> None:
        self.session, self.parcels, self.supplier = session, parcels, supplier
        self.size = max(len(each) for each in parcels.values())
        self.random = random.Random(seed)

    def act(self) -> str:
        deeds: list[tuple[Callable[[Trade], None], int]] = [
            (self.refund, 40),
            (self.release, 44),
            (self.settle, 8),
            (self.pay, 4),
            (self.dispute, 3),
            (self.cancel, 1),
        ]
        deed = self.random.choices([each for each, _ in deeds], [weight for _, weight in deeds])[0]
        trade = self.session.get_one(Trade, self.random.choice(list(self.parcels)))
        deed(trade)
        self.session.commit()
        return deed.__name__

    def refund(self, trade: Trade) -> None:
        number = self.random.randrange(self.size * 4)
        ledger.refund(self.session, trade, 1 + number * 7 % 500, key=f"rf_{number}", by=BY)

    def release(self, trade: Trade) -> None:
        shipment, number, line = self.random.choice(self.parcels[trade.id])
        ledger.release(
            self.session, trade, shipment_id=shipment, number=number, units={line: 1}, country="DE", by=BY
        )

    def cancel(self, trade: Trade) -> None:
        # So rare that most of the run has something to move.
        if self.random.random() < 2 / self.size:
            ledger.cancel(self.session, trade, key="cancelled", by=BY)

    def dispute(self, trade: Trade) -> None:
        key = f"d{self.random.randrange(6)}"
        if self.random.random() < 0.5:
            ledger.dispute(self.session, trade, self.random.randrange(1, 3000), key=key, by=BY)
        else:
            ledger.dispute_over(self.session, trade, won=self.random.random() < 0.5, key=key, by=BY)

    def pay(self, _trade: Trade) -> None:
        ledger.payout(self.session, self.supplier, "EUR", datetime.now(UTC), BY, reserve_bp=300)

    def settle(self, _trade: Trade) -> None:
        ids = self.session.scalars(
            select(Payment.id).where(Payment.state.in_(("due", "unknown"))).limit(20)
        ).all()
        self.session.commit()
        if not ids:
            return
        payment = self.session.get_one(Payment, self.random.choice(ids))
        failed = payment.kind == "payout" and self.random.random() < 0.3
        state = m.PaymentState.FAILED if failed else m.PaymentState.DONE
        answer = m.PaymentAnswer(payment.key, payment.kind, state, payment.amount, payment.currency, "ext")
        ledger.settle(self.session, payment, answer)


def run(app: Flask, desk: Desk, operations: int, *, size: int) -> Counter[str]:
    """Fifty threads, each doing so many operations; answers what was done. Whatever a thread raises is raised here."""
    parcels, supplier = prepare(desk, size), desk.anna.id
    desk.session.close()
    engine = create_engine(app.config["SQLALCHEMY_DATABASE_URI"], pool_size=THREADS, max_overflow=0)
    start = threading.Barrier(THREADS)

    def work(seed: int) -> Counter[str]:
        done: Counter[str] = Counter()
        with app.app_context(), Session(engine) as session:
            hand = Hand(session, parcels, supplier, seed)
            start.wait()
            for _ in range(operations):
                done[hand.act()] += 1
        return done

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(work, range(THREADS)), Counter())
    finally:
        engine.dispose()


def must_be_right(desk: Desk) -> None:
    """No breach, no double, nothing lost: also by arithmetic that is not the ledger's."""
    assert ledger.breaches(desk.session) == []
    keys, count = desk.session.execute(
        select(func.count(LedgerTransaction.key.distinct()), func.count())
    ).one()
    assert keys == count
    for trade in desk.session.scalars(select(Trade)):
        refunds = desk.session.scalar(
            select(func.coalesce(func.sum(Payment.amount), 0)).where(
                Payment.trade_id == trade.id, Payment.kind == "refund"
            )
        )
        left = desk.money(trade)
        assert left.refunded == refunds + left.charged_back
        assert 0 <= left.refunded <= trade.total


def test_fifty_threads_break_nothing(app: Flask, desk: Desk) -> None:
    done = run(app, desk, 40, size=40)
    assert done.total() == THREADS * 40
    must_be_right(desk)
    assert desk.session.scalar(
        select(func.count()).where(LedgerTransaction.kind.in_(("refund", "release")))
    ), "the threads have moved money"


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_fifty_threads_two_thousand_times_break_nothing(app: Flask, desk: Desk) -> None:
    began = time.monotonic()
    done = run(app, desk, 2000, size=300)
    seconds = time.monotonic() - began
    must_be_right(desk)
    posted = desk.session.scalar(select(func.count()).select_from(LedgerTransaction))
    print(f"{done.total()} operations in {seconds:.0f} s, {posted} transactions posted: {dict(done)}")
    assert posted is not None
    assert posted > 8_000, "the orders were not large enough"
    assert done.total() == 100_000
