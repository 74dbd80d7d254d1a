"""(c) Marketplace calls and seconds for many stock updates of fewer SKUs, at a marketplace that takes 50 ms for each answer.

First the plain sum: all updates are in the inbox, then they are worked off, then the offers go out; the calls must be exactly SKUs / batch,
rounded up. Then the same with all workers running while the updates come in: more calls, because the first batches leave before the rest is there.
The naive way, one call per update, is timed for a few and calculated.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, text

from app import accounts, jobs, queues
from app.extensions import db
from app.jobs.partner import Partner
from app.models import Account, Connection, Event
from app.models.columns import table_of
from app.registry import provider
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY
from bench import bodies
from bench.results import Line
from bench.stage import Running, Shop, Stage, free_port, get, number, plug_in_shop, wait_until

LATENCY = 0.05


@dataclass(frozen=True)
class Size:
    """Updates over SKUs, and single calls for the naive figure."""

    updates: int = 10_000
    skus: int = 2_000
    single_calls: int = 40
    workers: bool = True


FULL, QUICK, TINY = Size(), Size(updates=2_000, skus=400, single_calls=10), Size(200, 40, 2, workers=False)


@dataclass
class Scene:
    """A shop whose goods are all on sale at the marketplace."""

    stage: Stage
    made: Any
    shop: Shop
    marketplace: int
    market: Running
    units: dict[str, int]

    def arrivals(self) -> dict[str, Any]:
        return dict(json.loads(get(f"{self.market.url}/bench/arrivals")))

    def begin(self) -> None:
        """Forget the calls so far; from now on each answer takes its time."""
        get(f"{self.market.url}/bench/begin")


@contextmanager
def scene(stage: Stage, skus: int) -> Iterator[Scene]:
    """Products come in as events and leave as offers, through the bridge itself; only the units exist at the marketplace beforehand."""
    port = free_port()
    arguments = ["bench.market", "--port", str(port), "--goods", str(skus), "--latency", str(LATENCY)]
    with stage.bridge() as made, stage.process(made, "market", arguments, port=port) as market:
        stage.wait_for(market)
        shop = plug_in_shop()
        account = db.session.get_one(Account, shop.account_id)
        keys = {"client_key": DEMO_CLIENT_KEY, "secret_key": DEMO_SECRET_KEY}
        marketplace = accounts.connect_marketplace(
            db.session(), account, "kaufland", keys, base_url=f"{market.url}/v2", allow_loopback=True
        ).id
        db.session.commit()
        units = json.loads(get(f"{market.url}/bench/units"))
        store(shop, [(at, bodies.product(at, at, stock=1), "product.changed") for at in range(1, skus + 1)])
        work_in(shop)
        refs = [{"sku": name, "ref": f"de:{unit}"} for name, unit in units.items()]
        known = text(
            "UPDATE offer SET external_ref = :ref FROM product p WHERE p.id = offer.product_id AND p.sku = :sku"
        )
        db.session.execute(known, refs)
        db.session.commit()
        work_out(marketplace)
        shown = number("SELECT count(*) FROM offer WHERE state = 'on_sale'")
        assert shown == skus, f"{shown} of {skus} offers are on sale"
        yield Scene(stage, made, shop, marketplace, market, units)


def measure(stage: Stage, size: Size) -> list[Line]:
    """The lines of the table."""
    with scene(stage, size.skus) as found:
        one = _single_call(found, size.single_calls)
        batched = _one_after_the_other(found, size, one)
        return [*batched, _all_at_once(found, size)] if size.workers else batched


def _single_call(found: Scene, calls: int) -> float:
    """Seconds of one call that changes one offer, on a kept-alive connection."""
    found.begin()
    partner = Partner(db.session.get_one(Connection, found.marketplace))
    db.session.commit()
    started = time.perf_counter()
    for unit in list(found.units.values())[:calls]:
        partner.client.patch_unit(unit, "de", {"amount": 1})  # type: ignore[attr-defined]
    return (time.perf_counter() - started) / calls


def _one_after_the_other(found: Scene, size: Size, single: float) -> list[Line]:
    store(found.shop, updates(size, start=1_000_000, seed=1))
    found.begin()
    started = time.perf_counter()
    work_in(found.shop)
    worked_in = time.perf_counter() - started
    work_out(found.marketplace)
    seconds = time.perf_counter() - started
    assert not _wrong(found), "an offer does not show the newest stock"
    told = found.arrivals()
    calls, needed = sum(told["calls"].values()), math.ceil(size.skus / batch_size())
    naive = size.updates * single
    what = f"{size.updates:,} updates of {size.skus:,} SKUs"
    return [
        Line(
            "c",
            f"marketplace calls for {what}, {batch_size()} in a batch",
            calls,
            "calls",
            aim=needed,
            must="==",
            facts={
                "needed": needed,
                "429": told["statuses"].get("429", 0),
                "wrong": _wrong(found),
            },
        ),
        Line(
            "c",
            "seconds for that, one worker of each lane in turn",
            seconds,
            "s",
            ratio=seconds / naive,
            ratio_of="one call per update, one after another (calculated)",
            facts={
                "events_in_s": round(worked_in, 1),
                "offers_out_s": round(seconds - worked_in, 1),
                "one_call_per_update_s": round(naive),
            },
        ),
    ]


def _all_at_once(found: Scene, size: Size) -> Line:
    """The workers run, and the updates are already waiting when the bell rings."""
    stage, made = found.stage, found.made
    with (
        stage.process(made, "worker-in", ["app.cli", "worker", "in"]),
        stage.process(made, "worker-out", ["app.cli", "worker", "out"]),
    ):
        workers = "SELECT count(*) FROM heartbeat"
        assert wait_until(lambda: number(workers) == 2, 60), "the workers did not come up"
        store(found.shop, updates(size, start=2_000_000, seed=2))
        found.begin()
        started = time.perf_counter()
        queues.ring("in", found.shop.id)
        assert wait_until(lambda: not _left(found), 120, 0.05), "not all updates went out"
        seconds = time.perf_counter() - started
    told = found.arrivals()
    return Line(
        "c",
        "marketplace calls when the workers run meanwhile",
        sum(told["calls"].values()),
        "calls",
        facts={"seconds": round(seconds, 1), "429": told["statuses"].get("429", 0), "wrong": _wrong(found)},
    )


def _left(found: Scene) -> int:
    return number("""
        SELECT (SELECT count(*) FROM event WHERE state IN ('due', 'leased'))
             + (SELECT count(*) FROM offer WHERE stale OR confirmed_revision < revision)
    """)


def _wrong(found: Scene) -> int:
    """Offers that do not show the shop's newest stock at the marketplace."""
    books = json.loads(get(f"{found.market.url}/_control/books"))
    shown = {unit["id_offer"]: unit["amount"] for unit in books["units"]}
    rows = db.session.execute(text("SELECT sku, stock FROM product")).all()
    db.session.rollback()
    return sum(shown.get(sku) != stock for sku, stock in rows)


