"""An order of which one piece may be shipped and another not yet: nobody is made to pack what may still be cancelled (C1, C6)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from world import World, call

from app import clock, registry
from app import messages as m
from app.extensions import db
from app.flows import order_placed
from app.models import Order, OrderPiece, Reservation
from app.sandbox.faults import Fault

ASSAM, SENCHA = "4006381333931", "4006381333948"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}
Client = registry.provider("kaufland").client


class Mixed(Client):  # type: ignore[misc, valid-type]
    """Pieces in `waiting` may not be shipped yet."""

    waiting: ClassVar[set[str]] = set()

    def orders_to_ship(self, since: datetime | None) -> Iterator[list[m.OrderSeen]]:
        return self._with_waiting(super().orders_to_ship(since))

    def orders_changed(self, since: datetime) -> Iterator[list[m.OrderSeen]]:
        return self._with_waiting(super().orders_changed(since))

    def _with_waiting(self, pages: Iterable[list[m.OrderSeen]]) -> Iterator[list[m.OrderSeen]]:
        for page in pages:
            yield [dataclasses.replace(each, pieces=tuple(map(self._piece, each.pieces))) for each in page]

    def _piece(self, piece: m.PieceSeen) -> m.PieceSeen:
        waits = piece.external_id in self.waiting and piece.state is m.PieceState.TO_SHIP
        return dataclasses.replace(piece, state=m.PieceState.ANNOUNCED) if waits else piece


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """The simulated Kaufland with orders whose pieces are released one by one, and that may leave in parts or not."""
    monkeypatch.setattr(Mixed, "waiting", set())
    kaufland, known = registry.provider("kaufland"), registry.providers()

    def changed(partial_shipment: bool) -> None:
        can = dataclasses.replace(kaufland.capabilities, partial_shipment=partial_shipment)
        other = dataclasses.replace(kaufland, client=Mixed, capabilities=can, capabilities_of=None)
        monkeypatch.setattr(registry, "providers", lambda: {**known, "kaufland": other})

    return changed


def sold(world: World, *lines: tuple[str, int, int], wait: slice) -> list[str]:
    """Somebody orders, and these pieces are not released yet. Answers the ids of the pieces."""
    world.product("TEE-001", ASSAM, stock=10)
    world.product("TEE-002", SENCHA, stock=10)
    world.work()
    units = [str(unit) for unit in world.order(*lines)["units"]]
    Mixed.waiting.update(units[wait])
    world.work()
    return units


def in_shop(world: World) -> list[list[tuple[str, int]]]:
    """SKU and quantity of the lines of every order in the shop."""
    return [[(line.sku, line.quantity) for line in order.lines] for order in world.shop.orders.values()]


def statuses(world: World, units: list[str]) -> list[str]:
    return [world.kaufland.order_units[int(unit)]["status"] for unit in units]


class Killed(BaseException):
    """What a process sees of kill -9: no handler catches it."""


@pytest.mark.parametrize("committed", [False, True], ids=["before its commit", "after its commit"])
def test_a_worker_that_dies_while_an_order_is_parted_leaves_nothing_half_done(
    world: World, in_parts: Callable[[bool], None], committed: bool
) -> None:
    in_parts(True)
    part = order_placed._part

    def dies(session: Session, order: Order, later: list[OrderPiece]) -> None:
        part(session, order, later)
        if committed:
            session.commit()
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_placed, "_part", dies)
        with pytest.raises(Killed):
            sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    world.session.rollback()
    world.hurry()
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)]]
    assert world.session.scalar(select(func.count()).select_from(Reservation)) == 2
    Mixed.waiting.clear()
    world.hurry()
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)], [("TEE-001", 1)]]
    assert world.cases() == []


def test_what_may_not_be_shipped_yet_comes_later_as_an_order_of_its_own(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(True)
    units = sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    assert in_shop(world) == [[("TEE-001", 1)]]
    assert world.session.scalar(select(func.count()).select_from(Reservation)) == 2
    (first,) = world.shop.orders.values()
    world.in_shop("complete", first.id, tracking=DHL)
    world.work()
    assert statuses(world, units) == ["sent", "need_to_be_sent"]
    Mixed.waiting.clear()
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)], [("TEE-001", 1)]]
    world.in_shop(
        "complete", list(world.shop.orders.values())[1].id, tracking=DHL | {"number": "00340434161094015919"}
    )
    world.work()
    assert statuses(world, units) == ["sent", "sent"]
    assert world.cases() == []


def test_a_line_that_waits_as_a_whole_moves_as_a_whole(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(True)
    sold(world, ("TEE-001", 1, 790), ("TEE-002", 2, 450), wait=slice(1, 3))
    assert in_shop(world) == [[("TEE-001", 1)]]
    orders = world.session.scalars(select(Order).order_by(Order.id)).all()
    assert [[line.sku for line in order.lines] for order in orders] == [["TEE-001"], ["TEE-002"]]
    Mixed.waiting.clear()
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)], [("TEE-002", 2)]]


def test_a_piece_that_is_cancelled_before_it_was_released_never_reaches_the_shop(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(True)
    units = sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    call("POST", f"{world.kaufland_url}/_control/order-units/{units[1]}/cancel", {})
    world.work()
    (order,) = world.shop.orders.values()
    assert (in_shop(world), order.status) == ([[("TEE-001", 1)]], "processing")
    assert world.session.scalar(select(func.count()).select_from(Reservation)) == 1


def test_an_answer_of_the_shop_that_got_lost_parts_an_order_only_once(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(True)
    world.shop_app.extensions["faults"].add(Fault("reset", path="/commands", effect=True))
    sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)]]
    Mixed.waiting.clear()
    world.work()
    assert in_shop(world) == [[("TEE-001", 1)], [("TEE-001", 1)]]
    assert world.session.scalar(select(func.count()).select_from(OrderPiece)) == 2


def test_an_order_that_leaves_as_one_waits_until_all_of_it_may_leave(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(False)
    sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    assert (in_shop(world), world.cases()) == ([], ["order.rest_not_released"])
    clock.sweep(datetime.now(UTC))
    Mixed.waiting.clear()
    world.work()
    assert (in_shop(world), world.cases()) == ([[("TEE-001", 2)]], [])


def test_an_order_that_leaves_as_one_lands_when_the_rest_is_cancelled(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(False)
    units = sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    call("POST", f"{world.kaufland_url}/_control/order-units/{units[1]}/cancel", {})
    world.work()
    assert (in_shop(world), world.cases()) == ([[("TEE-001", 1)]], [])


def test_an_order_of_which_all_is_cancelled_waits_for_nothing_any_more(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    in_parts(False)
    units = sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    assert world.cases() == ["order.rest_not_released"]
    for unit in units:
        call("POST", f"{world.kaufland_url}/_control/order-units/{unit}/cancel", {})
    world.work()
    assert (in_shop(world), world.cases()) == ([], [])


def test_a_look_at_a_parted_order_and_a_deed_of_its_later_part_end_in_no_deadlock(
    world: World, in_parts: Callable[[bool], None]
) -> None:
    """A deed locks its order and then changes its pieces; a look that holds the pieces first and then wants the order waits in a ring."""
    in_parts(True)
    units = sold(world, ("TEE-001", 2, 790), wait=slice(1, 2))
    later = world.session.scalars(select(OrderPiece).where(OrderPiece.external_id == units[1])).one()
    order_id, piece_id = later.order_id, later.id
    world.session.rollback()
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def look() -> None:
        with world.bridge.app_context():
            world.ask()
            db.session.remove()

    with db.engine.connect() as deed, db.engine.connect() as looker:
        deed.execute(text("SELECT id FROM orders WHERE id = :id FOR UPDATE"), {"id": order_id})
        worker = threading.Thread(target=look)
        worker.start()
        while worker.is_alive() and not looker.execute(waiting).scalar():
            looker.rollback()
        assert worker.is_alive()
        deed.execute(text("UPDATE order_piece SET raw_state = 'x' WHERE id = :id"), {"id": piece_id})
        deed.commit()
        worker.join()
    assert world.cases() == []
