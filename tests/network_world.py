"""A network in one process: suppliers and retailers, each with a simulated shop, Kaufland behind one retailer, and the bridge.

Built like tests/world.py, and as quiet: nothing runs by itself, `network.work()` calls the workers. What other flows make (profiles, partnerships,
releases, listings, the word of the payment provider) is written here as rows, so that a story needs only the flows it tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update
from werkzeug.serving import BaseWSGIServer
from world import call, serve

from app import accounts, clock, inbox, jobs, ledger, outbox, trades
from app import messages as m
from app.extensions import db
from app.flows import network_members
from app.models import (
    Account,
    Case,
    Connection,
    Listing,
    Order,
    OrderPiece,
    Partnership,
    Payment,
    PriceGroup,
    Product,
    Profile,
    Release,
    Reservation,
    Schedule,
    Timeline,
    Trade,
)
from app.rules import listing as listing_rules
from app.sandbox import kaufland, shop
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY

ADDRESS = {
    "company": "",
    "first_name": "",
    "last_name": "",
    "address_1": "Buchgasse 7",
    "address_2": "",
    "postcode": "04109",
    "city": "Leipzig",
    "state": "",
    "country": "DE",
    "phone": "+49341000000",
    "email": "",
    "extra": {},
}


@dataclass(frozen=True)
class Listed:
    """A listing, and what the retailer's shop calls its product."""

    id: int
    shop_product: int
    sku: str


@dataclass
class Member:
    """One merchant: his account, his simulated shop and its connection; `network` is by which a supplier gets child orders."""

    name: str
    account: Account
    shop_app: Flask
    shop_url: str
    connection: int
    network: int | None = None

    @property
    def shop(self) -> Any:
        """The simulator's state."""
        return self.shop_app.extensions["shop"]

    def buys(self, *lines: tuple[Listed | str, int], **more: Any) -> int:
        """A customer buys (listing or SKU, quantity) in this shop; the number of the order."""
        asked = [{"sku": getattr(what, "sku", what), "quantity": quantity} for what, quantity in lines]
        wanted = {"lines": asked, **more}
        return int(call("POST", f"{self.shop_url}/_control/buy", wanted)["id"])

    def does(self, deed: str, order: int, /, **asked: Any) -> Any:
        """The merchant does something with an order of his shop."""
        return call("POST", f"{self.shop_url}/_control/orders/{order}/{deed}", asked)

    def order(self, number: int) -> Any:
        """One order of the shop."""
        return self.shop.orders[number]

    def child(self, place: int = -1) -> Any:
        """An order that came by the network, the newest first in mind."""
        return [each for each in self.shop.orders.values() if (each.key or "").startswith("dropshipping:")][
            place
        ]

    def children(self) -> list[Any]:
        """All of them."""
        return [each for each in self.shop.orders.values() if (each.key or "").startswith("dropshipping:")]

    def stock(self, sku: str) -> int:
        """What the shop counts."""
        return int(self.shop.find(sku=sku).stock)