def batch_size() -> int:
    return provider("kaufland").capabilities.offer_batch


def updates(size: Size, *, start: int, seed: int) -> list[tuple[int, bytes, str]]:
    """Every SKU equally often, in a shuffled order; the stock always changes."""
    goods = [at % size.skus + 1 for at in range(size.updates)]
    random.Random(seed).shuffle(goods)
    return [
        (start + at, bodies.stock(goods[at], start + at, 2 + at + seed * size.updates), "stock.changed")
        for at in range(size.updates)
    ]


def store(shop: Shop, bodies_: list[tuple[int, bytes, str]]) -> None:
    """Events as the door stores them: (sequence, body, type)."""
    rows = [
        {
            "account_id": shop.account_id,
            "connection_id": shop.id,
            "delivery_id": f"bench-{sequence}",
            "type": kind,
            "subject": json.loads(body)["subject"],
            "sequence": sequence,
            "happened_at": datetime.now(UTC),
            "body": body,
        }
        for sequence, body, kind in bodies_
    ]
    db.session.execute(insert(table_of(Event)), rows)
    db.session.commit()


def work_in(shop: Shop) -> None:
    """Batch for batch, until no event is due."""
    while number("SELECT count(*) FROM event WHERE state = 'due'"):
        jobs.drain_inbox(shop.id)


def work_out(marketplace: int) -> None:
    """Turn for turn, because a connection's turn is limited in time, until no offer is due."""
    due = "SELECT count(*) FROM offer WHERE stale OR confirmed_revision < revision"
    deadline = time.monotonic() + 120
    while number(due):
        assert time.monotonic() < deadline, f"{number(due)} offers are still due"
        jobs.drain_outbox(marketplace)
