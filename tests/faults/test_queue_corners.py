"""The corners in which a queue of jobs loses, doubles or runs what it should not (reliability section 2), tried on our bells and rows."""

from __future__ import annotations

import json
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from bridge import rings
from flask import Flask
from rq import Queue
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from world import World

from app import accounts, clock, inbox, jobs, outbox, plan, queues
from app.errors import Refused, Unavailable
from app.extensions import db
from app.jobs import events as events_job
from app.models import Command, Event
from app.sandbox.faults import Fault
from app.shops import signing

DHL = {"number": "00340434161094015902", "carrier": "DHL"}
ASSAM = "4006381333931"


class Sender:
    """A shop without a plugin that pushes its own events."""

    def __init__(self, app: Flask, name: str) -> None:
        self.app = app
        account = accounts.create_account(db.session, name)
        connection, self.secret, _ = accounts.connect_standard(db.session, account, name)
        db.session.commit()
        self.id, self.account_id, self.key = connection.id, account.id, connection.key

    def body(self, sequence: int, product: int = 17) -> bytes:
        event = {
            "type": "stock.changed",
            "timestamp": "2026-11-21T14:02:11Z",
            "sequence": sequence,
            "subject": f"product/{product}",
            "data": {"id": str(product), "sku": f"TEE-{product}", "stock": sequence % 1000},
        }
        return json.dumps(event).encode()

    def post(self, sequence: int) -> int:
        """Through the door; answers the status."""
        body = self.body(sequence)
        headers = signing.sign([self.secret], f"evt_{sequence:022d}", body, datetime.now(UTC))
        headers["Content-Type"] = "application/json"
        return self.app.test_client().post(f"/webhooks/{self.key}", data=body, headers=headers).status_code

    def store(self, count: int, products: int = 20, first: int = 1) -> None:
        """Past the door, because thousands are wanted."""
        db.session.rollback()  # a transaction that began before would look with an older clock
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for sequence in range(first, first + count):
                inbox.accept(
                    connection,
                    account_id=self.account_id,
                    connection_id=self.id,
                    delivery_id=f"evt_{sequence:022d}",
                    kind="stock.changed",
                    subject=f"product/{sequence % products}",
                    sequence=sequence,
                    happened_at=datetime.now(UTC),
                    body=self.body(sequence, sequence % products),
                )

    def states(self) -> dict[str, int]:
        db.session.rollback()
        query = select(Event.state, func.count()).where(Event.connection_id == self.id).group_by(Event.state)
        return dict(db.session.execute(query).all())


@pytest.fixture
def sender(app: Flask) -> Sender:
    return Sender(app, "Anna's Teeladen")


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def run_worker(app: Flask) -> Callable[..., None]:
    """A real RQ worker in this process, until its lane is empty. It finds the queue as it is after a restart."""
    return lambda lane="in": queues.work(lane, burst=True)


def sweep() -> bool:
    return clock.sweep(datetime.now(UTC))


def tables(session: Session, table: str) -> int:
    session.rollback()
    return int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


# --- lost bells ------------------------------------------------------------------------------------------------------


def test_an_emptied_redis_loses_nothing(
    sender: Sender, store: redis.Redis, run_worker: Callable[..., None]
) -> None:
    assert [sender.post(number) for number in (1, 2, 3)] == [202] * 3
    store.flushall()
    run_worker()
    assert sender.states() == {"due": 3}
    assert sweep()
    run_worker()
    assert sender.states() == {"done": 3}


def test_a_job_whose_content_was_evicted_is_rung_for_again(
    sender: Sender, store: redis.Redis, run_worker: Callable[..., None]
) -> None:
    sender.post(1)
    for key in store.keys("rq:job:*"):
        store.delete(key)
    assert rings_left(store) == 1
    run_worker()
    assert sender.states() == {"due": 1}
    sweep()
    assert rings_left(store) == 0, "the bell is still up: somebody rang a moment ago"
    store.pexpire(f"bell:in:{sender.id}", 1)  # the fifteen seconds of a bell are over
    time.sleep(0.01)
    sweep()
    run_worker()
    assert sender.states() == {"done": 1}


