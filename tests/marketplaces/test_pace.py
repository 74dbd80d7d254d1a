"""As few calls as the partner's batches allow, and as fast as its documented rate allows, at every marketplace that can be simulated.

Stock comes in through the flow that events of the shop end in, and leaves through the whole bridge; the marketplace keeps its own limits, so a
429 would be seen. The pace is the Door's with its real limiter.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import limits
import pytest
import redis
from flask import Flask, current_app
from market_world import GOODS, Market, market
from sqlalchemy import text
from world import serve

from app import jobs, outbound
from app import messages as m
from app.extensions import db
from app.flows import product_changed
from app.models import Connection
from app.registry import Provider, provider
from app.sandbox import simulators

PART = 100  # changes in one transaction, as the inbox takes them
DAY = 86_400


@dataclass(frozen=True)
class Size:
    """So many changes of stock over so many SKUs."""

    changes: int
    skus: int


QUICK, FULL = Size(1_000, 200), Size(10_000, 2_000)


@pytest.fixture(params=sorted(simulators()))
def at(request: pytest.FixtureRequest, app: Flask) -> Iterator[Market]:
    """A merchant with his goods on sale at one marketplace."""
    with market(app, simulators()[request.param]) as found:
        yield found


def gtin(number: int) -> str:
    digits = f"40{number:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def stock_up(at: Market, skus: int) -> None:
    """So many products like the first one, all on sale with nothing in stock."""
    goods = [{"sku": f"SKU-{number:05d}", "gtin": gtin(number)} for number in range(1, skus + 1)]
    at.control("products", [{"gtin": each["gtin"], "title": each["sku"]} for each in goods])
    names = [row.name for row in db.session.execute(_COLUMNS)]
    shown = ", ".join(f"CAST(:{name} AS text)" if name in {"sku", "gtin"} else name for name in names)
    shown = shown.replace("external_id", "CAST(:sku AS text)", 1)
    copy = text(
        f"INSERT INTO product ({', '.join(names)}) SELECT {shown} FROM product WHERE sku = :like"
    ).bindparams(like=next(iter(GOODS)))
    db.session.execute(copy, goods)
    db.session.commit()
    change(at, {each["sku"]: [1] for each in goods})
    for _ in range(4 + skus // 10):
        at.step()
        if not _open_offers():
            return
    raise AssertionError(f"{_open_offers()} offers are not at the marketplace")


_COLUMNS = text(
    "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'product' AND column_name NOT IN"
    " ('id', 'parent_external_id', 'updated_at', 'stock_sequence') ORDER BY ordinal_position"
)


def _open_offers() -> int:
    waiting = text("SELECT count(*) FROM offer WHERE stale OR sent_revision < revision OR task IS NOT NULL")
    found = db.session.scalar(waiting) or 0
    missing = db.session.scalar(
        text(
            "SELECT count(*) FROM product p WHERE NOT EXISTS (SELECT 1 FROM offer o WHERE o.product_id = p.id)"
        )
    )
    db.session.rollback()
    return int(found) + int(missing or 0)


def change(at: Market, stock: Mapping[str, list[int]]) -> None:
    """The shop reports these stocks, by SKU, one after another."""
    told = [(sku, amount) for sku, amounts in stock.items() for amount in amounts]
    for start in range(0, len(told), PART):
        shop = db.session.get_one(Connection, at.shop_connection)
        first = 1 + (db.session.scalar(text("SELECT max(stock_sequence) FROM product")) or 0)
        seen = [
            (first + place, m.StockSeen(sku, sku, amount, amount > 0))
            for place, (sku, amount) in enumerate(told[start : start + PART])
        ]
        product_changed.receive_stock(db.session(), shop, seen)
        db.session.commit()


def many_changes(size: Size, seed: int = 1) -> dict[str, list[int]]:
    """By SKU its stocks in their order; the last one differs from the 1 that was there."""
    draw = random.Random(seed)
    each = size.changes // size.skus
    return {
        f"SKU-{number:05d}": [*(draw.randrange(40) for _ in range(each - 1)), draw.randrange(2, 40)]
        for number in range(1, size.skus + 1)
    }


def looks_of(at: Market) -> set[tuple[str, str]]:
    """Calls by which the bridge asks without changing anything, a token among them."""
    with redis.Redis.from_url(current_app.config["REDIS_URL"]) as store:
        store.flushdb()
    at.faults.forget_calls()
    at.hurry()
    jobs.ask_marketplace(at.market_connection)
    return {(call.method, call.path) for call in at.faults.calls}


def carries(body: Any) -> bool:
    """Whether a call has rows in it: a list in its JSON, or a file (which is no JSON). Opening and closing a package has none."""
    if isinstance(body, dict):
        return any(carries(value) for value in body.values())
    return isinstance(body, list) or body is None


def push_all(at: Market) -> float:
    """Until everything has left and is decided. Seconds that it took; the bridge's own waits are waited for."""
    started = time.monotonic()
    while time.monotonic() - started < 1_200:
        jobs.drain_outbox(at.market_connection)
        if not _open_offers():
            return time.monotonic() - started
        at.control("settle")
        db.session.execute(
            text(
                "UPDATE offer SET task_due_at = now(), next_attempt_at = now() WHERE task IS NOT NULL OR stale"
            )
        )
        db.session.commit()
    raise AssertionError("the changes did not leave")


