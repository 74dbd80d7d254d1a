"""A worker's sign of life: written at once, repeated, taken away in peace, and not mistaken for that of a dead one."""

import os
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.commands import heartbeat
from app.models import Heartbeat


def rows(session: Session) -> dict[str, Heartbeat]:
    session.rollback()
    session.expire_all()
    return {each.name: each for each in session.scalars(select(Heartbeat))}


def test_it_beats_at_once_and_ends_in_peace(app: Flask, session: Session) -> None:
    with heartbeat.of_worker(app, "in", "worker-in-1") as name:
        beat = rows(session)[name]
        assert beat.facts == {"lane": "in", "pid": os.getpid(), "host": socket.gethostname()}
        assert datetime.now(UTC) - beat.at < timedelta(seconds=5)
    assert rows(session) == {}


def test_it_goes_on_beating(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "SECONDS", 0.02)
    with heartbeat.of_worker(app, "out", None) as name:
        first = rows(session)[name].at
        deadline = time.monotonic() + 30
        while rows(session)[name].at == first:
            assert time.monotonic() < deadline, "only one beat"
    assert name.startswith("worker-out-")


def test_a_worker_that_crashes_does_not_look_alive(app: Flask, session: Session) -> None:
    with pytest.raises(OSError, match="boom"), heartbeat.of_worker(app, "in", "worker-in-1"):
        raise OSError("boom")
    assert rows(session) == {}


def test_killed_workers_of_this_machine_are_buried_and_others_stay(app: Flask, session: Session) -> None:
    for name, host, pid in (
        ("dead", socket.gethostname(), 2**22 - 3),
        ("alive", socket.gethostname(), os.getpid()),
        ("far", "elsewhere", 1),
    ):
        session.add(
            Heartbeat(name=name, at=datetime.now(UTC), facts={"lane": "in", "pid": pid, "host": host})
        )
    session.add(Heartbeat(name="clock", at=datetime.now(UTC), facts={"pid": 1}))
    session.commit()
    with heartbeat.of_worker(app, "in", "new"):
        assert set(rows(session)) == {"alive", "far", "clock", "new"}