@dataclass
class Network:
    """Everything a story needs. `members` by name; `boldt` sells at Kaufland too."""

    bridge: Flask
    bridge_url: str
    kaufland_app: Flask
    kaufland_url: str
    members: dict[str, Member] = field(default_factory=dict)
    servers: list[BaseWSGIServer] = field(default_factory=list)
    kaufland_connection: int = 0
    paying: bool = True

    @property
    def session(self) -> Any:
        return db.session

    @property
    def anna(self) -> Member:
        """Anna's Teeladen, the supplier."""
        return self.members["Anna's Teeladen"]

    @property
    def boldt(self) -> Member:
        """Bücher Boldt, a retailer."""
        return self.members["Bücher Boldt"]

    @property
    def dora(self) -> Member:
        """Doras Drogerie, another retailer."""
        return self.members["Doras Drogerie"]

    # --- making members -----------------------------------------------------------------------------------------

    def join(self, name: str, *, supplier: bool = False, retailer: bool = False, **profile: Any) -> Member:
        """A merchant with a connected shop and an approved profile."""
        shop_app = shop.create_app(name=name, deliver=False)
        server, url = serve(shop_app)
        self.servers.append(server)
        account = accounts.create_account(db.session, name)
        code = accounts.make_pairing(db.session, account, "woocommerce")
        db.session.commit()
        answer = call("POST", f"{url}/_control/pair", {"bridge": self.bridge_url, "code": code})
        assert answer["status"] == 201, answer
        key = answer["answer"]["connection_key"]
        connection = db.session.scalars(select(Connection.id).where(Connection.key == key)).one()
        made = self.members[name] = Member(name, account, shop_app, url, connection)
        address = {**ADDRESS, "company": name, **profile.pop("address", {})}
        values = {"state": "approved", "address": address, **profile}
        db.session.add(Profile(account_id=account.id, supplier=supplier, retailer=retailer, **values))
        db.session.commit()
        self.work()
        if supplier:
            row = db.session.get_one(Connection, connection)
            row.settings = {**row.settings, "dealer_prices": "gross"}
            made.network = network_members.ensure_network_connection(db.session, account).id
            shop_row = db.session.get_one(Connection, connection)
            shop_row.settings = {**shop_row.settings, "dealer_prices": "gross"}
            db.session.commit()
        return made

    def sell_at_kaufland(self, member: Member) -> None:
        """Kaufland.de for one member."""
        settings = {"client_key": DEMO_CLIENT_KEY, "secret_key": DEMO_SECRET_KEY}
        made = accounts.connect_marketplace(
            db.session,
            member.account,
            "kaufland",
            settings,
            base_url=f"{self.kaufland_url}/v2",
            allow_loopback=True,
        )
        db.session.commit()
        self.kaufland_connection = made.id
        self.kaufland.conduct.withhold_seconds = 0

    def partners(self, retailer: Member, supplier: Member, *, discount_bp: int = 0) -> Partnership:
        """An active partnership."""
        group = None
        if discount_bp:
            group = PriceGroup(
                supplier_id=supplier.account.id, name=f"less {discount_bp}", discount_bp=discount_bp
            )
            db.session.add(group)
            db.session.flush()
        made = Partnership(
            retailer_id=retailer.account.id,
            supplier_id=supplier.account.id,
            state="active",
            price_group_id=group.id if group else None,
        )
        db.session.add(made)
        db.session.commit()
        return made

    def product(
        self,
        supplier: Member,
        sku: str,
        gtin: str,
        *,
        stock: int = 10,
        dealer: int = 420,
        price: str = "12.00",
    ) -> int:
        """A released product of a supplier; `dealer` is its gross dealer price in cents. Answers our id of it."""
        asked = {
            "name": f"Tee {sku}",
            "sku": sku,
            "gtin": gtin,
            "price": price,
            "stock": stock,
            "dealer_price": f"{dealer // 100}.{dealer % 100:02d}",
            "tax_rate": "19",
            "network_category": "food.tea",
        }
        call("POST", f"{supplier.shop_url}/_control/products", asked)
        self.work()
        row = db.session.scalars(
            select(Product).where(Product.connection_id == supplier.connection, Product.sku == sku)
        ).one()
        released = db.session.get_one(Release, row.id)
        assert (released.state, released.price, released.reasons) == ("released", dealer, [])
        return int(row.id)

    def listing(
        self, retailer: Member, product: int, *, price: str = "12.90", at_kaufland: bool = False
    ) -> Listed:
        """A supplier's product in a retailer's shop, put there by the bridge."""
        row = db.session.get_one(Product, product)
        if at_kaufland:
            self.kaufland.add_product(row.gtin)
        partnership = db.session.scalars(
            select(Partnership).where(
                Partnership.retailer_id == retailer.account.id, Partnership.supplier_id == row.account_id
            )
        ).one()
        listing = Listing(
            account_id=retailer.account.id,
            partnership_id=partnership.id,
            product_id=row.id,
            shop_id=retailer.connection,
            key=listing_rules.key(f"shop {row.connection_id}", row.external_id),
            price_rule={"kind": "fixed", "value": price},
        )
        db.session.add(listing)
        db.session.commit()
        self.work()
        listing = db.session.get_one(Listing, listing.id)
        assert (listing.state, listing.reason_code) == ("listed", None), listing.reason_code
        made = retailer.shop.products[int(listing.shop_product_id)]
        return Listed(listing.id, made.id, made.sku)

    # --- Kaufland -------------------------------------------------------------------------------------------------

    @property
    def kaufland(self) -> Any:
        """The simulator's state."""
        return self.kaufland_app.extensions["kaufland"]

    def kaufland_orders(self, *lines: tuple[str, int, int]) -> dict[str, Any]:
        """A buyer at Kaufland orders: (the retailer's SKU, pieces, price in cents)."""
        wanted = [{"id_offer": sku, "pieces": pieces, "price": price} for sku, pieces, price in lines]
        return dict(call("POST", f"{self.kaufland_url}/_control/orders", {"lines": wanted}))

    def kaufland_units(self, placed: dict[str, Any]) -> list[dict[str, Any]]:
        """The pieces of an order as Kaufland has them."""
        return [self.kaufland.order_units[unit] for unit in placed["units"]]

    def buyer_cancels(self, unit: int) -> None:
        """A buyer changes his mind at Kaufland."""
        call("POST", f"{self.kaufland_url}/_control/order-units/{unit}/cancel", {})

    def kaufland_books(self) -> dict[str, Any]:
        """Every deed that was done there."""
        return dict(call("GET", f"{self.kaufland_url}/_control/books"))

    # --- time passes ------------------------------------------------------------------------------------------------

    def work(self, *, rounds: int = 9, poll: bool = True) -> None:
        """Events in, commands and offers out, marketplaces asked, payments made, until nothing moves any more."""
        for turn in range(rounds):
            self.send_events()
            if poll and turn == 0:
                self.ask()
            if self.paying:
                self.money_comes()
            waiting_in, waiting_out = self._waiting()
            for connection_id in waiting_in:
                jobs.drain_inbox(connection_id)
            for connection_id in waiting_out | self._waiting()[1]:
                jobs.drain_outbox(connection_id)
            db.session.rollback()
            if not waiting_in and not waiting_out:
                return

    def wait_is_over(self) -> None:
        """Whoever waits for a tracking number has waited three hours (C3)."""
        db.session.execute(
            text("UPDATE orders SET wait_until = now() - interval '1 second' WHERE wait_until IS NOT NULL")
        )
        db.session.commit()
        self.sweep()
        self.work()

    def _waiting(self) -> tuple[set[int], set[int]]:
        """Connections for which the clock would ring, in and out."""
        db.session.rollback()  # now() is when a transaction began
        payments = db.session.scalars(select(Connection.id).where(Connection.role == "payment"))
        out = {
            *outbox.waiting_connections(db.session),
            *trades.waiting_networks(db.session, datetime.now(UTC)),
        }
        found = set(inbox.waiting_connections(db.session)), out - set(payments)
        db.session.rollback()
        return found

    def send_events(self) -> None:
        """Every shop's outbox delivers what is due."""
        for member in self.members.values():
            member.shop.outbox.deliver_due()

    def ask(self) -> None:
        """Every look at Kaufland is due now."""
        if self.kaufland_connection:
            db.session.execute(
                update(Schedule).values(due_at=text("now() - interval '1 second'"), lease_until=None)
            )
            db.session.commit()
            jobs.ask_marketplace(self.kaufland_connection)

    def money_comes(self, kind: str = "", *, state: m.PaymentState = m.PaymentState.DONE) -> int:
        """The payment provider's word on every open instruction (of one kind). Answers how many there were."""
        query = select(Payment).where(Payment.state.in_(("due", "unknown"))).order_by(Payment.id)
        found = [each for each in db.session.scalars(query) if kind in {"", each.kind}]
        for payment in found:
            ledger.settle(
                db.session,
                payment,
                m.PaymentAnswer(
                    payment.key, payment.kind, state, payment.amount, payment.currency, f"p{payment.id}"
                ),
            )
            db.session.commit()
        return len(found)

    def window_is_over(self) -> None:
        """Every regret window ends now."""
        db.session.execute(
            update(Trade)
            .where(Trade.pass_on_at.is_not(None))
            .values(pass_on_at=text("now() - interval '1 second'"))
        )
        db.session.commit()

    def sweep(self) -> None:
        """One pass of the clock."""
        clock.sweep(datetime.now(UTC))

    def hurry(self) -> None:
        """Everything that waits for its next try is due now, and every lease is over."""
        for table in ("event", "command", "offer", "listing"):
            db.session.execute(text(f"UPDATE {table} SET next_attempt_at = now() - interval '1 second'"))
        for table in ("event", "command"):
            db.session.execute(
                text(f"UPDATE {table} SET lease_until = now() - interval '1 second' WHERE state = 'leased'")
            )
        db.session.execute(text("UPDATE connection SET paused_until = NULL"))
        db.session.commit()

    # --- what is true -------------------------------------------------------------------------------------------------

    def trades(self) -> Sequence[Trade]:
        """All trades, oldest first, as they are now."""
        db.session.expire_all()
        return db.session.scalars(select(Trade).order_by(Trade.id)).all()

    def trade(self, place: int = -1) -> Trade:
        """One trade."""
        return self.trades()[place]

    def money(self, place: int = -1) -> ledger.Money:
        """The money of one trade."""
        return ledger.money(db.session, self.trade(place))

    def pieces(self, place: int = -1) -> list[str]:
        """States of the pieces of a trade's child order."""
        query = select(OrderPiece.state).where(OrderPiece.order_id == self.trade(place).order_id)
        return list(db.session.scalars(query.order_by(OrderPiece.id)))

    def reserved(self, product: int) -> int:
        """Open reservations of a product."""
        query = select(Reservation.id).where(Reservation.product_id == product, Reservation.state == "open")
        return len(db.session.scalars(query).all())

    def story(self, order_id: int | None) -> list[str]:
        """Codes of an order's timeline."""
        query = select(Timeline.code).where(Timeline.order_id == order_id).order_by(Timeline.id)
        return list(db.session.scalars(query))

    def cases(self, member: Member | None = None) -> list[str]:
        """Codes of the open cases, of one member or of all."""
        query = select(Case.code).where(Case.state == "open").order_by(Case.id)
        if member is not None:
            query = query.where(Case.account_id == member.account.id)
        return list(db.session.scalars(query))

    def retail(self, place: int = -1) -> Order:
        """The retailer's order of a trade."""
        return db.session.get_one(Order, self.trade(place).retail_order_id)


@pytest.fixture
def network(app: Flask) -> Iterator[Network]:
    """Anna supplies; Boldt and Dora sell. Nothing is listed yet."""
    # The application is one for all tests of this process: what is set here must not be seen by the next test.
    names = ("SHOPBRIDGE_RETRY_SCALE", "SHOPBRIDGE_PUBLIC_URL")
    before = {name: app.config[name] for name in names}
    app.config["SHOPBRIDGE_RETRY_SCALE"] = 0.001
    kaufland_app = kaufland.create_app()
    bridge, kaufland_server = serve(app), serve(kaufland_app)
    app.config["SHOPBRIDGE_PUBLIC_URL"] = bridge[1]
    built = Network(app, bridge[1], kaufland_app, kaufland_server[1], servers=[bridge[0], kaufland_server[0]])
    built.join("Anna's Teeladen", supplier=True, shipping_price=390)
    built.join("Bücher Boldt", retailer=True)
    built.join("Doras Drogerie", retailer=True)
    built.partners(built.boldt, built.anna)
    built.partners(built.dora, built.anna)
    yield built
    app.config.update(before)
    for server in built.servers:
        server.shutdown()
        server.server_close()
