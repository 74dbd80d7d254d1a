"""The merchant rejects a return: the marketplace hears it once and why, nothing is refunded, and what it refuses is a case (C7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from market_world import Market, market
from sqlalchemy import select

from app import jobs, registry
from app.cli import main
from app.commands import opening
from app.errors import Refused
from app.extensions import db
from app.flows import return_rejected
from app.models import Command, Connection, Order, Return, Timeline
from app.sandbox import simulators
from app.sandbox.faults import Fault

CAN = {key: registry.provider(key).can(simulator.settings) for key, simulator in simulators().items()}
REJECTING = sorted(key for key, can in CAN.items() if can.return_rejections)
Start = Callable[..., Market]


@pytest.fixture
def start(app: Flask) -> Iterator[Start]:
    """A merchant at one marketplace, by its key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(market(app, simulators()[key]))


def back(at: Market, *lines: tuple[str, int], **more: Any) -> Any:
    """An order whose pieces have all come back, as the shop knows it."""
    order = at.buy(*(lines or (("TEE-001", 1),)))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    at.control("return", {"pieces": order["pieces"], **more})
    at.work()
    return sold


def reject(reason: str = "damaged", *only: str, note: str = "", every: bool = True) -> int:
    order = db.session.scalars(select(Order).order_by(Order.id)).first()
    assert order is not None
    try:
        return return_rejected.by_hand(db.session(), order, reason, note, only, every=every)
    finally:
        db.session.commit()


def answer(at: Market) -> None:
    """Events come in and commands go out; nobody looks at the marketplace."""
    at.shop.outbox.deliver_due()
    at.hurry()
    jobs.drain_inbox(at.shop_connection)
    jobs.drain_outbox(at.market_connection)
    db.session.rollback()


def states() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Return.state).order_by(Return.id)))


def told() -> list[str]:
    return list(db.session.scalars(select(Timeline.code).order_by(Timeline.id)))


@pytest.mark.parametrize("key", REJECTING)
def test_a_return_is_rejected_once_and_nothing_is_refunded(start: Start, key: str) -> None:
    at = start(key)
    sold = back(at, ("TEE-001", 2))
    assert reject() == 2
    at.work()
    assert states() == ["rejected", "rejected"]
    assert len(at.deeds("reject_return")) == (1 if at.can.returns_whole else 2)
    refunded = [piece["refunded"] for order in at.state()["orders"] for piece in order["pieces"]]
    assert (refunded, at.cases()) == ([0, 0], [])
    assert told().count("return.rejected") == 2
    assert sum("abgelehnt" in str(note) for note in at.shop.orders[sold.id].notes) == 2
    with pytest.raises(Refused) as refused:
        reject()
    assert refused.value.code == "return.none_waits"


@pytest.mark.parametrize("key", REJECTING)
def test_a_rejection_whose_answer_got_lost_is_not_made_twice(start: Start, key: str) -> None:
    at = start(key)
    back(at)
    reject()
    lost = at.faults.add(Fault("reset", path="(reject|rejection|compliance|rma/save)$", effect=True))
    answer(at)
    assert (lost.struck, states()) == (
        1,
        ["arrived" if at.can.tells_arrival or key == "emag" else "announced"],
    )
    answer(at)
    assert (states(), len(at.deeds("reject_return")), at.cases()) == (["rejected"], 1, [])


@pytest.mark.parametrize("key", REJECTING)
def test_a_refund_in_the_shop_before_the_rejection_leaves_counts(start: Start, key: str) -> None:
    at = start(key)
    sold = back(at)
    reject()
    at.in_shop("refund", sold.id, reason="Retoure")
    at.work()
    assert at.deeds("reject_return") == []
    assert len(at.deeds("accept_return")) == 1
    assert states()[0] in {"accepted", "closed"}


@pytest.mark.parametrize("key", [key for key in REJECTING if CAN[key].returns_whole])
def test_a_return_of_which_a_piece_was_refunded_is_not_rejected_as_a_whole(start: Start, key: str) -> None:
    at = start(key)
    sold = back(at, ("TEE-001", 2))
    at.in_shop("refund", sold.id, lines=[{"id": str(sold.lines[0].id), "quantity": 1}], reason="Retoure")
    at.work()
    before = at.cases()
    with pytest.raises(Refused) as refused:
        reject()
    assert refused.value.code in {"return.refunded_before", "return.only_whole"}
    at.work()
    assert (at.deeds("reject_return"), at.cases()) == ([], before)


