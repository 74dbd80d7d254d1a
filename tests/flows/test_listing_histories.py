"""Whatever happens in whatever order, a retailer's shop is never sent more than the supplier can sell, and ends up with exactly that (I13, K4, K5).

Every history is drawn: stock messages (old ones too), reservations, parcels that the shop's own stock already contains, products that lose and get
back their GTIN, paused partnerships, edits by hand in the retailer's shop, calls that fail with and without effect, and changes while a call is on
the wire. The right answer is computed apart from the program, in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listings import ASSAM, goods, offer
from network_world import Network
from sqlalchemy import select, text

from app import messages as m
from app import reservations
from app.errors import Unavailable, Unknown
from app.extensions import db
from app.flows import catalogue, product_changed, products_released, push_listings
from app.models import Connection, Listing, Order, OrderLine, OrderPiece, Product, Reservation

BUFFER = 1
PIECES = 4

SELLABLE = text("""
    SELECT CASE WHEN r.state = 'released' AND s.state = 'active' AND l.switched_on AND p.in_stock AND NOT p.deleted
           THEN greatest(0, p.stock - :buffer - (
               SELECT count(*) FROM reservation h WHERE h.product_id = p.id AND h.state = 'open'
                   AND (h.stock_sequence IS NULL OR p.stock_sequence < h.stock_sequence)))
           ELSE 0 END
    FROM listing l JOIN product p ON p.id = l.product_id JOIN partnership s ON s.id = l.partnership_id
    LEFT JOIN release r ON r.product_id = p.id WHERE l.shop_id = :shop