def one_push(at: Market, size: Size) -> dict[str, Any]:
    """All changes are there, then they leave at the documented rate: the calls, those that were needed, and what was too fast."""
    stock_up(at, size.skus)
    looks, wanted = looks_of(at), many_changes(size)
    change(at, wanted)
    _at_documented_pace(at)
    at.faults.forget_calls()
    seconds = push_all(at)
    shown = at.offers()
    assert {sku: shown[sku]["stock"] for sku in wanted} == {sku: each[-1] for sku, each in wanted.items()}
    calls = [
        call
        for call in at.faults.calls
        if call.method != "GET" and (call.method, call.path) not in looks and carries(call.body)
    ]
    return {
        "calls": len(calls),
        "needed": math.ceil(size.skus / (at.can.stock_rows or at.can.offer_batch)),
        "paths": dict(Counter(f"{call.method} {call.path}" for call in calls).most_common(4)),
        "all calls": len(at.faults.calls),
        "429": sum(call.status == 429 for call in at.faults.calls),
        "seconds": round(seconds, 1),
    }


def test_many_changes_leave_in_as_few_calls_as_the_batches_allow(at: Market) -> None:
    told = one_push(at, QUICK)
    assert told["calls"] == told["needed"], told
    assert told["429"] == 0


def _at_documented_pace(at: Market) -> None:
    """From now on the bridge keeps the documented rates and the simulator punishes whoever is faster."""
    current_app.config["SHOPBRIDGE_SANDBOX_PACE"] = 1.0
    world = at.market_app.extensions[at.simulator.key]
    world.pace = type(world.pace)()  # what came before came too fast
    now = world.conduct
    real = type(now)()
    for name in ("per_second", "products_per_second", "active_per_day", "hurry"):
        if hasattr(real, name):
            setattr(now, name, getattr(real, name))
    if hasattr(now, "frequency"):
        now.frequency = True


@pytest.mark.nightly
def test_ten_thousand_changes_at_the_documented_rate(at: Market, record_property: Any) -> None:
    """The Must show: batches are full, nobody is told to slow down."""
    told = one_push(at, FULL)
    record_property("table", f"{at.simulator.key}: {told}")
    assert told["calls"] == told["needed"], told
    assert told["429"] == 0


# --- the pace of the Door ----------------------------------------------------------------------------------------------


def documented(found: Provider) -> dict[str, list[limits.RateLimitItem]]:
    """Rates by lane ("" = the connection's own), without budgets for a day: those are no pace."""
    paces = {"": found.pace or "", **found.lanes}
    return {
        lane: [item for item in limits.parse_many(pace) if item.get_expiry() < DAY]
        for lane, pace in paces.items()
        if pace
    }


RATES = sorted(
    {
        (item.amount, item.get_expiry(), key)
        for key in simulators()
        for items in documented(provider(key)).values()
        for item in items
    }
)


def left_at(redis_url: str, url: str, pace: str, calls: int) -> list[float]:
    """When calls left through a Door with the real limiter."""
    with redis.Redis.from_url(redis_url) as store:
        store.flushdb()
    door = outbound.Door(
        connection=1,
        base_url=url,
        egress="tenant_url",
        allow_loopback=True,
        pace=pace,
        limiter=outbound.Limiter.on_redis(redis_url, patience=10),
    )
    left = []
    for _ in range(calls):
        door.call("probe", "GET", "/_control/faults")
        left.append(time.monotonic())
    return left


def scaled(amount: int, seconds: int) -> tuple[int, int]:
    """The same number of calls in a shorter window, at most a hundred a second: more than this machine could do would measure the machine."""
    return amount, min(seconds, max(1, math.ceil(amount / 100)))


@pytest.mark.nightly
@pytest.mark.parametrize(("amount", "seconds", "key"), RATES)
def test_the_door_is_as_fast_as_the_documented_rate_and_never_faster(
    redis_url: str, amount: int, seconds: int, key: str, record_property: Any
) -> None:
    """Four windows; windows of minutes are scaled to seconds, the limiter knows no difference."""
    amount, window = scaled(amount, seconds)
    server, url = serve(simulators()[key].create_app(1))
    try:
        left = left_at(redis_url, url, f"{amount} per {window} second", 4 * amount + 1)
    finally:
        server.shutdown()
        server.server_close()
    taken = left[-1] - left[0]
    ratio = 4 * window / taken
    record_property("table", f"{key}: {amount} in {seconds} s, pace {ratio:.3f} of it")
    # A call notes its time when it is answered, so the first of two may seem a little late.
    assert all(later - early > 0.9 * window for early, later in zip(left, left[amount:], strict=False))
    assert ratio >= 0.95