@pytest.mark.parametrize("key", [key for key in REJECTING if CAN[key].returns_whole])
def test_a_piece_that_is_refunded_before_the_rejection_leaves_keeps_the_whole_return(
    start: Start, key: str
) -> None:
    at = start(key)
    sold = back(at, ("TEE-001", 2))
    assert reject() == 2
    at.in_shop("refund", sold.id, lines=[{"id": str(sold.lines[0].id), "quantity": 1}], reason="Retoure")
    at.work()
    assert at.deeds("reject_return") == []
    assert at.cases().count("return.only_whole") == 1, "the piece that was not refunded is not forgotten"


def test_a_refund_that_could_not_be_told_is_not_turned_into_a_rejection(start: Start) -> None:
    at = start("kaufland")
    sold = back(at)
    (unit,) = at.market_app.extensions["kaufland"].return_units.values()
    unit["status"] = "return_in_repair"
    at.in_shop("refund", sold.id, reason="Retoure")
    at.work()
    unit["status"] = "return_arrived"
    at.work()
    assert len(at.cases()) == 1
    with pytest.raises(Refused) as refused:
        reject()
    assert (refused.value.code, len(at.cases())) == ("return.refunded_before", 1)


@pytest.mark.parametrize("key", ["emag", "kaufland", "otto"])
def test_a_refund_in_the_shop_while_it_is_unknown_whether_the_return_was_rejected_is_paid(
    start: Start, key: str
) -> None:
    at = start(key)
    sold = back(at)
    reject()
    at.faults.add(Fault("reset", path="(reject|rejection|rma/save)$", effect=True))
    answer(at)
    at.in_shop("refund", sold.id, reason="Kulanz")
    for _ in range(3):
        answer(at)
    at.work()
    (piece,) = [each for order in at.state()["orders"] for each in order["pieces"]]
    assert (piece["refunded"], len(at.deeds("reject_return")), at.cases()) == (790, 1, [])
    tried = select(Command.kind).where(Command.kind.in_(("accept_return", "refund", "reject_return")))
    assert list(db.session.scalars(tried.order_by(Command.id))) == [
        "reject_return",
        "accept_return",
        "refund",
    ]


def test_a_rejection_that_was_skipped_is_none_of_ours_so_nothing_is_paid_beside_the_seller_portal(
    start: Start,
) -> None:
    at = start("kaufland")
    sold = back(at)
    (unit,) = at.market_app.extensions["kaufland"].return_units.values()
    reject()
    at.in_shop("refund", sold.id, reason="Kulanz")
    at.shop.outbox.deliver_due()
    jobs.drain_inbox(at.shop_connection)
    kinds = select(Command).where(Command.kind.in_(("reject_return", "accept_return"))).order_by(Command.id)
    rejection, acceptance = db.session.scalars(kinds)
    rejection.state, rejection.result = "done", {"skipped": "answered meanwhile"}
    db.session.scalars(select(Return)).one().state = "rejected"  # a person did it in the portal
    unit["status"] = "return_rejected"
    db.session.commit()
    answer(at)
    db.session.refresh(acceptance)
    assert (acceptance.state, at.deeds("refund"), len(at.cases())) == ("refused", [], 1)


def test_only_what_has_come_back_is_rejected_where_the_marketplace_says_so(start: Start) -> None:
    at = start("otto")
    order = at.buy(("TEE-001", 2))
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    here, coming = order["pieces"]
    at.control("return", {"pieces": [here]})
    at.control("return", {"pieces": [coming], "arrive": False})
    at.work()
    assert sorted(states()) == ["announced", "arrived"]
    assert reject(every=False) == 1
    at.work()
    assert sorted(states()) == ["announced", "rejected"]


def test_of_several_returns_one_must_be_named(start: Start) -> None:
    at = start("otto")  # each item is a return of its own there
    back(at, ("TEE-001", 1), ("TEE-002", 1))
    numbers = sorted(db.session.scalars(select(Return.return_external_id)))
    with pytest.raises(Refused) as refused:
        reject(every=False)
    assert (refused.value.code, refused.value.params["available"]) == ("return.several", ", ".join(numbers))
    assert reject("damaged", numbers[0], every=False) == 1
    at.work()
    assert sorted(states()) == ["arrived", "rejected"]


def test_what_came_back_of_a_piece_that_joined_later_is_found_by_the_orders_number(start: Start) -> None:
    at = start("otto")
    order = at.buy(("TEE-001", 1), ("TEE-002", 1))
    world = at.market_app.extensions["otto"]
    later = world.items[order["pieces"][1].split("/")[1]]
    later["status"] = "ANNOUNCED"
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    later["status"] = "PROCESSABLE"
    world.orders[order["order"]]["changed"] = world.now()
    at.work()
    (second,) = [each for each in at.orders_in_shop() if each.id != sold.id]
    at.ship(second)
    at.work()
    at.control("return", {"pieces": [order["pieces"][1]]})
    at.work()
    assert reject() == 1
    at.work()
    assert (states(), at.cases()) == (["rejected"], [])


