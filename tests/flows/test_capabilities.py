"""What a marketplace can and cannot do decides what the flows do; none of them asks for a name.

The simulated Kaufland plays the others: its capabilities are changed, and its client gets the verbs that it does not have.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import select, text, update
from world import World, call

from app import accounts, jobs, obstacles, registry
from app import messages as m
from app.errors import Unknown
from app.extensions import db
from app.flows import holiday, order_accepted
from app.models import (
    Account,
    Case,
    Command,
    Connection,
    Offer,
    Order,
    OrderPiece,
    Product,
    Schedule,
    Shipment,
)
from app.sandbox.faults import Fault

ASSAM, SENCHA = "4006381333931", "4006381333948"
FIRST = {"number": "00340434161094015902", "carrier": "DHL"}
SECOND = {"number": "00340434161094015919", "carrier": "DHL"}
BACK = {"number": "00340434161094015926", "carrier": "DHL"}

Like = Callable[..., None]


@pytest.fixture
def like(monkeypatch: pytest.MonkeyPatch) -> Like:
    """Kaufland with other capabilities, and with a client that has more verbs."""

    def changed(client: type[Any] | None = None, **can: Any) -> None:
        known = registry.providers()
        kaufland = known["kaufland"]
        other = dataclasses.replace(
            kaufland,
            client=client or kaufland.client,
            capabilities=dataclasses.replace(kaufland.capabilities, **can),
        )
        monkeypatch.setattr(registry, "providers", lambda: {**known, "kaufland": other})

    return changed


@pytest.fixture
def ready(world: World) -> World:
    world.product("TEE-001", ASSAM, stock=10)
    world.product("TEE-002", SENCHA, stock=10)
    world.work()
    return world


def placed(world: World, pieces: int = 2) -> tuple[dict[str, Any], Any]:
    """An order of Assam that is in the shop."""
    made = world.order(("TEE-001", pieces, 790))
    world.work()
    return made, list(world.shop.orders.values())[-1]


def numbers(world: World, order: dict[str, Any]) -> list[set[str]]:
    units = [world.kaufland.order_units[unit] for unit in order["units"]]
    return [{parcel["tracking_number"] for parcel in unit["shipments"]} for unit in units]


def line(order: Any) -> str:
    return str(order.lines[0].id)


# --- parcels ----------------------------------------------------------------------------------------------------------------


def test_an_order_that_leaves_as_one_waits_for_its_last_parcel(ready: World, like: Like) -> None:
    like(partial_shipment=False)
    made, order = placed(ready)
    for parcel in (FIRST, SECOND):
        assert numbers(ready, made) == [set(), set()]
        ready.in_shop("tracking", order.id, **parcel, lines=[{"id": line(order), "quantity": 1}])
        ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2


def test_a_part_that_is_cancelled_lets_the_rest_go(ready: World, like: Like) -> None:
    like(partial_shipment=False)
    made, order = placed(ready)
    ready.in_shop("tracking", order.id, **FIRST, lines=[{"id": line(order), "quantity": 1}])
    ready.work()
    assert numbers(ready, made) == [set(), set()]
    call("POST", f"{ready.kaufland_url}/_control/order-units/{made['units'][1]}/cancel", {})
    ready.work()
    ready.work()
    assert numbers(ready, made)[0] == {FIRST["number"]}


def test_a_parcel_without_its_return_number_is_held_and_told_as_soon_as_it_is_there(
    ready: World, like: Like
) -> None:
    like(return_tracking=True)
    made, order = placed(ready)
    ready.in_shop("complete", order.id, tracking=FIRST)
    ready.work()
    assert numbers(ready, made) == [set(), set()]
    assert ready.cases() == ["ship.return_tracking_required"]
    waits = obstacles.nearest(ready.session, ready.session.scalars(select(Order)).one())
    assert (waits and waits.code) == "ship.return_tracking_required", "it is not on its way"
    ready.in_shop("return_label", order.id, **BACK)
    ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2
    assert ready.cases() == []
    (shipment,) = ready.session.scalars(select(Shipment)).all()
    assert (shipment.return_number, shipment.return_carrier) == (BACK["number"], "dhl")


def test_the_number_of_a_parcel_is_not_the_one_of_its_return(ready: World, like: Like) -> None:
    like(return_tracking=True)
    made, order = placed(ready)
    ready.in_shop("complete", order.id, tracking=FIRST)
    ready.work()
    ready.in_shop("return_label", order.id, **FIRST)
    ready.work()
    assert numbers(ready, made) == [set(), set()]
    assert ready.cases() == ["ship.return_tracking_required"]
    ready.in_shop("return_label", order.id, **BACK)
    ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2


def test_lines_added_to_a_parcel_before_its_answer_came_are_told_too(ready: World, like: Like) -> None:
    like(return_tracking=True)
    made, order = placed(ready)
    down = Fault("status", path="/send", status=503, count=-1)
    ready.kaufland_app.extensions["faults"].add(down)
    ready.in_shop("return_label", order.id, **BACK)
    for quantity in (1, 2):
        ready.in_shop("tracking", order.id, **FIRST, lines=[{"id": line(order), "quantity": quantity}])
        ready.work()
    ready.kaufland_app.extensions["faults"].clear()
    for _ in range(2):
        ready.hurry()
        ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2


def test_a_marketplace_that_books_the_parcel_gives_its_number_to_the_shop(ready: World, like: Like) -> None:
    class Books(registry.provider("kaufland").client):  # type: ignore[misc]
        def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
            assert shipment.tracking_number is None
            done = super().ship(dataclasses.replace(shipment, tracking_number=FIRST["number"], carrier="dhl"))
            return [dataclasses.replace(each, tracking_number=FIRST["number"]) for each in done]

    like(Books, books_parcels=True, partial_shipment=False)
    made, order = placed(ready)
    ready.in_shop("complete", order.id)
    ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2
    assert [each["number"] for each in ready.shop.orders[order.id].tracking] == [FIRST["number"]]
    ready.work()
    assert len(ready.session.scalars(select(Shipment)).all()) == 1


def test_the_number_of_a_booked_parcel_is_fetched_when_its_answer_got_lost(ready: World, like: Like) -> None:
    class Books(registry.provider("kaufland").client):  # type: ignore[misc]
        calls = 0

        def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
            type(self).calls += 1
            if type(self).calls == 1:
                super().ship(dataclasses.replace(shipment, tracking_number=FIRST["number"], carrier="dhl"))
                raise Unknown("outcome.unknown", operation="ship")
            state = m.PieceState.SHIPPED
            return [
                m.PieceAnswer(each, True, already=True, state=state, tracking_number=FIRST["number"])
                for each in shipment.pieces
            ]

    like(Books, books_parcels=True, partial_shipment=False)
    made, order = placed(ready)
    ready.in_shop("complete", order.id)
    ready.work()
    ready.hurry()
    ready.work()
    assert Books.calls == 2
    assert numbers(ready, made) == [{FIRST["number"]}] * 2
    assert [each["number"] for each in ready.shop.orders[order.id].tracking] == [FIRST["number"]]


# --- acceptance --------------------------------------------------------------------------------------------------------------


class Asks(registry.provider("kaufland").client):  # type: ignore[misc]
    """Orders wait for an answer; what was answered is in `told`."""

    told: ClassVar[list[tuple[str, tuple[str, ...], tuple[str, ...]]]] = []
    silent = 0

    def orders_to_ship(self, since: datetime | None) -> Any:
        for page in super().orders_to_ship(since):
            yield [self._asks(order) for order in page]

    def orders_changed(self, since: datetime) -> Any:
        for page in super().orders_changed(since):
            yield [self._asks(order) for order in page]

    def _asks(self, order: m.OrderSeen) -> m.OrderSeen:
        if any(order.external_id == told for told, _, _ in self.told):
            return order
        waiting = tuple(dataclasses.replace(each, state=m.PieceState.ANNOUNCED) for each in order.pieces)
        return dataclasses.replace(order, pieces=waiting, awaits_acceptance=True)

    def accept_order(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> m.OrderAnswer:
        answer = tuple(m.PieceAnswer(each, True) for each in (*accepted, *refused))
        if not any(order_id == told for told, _, _ in self.told):
            self.told.append((order_id, tuple(accepted), tuple(refused)))
        if type(self).silent:
            type(self).silent -= 1
            raise Unknown("outcome.unknown", operation="accept_order")
        return m.OrderAnswer(answer)


@pytest.fixture
def asks(like: Like, monkeypatch: pytest.MonkeyPatch) -> type[Asks]:
    monkeypatch.setattr(Asks, "told", [])
    monkeypatch.setattr(Asks, "silent", 0)
    like(Asks, acceptance="pieces")
    return Asks


def ids(made: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(unit) for unit in made["units"])


def settings(world: World, **values: Any) -> None:
    found = world.session.get_one(Connection, world.kaufland_connection)
    found.settings = {**found.settings, **values}
    world.session.commit()


def test_an_order_is_accepted_once_and_then_lands_in_the_shop(ready: World, asks: type[Asks]) -> None:
    made = ready.order(("TEE-001", 2, 790))
    ready.work()
    assert asks.told == [(made["id_order"], ids(made), ())]
    assert ready.shop.orders == {}
    ready.work()
    assert len(ready.shop.orders) == 1
    ready.work()
    assert len(asks.told) == 1


def test_an_answer_that_got_lost_is_given_again(ready: World, asks: type[Asks]) -> None:
    asks.silent = 1
    made = ready.order(("TEE-001", 1, 790))
    ready.work()
    ready.hurry()
    ready.work()
    assert asks.told == [(made["id_order"], ids(made), ())]
    assert len(ready.shop.orders) == 1


def test_only_what_is_in_stock_is_accepted_where_the_merchant_wants_it_so(
    ready: World, asks: type[Asks]
) -> None:
    settings(ready, accept_orders="in_stock")
    made = ready.order(("TEE-001", 12, 790), oversell=True)
    ready.work()
    ((_, accepted, refused),) = asks.told
    assert (accepted, refused) == (ids(made)[:10], ids(made)[10:])
    states = ready.session.scalars(select(OrderPiece.state).order_by(OrderPiece.id)).all()
    assert states == ["announced"] * 10 + ["cancelled"] * 2


def test_a_marketplace_that_knows_only_whole_orders_hears_no_of_the_whole(
    ready: World, asks: type[Asks], like: Like
) -> None:
    like(asks, acceptance="order")
    settings(ready, accept_orders="in_stock")
    made = ready.order(("TEE-001", 12, 790), oversell=True)
    ready.work()
    assert asks.told == [(made["id_order"], (), ids(made))]


def seen_and_then_sold_out(world: World, **more: Any) -> dict[str, Any]:
    """An order that was looked at and not answered yet, when the shop sells out."""
    made = world.order(("TEE-001", 2, 790), **more)
    world.ask()
    product = next(each for each in world.shop.products.values() if each.sku == "TEE-001")
    world.shop.change_product(product.id, {"stock": 1})
    world.send_events()
    jobs.drain_inbox(world.shop_connection)
    return made


def test_what_was_sold_between_the_look_and_the_answer_is_not_accepted(
    ready: World, asks: type[Asks]
) -> None:
    settings(ready, accept_orders="in_stock")
    made = seen_and_then_sold_out(ready)
    ready.work(poll=False)
    assert asks.told == [(made["id_order"], ids(made)[:1], ids(made)[1:])]
    states = ready.session.scalars(select(OrderPiece.state).order_by(OrderPiece.id)).all()
    assert states == ["announced", "cancelled"]


def test_of_two_orders_for_the_last_pieces_the_first_one_is_accepted(ready: World, asks: type[Asks]) -> None:
    settings(ready, accept_orders="in_stock")
    first = ready.order(("TEE-001", 10, 790))
    ready.ask()
    second = ready.order(("TEE-001", 2, 790), oversell=True)
    ready.ask()
    ready.work(poll=False)
    assert sorted(asks.told) == sorted(
        [(first["id_order"], ids(first), ()), (second["id_order"], (), ids(second))]
    )


@pytest.mark.parametrize("how", ["always", "by_hand"])
def test_whoever_accepts_everything_accepts_it_also_after_it_was_sold(
    ready: World, asks: type[Asks], how: str
) -> None:
    settings(ready, accept_orders=how)
    made = seen_and_then_sold_out(ready)
    if how == "by_hand":
        order = ready.session.scalars(select(Order)).one()
        assert order_accepted.by_hand(ready.session(), order, accept=True)
        settings(ready, accept_orders="in_stock")
    ready.work(poll=False)
    assert asks.told == [(made["id_order"], ids(made), ())]


def test_an_answer_that_may_have_arrived_is_not_changed_when_the_stock_falls(
    ready: World, asks: type[Asks]
) -> None:
    settings(ready, accept_orders="in_stock")
    asks.silent = 1
    made = ready.order(("TEE-001", 2, 790))
    ready.ask()
    jobs.drain_outbox(ready.kaufland_connection)
    product = next(each for each in ready.shop.products.values() if each.sku == "TEE-001")
    ready.shop.change_product(product.id, {"stock": 1})
    ready.work(poll=False)
    ready.hurry()
    ready.work(poll=False)
    assert asks.told == [(made["id_order"], ids(made), ())]
    command = ready.session.scalars(select(Command).where(Command.kind == "accept_order")).one()
    assert (command.state, command.payload["refuse"]) == ("done", [])


def test_what_nobody_counts_and_the_shop_has_not_is_not_accepted_either(
    ready: World, asks: type[Asks]
) -> None:
    settings(ready, accept_orders="in_stock")
    product = ready.session.scalars(select(Product).where(Product.sku == "TEE-001")).one()
    product.stock, product.in_stock = None, False
    ready.session.commit()
    made = ready.order(("TEE-001", 2, 790))
    ready.work()
    assert asks.told == [(made["id_order"], (), ids(made))]


def test_a_notice_is_never_a_no(ready: World, asks: type[Asks], like: Like) -> None:
    like(asks, acceptance="notice")
    settings(ready, accept_orders="in_stock", price_guard_percent=10)
    made = ready.order(("TEE-001", 12, 1), oversell=True)
    ready.work()
    assert asks.told == [(made["id_order"], ids(made), ())]


def test_a_price_that_looks_like_a_mistake_waits_for_a_person(ready: World, asks: type[Asks]) -> None:
    settings(ready, price_guard_percent=20)
    ready.order(("TEE-001", 1, 600))
    ready.work()
    ready.work()
    assert asks.told == []
    assert ready.cases() == ["order.awaits_acceptance"]


@pytest.mark.parametrize("accept", [True, False])
def test_what_the_merchant_decides_by_hand_is_told(ready: World, asks: type[Asks], accept: bool) -> None:
    settings(ready, accept_orders="by_hand")
    made = ready.order(("TEE-001", 1, 790))
    ready.work()
    assert asks.told == []
    order = ready.session.scalars(select(Order)).one()
    assert order_accepted.by_hand(ready.session(), order, accept=accept)
    ready.session.commit()
    ready.work(poll=False)
    assert asks.told == [(made["id_order"], ids(made) if accept else (), () if accept else ids(made))]
    assert ready.cases() == []
    assert not order_accepted.by_hand(ready.session(), order, accept=not accept)


def test_a_piece_that_joins_while_the_answer_is_under_way_is_answered_too(
    ready: World, asks: type[Asks]
) -> None:
    settings(ready, accept_orders="by_hand")
    ready.order(("TEE-001", 2, 790))
    ready.work()
    order = ready.session.scalars(select(Order)).one()
    first, late = ready.session.scalars(select(OrderPiece).order_by(OrderPiece.id)).all()
    for late.state in ("to_ship", "announced", "announced"):
        ready.session.flush()
        order_accepted.by_hand(ready.session(), order, accept=True)
    written = select(Command.payload).where(Command.kind == "accept_order").order_by(Command.id)
    assert [each["accept"] for each in ready.session.scalars(written)] == [[first.id], [late.id]]


def test_what_joined_an_order_is_answered_under_the_orders_own_number(ready: World, asks: type[Asks]) -> None:
    settings(ready, accept_orders="by_hand")
    made = ready.order(("TEE-001", 1, 790))
    ready.work()
    root = ready.session.scalars(select(Order)).one()
    child = Order(
        account_id=root.account_id,
        connection_id=root.connection_id,
        external_id=f"{root.external_id}/2",
        key=f"{root.key}/2",
        parent_id=root.id,
        country=root.country,
        currency=root.currency,
        placed_at=root.placed_at,
        shop_id=root.shop_id,
        stopped=False,
    )
    ready.session.add(child)
    ready.session.flush()
    for piece in ready.session.scalars(select(OrderPiece)):
        piece.order_id = child.id
    ready.session.commit()
    ready.work()
    assert order_accepted.by_hand(ready.session(), child, accept=True)
    ready.session.commit()
    ready.work(poll=False)
    assert [number for number, *_ in asks.told] == [made["id_order"]]


# --- cancellations and refunds -------------------------------------------------------------------------------------------------


def test_a_cancellation_that_is_only_taken_shows_when_the_marketplace_shows_it(
    ready: World, like: Like
) -> None:
    class Slow(registry.provider("kaufland").client):  # type: ignore[misc]
        def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
            return [m.PieceAnswer(each, True, pending=True) for each in piece_ids]

    like(Slow)
    made, order = placed(ready, 1)
    ready.in_shop("cancel", order.id)
    ready.work()
    (piece,) = ready.session.scalars(select(OrderPiece)).all()
    assert (piece.state, piece.cancel_asked_by) == ("to_ship", "shop")
    call("POST", f"{ready.kaufland_url}/_control/order-units/{made['units'][0]}/cancel", {})
    ready.work()
    ready.session.expire_all()
    assert piece.state == "cancelled"
    assert ready.cases() == []


class Shows(registry.provider("kaufland").client):  # type: ignore[misc]
    """A marketplace that shows refunds. `lost`: the next answers are lost, after the deed (True) or before it (False)."""

    made: ClassVar[dict[str, int]] = {}
    lost: ClassVar[list[bool]] = []

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        happens = self.lost.pop(0) if self.lost else None
        if happens is not False:
            self.made[piece_id] = self.made.get(piece_id, 0) + amount
        if happens is not None:
            raise Unknown("outcome.unknown", operation="refund")
        return m.PieceAnswer(piece_id, True)

    def read_refunded(self, piece_id: str) -> int:
        return self.made.get(piece_id, 0)


@pytest.mark.parametrize("happens", [True, False])
def test_a_refund_whose_answer_got_lost_is_looked_up_and_made_exactly_once(
    ready: World, like: Like, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    monkeypatch.setattr(Shows, "made", {})
    monkeypatch.setattr(Shows, "lost", [happens])
    like(Shows, refund_readable=True)
    made, order = placed(ready, 1)
    ready.in_shop("complete", order.id, tracking=FIRST)
    ready.work()
    ready.in_shop("refund", order.id, amount="2.00", reason="beschädigt")
    ready.work()
    for _ in range(3):
        ready.hurry()
        ready.work()
    assert Shows.made == {str(made["units"][0]): 200}
    assert ready.cases() == []


def test_a_refund_of_somebody_else_meanwhile_is_for_a_person(
    ready: World, like: Like, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shows, "made", {})
    monkeypatch.setattr(Shows, "lost", [False])
    monkeypatch.setitem(ready.bridge.config, "SHOPBRIDGE_RETRY_SCALE", 1.0)
    like(Shows, refund_readable=True)
    made, order = placed(ready, 1)
    ready.in_shop("complete", order.id, tracking=FIRST)
    ready.work()
    ready.in_shop("refund", order.id, amount="2.00", reason="beschädigt")
    ready.work()
    Shows.made[str(made["units"][0])] = 50
    ready.hurry()
    ready.work()
    assert Shows.made == {str(made["units"][0]): 50}
    assert "outcome.unknown_refund" in ready.cases()


# --- offers ------------------------------------------------------------------------------------------------------------------------


class Later(registry.provider("kaufland").client):  # type: ignore[misc]
    """Takes offers for processing. `results` says what becomes of a SKU; what is not there yet is not done."""

    pushed: ClassVar[list[tuple[m.OfferWanted, ...]]] = []
    results: ClassVar[dict[str, m.OfferAnswer | None]] = {}
    done = False
    slow: ClassVar[set[str]] = set()

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        self.pushed.append(tuple(offers))
        task = f"T{len(self.pushed)}"
        return [m.OfferAnswer(each.sku, True, m.OfferState.WAITING, task=task) for each in offers]

    def read_tasks(self, tasks: Sequence[str]) -> list[m.TaskSeen]:
        if not type(self).done:
            return [m.TaskSeen(task, False, again_in=1) for task in tasks]
        return [
            m.TaskSeen(task, False, again_in=1)
            if task in self.slow
            else m.TaskSeen(task, True, tuple(self._of(task)))
            for task in tasks
        ]

    def _of(self, task: str) -> list[m.OfferAnswer]:
        offers = self.pushed[int(task[1:]) - 1]
        shown = [
            (each, self.results.get(each.sku, m.OfferAnswer(each.sku, True, m.OfferState.ON_SALE)))
            for each in offers
        ]
        return [
            dataclasses.replace(
                answer,
                shown=m.OfferShown(
                    offer.sku, f"L-{offer.sku}", offer.price, offer.stock, offer.handling_days, offer.on
                ),
            )
            for offer, answer in shown
            if answer is not None
        ]

    def read_offers(self, skus: Sequence[str] | None) -> list[list[m.OfferShown]]:
        return []


@pytest.fixture
def later(world: World, like: Like, monkeypatch: pytest.MonkeyPatch) -> type[Later]:
    monkeypatch.setattr(Later, "pushed", [])
    monkeypatch.setattr(Later, "results", {})
    monkeypatch.setattr(Later, "done", False)
    monkeypatch.setattr(Later, "slow", set())
    like(Later, answers_later=True, numbers_offers=True)
    return Later


def ask_tasks(world: World) -> None:
    due = update(Offer).where(Offer.task_due_at.is_not(None))
    world.session.execute(due.values(task_due_at=text("now() - interval '1 second'")))
    world.session.commit()
    world.work(poll=False)


def test_taken_is_not_on_sale(world: World, later: type[Later]) -> None:
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    (offer,) = world.session.scalars(select(Offer)).all()
    assert (offer.state, offer.reason_code, offer.task) == ("waiting", "offer.in_process", "T1")
    assert offer.confirmed_revision < offer.revision
    later.done = True
    ask_tasks(world)
    world.session.expire_all()
    assert (offer.state, offer.task, offer.external_ref) == ("on_sale", None, "L-TEE-001")
    assert offer.confirmed_revision == offer.revision
    assert len(later.pushed) == 1


def test_what_was_refused_later_says_why(world: World, later: type[Later]) -> None:
    later.done = True
    later.results["TEE-001"] = m.OfferAnswer(
        "TEE-001", False, m.OfferState.REFUSED, reason=m.Reason("offer.refused", {"message": "Preis"})
    )
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    (offer,) = world.session.scalars(select(Offer)).all()
    assert (offer.state, offer.reason_code) == ("refused", "offer.refused")
    assert world.cases() == ["offer.refused"]


def test_an_offer_that_a_task_forgot_is_sent_again(world: World, later: type[Later]) -> None:
    later.done = True
    later.results["TEE-001"] = None
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    later.results.clear()
    world.hurry()
    world.work()
    ask_tasks(world)
    assert [len(offers) for offers in later.pushed] == [1, 1]
    assert world.session.scalars(select(Offer.state)).all() == ["on_sale"]


def test_a_marketplace_that_loses_an_offer_again_and_again_is_asked_less_often(
    world: World, later: type[Later]
) -> None:
    later.done = True
    later.results["TEE-001"] = None
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    for tries in (1, 2):
        ask_tasks(world)
        world.session.expire_all()
        (offer,) = world.session.scalars(select(Offer)).all()
        assert (offer.attempts, offer.reason_code) == (tries, "offer.lost_in_process")
        waits = (offer.next_attempt_at - datetime.now(UTC)).total_seconds()
        assert (waits > 60) is (tries > 1)
        world.hurry()
        world.work()
    later.results.clear()
    world.hurry()
    world.work()
    ask_tasks(world)
    assert world.session.scalars(select(Offer.attempts)).all() == [0]


def test_numbering_offers_while_a_setting_is_saved_ends_in_no_deadlock(
    world: World, later: type[Later]
) -> None:
    world.product("TEE-001", ASSAM, stock=10)
    world.send_events()
    jobs.drain_inbox(world.shop_connection)
    world.ask()
    assert world.session.scalars(select(Offer.number)).all() == [None]
    world.session.rollback()
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def push() -> None:
        with world.bridge.app_context():
            jobs.drain_outbox(world.kaufland_connection)
            db.session.remove()

    with db.engine.connect() as saver, db.engine.connect() as looker:
        saver.execute(text("UPDATE connection SET settings = settings WHERE role = 'marketplace'"))
        worker = threading.Thread(target=push)
        worker.start()
        while not looker.execute(waiting).scalar():
            looker.rollback()
        saver.execute(text("UPDATE offer SET stale = true"))
        saver.commit()
        worker.join()
    assert world.session.scalars(select(Offer.number)).all() == [1]


def a_day_later(world: World) -> None:
    world.session.execute(update(Offer).values(task_since=Offer.task_since - timedelta(hours=25)))
    world.session.commit()


@pytest.mark.parametrize("end", ["on_sale", "refused", "lost"])
def test_a_task_that_does_not_end_within_a_day_is_a_case_until_it_ends(
    world: World, later: type[Later], end: str
) -> None:
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    assert world.cases() == []
    a_day_later(world)
    ask_tasks(world)
    (offer,) = world.session.scalars(select(Offer)).all()
    assert (offer.state, offer.reason_code) == ("waiting", "offer.stuck_in_process")
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 3})
    world.work()
    ask_tasks(world)
    assert world.cases() == ["offer.stuck_in_process"]
    told = world.session.scalars(select(Case.params)).one()
    assert told == {"marketplace": "Kaufland.de", "sku": "TEE-001"}
    later.done = True
    no = m.OfferAnswer("TEE-001", False, m.OfferState.REFUSED, reason=m.Reason("offer.refused"))
    later.results.update({"on_sale": {}, "refused": {"TEE-001": no}, "lost": {"TEE-001": None}}[end])
    ask_tasks(world)
    assert world.cases() == (["offer.refused"] if end == "refused" else [])


def test_of_two_verdicts_on_one_offer_the_refusal_counts(
    world: World, later: type[Later], monkeypatch: pytest.MonkeyPatch
) -> None:
    no = m.OfferAnswer("TEE-001", False, m.OfferState.REFUSED, reason=m.Reason("offer.refused"))
    yes = m.OfferAnswer("TEE-001", True, m.OfferState.ON_SALE)
    monkeypatch.setattr(Later, "_of", lambda *_: [yes, no, yes])
    later.done = True
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    assert world.session.scalars(select(Offer.state)).all() == ["refused"]
    assert world.cases() == ["offer.refused"]


def test_a_change_meanwhile_goes_out_at_once_and_the_newest_task_counts(
    world: World, later: type[Later]
) -> None:
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 3})
    world.work()
    assert [offers[0].stock for offers in later.pushed] == [10, 3]
    later.done = True
    later.slow = {"T1"}
    ask_tasks(world)
    (offer,) = world.session.scalars(select(Offer)).all()
    assert (offer.confirmed or {})["stock"] == 3


def test_what_an_overtaken_task_may_have_put_over_the_newest_is_sent_once_more(
    world: World, later: type[Later]
) -> None:
    """T2 says 3 and ends first. T1 says 10 and ends afterwards: ten are shown that are not there, and no later change would mend it."""
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 3})
    world.work()
    later.done = True
    later.slow = {"T1"}
    for _ in range(2):
        ask_tasks(world)
        assert [offers[0].stock for offers in later.pushed] == [10, 3]
    later.slow = set()
    ask_tasks(world)
    assert [offers[0].stock for offers in later.pushed] == [10, 3, 3]
    assert later.pushed[-1][0].was is None
    for _ in range(2):
        ask_tasks(world)
    assert len(later.pushed) == 3
    (offer,) = world.session.scalars(select(Offer)).all()
    assert offer.confirmed_revision == offer.revision
    assert (offer.task, offer.task_due_at, offer.overtaken) == (None, None, [])


def test_after_an_order_the_stock_is_sent_even_when_it_is_as_before(world: World, later: type[Later]) -> None:
    """The marketplace has counted down to 9 itself; in the shop one was put into the shelf, so ten are right, and ten were confirmed before."""
    later.done = True
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    world.order(("TEE-001", 1, 790))
    world.ask()
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 11})
    world.work()
    after = later.pushed[1][0]
    assert (after.stock, after.was and after.was.stock, after.was and after.was.price) == (10, None, 790)
    ask_tasks(world)
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 7})
    world.work()
    last = later.pushed[-1][0]
    assert (last.stock, last.was and last.was.stock) == (7, 10)


def test_another_tax_rate_sends_the_whole_offer(world: World, later: type[Later]) -> None:
    """The price of the shop is as before; the net price that some marketplaces want is not."""
    later.done = True
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    world.session.execute(update(Product).values(vat_percent="7"))
    world.session.commit()
    world.session.execute(update(Offer).values(stale=True))
    world.session.commit()
    world.work()
    assert [(each[0].vat_percent, each[0].was) for each in later.pushed[1:]] == [("7", None)]


def test_new_product_data_are_sent_where_the_marketplace_takes_product_data(
    world: World, later: type[Later], like: Like
) -> None:
    later.done = True
    like(Later, answers_later=True, creates_products=True)
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    ask_tasks(world)
    address = f"{world.shop_url}/_control/products/{made['id']}"
    call("PATCH", address, {"name": "Assam, zweite Pflückung"})
    world.work()
    titles = [each[0].product and each[0].product.fields["title"] for each in later.pushed]
    assert titles[1:] == ["Assam, zweite Pflückung"]
    assert later.pushed[-1][0].was is None


def test_a_variation_is_offered_with_what_its_parent_tells(
    world: World, later: type[Later], like: Like
) -> None:
    """Also when the shop tells of the parent later, and when only the parent changes. A parent is not for sale itself."""
    later.done = True
    like(Later, answers_later=True, creates_products=True)
    products = f"{world.shop_url}/_control/products"

    def told(method: str, url: str, **wanted: Any) -> Any:
        answer = call(method, url, wanted)
        world.work()
        ask_tasks(world)
        return answer

    origin = [
        {"name": "Herkunft", "options": ["Assam", "Darjeeling"]},
        {"name": "Menge", "options": ["1", "2"], "variation": True},
    ]
    (parent,) = told("POST", products, name="Tee", type="variable", gtin="", attributes=origin)["products"]
    small = {
        "name": "Tee, 100 g",
        "sku": "TEE-100",
        "gtin": ASSAM,
        "type": "variation",
        "parent_id": parent["id"],
    }
    told("POST", products, **small, stock=5, attributes=[{"name": "Menge", "option": "100 g"}])
    told(
        "PATCH",
        f"{products}/{parent['id']}",
        description="<p>Kräftig</p>",
        categories=[{"id": 1, "name": "Tee"}],
    )
    first = {
        "sku": "TEE-100",
        "gtin": ASSAM,
        "title": "Tee, 100 g",
        "attribute:Herkunft": "Assam|Darjeeling",
        "attribute:Menge": "100 g",
    }
    sent = [each for offers in later.pushed for each in offers]
    assert [each.product and each.product.fields for each in sent] == [
        first,
        first | {"description": "<p>Kräftig</p>", "category": "Tee"},
    ]
    assert {each.product and each.product.parent for each in sent} == {str(parent["id"])}


def test_settings_that_changed_send_everything_again_and_whole(world: World, later: type[Later]) -> None:
    """What was refused because of a setting is tried at once, and what is on sale gets the new terms."""
    later.done = True
    later.results["TEE-002"] = m.OfferAnswer(
        "TEE-002", False, m.OfferState.REFUSED, reason=m.Reason("offer.refused", {"message": "Versand"})
    )
    world.product("TEE-001", ASSAM, stock=10)
    world.product("TEE-002", SENCHA, stock=10)
    world.work()
    ask_tasks(world)
    later.results.clear()
    before = len(later.pushed)
    market = world.session.get_one(Connection, world.kaufland_connection)
    for settings in ({}, {"changed_elsewhere": "marketplace"}):
        accounts.change_marketplace(world.session, market, settings)
        world.session.commit()
        world.work()
        ask_tasks(world)
    sent = [(each.sku, each.was) for offers in later.pushed[before:] for each in offers]
    assert sorted(sent) == [("TEE-001", None), ("TEE-002", None)]
    assert set(world.session.scalars(select(Offer.state))) == {"on_sale"}


def test_settings_that_changed_while_a_task_went_on_send_everything_whole_all_the_same(
    world: World, later: type[Later]
) -> None:
    """The task that ends meanwhile confirms what was sent under the old settings."""
    world.product("TEE-001", ASSAM, stock=10)
    world.work()
    market = world.session.get_one(Connection, world.kaufland_connection)
    accounts.change_marketplace(world.session, market, {"changed_elsewhere": "marketplace"})
    world.session.execute(update(Offer).values(next_attempt_at=text("now() + interval '1 hour'")))
    world.session.commit()
    later.done = True
    ask_tasks(world)
    assert len(later.pushed) == 1
    world.session.execute(update(Offer).values(next_attempt_at=text("now()")))
    world.session.commit()
    world.work()
    assert [offers[0].was for offers in later.pushed] == [None, None]


def test_after_a_cancellation_the_stock_is_sent_even_when_it_is_as_before(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some marketplaces give back what was cancelled: on top of what the shop, which was faster, has told of it already."""
    _, order = placed(ready, 1)
    (unit,) = [each for each in ready.kaufland.units.values() if each["id_offer"] == "TEE-001"]
    client = registry.provider("kaufland").client
    cancel = client.cancel

    def gives_back(self: Any, pieces: Sequence[str], reason: str) -> Any:
        ready.send_events()
        jobs.drain_inbox(ready.shop_connection)
        jobs.drain_outbox(ready.kaufland_connection)
        answers = cancel(self, pieces, reason)
        ready.kaufland.amounts[unit["seller"], unit["id_offer"]] += 1
        return answers

    monkeypatch.setattr(client, "cancel", gives_back)
    ready.in_shop("cancel", order.id)
    ready.work()
    assert ready.kaufland.buyable(unit) == 10


