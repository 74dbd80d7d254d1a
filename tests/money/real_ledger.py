"""The same events for the bridge's own ledger on real PostgreSQL: rows of a small network, and app.ledger called as the flows call it.

Everything happens in one transaction of the caller that is rolled back in the end, so a story costs no cleaning up. What may go wrong: a
constraint that PostgreSQL checks only at the end of a transaction. `settled()` makes it check now.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from second_ledger import (
    Balances,
    Cancel,
    Captured,
    CaptureFailed,
    CaptureSent,
    Dispute,
    DisputeOver,
    Event,
    LookAtDue,
    MoreInParcel,
    Parcel,
    Payout,
    PayoutEnds,
    Refund,
    Seen,
    Status,
    Terms,
    TradeEvent,
)
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import ledger
from app import messages as m
from app.ledger import Source
from app.ledger.reading import by_trade
from app.models import (
    Account,
    Connection,
    Order,
    Partnership,
    Profile,
    Shipment,
    Trade,
    TradeLine,
)
from app.models.ledger import Payment

BY = Source("shop cn_anna", "event 4711", "order.told")
SUPPLIERS = {"anna": "Anna's Teeladen", "chai": "Chai GmbH"}


class Cast:
    """Who is there: two suppliers, the retailer Bücher Boldt, their shops. Ids only, so that a rollback does not touch it."""

    def __init__(self, session: Session) -> None:
        self.retailer, self.retail_shop = _member(session, "Bücher Boldt", "retailer")
        self.suppliers: dict[str, int] = {}
        self.networks: dict[str, int] = {}
        self.partnerships: dict[str, int] = {}
        for word, name in SUPPLIERS.items():
            self.suppliers[word], self.networks[word] = _member(session, name, "supplier")
            partnership = Partnership(
                retailer_id=self.retailer, supplier_id=self.suppliers[word], state="active"
            )
            session.add(partnership)
            session.flush()
            self.partnerships[word] = partnership.id
        self.payment = ledger.payment_connection(session).id


def _member(session: Session, name: str, role: str) -> tuple[int, int]:
    account = Account(name=name)
    session.add(account)
    session.flush()
    address = {"company": name, "address_1": "Ring 1", "postcode": "10115", "city": "Berlin", "country": "DE"}
    session.add(
        Profile(
            account_id=account.id, supplier=role == "supplier", retailer=role == "retailer", address=address
        )
    )
    session.flush()
    session.execute(text("UPDATE profile SET state = 'approved' WHERE account_id = :id"), {"id": account.id})
    connection = Connection(
        account_id=account.id,
        key=f"cn_{role}_{account.id}",
        provider="woocommerce" if role == "retailer" else "dropshipping",
        role="shop" if role == "retailer" else "network",
        name=f"{role} {name}",
        state="active",
    )
    session.add(connection)
    session.flush()
    return account.id, connection.id


class RealLedger:
    """Plays events through app.ledger in the caller's transaction. `now` is the only clock (the caller travels)."""

    def __init__(self, session: Session, cast: Cast, *, reserve_bp: int = 0) -> None:
        self.session = session
        self.cast = cast
        self.reserve_bp = reserve_bp
        self.trades: dict[str, int] = {}
        self.kept: dict[str, Trade] = {}  # the session itself only remembers what somebody holds
        self.lines: dict[str, dict[str, int]] = {}
        self.captures: dict[str, int] = {}
        self.parcels: dict[tuple[str, str], int] = {}
        self.numbers: set[tuple[str, str]] = set()
        self.payouts: dict[str, int | None] = {}

    # --- rows ---

    def open(self, terms: Terms) -> None:
        """The order, the supplier's part of it and the instruction to capture."""
        retail = self._order(self.cast.retailer, self.cast.retail_shop, terms, "shop")
        child = self._order(
            self.cast.suppliers[terms.supplier], self.cast.networks[terms.supplier], terms, "child"
        )
        trade = Trade(
            key=f"dropshipping:{terms.key}",
            partnership_id=self.cast.partnerships[terms.supplier],
            retailer_id=self.cast.retailer,
            supplier_id=self.cast.suppliers[terms.supplier],
            retail_order_id=retail.id,
            order_id=child.id,
            currency=terms.currency,
            goods=terms.total - terms.shipping,
            shipping=terms.shipping,
            total=terms.total,
            fee_bp=terms.fee_bp,
            fee_vat_bp=terms.vat_bp,
            policy=_policy(terms),
        )
        for name, (count, price) in terms.lines.items():
            trade.lines.append(
                TradeLine(
                    shop_line_id=name,
                    title=name,
                    sku=name,
                    quantity=count,
                    unit_price=price,
                    vat_percent="19",
                )
            )
        self.session.add(trade)
        self.session.flush()
        self.trades[terms.key] = trade.id
        self.kept[terms.key] = trade
        self.lines[terms.key] = {line.shop_line_id: line.id for line in trade.lines}
        self.captures[terms.key] = ledger.charge(self.session, trade).id

    def _order(self, account: int, connection: int, terms: Terms, kind: str) -> Order:
        street = terms.recipient or terms.key
        address = {"first_name": "Kim", "address_1": f"{street} 1", "postcode": "10115", "city": "Berlin"}
        order = Order(
            account_id=account,
            connection_id=connection,
            external_id=f"{kind}-{terms.key}",
            key=f"{kind}:{terms.key}",
            country="DE",
            currency=terms.currency,
            placed_at=datetime.now(UTC),
            buyer={
                "billing": {**address, "country": "DE"},
                "shipping": {**address, "country": "DE"},
            },
        )
        self.session.add(order)
        self.session.flush()
        return order

    def trade(self, key: str) -> Trade:
        return self.session.get_one(Trade, self.trades[key])

    def _shipment(self, key: str, parcel: str, number: str | None) -> int:
        """The parcel's row, with the carrier that the shop names for this number."""
        carrier = "deutsche_post" if (number or "").startswith("RX") else "dhl"
        if (key, parcel) in self.parcels:
            shipment = self.session.get_one(Shipment, self.parcels[key, parcel])
            shipment.carrier = carrier if number else shipment.carrier
            return shipment.id
        shown = number or ""
        if (key, shown) in self.numbers:
            shown = f"{shown} {parcel}"  # One order shows each number once.
        self.numbers.add((key, shown))
        shipment = Shipment(
            order_id=self.trade(key).order_id,
            tracking_number=shown,
            carrier=carrier,
            carrier_source="shop",
            piece_ids=[],
        )
        self.session.add(shipment)
        self.session.flush()
        self.parcels[key, parcel] = shipment.id
        return shipment.id

    # --- events ---

    def play(self, event: Event) -> Any:
        """Let one event happen, as the flows do; answers what the ledger answers."""
        if isinstance(event, Payout):
            return self._pay(event)
        if isinstance(event, PayoutEnds):
            payment = self.payouts.get(event.key)
            state = m.PaymentState.DONE if event.done else m.PaymentState.FAILED
            return payment and self._settle(payment, state)
        if isinstance(event, LookAtDue):
            return ledger.release_due(self.session, datetime.now(UTC))
        return self._play_trade(event)

    def _play_trade(self, event: TradeEvent) -> Any:
        trade = self.trade(event.trade)
        match event:
            case CaptureSent(key):
                return self._settle(self.captures[key], m.PaymentState.PENDING)
            case Captured(key):
                return self._settle(self.captures[key], m.PaymentState.DONE)
            case CaptureFailed(key):
                return self._settle(self.captures[key], m.PaymentState.FAILED)
            case Parcel(key, parcel, number, units):
                return ledger.release(
                    self.session,
                    trade,
                    shipment_id=self._shipment(key, parcel, number),
                    number=number,
                    units={self.lines[key][name]: count for name, count in units.items()},
                    country="DE",
                    by=BY,
                )
            case MoreInParcel(key, parcel, units):
                return ledger.release_added(
                    self.session,
                    trade,
                    shipment_id=self._shipment(key, parcel, None),
                    units={self.lines[key][name]: count for name, count in units.items()},
                    by=BY,
                )
            case Seen(key, parcel, kind):
                shipment = self._shipment(key, parcel, None)
                return ledger.evidence(self.session, trade, shipment, kind, datetime.now(UTC), BY)
            case Refund(_, key, amount):
                return ledger.refund(self.session, trade, amount, key=key, by=BY)
            case Cancel(_, key):
                return ledger.cancel(self.session, trade, key=key, by=BY)
            case Dispute(_, key, amount):
                return ledger.dispute(self.session, trade, amount, key=key, by=BY)
            case DisputeOver(_, key, won):
                return ledger.dispute_over(self.session, trade, won=won, key=key, by=BY)
            case Status():
                return None  # Flows turn no word into money; tests/flows shows it.

    def _settle(self, payment_id: int, state: m.PaymentState) -> None:
        payment = self.session.get_one(Payment, payment_id)
        answer = m.PaymentAnswer(
            key=payment.key,
            kind=payment.kind,
            state=state,
            amount=payment.amount,
            currency=payment.currency,
            external_id=f"ext-{payment.id}",
            reason=m.Reason("payment.failed", {}) if state == m.PaymentState.FAILED else None,
            at=datetime.now(UTC),
        )
        ledger.settle(self.session, payment, answer)

    def _pay(self, event: Payout) -> Payment | None:
        if event.key in self.payouts:
            return None
        made = ledger.payout(
            self.session,
            self.cast.suppliers[event.supplier],
            event.currency,
            datetime.now(UTC),
            BY,
            reserve_bp=self.reserve_bp,
        )
        self.payouts[event.key] = made.id if made else None
        return made

    # --- what is there ---

    def settled(self) -> None:
        """Everything is written, and every constraint that waits for the end of the transaction is checked now."""
        self.session.flush()
        now_and_then = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"
        self.session.connection().exec_driver_sql(now_and_then)

    def balances(self, key: str) -> Balances:
        return _figures(ledger.money(self.session, self.trade(key)))

    def all_balances(self) -> dict[str, Balances]:
        """Of every trade, in one look."""
        found = by_trade(self.session)
        return {key: _figures(found.get(number, ledger.Money())) for key, number in self.trades.items()}


def _figures(money: ledger.Money) -> Balances:
    return Balances(**{name: getattr(money, name) for name in Balances.__dataclass_fields__})


def _policy(terms: Terms) -> dict[str, Any]:
    if terms.policy == "delivered":
        return {"kind": "delivered", "days": terms.days}
    return {"kind": terms.policy}


@contextmanager
def kept_plans(session: Session) -> Iterator[None]:
    """Plan each statement once, not anew after every rollback: planning all the checks takes longer than running them.

    psycopg forgets its prepared statements at a rollback, because tables may have gone with it. Here none do.
    """
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    session.execute(text("SET plan_cache_mode = force_generic_plan"))
    session.commit()
    before = driver.prepare_threshold, driver.prepared_max
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(driver._prepared), "_should_discard", lambda *_: False)
        driver.prepare_threshold, driver.prepared_max = 1, 500
        try:
            yield
        finally:
            driver.prepare_threshold, driver.prepared_max = before
            session.rollback()
            session.execute(text("RESET plan_cache_mode"))
            session.commit()
