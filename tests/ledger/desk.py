"""Anna's Teeladen supplies Bücher Boldt: trades, parcels and the payment provider's word in a few words each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import ledger
from app import messages as m
from app.models import (
    Account,
    Connection,
    LedgerAccount,
    Order,
    Partnership,
    Payment,
    Profile,
    Shipment,
    Trade,
    TradeLine,
)

BY = ledger.Source("shop cn_anna", "event 4711", "order.changed")
ADDRESS = {
    "first_name": "Chris",
    "last_name": "Chai",
    "address_1": "Hafenweg 3",
    "postcode": "20457",
    "city": "Hamburg",
}


def dhl(serial: int) -> str:
    """A DHL number with its check digit."""
    body = f"003404340000000{serial:04d}"
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


class Desk:
    """A supplier, a retailer and what happens between them. Amounts in cents."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.numbers = itertools.count(1)
        self.anna = self.account("Anna's Teeladen", supplier=True)
        self.boldt = self.account("Bücher Boldt", supplier=False)

    def account(self, name: str, *, supplier: bool) -> Account:
        """An approved member with a shop."""
        made = Account(name=name)
        self.session.add(made)
        self.session.flush()
        self.session.add(
            Profile(account_id=made.id, supplier=supplier, retailer=not supplier, state="approved")
        )
        self.session.add(
            Connection(
                account_id=made.id,
                key=f"cn_{made.id}",
                provider="woocommerce",
                role="shop",
                name="shop",
                state="active",
            )
        )
        self.session.commit()
        return made

    def trade(
        self,
        lines: Sequence[tuple[int, int]] = ((2, 500),),
        *,
        shipping: int = 0,
        supplier: Account | None = None,
        currency: str = "EUR",
        fee_bp: int = 0,
        policy: Mapping[str, Any] | None = None,
        vat: Sequence[str | None] = (),
        address: Mapping[str, str] | None = None,
        captured: bool = True,
    ) -> Trade:
        """A supplier's part of an order: `lines` = (quantity, unit price); its money is there unless told otherwise."""
        supplier = supplier or self.anna
        number = next(self.numbers)
        goods = sum(quantity * price for quantity, price in lines)
        made = Trade(
            key=f"dropshipping:b0b0:{number}",
            partnership_id=self._partnership(supplier),
            retailer_id=self.boldt.id,
            supplier_id=supplier.id,
            retail_order_id=self._order(self.boldt, f"shop:{number}", currency, None),
            order_id=self._order(supplier, f"dropshipping:b0b0:{number}", currency, address or {**ADDRESS, "address_2": f"{number}"}),
            currency=currency,
            goods=goods,
            shipping=shipping,
            total=goods + shipping,
            fee_bp=fee_bp,
            policy=dict(policy or {"kind": "tracking"}),
        )  # fmt: skip
        self.session.add(made)
        self.session.flush()
        for place, (quantity, price) in enumerate(lines):
            percent = vat[place] if vat else None
            self.session.add(
                TradeLine(
                    trade_id=made.id,
                    shop_line_id=f"{place + 1}",
                    title="Tee",
                    quantity=quantity,
                    unit_price=price,
                    vat_percent=percent,
                )
            )
        self.session.commit()
        if captured:
            self.capture(made)
        return made

    def capture(self, trade: Trade, state: m.PaymentState = m.PaymentState.DONE) -> Payment:
        """The retailer's money comes, or not."""
        payment = ledger.charge(self.session, trade)
        self.settle(payment, state)
        return payment

    def settle(self, payment: Payment, state: m.PaymentState = m.PaymentState.DONE) -> None:
        """The provider's word."""
        ledger.settle(self.session, payment, self.word(payment, state))
        self.session.commit()

    def word(self, payment: Payment, state: m.PaymentState) -> m.PaymentAnswer:
        """What the provider says of a payment."""
        return m.PaymentAnswer(
            payment.key, payment.kind, state, payment.amount, payment.currency, f"ext_{payment.id}"
        )

    def settle_all(self) -> None:
        """The provider carries out everything that is open."""
        for payment in self.session.scalars(
            select(Payment).where(Payment.state == "due").order_by(Payment.id)
        ):
            self.settle(payment)

    def shipment(self, trade: Trade, number: str) -> int:
        """A parcel of the child order as the bridge remembers it."""
        made = Shipment(order_id=trade.order_id, tracking_number=number, carrier="dhl", carrier_source="shop")
        self.session.add(made)
        self.session.commit()
        return made.id

    def ship(
        self, trade: Trade, *counts: int, number: str | None = None, shipment: int | None = None
    ) -> ledger.Released:
        """A parcel leaves with so many units of each line; a new good number unless told otherwise ("" = none)."""
        number = dhl(next(self.numbers)) if number is None else number
        shipment = self.shipment(trade, number) if shipment is None else shipment
        ids = [line.id for line in trade.lines]
        done = ledger.release(
            self.session,
            trade,
            shipment_id=shipment,
            number=number or None,
            units=dict(zip(ids, counts, strict=False)),
            country="DE",
            by=BY,
        )
        self.session.commit()
        return done

    def more(self, trade: Trade, shipment: int, *counts: int) -> ledger.Released:
        """So many units of each line are in a known parcel now, all told."""
        units = dict(zip([line.id for line in trade.lines], counts, strict=False))
        done = ledger.release_added(self.session, trade, shipment_id=shipment, units=units, by=BY)
        self.session.commit()
        return done

    def ship_all(self, trade: Trade) -> ledger.Released:
        """Everything in one parcel."""
        return self.ship(trade, *(line.quantity for line in trade.lines))

    def refund(
        self, trade: Trade, amount: int, key: str | None = None, lines: Sequence[ledger.RefundLine] = ()
    ) -> ledger.Refunded:
        """A refund object in the supplier's shop."""
        key = key or f"rf_{next(self.numbers)}"
        done = ledger.refund(self.session, trade, amount, key=key, by=BY, lines=lines)
        self.session.commit()
        return done

    def cancel(self, trade: Trade, key: str = "cancelled") -> ledger.Refunded:
        """CANCELLED in the supplier's shop."""
        done = ledger.cancel(self.session, trade, key=key, by=BY)
        self.session.commit()
        return done

    def dispute(self, trade: Trade, amount: int, key: str = "d1") -> ledger.Refunded:
        """The bank takes money back for now."""
        done = ledger.dispute(self.session, trade, amount, key=key, by=BY)
        self.session.commit()
        return done

    def dispute_over(self, trade: Trade, *, won: bool, key: str = "d1") -> None:
        """The bank has decided."""
        ledger.dispute_over(self.session, trade, won=won, key=key, by=BY)
        self.session.commit()

    def pay(self, *, reserve_bp: int = 0, done: bool = True, now: datetime | None = None) -> Payment | None:
        """A payout to Anna, and the provider's word."""
        payment = ledger.payout(
            self.session, self.anna.id, "EUR", now or datetime.now(UTC), BY, reserve_bp=reserve_bp
        )
        self.session.commit()
        if payment is not None and done:
            self.settle(payment)
        return payment

    def money(self, trade: Trade) -> ledger.Money:
        """What the ledger says of a trade."""
        return ledger.money(self.session, trade)

    def balance(self, kind: str, trade: Trade | None = None) -> int:
        """An account's balance, of a trade or of the suppliers."""
        where = LedgerAccount.trade_id == trade.id if trade else LedgerAccount.trade_id.is_(None)
        found = self.session.scalars(select(LedgerAccount.balance).where(where, LedgerAccount.kind == kind))
        return sum(found)

    def _partnership(self, supplier: Account) -> int:
        found = self.session.scalar(select(Partnership.id).where(Partnership.supplier_id == supplier.id))
        if found is None:
            made = Partnership(retailer_id=self.boldt.id, supplier_id=supplier.id, state="active")
            self.session.add(made)
            self.session.flush()
            found = made.id
        return found

    def _order(self, owner: Account, key: str, currency: str, address: Mapping[str, str] | None) -> int:
        shop = self.session.scalars(select(Connection.id).where(Connection.account_id == owner.id)).first()
        made = Order(
            account_id=owner.id,
            connection_id=shop,
            external_id=key,
            key=key,
            currency=currency,
            placed_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
            buyer={"billing": dict(address), "shipping": dict(address)} if address else None,
        )
        self.session.add(made)
        self.session.flush()
        return made.id