def test_only_what_is_confirmed_is_said_to_have_been_there(world: World, later: type[Later]) -> None:
    made = world.product("TEE-001", ASSAM, stock=10)
    world.work()
    later.done = True
    ask_tasks(world)
    call("PATCH", f"{world.shop_url}/_control/products/{made['id']}", {"stock": 3})
    world.work()
    first, second = later.pushed[0][0], later.pushed[-1][0]
    assert first.was is None
    assert second.was is not None
    assert (second.was.stock, second.stock, second.was.price) == (10, 3, second.price)


def test_numbers_of_offers_are_given_once_and_never_again(world: World, later: type[Later]) -> None:
    world.product("TEE-001", ASSAM)
    world.product("TEE-002", SENCHA)
    world.work()
    first = dict(world.session.execute(select(Product.sku, Offer.number).join(Offer)).all())
    assert sorted(first.values()) == [1, 2]
    world.session.execute(text("DELETE FROM offer"))
    world.session.commit()
    world.ask()
    world.work()
    again = dict(world.session.execute(select(Product.sku, Offer.number).join(Offer)).all())
    assert sorted(again.values()) == [3, 4]


# --- looks and holidays ---------------------------------------------------------------------------------------------------------------


def pauses(world: World) -> dict[str, int]:
    return {row.kind: row.pause for row in world.session.scalars(select(Schedule))}