""")


@dataclass
class Shelf:
    """A retailer's shop as far as one product goes, and the client that speaks to it."""

    connection: int
    stock: int | None = None
    sequence: int = 1000
    fate: str = "well"
    meanwhile: Callable[[], None] | None = None
    sent: list[int] = field(default_factory=list)
    too_many: list[tuple[int, int]] = field(default_factory=list)

    def send(self, command_id: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        assert kind in {"product.upsert", "stock.set"}
        assert "description" not in data
        allowed = sellable(self.connection)
        if data["stock_quantity"] > allowed:
            self.too_many.append((data["stock_quantity"], allowed))
        self.sent.append(data["stock_quantity"])
        db.session.commit()
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
            db.session.commit()
        if self.fate == "down":
            raise Unavailable("partner.unreachable")
        self.stock = data["stock_quantity"]
        self.sequence += 1
        if self.fate == "lost":
            raise Unknown("partner.no_answer")
        return {"product_id": "1", "created": True, "sequence": self.sequence, "stock_quantity": self.stock}


def sellable(shop: int) -> int:
    return int(db.session.execute(SELLABLE, {"buffer": BUFFER, "shop": shop}).scalar_one())


@dataclass
class Story:
    """One supplier's product at two retailers, and everything that can happen to it."""

    anna: int
    product: int
    shelves: list[Shelf]
    pieces: list[int]
    sequence: int = 100_000

    def shop(self, number: int) -> Connection:
        return db.session.get_one(Connection, number)

    def stock(self, count: int, age: int) -> None:
        """A stock message of the supplier; with an age it is an older one that comes late."""
        self.sequence += 1
        seen = m.StockSeen(self.external_id(), None, count, count > 0)
        product_changed.receive_stock(db.session(), self.shop(self.anna), [(self.sequence - age, seen)])

    def reserve(self, piece: int, _: int) -> None:
        held = select(Reservation.id).where(Reservation.piece_id == self.pieces[piece % PIECES])
        if db.session.scalar(held) is None:
            account = self.shop(self.anna).account_id
            piece_id = self.pieces[piece % PIECES]
            db.session.add(Reservation(account_id=account, product_id=self.product, piece_id=piece_id))
            db.session.flush()
            reservations.mark_offers(db.session(), [self.product])

    def free(self, piece: int, _: int) -> None:
        reservations.release(db.session(), [self.pieces[piece % PIECES]])

    def counted(self, _: int, age: int) -> None:
        """The supplier's shop has taken the order out of its stock."""
        order_id = db.session.scalars(select(OrderPiece.order_id)).first()
        reservations.contained_from(db.session(), int(order_id or 0), self.sequence - age)

    def gtin(self, has: int, _: int) -> None:
        """It loses its GTIN, or gets it back (K4)."""
        self.sequence += 1
        row = db.session.get_one(Product, self.product)
        seen = m.ProductSeen(
            external_id=row.external_id,
            parent_external_id=None,
            kind="simple",
            published=True,
            title="Assam",
            sku="TEE-001",
            gtin=ASSAM if has % 2 else None,
            price=790,
            currency="EUR",
            stock=row.stock,
            in_stock=row.in_stock,
            dealer_price=420,
            vat_percent="7",
            network_category="food.tea",
        )
        shop = self.shop(self.anna)
        changed = product_changed.receive(db.session(), shop, [(self.sequence, seen)])
        products_released.after_change(db.session(), shop, changed)

    def partnership(self, shelf: int, active: int) -> None:
        shop_id = self.shelves[shelf % 2].connection
        state = "active" if active % 2 else "paused"
        statement = "UPDATE partnership SET state = :state WHERE id = (SELECT partnership_id FROM listing WHERE shop_id = :shop)"
        db.session.execute(text(statement), {"state": state, "shop": shop_id})
        reservations.mark_listings(db.session(), Listing.shop_id == shop_id)

    def by_hand(self, shelf: int, count: int) -> None:
        """Somebody types a stock into the retailer's shop, and the shop says so."""
        found = self.shelves[shelf % 2]
        if found.stock is not None:
            found.stock, found.sequence = count, found.sequence + 1
            self.report(found)

    def report(self, shelf: Shelf) -> None:
        shop = self.shop(shelf.connection)
        seen = m.StockSeen("1", None, shelf.stock, bool(shelf.stock))
        changed = product_changed.receive_stock(db.session(), shop, [(shelf.sequence, seen)])
        push_listings.shown(db.session(), shop, changed)

    def echo(self, shelf: int, _: int) -> None:
        """The shop reports what we have set."""
        if self.shelves[shelf % 2].stock is not None:
            self.report(self.shelves[shelf % 2])

    def push(self, shelf: int, fate: str, meanwhile: Callable[[], None] | None) -> None:
        found = self.shelves[shelf % 2]
        found.fate, found.meanwhile = fate, meanwhile
        db.session.execute(text("UPDATE listing SET next_attempt_at = now() - interval '1 second'"))
        db.session.commit()
        push_listings.push(db.session(), self.shop(found.connection), found, lease=60, scale=0.001)
        found.meanwhile = None

    def external_id(self) -> str:
        return db.session.get_one(Product, self.product).external_id

    def settle(self) -> None:
        """Nothing happens any more: everything is delivered."""
        for _ in range(4):
            for place in (0, 1):
                self.push(place, "well", None)
                self.echo(place, 0)
                db.session.commit()


@pytest.fixture
def story(network: Network, monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setattr(push_listings, "SALE_GRACE", 0.0)
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    shop = network.session.get_one(Connection, network.anna.connection)
    shop.settings = {**shop.settings, "stock_buffer": BUFFER}
    order = Order(
        account_id=shop.account_id,
        connection_id=network.anna.network,
        external_id="o1",
        key="dropshipping:o1",
        currency="EUR",
        placed_at=datetime.now(UTC),
    )
    db.session.add(order)
    db.session.flush()
    line = OrderLine(order_id=order.id, group_key="1", product_id=product, title="Assam", unit_price=420)
    db.session.add(line)
    db.session.flush()
    made = []
    for place in range(PIECES):
        piece = OrderPiece(
            connection_id=network.anna.network,
            order_id=order.id,
            line_id=line.id,
            external_id=f"o1-{place}",
            price=420,
            shipping_price=0,
            state="to_ship",
            raw_state="",
            in_shop=True,
        )
        db.session.add(piece)
        made.append(piece)
    db.session.commit()
    pieces = [piece.id for piece in made]
    shelves = [Shelf(member.connection) for member in (network.boldt, network.dora)]
    return Story(network.anna.connection, product, shelves, pieces)


def begin_again(story: Story) -> None:
    """The next history starts with empty shelves."""
    db.session.rollback()
    for table in ("listing", "reservation"):
        db.session.execute(text(f"DELETE FROM {table}"))
    db.session.execute(
        text("DELETE FROM product WHERE connection_id = ANY(:shops)"),
        {"shops": [shelf.connection for shelf in story.shelves]},
    )
    db.session.execute(text("UPDATE partnership SET state = 'active'"))
    db.session.commit()
    story.gtin(1, 0)
    story.stock(10, 0)
    for shelf in story.shelves:
        shelf.stock, shelf.sent, shelf.too_many, shelf.fate = None, [], [], "well"
        found = catalogue.list_products(db.session(), story.shop(shelf.connection), [story.product], {})
        assert found.queued == 1
    db.session.commit()


WHAT = ("stock", "reserve", "free", "counted", "gtin", "partnership", "by_hand", "echo")
happening = st.tuples(st.sampled_from(WHAT), st.integers(0, 12), st.integers(0, 3))
pushing = st.tuples(
    st.just("push"),
    st.integers(0, 1),
    st.sampled_from(["well", "well", "down", "lost"]),
    st.none() | happening,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(happening | pushing, max_size=25))
@example([("push", 0, "lost", None), ("gtin", 0, 0)])
@example([("push", 0, "well", ("stock", 0, 0)), ("push", 0, "lost", ("stock", 5, 0))])
def test_never_more_than_can_be_sold_is_sent_and_in_the_end_exactly_that_is_shown(
    story: Story, history: list[tuple[Any, ...]]
) -> None:
    begin_again(story)

    def let(what: tuple[str, int, int]) -> None:
        getattr(story, what[0])(what[1], what[2])

    for step in history:
        if step[0] == "push":
            _, shelf, fate, meanwhile = step
            story.push(shelf, fate, (lambda told=meanwhile: let(told)) if meanwhile else None)
        else:
            let(step)
        db.session.commit()
    story.settle()
    for shelf in story.shelves:
        assert shelf.too_many == []
        # What was never sold there because the supplier took it back before is not there at all.
        assert (shelf.stock or 0) == sellable(shelf.connection)
        listed = db.session.scalars(select(Listing).where(Listing.shop_id == shelf.connection)).one()
        assert (listed.stale, listed.lease_token) == (False, None)
