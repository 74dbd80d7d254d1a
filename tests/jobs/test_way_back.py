"""Nothing waits for ever behind something that cannot move, and a problem that is solved is no case any more."""

from typing import Any

import pytest
from sqlalchemy import select, text
from world import World

from app import accounts, jobs, outbox
from app.models import Command, Connection
from app.sandbox import shop_commands
from app.sandbox.faults import Fault

ASSAM = "4006381333931"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def test_a_ping_does_not_wait_behind_a_deed_that_only_an_active_shop_gets(world: World) -> None:
    """A shop is paired again while a resend waits for its next try: the ping is what makes it active."""
    shop = world.session.get_one(Connection, world.shop_connection)
    stuck = {"account_id": shop.account_id, "connection_id": shop.id, "subject": "shop"}
    outbox.write(world.session, kind="events.resend", key="stuck", **stuck)
    world.session.execute(
        text("UPDATE command SET next_attempt_at = now() + interval '1 hour' WHERE key = 'stuck'")
    )
    shop.state = "pending"
    accounts.ping(world.session, shop, "again")
    world.session.commit()
    jobs.drain_outbox(world.shop_connection)
    assert world.session.scalars(select(Connection.state).where(Connection.role == "shop")).one() == "active"


def test_a_note_that_fails_does_not_hold_up_a_cancellation(world: World) -> None:
    shop = world.session.get_one(Connection, world.shop_connection)
    deeds = {"account_id": shop.account_id, "connection_id": shop.id, "subject": "order/1"}
    outbox.write(world.session, kind="order.note", key="note", **deeds)
    world.session.execute(text("UPDATE command SET next_attempt_at = now() + interval '1 hour'"))
    outbox.write(world.session, kind="order.cancel", key="cancel", **deeds)
    outbox.write(world.session, kind="order.refund", key="refund", **deeds)
    world.session.commit()
    claimed = outbox.claim(world.session, shop.id, lease=60)
    assert [command.kind for command in claimed] == ["order.cancel"]


def test_the_case_of_a_refused_command_is_closed_when_its_replay_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise shop_commands.NotObeyed("data.invalid", "not today", "data.billing")

    world.product("TEE-001", ASSAM)
    world.work()
    world.order(("TEE-001", 1, 790))
    with monkeypatch.context() as patch:
        patch.setattr(shop_commands, "COMMANDS", {**shop_commands.COMMANDS, "order.create": refuse})
        world.work()
    assert len(world.cases()) == 1
    outbox.replay(world.session, Command.state == "refused")
    world.work()
    assert len(world.shop.orders) == 1
    assert world.cases() == []


def test_the_case_of_a_refused_parcel_is_closed_when_its_replay_works(world: World) -> None:
    world.product("TEE-001", ASSAM)
    world.work()
    world.order(("TEE-001", 1, 790))
    world.work()
    (order,) = world.shop.orders.values()
    world.kaufland_app.extensions["faults"].add(Fault("status", path="/send", status=422))
    world.in_shop("complete", order.id, tracking=DHL)
    world.work()
    assert len(world.cases()) == 1
    outbox.replay(world.session, Command.state == "refused")
    world.work()
    assert world.cases() == []


def test_the_case_of_a_look_that_failed_is_closed_by_the_next_good_one(world: World) -> None:
    faults = world.kaufland_app.extensions["faults"]
    world.product("TEE-001", ASSAM)
    world.work()
    world.order(("TEE-001", 1, 790))
    faults.add(Fault("schema_change", path="/v2/order-units", name="id_order_unit", count=2))
    world.ask()
    assert len(world.cases()) == 2
    faults.clear()
    world.work()
    assert len(world.shop.orders) == 1
    assert world.cases() == []
