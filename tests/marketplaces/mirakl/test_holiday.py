"""A holiday at Mirakl, which takes closed dates only once a day (FACTS, trap 8): the stock goes at once, the dates follow by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from flask import Flask, current_app
from market_world import Market, market
from sqlalchemy import select, text

from app import jobs
from app.extensions import db
from app.flows import holiday
from app.models import Account, Command, Connection
from app.sandbox.mirakl import SIMULATOR, World


@pytest.fixture
def at(app: Flask) -> Iterator[Market]:
    """Anna's goods are on sale; from now on the operator's own pace counts."""
    with market(app, SIMULATOR) as found:
        app.config["SHOPBRIDGE_SANDBOX_PACE"] = 1.0
        yield found


def operator(at: Market) -> World:
    found: World = at.market_app.extensions["mirakl"]
    return found


def switch(at: Market, *wishes: bool) -> None:
    """The merchant switches, and the deeds that are due go out."""
    for on in wishes:
        account = db.session.get_one(Account, at.account.id)
        here = db.session.get_one(Connection, at.market_connection)
        holiday.switch(db.session(), account, on, here)
        db.session.commit()
        jobs.drain_outbox(at.market_connection)


def a_day_later(at: Market) -> None:
    """Nobody counts today's calls any more, and what waited for its day is due."""
    with redis.Redis.from_url(current_app.config["REDIS_URL"]) as store:
        store.flushdb()
    at.hurry()
    jobs.drain_outbox(at.market_connection)
    db.session.rollback()


def told(at: Market) -> int:
    """How often the dates were told."""
    return int(at.faults.count("PUT", "/api/account$"))


def states() -> list[tuple[str, bool]]:
    db.session.rollback()
    query = select(Command).where(Command.kind == "holiday").order_by(Command.id)
    return [(each.state, each.payload["on"]) for each in db.session.scalars(query)]


def test_a_holiday_that_ends_on_its_first_day_is_ended_at_the_operator_as_soon_as_it_may_be(
    at: Market,
) -> None:
    switch(at, True)
    assert operator(at).closed[0] is not None
    assert at.cases() == []
    switch(at, False)
    assert states() == [("done", True), ("due", False)]
    assert at.cases() == ["holiday.opened_later"]
    waits = db.session.scalars(select(Command.next_attempt_at).where(Command.state == "due")).one()
    assert timedelta(hours=23) < waits - datetime.now(UTC) < timedelta(hours=25)
    assert operator(at).closed[0] is not None
    a_day_later(at)
    assert states() == [("done", True), ("done", False)]
    assert operator(at).closed == (None, None)
    assert at.cases() == []
    assert told(at) == 2


def test_the_stock_does_not_wait_for_the_dates(at: Market) -> None:
    switch(at, True, False)
    stale = "SELECT count(*) FROM offer WHERE stale OR desired->>'stock' = '0'"
    assert db.session.execute(text(stale)).scalar() == 0
    assert at.cases() == ["holiday.opened_later"]


def test_who_wants_the_holiday_back_before_its_end_was_told_needs_no_further_call(at: Market) -> None:
    switch(at, True, False, True)
    assert states() == [("done", True)] * 1 + [("done", False), ("done", True)]
    assert at.cases() == []
    a_day_later(at)
    assert operator(at).closed[0] is not None
    assert told(at) == 1


def test_the_newest_wish_is_what_is_told_when_it_may_be(at: Market) -> None:
    switch(at, True, False, True, False)
    assert at.cases() == ["holiday.opened_later"]
    a_day_later(at)
    assert {state for state, _ in states()} == {"done"}
    assert operator(at).closed == (None, None)
    assert at.cases() == []
    assert told(at) == 2


def test_a_holiday_that_cannot_be_told_yet_is_told_later(at: Market) -> None:
    switch(at, True, False)
    a_day_later(at)
    switch(at, True)
    assert at.cases() == ["holiday.closed_later"]
    assert operator(at).closed == (None, None)
    a_day_later(at)
    assert operator(at).closed[0] is not None
    assert at.cases() == []


def test_an_end_whose_telling_was_lost_is_told_again_although_the_holiday_came_back(at: Market) -> None:
    """Nobody knows whether the operator has opened the shop, so the last wish is told whatever was told before."""
    switch(at, True)
    with redis.Redis.from_url(current_app.config["REDIS_URL"]) as store:
        store.flushdb()
    at.faults.add({"kind": "reset", "path": "/api/account$", "effect": True, "count": 1})
    switch(at, False)
    assert operator(at).closed == (None, None)
    switch(at, True)
    assert at.cases() == ["holiday.closed_later"]
    a_day_later(at)
    assert operator(at).closed[0] is not None
    assert at.cases() == []


def test_an_operator_who_wants_no_dates_now_still_gets_orders_stock_and_parcels(app: Flask) -> None:
    """A 429 on A02 rests A02 alone, for all workers."""
    with market(app, SIMULATOR) as at:
        at.faults.add(
            {"kind": "status", "status": 429, "path": "/api/account$", "retry_after": 80_000, "count": -1}
        )
        switch(at, True)
        assert at.cases() == ["holiday.closed_later"]
        switch(at, False)
        assert at.cases() == ["holiday.opened_later"]
        at.buy(("TEE-001", 1))
        at.work()
        (sold,) = at.orders_in_shop()
        at.ship(sold)
        at.work()
        assert len(at.deeds("ship")) == 1
        assert at.offers()["TEE-001"]["stock"] == 9
        assert told(at) == 1
        assert db.session.get_one(Connection, at.market_connection).paused_until is None
        db.session.rollback()
        at.faults.clear()
        a_day_later(at)
        assert operator(at).closed == (None, None)
        assert at.cases() == []
