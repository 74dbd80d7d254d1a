"""What the shop gives back is what the marketplace pays, to the cent (C7): refused and repeated, only taken, or with a return. Else a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from sqlalchemy import select, text

from app import outbox
from app.errors import Unavailable
from app.extensions import db
from app.flows import order_returned
from app.models import Command, Timeline
from app.sandbox import simulators
from app.sandbox.faults import Fault

Start = Callable[..., Market]


@pytest.fixture
def start(app: Flask) -> Iterator[Start]:
    """A merchant at one marketplace, by its key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(market(app, simulators()[key]))


def sent(at: Market, *lines: tuple[str, int], **more: Any) -> tuple[dict[str, Any], Any]:
    """An order whose parcel has left: as the marketplace and as the shop know it."""
    order = at.buy(*lines, **more)
    at.work()
    (sold,) = at.orders_in_shop()
    at.ship(sold)
    at.work()
    return order, sold


def one(sold: Any, line: int = 0) -> list[dict[str, Any]]:
    return [{"id": str(sold.lines[line].id), "quantity": 1}]


def paid(at: Market) -> list[int]:
    return [each["amount"] for each in at.deeds("refund")]


@contextmanager
def undecided(at: Market) -> Iterator[None]:
    """OTTO takes price reductions and decides about none."""
    ask = at.control
    ask("conduct", {"reduction_asks": 1_000_000})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at, "control", lambda what, body=None: None if what == "settle" else ask(what, body))
        yield


def states() -> list[str]:
    db.session.rollback()
    mine = Command.kind == "refund"
    return list(db.session.scalars(select(Command.state).where(mine).order_by(Command.id)))


def told() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Timeline.code).order_by(Timeline.id)))


def replay(at: Market, *where: Any, it_did_not_happen: bool = False) -> None:
    outbox.replay(db.session(), *where, it_did_not_happen=it_did_not_happen)
    at.work()


# --- refused, and repeated ---------------------------------------------------------------------------------------------------


def test_refunds_of_one_line_that_were_refused_are_all_paid_when_they_are_replayed(start: Start) -> None:
    at = start("mirakl")
    _, sold = sent(at, ("TEE-001", 2))
    at.faults.add(Fault("status", path="/orders/refund$", status=400, count=2))
    for _ in range(2):
        at.in_shop("refund", sold.id, lines=one(sold), reason="beschädigt")
        at.work()
    assert (paid(at), states()) == ([], ["refused", "refused"])
    replay(at)
    assert (paid(at), states(), at.cases()) == ([790, 790], ["done", "done"], [])


def test_a_refused_refund_is_paid_although_others_were_meanwhile(start: Start) -> None:
    at = start("mirakl")
    _, sold = sent(at, ("TEE-001", 2))
    at.faults.add(Fault("status", path="/orders/refund$", status=400, count=1))
    for _ in range(2):
        at.in_shop("refund", sold.id, lines=one(sold), reason="beschädigt")
        at.work()
    assert (paid(at), states()) == ([790], ["refused", "done"])
    replay(at)
    assert (paid(at), states(), at.cases()) == ([790, 790], ["done", "done"], [])


@pytest.mark.parametrize("happened", [True, False])
def test_a_refund_in_doubt_is_never_taken_for_another_one_of_its_line(
    start: Start, app: Flask, happened: bool
) -> None:
    at = start("mirakl")
    app.config["SHOPBRIDGE_RETRY_SCALE"] = 1.0
    _, sold = sent(at, ("TEE-001", 2))
    at.faults.add(Fault("reset", path="/orders/refund$", effect=happened, count=1))
    at.in_shop("refund", sold.id, lines=one(sold), reason="beschädigt")
    at.step()
    db.session.execute(text("UPDATE command SET state = 'dead' WHERE kind = 'refund' AND in_doubt"))
    db.session.commit()
    at.in_shop("refund", sold.id, lines=one(sold), reason="beschädigt")
    at.work()
    assert (paid(at), states()) == ([790] * (1 + happened), ["dead", "done"])
    replay(at)
    if happened:
        assert (paid(at), states(), at.cases()) == ([790, 790], ["done", "done"], [])
        return
    assert (paid(at), states()) == ([790], ["refused", "done"])
    assert at.cases() == ["outcome.unknown_refund"]
    replay(at, it_did_not_happen=True)
    assert (paid(at), states(), at.cases()) == ([790, 790], ["done", "done"], [])


# --- only taken --------------------------------------------------------------------------------------------------------------


def test_a_refund_that_is_taken_and_then_refused_is_a_case_until_a_replay_pays_it(start: Start) -> None:
    at = start("cdiscount")
    order, sold = sent(at, ("TEE-001", 1), ("TEE-002", 1))
    at.control("conduct", {"refuse_requests": True})
    at.in_shop("refund", sold.id, lines=one(sold), reason="Retoure")
    at.work()
    assert (states(), at.cases()) == (["refused"], ["refund.refused_later"])
    assert "refund.confirmed" not in told()
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 0
    at.control("conduct", {"refuse_requests": False})
    replay(at)
    assert (states(), at.cases()) == (["done"], [])
    assert sum(each["refunded"] for each in at.pieces(order).values()) == 790
    assert told().count("refund.confirmed") == 1


