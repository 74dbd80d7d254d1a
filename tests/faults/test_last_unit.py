"""The last unit, wanted everywhere at once: two retailers, the supplier's own shop and a marketplace (reliability 5; K5, I13).

The bridge is real (inbox, flows, stock, reservations, ledger); the shops and the marketplace are counters, and chance decides what happens between
two of its steps. However it comes: who sold more than there was is told, and nobody is told so without a reason.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app import inbox, jobs, ledger, reservations
from app import messages as m
from app.extensions import db
from app.flows import order_placed
from app.models import (
    Account,
    Command,
    Connection,
    Listing,
    Order,
    OrderLine,
    OrderPiece,
    Partnership,
    Payment,
    Product,
    Profile,
    Release,
)
from app.rules import stock as rules

pytestmark = pytest.mark.long

ROUNDS, WAVE = 1_000, 100
ADDRESS = {
    "company": "Buch",
    "address_1": "Buchgasse 7",
    "postcode": "04109",
    "city": "Leipzig",
    "country": "DE",
}
HOME = {"last_name": "Muster", "address_1": "Weg 4", "postcode": "10115", "city": "Berlin", "country": "DE"}
CHANNELS = ("boldt", "dora", "kaufland", "own")


@dataclass
class Seller:
    """One place where the units are shown: product -> how many. A sale there is known there at once."""

    connection: int
    shown: dict[int, int] = field(default_factory=dict)
    unsent: list[dict[str, Any]] = field(default_factory=list)


class Race:
    """Anna supplies `WAVE` products with one unit each; everybody shows it."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session, self.random = session, random.Random(seed)
        self.sequence, self.number = 0, 0
        self.sold: Counter[int] = Counter()
        self._people()
        self.shelf: dict[int, int] = {}
        self.external: dict[int, tuple[str, str]] = {}
        self.products: list[int] = []

    # --- rows -------------------------------------------------------------------------------------------------------

    def _people(self) -> None:
        self.accounts = {name: Account(name=name) for name in ("anna", "boldt", "dora")}
        self.session.add_all(self.accounts.values())
        self.session.flush()
        for account in self.accounts.values():
            is_supplier = account.name == "anna"
            self.session.add(
                Profile(
                    account_id=account.id,
                    supplier=is_supplier,
                    retailer=not is_supplier,
                    state="approved",
                    address=ADDRESS,
                )
            )
        self.sellers = {name: Seller(self._connection(name, "shop", "woocommerce")) for name in self.accounts}
        shop = self.sellers["anna"].connection
        self.network = self._connection("anna", "network", "dropshipping", shop)
        self.sellers["kaufland"] = Seller(self._connection("anna", "marketplace", "kaufland", shop))
        self.partnership = {}
        for name in ("boldt", "dora"):
            made = Partnership(
                retailer_id=self.accounts[name].id, supplier_id=self.accounts["anna"].id, state="active"
            )
            self.session.add(made)
            self.session.flush()
            self.partnership[name] = made.id
        self.session.commit()

    def _connection(self, name: str, role: str, provider: str, shop: int | None = None) -> int:
        made = Connection(
            account_id=self.accounts[name].id,
            key=f"{name}-{role}",
            provider=provider,
            role=role,
            name=provider,
            state="active",
            settings={"currency": "EUR"},
            secrets={},
            shop_id=shop,
        )
        self.session.add(made)
        self.session.flush()
        return made.id

    def stock_up(self, count: int) -> None:
        """New products, one unit each, shown everywhere."""
        self.old = self.session.scalar(select(func.coalesce(func.max(Payment.id), 0))) or 0
        anna, shop = self.accounts["anna"].id, self.sellers["anna"].connection
        made = [
            Product(
                account_id=anna,
                connection_id=shop,
                external_id=str(1_000 + len(self.shelf) + number),
                title="Tee",
                sku=f"TEE-{len(self.shelf) + number}",
                stock=1,
                sequence=0,
                stock_sequence=0,
            )
            for number in range(count)
        ]
        self.session.add_all(made)
        self.session.flush()
        self.products = [row.id for row in made]
        self.external.update({row.id: (row.external_id, row.sku or "") for row in made})
        for row in made:
            self.session.add(
                Release(product_id=row.id, account_id=anna, state="released", price=420, currency="EUR")
            )
            for name, partnership in self.partnership.items():
                self.session.add(
                    Listing(
                        account_id=self.accounts[name].id,
                        partnership_id=partnership,
                        product_id=row.id,
                        shop_id=self.sellers[name].connection,
                        key=f"listing:{row.id}",
                        shop_product_id=f"L{row.id}",
                        state="listed",
                        stale=False,
                    )
                )
        self.session.commit()
        self.shelf.update(dict.fromkeys(self.products, 1))
        for name in ("boldt", "dora", "kaufland"):
            self.sellers[name].shown = dict.fromkeys(self.products, 1)

    # --- what customers do --------------------------------------------------------------------------------------------

    def somebody_buys(self, where: str, product: int) -> None:
        """A customer takes the unit where it is shown."""
        if where == "own":
            if self.shelf[product] > 0:
                self.sold[product] += 1
                self.shelf[product] -= 1
                self._stock_event(product)
            return
        seller = self.sellers[where]
        if seller.shown[product] > 0:
            seller.shown[product] -= 1
            self.sold[product] += 1
            self.number += 1
            seller.unsent.append({"product": product, "number": self.number, "sequence": self._draw()})

    def _draw(self) -> int:
        self.sequence += 1
        return self.sequence

    def _stock_event(self, product: int) -> None:
        self.sellers["anna"].unsent.append({"stock": product, "sequence": self._draw()})

    # --- what the bridge and the shops do -------------------------------------------------------------------------------

    def events_arrive(self, where: str) -> None:
        """A shop sends what waits, in any order; the bridge works it off."""
        seller = self.sellers[where]
        self.random.shuffle(seller.unsent)
        for told in seller.unsent:
            kind, subject, data = self._message(told)
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                inbox.accept(
                    connection,
                    account_id=self.session.get_one(Connection, seller.connection).account_id,
                    connection_id=seller.connection,
                    delivery_id=f"evt_{seller.connection}_{told['sequence']}",
                    kind=kind,
                    subject=subject,
                    sequence=told["sequence"],
                    happened_at=datetime.now(UTC),
                    body=json.dumps({"data": data}).encode(),
                )
        many, seller.unsent = len(seller.unsent), []
        self.session.rollback()
        for _ in range(0, many, 100):
            jobs.drain_inbox(seller.connection)

    def _message(self, told: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
        if "stock" in told:
            external_id, sku = self.external[told["stock"]]
            shelf = self.shelf[told["stock"]]  # as it is when it is sent
            stock = {"manage_stock": True, "stock_quantity": shelf, "stock_status": "instock"}
            return "stock.changed", f"product/{external_id}", {"id": external_id, "sku": sku, **stock}
        if "order" in told:
            return "order.placed", f"order/{told['order']['id']}", told["order"]
        line = {"id": 1, "product_id": f"L{told['product']}", "quantity": 1, "name": "Tee", "total": "12.90"}
        order = {
            "id": told["number"],
            "status": "processing",
            "currency": "EUR",
            "total": "12.90",
            "line_items": [line],
            "shipping": HOME,
            "shopbridge": {},
        }
        return "order.placed", f"order/{told['number']}", order

    def bridge_asks_kaufland(self) -> None:
        """The look at new orders."""
        seller = self.sellers["kaufland"]
        for told in seller.unsent:
            _, sku = self.external[told["product"]]
            piece = m.PieceSeen(
                f"k{told['number']}",
                sku or "",
                sku,
                None,
                "Tee",
                790,
                0,
                m.PieceState.TO_SHIP,
                "need_to_be_sent",
            )
            home = m.Address(**HOME)
            seen = m.OrderSeen(f"K{told['number']}", datetime.now(UTC), "EUR", (piece,), home, home)
            order_placed.receive(self.session, self.session.get_one(Connection, seller.connection), seen)
            self.session.commit()
        seller.unsent = []

    def money_comes(self, share: float) -> None:
        """Some captures are confirmed; their parts are passed on."""
        for payment in self.session.scalars(
            select(Payment).where(Payment.state == "due", Payment.id > self.old)
        ).all():
            if self.random.random() < share:
                answer = m.PaymentAnswer(
                    payment.key, "capture", m.PaymentState.DONE, payment.amount, payment.currency
                )
                ledger.settle(self.session, payment, answer)
                self.session.commit()
        jobs.drain_outbox(self.network)

    def shop_obeys(self) -> None:
        """Anna's shop writes the orders that it was told to, also below zero, and reports them and its stock. The answer is lost."""
        shop = self.sellers["anna"]
        due = select(Command).where(Command.kind == "order.create", Command.state == "due")
        for command in self.session.scalars(due.order_by(Command.id)).all():
            order = self.session.get_one(Order, command.order_id)
            pieces = self.session.scalars(select(OrderPiece).where(OrderPiece.order_id == order.id)).all()
            lines = self.session.scalars(select(OrderLine).where(OrderLine.order_id == order.id)).all()
            for piece in pieces:
                piece.in_shop = True
            for line in lines:
                self.shelf[line.product_id or 0] -= sum(piece.line_id == line.id for piece in pieces)
            contained = self._draw()
            for line in lines:
                self._stock_event(line.product_id or 0)
            self.number += 1
            written = {
                "id": self.number,
                "status": "processing",
                "currency": "EUR",
                "total": "1.00",
                "line_items": [],
                "shopbridge": {"key": order.key, "stock_sequence": contained},
            }
            shop.unsent.append({"order": written, "sequence": self._draw()})
            command.state = "done"
        self.session.commit()

    def pushes_arrive(self, where: str) -> None:
        """A seller shows what the bridge knows now, less what it sold itself and the bridge has not heard of."""
        held = reservations.held(self.session, self.products)
        rows = self.session.execute(
            select(Product.id, Product.stock).where(Product.id.in_(self.products))
        ).all()
        untold = Counter(told["product"] for told in self.sellers[where].unsent)
        for product, on_hand in rows:
            free = rules.published(
                on_hand, held.get(product, 0), 0, on=True, holiday=False, unmanaged=0, in_stock=True
            )
            self.sellers[where].shown[product] = max(0, free - untold[product])
        self.session.rollback()

    # --- one wave -------------------------------------------------------------------------------------------------------

    def run(self, count: int) -> None:
        """`count` races at once, until nothing moves any more."""
        self.stock_up(count)
        wishes = [
            (where, product) for product in self.products for where in CHANNELS if self.random.random() < 0.6
        ]
        self.random.shuffle(wishes)
        steps: list[Any] = [
            *[lambda name=name: self.events_arrive(name) for name in ("anna", "boldt", "dora")],
            *[lambda name=name: self.pushes_arrive(name) for name in ("boldt", "dora", "kaufland")],
            self.bridge_asks_kaufland,
            self.shop_obeys,
            lambda: self.money_comes(0.3),
        ]
        while wishes:
            for _ in range(min(len(wishes), self.random.randrange(5, 40))):
                self.somebody_buys(*wishes.pop())
            for step in self.random.sample(steps, 3):
                step()
        self.drain()

    def drain(self) -> None:
        """Everything is heard of at last; what nobody paid for by then stays reserved."""
        while self._moves():
            self.bridge_asks_kaufland()
            self.shop_obeys()
            for name in ("boldt", "dora", "anna"):
                self.events_arrive(name)

    def _moves(self) -> bool:
        open_ = text("SELECT EXISTS (SELECT 1 FROM command WHERE kind = 'order.create' AND state = 'due')")
        return any(seller.unsent for seller in self.sellers.values()) or bool(self.session.scalar(open_))

    def flagged(self) -> set[int]:
        """Products that somebody was told about."""
        found = text(
            "SELECT DISTINCT split_part(subject, 'product/', 2)::int FROM case_ WHERE code = 'order.oversold'"
        )
        return set(self.session.scalars(found))

    def shown_at_last(self) -> Counter[int]:
        """How many units are still offered anywhere."""
        found: Counter[int] = Counter()
        for name in ("boldt", "dora", "kaufland"):
            self.pushes_arrive(name)
            found.update({product: self.sellers[name].shown[product] for product in self.products})
        return found


def run(session: Session, rounds: int, seed: int = 1) -> tuple[Race, dict[str, int]]:
    """So many races. Answers the last state and what came out."""
    race = Race(session, seed)
    wrong: Counter[str] = Counter(races=0, sold=0, oversold=0, unflagged=0, flagged_for_nothing=0, shown=0)
    for _ in range(0, rounds, WAVE):
        race.run(WAVE)
        flagged = race.flagged()
        still = race.shown_at_last()
        for product in race.products:
            sold = race.sold[product]
            wrong["races"] += 1
            wrong["sold"] += sold > 0
            wrong["oversold"] += sold > 1
            wrong["unflagged"] += sold > 1 and product not in flagged
            wrong["flagged_for_nothing"] += sold < 2 and product in flagged
            wrong["shown"] += sold > 0 and still[product] > 0
    return race, dict(wrong)


@pytest.mark.timeout(600)  # half a minute on a quiet machine
def test_a_thousand_last_units_are_never_oversold_in_silence(app: Flask, record_property: Any) -> None:
    _, found = run(db.session(), ROUNDS)
    record_property("table", " ".join(f"{name}={count}" for name, count in found.items()))
    assert found["races"] == ROUNDS
    assert found["oversold"] > 100  # chance was unkind enough for the test to mean something
    assert found["unflagged"] == 0
    assert found["flagged_for_nothing"] == 0
    assert found["shown"] == 0


def test_the_race_sees_an_oversell_that_nobody_is_told_about(app: Flask, monkeypatch: Any) -> None:
    monkeypatch.setattr(reservations, "flag_oversold", lambda *_: None)
    _, found = run(db.session(), WAVE, seed=2)
    assert found["unflagged"] > 0