def rings_left(store: redis.Redis) -> int:
    return int(store.llen("rq:queue:in"))  # type: ignore[arg-type]


def test_a_bell_does_not_stay_up_for_long(sender: Sender, store: redis.Redis) -> None:
    sender.post(1)
    assert 0 < store.ttl(f"bell:in:{sender.id}") <= 15


def test_a_hundred_rings_are_one_job(sender: Sender, redis_url: str) -> None:
    assert [queues.ring("in", sender.id) for _ in range(100)] == [True] + [False] * 99
    assert rings(redis_url, "in") == 1
    queues.lower("in", sender.id)
    assert queues.ring("in", sender.id)


# --- a Redis that is ill ---------------------------------------------------------------------------------------------


def test_redis_away_and_the_event_is_stored_and_answered(
    app: Flask, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "REDIS_URL", "redis://127.0.0.1:1/0")
    began = time.monotonic()
    assert sender.post(1) == 202
    assert time.monotonic() - began < 15
    assert sender.states() == {"due": 1}
    assert sweep(), "a clock without Redis goes on looking"


def test_a_full_redis_and_the_event_is_stored_and_answered(
    sender: Sender, store: redis.Redis, run_worker: Callable[..., None]
) -> None:
    store.config_set("maxmemory", "1")
    try:
        assert sender.post(1) == 202
        assert sender.states() == {"due": 1}
    finally:
        store.config_set("maxmemory", "0")
    sweep()
    run_worker()
    assert sender.states() == {"done": 1}


# --- forged jobs -----------------------------------------------------------------------------------------------------