def test_a_marketplace_is_asked_more_often_while_something_comes(ready: World) -> None:
    ready.order(("TEE-001", 1, 790))
    ready.ask()
    assert pauses(ready)["orders"] == 60
    found = []
    for _ in range(4):
        ready.ask()
        ready.session.expire_all()
        found.append(pauses(ready)["orders"])
    assert found == [120, 240, 300, 300]


def test_closed_dates_are_told_where_there_are_any(ready: World, like: Like) -> None:
    told: list[tuple[Any, Any]] = []

    class Closes(registry.provider("kaufland").client):  # type: ignore[misc]
        def close_shop(self, since: Any, until: Any) -> m.Reason | None:
            told.append((since, until))
            return m.Reason("holiday.locked", {"message": "locked"}) if since else None

    like(Closes, holiday="closed_dates")
    for on in (True, False):
        holiday.switch(ready.session(), ready.session.get_one(Account, ready.account.id), on)
        ready.session.commit()
        ready.work()
        assert ready.cases() == (["holiday.locked"] if on else [])
    assert [since is not None for since, _ in told] == [True, False]
    assert told[1] == (None, None)


def test_a_shop_stays_closed_until_both_holidays_are_over(ready: World, like: Like) -> None:
    told: list[bool] = []

    class Closes(registry.provider("kaufland").client):  # type: ignore[misc]
        def close_shop(self, since: Any, until: Any) -> None:
            told.append(since is not None)

    like(Closes, holiday="closed_dates")
    account = ready.session.get_one(Account, ready.account.id)
    here = ready.session.get_one(Connection, ready.kaufland_connection)
    for on, marketplace in ((True, None), (True, here), (False, here), (False, None)):
        holiday.switch(ready.session(), account, on, marketplace)
        ready.session.commit()
        ready.work()
    assert told == [True, True, True, False]


def test_nothing_of_this_touches_a_marketplace_that_needs_none_of_it(ready: World) -> None:
    made, order = placed(ready)
    ready.kaufland_app.extensions["faults"].add(Fault("reset", path="/send", effect=True, count=1))
    ready.in_shop("complete", order.id, tracking=FIRST)
    ready.work()
    ready.hurry()
    ready.work()
    assert numbers(ready, made) == [{FIRST["number"]}] * 2
    kinds = set(db.session.scalars(select(Command.kind)))
    assert not kinds & {"accept_order", "order.booked", "holiday"}
    assert db.session.scalars(select(Order.stopped)).all() == [False]
