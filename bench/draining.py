"""(b) Events worked off a second, against one RQ job per event in RQ's SimpleWorker (RQ's default worker forks and is slower still).

Two comparisons, and they say different things. "parse and validate": both sides open, parse and translate each event and mark it done, and
nothing else; that is the machinery. "with flows": the bridge's whole work on real events, against jobs that do the same work one by one.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from unittest import mock

from flask import current_app
from rq import Queue, SimpleWorker
from sqlalchemy import insert, text

from app import inbox, jobs, queues
from app.extensions import db
from app.jobs import events as job
from app.models import Connection, Event
from app.models.columns import table_of
from app.registry import translator
from bench import bodies
from bench.results import Line, spread
from bench.stage import Shop, Stage, empty_events, number, plug_in_shop

AIM = 15.0
QUEUE = "bench-rq"


@dataclass(frozen=True)
class Size:
    """Events of one turn on each side; RQ gets fewer, because it is slower."""

    rounds: int = 5
    ours: int = 1000
    theirs: int = 100


FULL, QUICK, TINY = Size(), Size(rounds=2, ours=500, theirs=50), Size(rounds=1, ours=120, theirs=3)


def measure(stage: Stage, size: Size) -> list[Line]:
    """The lines of the table."""
    with stage.bridge():
        shop = plug_in_shop()
        lines = []
        for kind in ("order.changed", "product.changed"):
            for way in (_drain, _small_job_each):
                _turn(shop, kind, 20, way)  # Warm up: what is loaded and compiled once is not compared.
            for flows in (False, True):
                lines += _compare(shop, kind, size, flows=flows)
        return lines


def _compare(shop: Shop, kind: str, size: Size, *, flows: bool) -> list[Line]:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(size.rounds):
        ours.append(_turn(shop, kind, size.ours, _drain if flows else _drain_without_flows))
        theirs.append(_turn(shop, kind, size.theirs, _job_each if flows else _small_job_each))
    ours_rate, theirs_rate = statistics.median(ours), statistics.median(theirs)
    what = "with flows" if flows else "parse and validate only"
    return [
        Line(
            "b",
            f"one RQ job per event, {kind}, {what}",
            theirs_rate,
            "events/s",
            facts={"range": spread(theirs)},
        ),
        Line(
            "b",
            f"bridge, {kind}, {what}",
            ours_rate,
            "events/s",
            ratio=ours_rate / theirs_rate,
            ratio_of="one RQ job per event",
            aim=None if flows else AIM,
            facts={"range": spread(ours)},
        ),
    ]


def _turn(shop: Shop, kind: str, count: int, work: Callable[[Shop], None]) -> float:
    """Events a second. Raises AssertionError when one of them was not done."""
    empty_events()
    db.session.execute(text("TRUNCATE product CASCADE"))
    db.session.commit()
    queues.connect().flushdb()
    fill(shop, kind, count)
    seconds = _timed(work, shop)
    done = number("SELECT count(*) FROM event WHERE state = 'done'")
    assert done == count, f"{done} of {count} events were done"
    return count / seconds


def _timed(work: Callable[[Shop], None], shop: Shop) -> float:
    """Jobs are put into the queue before the clock runs: only the working off is compared."""
    if work in {_job_each, _small_job_each}:
        _enqueue(one_small_event if work is _small_job_each else one_event)
    else:
        queues.ring("in", shop.id)
    started = time.perf_counter()
    work(shop)
    return time.perf_counter() - started


def fill(shop: Shop, kind: str, count: int) -> None:
    """Due events as the door stores them: each about an order or a product of its own."""
    make = {"order.changed": bodies.order, "product.changed": bodies.product}[kind]
    noun = kind.partition(".")[0]
    rows = [
        {
            "account_id": shop.account_id,
            "connection_id": shop.id,
            "delivery_id": f"bench-{at}",
            "type": kind,
            "subject": f"{noun}/{at}",
            "sequence": at,
            "happened_at": datetime.now(UTC),
            "body": make(at, at),
        }
        for at in range(1, count + 1)
    ]
    db.session.execute(insert(table_of(Event)), rows)
    db.session.commit()


# --- our way -------------------------------------------------------------------------------------------


def _drain(shop: Shop) -> None:
    """As in production: the worker of the lane, woken by a ring, a batch for each job, until nothing is left."""
    queues.work("in", burst=True)


def _drain_without_flows(shop: Shop) -> None:
    """The same, but what an event means is only read, not acted on."""
    with mock.patch.multiple(
        job.Inbox, _products=_only_products, _order=_only_order, _note_work=lambda _: None
    ):
        _drain(shop)


def _only_products(self: job.Inbox, pairs: Sequence[tuple[inbox.Claimed, Any]]) -> None:
    for _, data in pairs:
        self.translate.product(data)


def _only_order(self: job.Inbox, event: inbox.Claimed, data: dict[str, Any]) -> None:
    self.translate.order(data)


# --- the other way -------------------------------------------------------------------------------------


def _job_each(shop: Shop) -> None:
    SimpleWorker([Queue(QUEUE, connection=queues.connect())], connection=queues.connect()).work(
        burst=True, logging_level="WARNING"
    )


def _small_job_each(shop: Shop) -> None:
    _job_each(shop)


def _enqueue(function: Callable[[int], None]) -> None:
    waiting = Queue(QUEUE, connection=queues.connect())
    ids = list(db.session.scalars(text("SELECT id FROM event ORDER BY sequence")))
    db.session.rollback()
    waiting.enqueue_many([Queue.prepare_data(function, args=(event_id,), result_ttl=0) for event_id in ids])


def one_small_event(event_id: int) -> None:
    """A job: load, open, parse, translate, done."""
    with current_app.app_context():
        event = db.session.get_one(Event, event_id)
        shop = db.session.get_one(Connection, event.connection_id)
        data = json.loads(cast("bytes", event.body))["data"]
        translate = translator(shop.provider)
        if event.type == "order.changed":
            translate.order(data)
        else:
            translate.product(data)
        event.state, event.done_at = "done", datetime.now(UTC)
        db.session.commit()


def one_event(event_id: int) -> None:
    """A job: the bridge's own work on exactly one event."""
    with current_app.app_context():
        shop_id = db.session.get_one(Event, event_id).connection_id
        db.session.rollback()
        with mock.patch.object(job, "BATCH", 1):
            worker = job.Inbox(shop_id)
            worker._ring = lambda: None  # type: ignore[method-assign]
            with mock.patch.object(queues, "ring"):
                worker.drain()


def naive_job(event_id: int) -> None:
    """What the naive door of (a) enqueues; nobody works it off there."""
    one_small_event(event_id)


__all__ = ["FULL", "QUICK", "TINY", "fill", "jobs", "measure", "naive_job", "one_event", "one_small_event"]