class Bomb:
    """Unpickling it would run a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def forgeries(mark: Path, sender: Sender) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """(function, args, kwargs) that a stranger with write access to Redis may try."""
    command = f"touch {mark}"
    yield from (
        ("os.system", (command,), {}),
        ("subprocess.check_output", (["touch", str(mark)],), {}),
        ("builtins.exec", (f"open({str(mark)!r}, 'w')",), {}),
        ("pathlib.Path.touch", (str(mark),), {}),
        ("app.jobs.worker_app", (), {}),
        ("app.accounts.create_account", (1, "stranger"), {}),
        ("app.jobs.drain_inbox", (), {}),
        ("app.jobs.drain_inbox", (str(sender.id),), {}),
        ("app.jobs.drain_inbox", (float(sender.id),), {}),
        ("app.jobs.drain_inbox", (True,), {}),
        ("app.jobs.drain_inbox", (sender.id, 1), {}),
        ("app.jobs.drain_inbox", (), {"connection_id": sender.id}),
        ("app.jobs.drain_inbox", ([sender.id],), {}),
    )


def test_two_hundred_forged_jobs_run_nothing_and_the_worker_lives(
    sender: Sender, store: redis.Redis, run_worker: Callable[..., None], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    sender.store(1)
    for number in range(200):
        kinds = list(forgeries(mark, sender))
        function, args, kwargs = kinds[number % len(kinds)]
        serializer = DefaultSerializer if number % 3 == 0 else JSONSerializer
        forged = Queue("in", connection=store, serializer=serializer, job_class=Job)
        forged.enqueue(function, args=args, kwargs=kwargs)
    for number, content in enumerate(
        (pickle.dumps(Bomb(mark)), b"", b"\x00\xff", b'["os.system"', b"{}", b"null", b"[1,2]")
    ):
        job = Queue("in", connection=store, serializer=JSONSerializer, job_class=Job).enqueue(
            "os.system", number
        )
        store.hset(job.key, "data", content)
    run_worker()
    assert not mark.exists()
    assert sender.states() == {"due": 1}, "a forged job reached our own functions"
    assert rings_left(store) == 0
    queues.ring("in", sender.id)
    run_worker()
    assert sender.states() == {"done": 1}


# --- leases ----------------------------------------------------------------------------------------------------------


def test_an_ended_lease_hands_events_over_and_the_late_worker_is_fenced_off(
    sender: Sender, session: Session
) -> None:
    sender.store(2)
    late = inbox.claim(session, sender.id, lease=0)
    quick = inbox.claim(session, sender.id, lease=30)
    assert [event.id for event in late.events] == [event.id for event in quick.events]
    assert [event.attempts for event in quick.events] == [2, 2]
    with pytest.raises(inbox.LeaseLost):
        inbox.finish(session, late, {"done": [event.id for event in late.events]})
    session.rollback()
    inbox.fail(session, late, late.events[0], Refused("late.worker"), final=True, scale=1)
    inbox.release(session, late, [event.id for event in late.events])
    session.commit()
    assert sender.states() == {"leased": 2}
    inbox.finish(session, quick, {"done": [event.id for event in quick.events]})
    session.commit()
    assert sender.states() == {"done": 2}


def test_events_under_a_living_lease_are_nobody_elses(sender: Sender, session: Session) -> None:
    sender.store(2)
    assert len(inbox.claim(session, sender.id, lease=30).events) == 2
    assert inbox.claim(session, sender.id, lease=30).events == []
    assert inbox.waiting_connections(session) == []


def test_a_late_worker_cannot_finish_refuse_or_put_off_a_command(sender: Sender, session: Session) -> None:
    outbox.write(
        session, account_id=sender.account_id, connection_id=sender.id, kind="ping", subject="shop", key="k"
    )
    session.commit()
    (late,) = outbox.claim(session, sender.id, lease=0)
    (quick,) = outbox.claim(session, sender.id, lease=30)
    assert (late.in_doubt, quick.in_doubt, quick.public_id) == (False, True, late.public_id)
    deeds: list[Callable[[], Any]] = [
        lambda: outbox.finish(session, late, {}),
        lambda: outbox.refuse(session, late, Refused("late.worker")),
        lambda: outbox.later(session, late, Unavailable("x"), scale=1, retry_after=None, in_doubt=False),
    ]
    for deed in deeds:
        with pytest.raises(inbox.LeaseLost):
            deed()
        session.rollback()
    outbox.finish(session, quick, {})
    session.commit()
    assert session.scalars(select(Command.state)).one() == "done"


def drain_at_once(app: Flask, drain: Callable[[int], None], connection_id: int, workers: int) -> None:
    """Several workers of one connection, each with its own application context."""
    start = threading.Barrier(workers)
    crashed: list[Exception] = []

    def work() -> None:
        with app.app_context():
            start.wait()
            try:
                for _ in range(6):
                    drain(connection_id)
            except Exception as error:
                crashed.append(error)
                raise
            finally:
                db.session.remove()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert crashed == []


def test_two_workers_of_one_shop_work_off_every_event_once(
    app: Flask, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: Counter[int] = Counter()
    finish = inbox.finish

    def counting(session: Session, batch: inbox.Batch, ids_by_state: dict[str, list[int]]) -> None:
        finish(session, batch, ids_by_state)
        finished.update(each for ids in ids_by_state.values() for each in ids)

    monkeypatch.setattr(inbox, "finish", counting)
    sender.store(400)
    drain_at_once(app, jobs.drain_inbox, sender.id, 2)
    assert sender.states() == {"done": 400}
    assert set(finished.values()) == {1}
    newest = db.session.execute(text("SELECT external_id, stock FROM product")).all()
    assert {int(row.external_id): row.stock for row in newest} == {
        product: next(n for n in range(400, 0, -1) if n % 20 == product) for product in range(20)
    }


def test_two_workers_of_one_shop_create_every_order_once(world: World) -> None:
    world.product("TEE-001", ASSAM, stock=100)
    world.work()
    for _ in range(12):
        world.order(("TEE-001", 1, 790))
    world.ask()
    db.session.remove()
    drain_at_once(world.bridge, jobs.drain_outbox, world.shop_connection, 2)
    asked = Counter(
        command["id"] for command in world.shop_books()["commands"] if command["type"] == "order.create"
    )
    assert sorted(asked.values()) == [1] * 12
    assert len(world.shop.orders) == 12


# --- a deed whose worker died ----------------------------------------------------------------------------------------


def test_a_deed_that_was_done_by_a_dead_worker_is_read_back_and_not_repeated(world: World) -> None:
    world.product("TEE-001", ASSAM)
    world.work()
    placed = world.order(("TEE-001", 2, 790))
    world.work()
    (order,) = world.shop.orders.values()
    world.in_shop("complete", order.id, tracking=DHL)
    world.send_events()
    jobs.drain_inbox(world.shop_connection)
    (dead,) = outbox.claim(world.session, world.kaufland_connection, lease=0)
    assert dead.kind == "ship"
    unit = world.kaufland.order_units[placed["units"][0]]
    with world.kaufland.lock:
        world.kaufland.send(unit, DHL["number"], "DHL")  # the first of its two calls had its effect
    world.work(poll=False)
    assert [deed["deed"] for deed in world.kaufland.deeds].count("send") == 2
    assert {world.kaufland.order_units[each]["status"] for each in placed["units"]} == {"sent"}
    command = world.session.get(Command, dead.id)
    assert (command.state, command.in_doubt, command.attempts) == ("done", False, 2)


# --- when the plan is used up ----------------------------------------------------------------------------------------


def test_an_event_that_fails_ten_times_is_dead_and_shown(
    sender: Sender, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("partner.unreachable")

    monkeypatch.setattr(events_job.product_changed, "receive_stock", away)
    sender.store(1)
    tries = 0
    while sender.states() == {"due": 1}:
        session.execute(text("UPDATE event SET next_attempt_at = now()"))
        session.commit()
        jobs.drain_inbox(sender.id)
        tries += 1
    assert (tries, sender.states()) == (len(plan.STEPS) + 1, {"dead": 1})
    assert session.execute(text("SELECT code, subject FROM case_ WHERE state = 'open'")).all() == [
        ("partner.unreachable", "event/1")
    ]


def test_a_command_that_fails_ten_times_is_dead_and_shown(world: World) -> None:
    world.product("TEE-001", ASSAM)
    world.work()
    world.bridge.config["SHOPBRIDGE_RETRY_SCALE"] = 1  # one try for each time that the worker is called
    world.shop_app.extensions["faults"].add(Fault("status", path="/wp-json", status=503, count=-1))
    world.order(("TEE-001", 1, 790))
    world.ask()
    tries = 0
    while tries < 30 and world.session.scalars(
        select(Command.state).where(Command.kind == "order.create")
    ).one() in {"due", "leased"}:
        world.session.commit()
        empty_breakers(world)
        world.hurry()
        jobs.drain_outbox(world.shop_connection)
        tries += 1
    assert tries == len(plan.STEPS) + 1
    assert "retry.exhausted" in world.cases()
    world.shop_app.extensions["faults"].clear()
    assert outbox.replay(world.session, Command.kind == "order.create") == [world.shop_connection]
    empty_breakers(world)
    world.work()
    assert len(world.shop.orders) == 1


def empty_breakers(world: World) -> None:
    """The minute for which a partner rests after five failures is over."""
    with redis.Redis.from_url(world.bridge.config["REDIS_URL"]) as store:
        for key in store.scan_iter("breaker:*"):
            store.delete(key)


def test_a_partner_that_rests_uses_up_no_tries(world: World) -> None:
    """Nothing left this machine, so nothing was tried: else an hour of rest would eat the 75 hours of the plan."""
    world.product("TEE-001", ASSAM)
    world.work()
    world.shop_app.extensions["faults"].add(Fault("status", path="/wp-json", status=503, count=-1))
    world.order(("TEE-001", 1, 790))
    world.ask()
    for _ in range(40):
        world.hurry()
        jobs.drain_outbox(world.shop_connection)
    command = world.session.scalars(select(Command).where(Command.kind == "order.create")).one()
    calls = world.shop_app.extensions["faults"].count("POST", "/wp-json")
    assert command.state == "due"
    assert command.attempts <= calls <= 8


# --- replay ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stuck(sender: Sender, session: Session) -> Sender:
    """Six events: 1 and 2 done, 3 and 4 refused for one reason, 5 dead for another, 6 done and its body purged."""
    sender.store(6)
    jobs.drain_inbox(sender.id)
    session.execute(
        text("UPDATE event SET state = 'refused', reason_code = 'field.invalid' WHERE id IN (3, 4)")
    )
    session.execute(
        text("UPDATE event SET state = 'dead', reason_code = 'job.crashed', attempts = 10 WHERE id = 5")
    )
    session.execute(text("UPDATE event SET body = NULL WHERE id = 6"))
    session.commit()
    return sender


def due(session: Session, table: str = "event") -> list[int]:
    return list(session.scalars(text(f"SELECT id FROM {table} WHERE state = 'due' ORDER BY id")))


def test_one_event_is_replayed(stuck: Sender, session: Session) -> None:
    assert inbox.replay(session, Event.id == 3) == [stuck.id]
    assert due(session) == [3]


def test_a_range_of_events_is_replayed_and_what_was_purged_is_not(stuck: Sender, session: Session) -> None:
    inbox.replay(session, Event.sequence.between(2, 6))
    assert due(session) == [2, 3, 4, 5]
    jobs.drain_inbox(stuck.id)
    assert stuck.states() == {"done": 6}


def test_all_events_of_one_reason_are_replayed_with_a_new_plan(stuck: Sender, session: Session) -> None:
    inbox.replay(session, Event.reason_code == "job.crashed")
    assert due(session) == [5]
    assert session.scalars(select(Event.attempts).where(Event.id == 5)).one() == 0


def test_nothing_that_is_being_worked_on_is_replayed(sender: Sender, session: Session) -> None:
    sender.store(1)
    inbox.claim(session, sender.id, lease=30)
    assert inbox.replay(session, Event.id == 1) == []


def test_commands_are_replayed_one_in_a_range_or_by_reason(sender: Sender, session: Session) -> None:
    for number in range(1, 6):
        outbox.write(
            session,
            account_id=sender.account_id,
            connection_id=sender.id,
            kind="order.note",
            subject=f"order/{number}",
            key=f"k{number}",
        )
    session.execute(
        text("UPDATE command SET state = 'refused', reason_code = 'shop.order.not_found' WHERE id < 3")
    )
    session.execute(
        text(
            "UPDATE command SET state = 'dead', reason_code = 'partner.unreachable', in_doubt = true WHERE id = 3"
        )
    )
    session.execute(text("UPDATE command SET state = 'done' WHERE id = 4"))
    session.commit()
    assert outbox.replay(session, Command.id == 1) == [sender.id]
    assert due(session, "command") == [1, 5]
    outbox.replay(session, Command.reason_code == "partner.unreachable")
    assert due(session, "command") == [1, 3, 5]
    assert session.scalars(select(Command.in_doubt).where(Command.id == 3)).one(), "its doubt is forgotten"
    outbox.replay(session, Command.id.between(1, 4))
    assert due(session, "command") == [1, 2, 3, 5]


# --- fairness and clocks ---------------------------------------------------------------------------------------------


def test_a_flooding_shop_holds_up_nobody_by_more_than_two_batches(
    app: Flask, sender: Sender, run_worker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Sender(app, "Bücher Boldt")
    turns: list[int] = []
    drain = events_job.Inbox.drain

    def noting(self: events_job.Inbox) -> None:
        turns.append(self.connection_id)
        drain(self)

    monkeypatch.setattr(events_job.Inbox, "drain", noting)
    sender.store(5000)
    queues.ring("in", sender.id)
    quiet.post(1)
    run_worker()
    assert quiet.states() == {"done": 1}
    assert sender.states() == {"done": 5000}
    assert turns.index(quiet.id) <= 2
    assert turns.count(sender.id) >= 50


def test_another_clock_takes_over_when_the_first_dies(sender: Sender, redis_url: str) -> None:
    sender.store(1)
    first = db.engine.connect()
    first.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": clock.LOCK})
    pid = first.scalar(text("SELECT pg_backend_pid()"))
    assert not sweep()
    assert rings(redis_url, "in") == 0
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as executioner:
        executioner.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    first.invalidate()
    first.close()
    deadline = time.monotonic() + 30
    while not sweep():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert rings(redis_url, "in") == 1


def test_a_part_of_the_sweep_that_fails_does_not_stop_the_next(
    sender: Sender, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    sender.store(1)
    monkeypatch.setattr(clock, "PARTS", (crash, *clock.PARTS))
    sweep()
    assert rings(redis_url, "in") == 1
    assert db.session.scalar(text("SELECT count(*) FROM heartbeat WHERE name = 'clock'")) == 1