def test_a_price_reduction_counts_when_it_is_processed_and_keeps_nobody_waiting(start: Start) -> None:
    at = start("otto")
    _, sold = sent(at, ("TEE-001", 1), ("TEE-002", 1))
    with undecided(at):
        at.in_shop("refund", sold.id, amount="4.00", reason="beschädigt")
        at.work(rounds=3)
        assert (paid(at), states()) == ([200, 200], ["due", "due"])
        assert "refund.confirmed" not in told()
    at.work()
    assert (paid(at), states(), at.cases()) == ([200, 200], ["done", "done"], [])
    assert (told().count("refund.awaited"), told().count("refund.confirmed")) == (2, 2)


def test_a_price_reduction_that_is_rejected_is_a_case(start: Start) -> None:
    at = start("otto")
    _, sold = sent(at, ("TEE-001", 1))
    with undecided(at):
        at.in_shop("refund", sold.id, amount="2.00", reason="beschädigt")
        at.step()
        world = at.market_app.extensions["otto"]
        (item,) = [each for each in world.items.values() if each["reductions"]]
        item["reductions"][0]["status"] = "REJECTED"
        item["refunded"] -= 200
        at.work()
    assert (states(), at.cases()) == (["refused"], ["refund.refused_later"])
    replay(at)
    assert (paid(at), states(), at.cases()) == ([200, 200], ["done"], [])


@pytest.mark.parametrize("rejected", [0, 1])
def test_of_two_price_reductions_alike_no_one_is_called_refused_when_it_may_be_the_other(
    start: Start, rejected: int
) -> None:
    at = start("otto")
    _, sold = sent(at, ("TEE-001", 1))
    with undecided(at):
        for _ in range(2):
            at.in_shop("refund", sold.id, amount="2.00", reason="beschädigt")
            at.work(rounds=2)
        world = at.market_app.extensions["otto"]
        (item,) = [each for each in world.items.values() if each["reductions"]]
        for place, each in enumerate(item["reductions"]):
            each["status"] = "REJECTED" if place == rejected else "PROCESSED"
        item["refunded"] -= 200
        at.work()
    assert (states(), at.cases()) == (["refused", "refused"], ["outcome.unknown_refund"] * 2)
    replay(at)
    assert (paid(at), states()) == ([200, 200], ["refused", "refused"])


def test_a_price_reduction_that_nobody_decides_is_a_case_and_never_paid_twice(start: Start) -> None:
    at = start("otto")
    _, sold = sent(at, ("TEE-001", 1))
    with undecided(at):
        at.in_shop("refund", sold.id, amount="2.00", reason="beschädigt")
        at.work(rounds=12)
        assert (paid(at), states(), at.cases()) == ([200], ["refused"], ["refund.not_decided"])
        outbox.replay(db.session())
        at.step()
        assert paid(at) == [200], "a replay looks first"
    at.work()
    assert (paid(at), states(), at.cases()) == ([200], ["done"], [])


class Killed(BaseException):
    """What a process sees of kill -9: no handler catches it."""


@pytest.mark.parametrize("committed", [False, True], ids=["before it is noted", "after it is noted"])
def test_a_worker_that_dies_when_a_refund_was_taken_pays_it_once(start: Start, committed: bool) -> None:
    at = start("otto")
    _, sold = sent(at, ("TEE-001", 1))
    note = order_returned._wait_for_decision

    def dies(*told: Any) -> None:
        if committed:
            with suppress(Unavailable):
                note(*told)
        raise Killed

    with undecided(at), pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_returned, "_wait_for_decision", dies)
        at.in_shop("refund", sold.id, amount="2.00", reason="beschädigt")
        with pytest.raises(Killed):
            at.work()
    db.session.rollback()
    assert (paid(at), states()) == ([200], ["leased"])
    at.work()
    assert (paid(at), states(), at.cases()) == ([200], ["done"], [])
    assert told().count("refund.confirmed") == 1


# --- with a return -----------------------------------------------------------------------------------------------------------


def test_the_shipping_that_the_shop_gives_back_with_a_return_is_paid_too(start: Start) -> None:
    at = start("mirakl")
    order, sold = sent(at, ("TEE-001", 1), shipping=500)
    at.control("return", {"pieces": order["pieces"]})
    at.work()
    at.in_shop("refund", sold.id, lines=one(sold), amount="12.90", reason="Retoure")
    at.work()
    assert (paid(at), len(at.deeds("accept_return")), at.cases()) == ([1290], 1, [])


def test_what_the_shop_gives_back_after_a_return_was_accepted_is_paid_too(start: Start) -> None:
    at = start("mirakl")
    order, sold = sent(at, ("TEE-001", 1), shipping=500)
    at.control("return", {"pieces": order["pieces"]})
    at.work()
    at.in_shop("refund", sold.id, lines=one(sold), amount="7.90", reason="Retoure")
    at.work()
    at.in_shop("refund", sold.id, amount="5.00", reason="Versandkosten")
    at.work()
    assert (paid(at), len(at.deeds("accept_return")), at.cases()) == ([790, 500], 1, [])


def test_a_returned_piece_gets_what_the_shop_gave_and_not_what_it_had_got_before(start: Start) -> None:
    at = start("mirakl")
    order, sold = sent(at, ("TEE-001", 2))
    at.in_shop("refund", sold.id, amount="5.00", reason="beschädigt")
    at.work()
    at.control("return", {"pieces": order["pieces"][:1]})
    at.work()
    at.in_shop("refund", sold.id, lines=one(sold), amount="5.40", reason="Retoure")
    at.work()
    assert (paid(at), len(at.deeds("accept_return")), at.cases()) == ([250, 250, 540], 1, [])