def test_a_connection_that_was_removed_takes_no_rejection(start: Start) -> None:
    at = start("kaufland")
    back(at)
    db.session.get_one(Connection, at.market_connection).state = "removed"
    with pytest.raises(Refused) as refused:
        reject()
    assert refused.value.code == "connection.removed"


def test_who_refunds_after_a_rejection_has_changed_his_mind(start: Start) -> None:
    at = start("otto")
    sold = back(at)
    reject()
    at.work()
    at.in_shop("refund", sold.id, reason="Kulanz")
    at.work()
    (piece,) = [each for order in at.state()["orders"] for each in order["pieces"]]
    assert (piece["refunded"], states(), at.cases()) == (790, ["accepted"], [])


def test_what_the_marketplace_refuses_is_a_case_and_can_be_tried_anew(start: Start) -> None:
    at = start("kaufland")
    back(at)
    (unit,) = at.market_app.extensions["kaufland"].return_units.values()
    unit["status"] = "need_to_be_returned"
    reject()
    at.work()
    assert (states(), len(at.cases()), at.deeds("reject_return")) == (["arrived"], 1, [])
    unit["status"] = "return_arrived"
    assert reject(note="Kratzer auf der Dose.") == 1
    at.work()
    (deed,) = [each for each in at.market_app.extensions["kaufland"].deeds if each["deed"] == "reject_return"]
    assert deed["message"] == "Der Artikel ist beschädigt oder benutzt zurückgekommen. Kratzer auf der Dose."
    assert (states(), at.cases()) == (["rejected"], [])
    tried = select(Command.state).where(Command.kind == "reject_return")
    assert list(db.session.scalars(tried)) == ["done"], "the first try is not stuck beside the second"


def test_only_one_product_of_a_return_is_rejected_where_the_marketplace_can(start: Start) -> None:
    at = start("otto")
    back(at, ("TEE-001", 1), ("TEE-002", 1))
    assert reject("damaged", "TEE-002") == 1
    at.work()
    assert sorted(states()) == ["arrived", "rejected"]


@pytest.mark.parametrize("key", [key for key in REJECTING if CAN[key].returns_whole])
def test_a_part_of_a_return_that_is_decided_as_a_whole_is_not_rejected(start: Start, key: str) -> None:
    at = start(key)
    back(at, ("TEE-001", 1), ("TEE-002", 1))
    with pytest.raises(Refused) as refused:
        reject("damaged", "TEE-002")
    assert refused.value.code == "return.only_whole"
    at.work()
    assert at.deeds("reject_return") == []


@pytest.mark.parametrize(
    ("key", "reason", "code"),
    [("mirakl", "exchange", "return.reject_reason"), ("cdiscount", "damaged", "return.cannot_reject")],
)
def test_what_the_marketplace_does_not_know_is_said_before_anything_is_written(
    start: Start, key: str, reason: str, code: str
) -> None:
    at = start(key)
    at.buy(("TEE-001", 1))
    at.work()
    with pytest.raises(Refused) as refused:
        reject(reason)
    assert refused.value.code == code


def test_a_return_at_mirakl_that_waits_for_an_answer_is_refused(start: Start) -> None:
    at = start("mirakl")
    back(at, state="WAITING_ACCEPTANCE")
    reject("too_late")
    at.work()
    (known,) = at.market_app.extensions["mirakl"].returns.values()
    assert (known["state"], states(), at.cases()) == ("REFUSED", ["rejected"], [])


def test_a_return_at_emag_is_marked_as_received_before_it_is_refused(start: Start) -> None:
    at = start("emag")
    back(at, status=2)
    reject("other")
    at.work()
    (known,) = at.market_app.extensions["emag"].rmas.values()
    assert (known["request_status"], states(), at.cases()) == (4, ["rejected"], [])


def test_the_command_says_what_it_does(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    at = start("kaufland")
    back(at)
    monkeypatch.setattr(opening, "bridge", ExitStack)
    number = db.session.scalars(select(Order.external_id)).one()
    db.session.commit()
    bad = CliRunner().invoke(main, ["reject-return", number, "--reason", "mood"])
    assert bad.exit_code == 1
    assert "damaged, hygiene_seal" in bad.output
    done = CliRunner().invoke(main, ["reject-return", number, "--reason", "damaged", "--json"])
    assert json.loads(done.output)["pieces"] == 1
    at.work()
    assert states() == ["rejected"]
