"""A real worker process is killed (SIGKILL) at every step of a payment, and another one takes over: the money moves exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import accounts, jobs, ledger
from app.config import SETTINGS
from app.extensions import db, safe
from app.models import Command, LedgerEntry, Payment, Trade
from app.sandbox import payments as provider
from app.vault import Vault
from tests.marketplaces.kaufland.conftest import running

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from desk import Desk

ROOT = Path(__file__).resolve().parents[2]

# Where the axe falls -> (what is replaced, whether the provider has moved the money by then).
STEPS = {
    "before the payment is marked as sent": ("app.flows.pay._mark_sent", False),
    "before the call": ("app.payments.simulated.client.SimulatedClient.capture", False),
    "after the call, before the ledger": ("app.ledger.settle", True),
    "after the ledger, before the command ends": ("app.outbox.finish", True),
    "after everything, before the commit": ("app.jobs.commands.Outbox._reset_connection", True),
}
WORKER = """
import importlib, os, signal, sys
from app import jobs
place, connection = sys.argv[1], int(sys.argv[2])
owner, _, name = place.rpartition(".")
try:
    holder = importlib.import_module(owner)
except ModuleNotFoundError:
    module, _, klass = owner.rpartition(".")
    holder = getattr(importlib.import_module(module), klass)
setattr(holder, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
with jobs.worker_app().app_context():
    jobs.drain_outbox(connection)
print("survived")
"""


@pytest.fixture
def bank() -> Iterator[tuple[str, provider.Books]]:
    """The simulated provider: its address and its books."""
    made = provider.create_app(deliver=False)
    with running(made) as url:
        yield url, made.extensions["payments"]


def killed_worker(app: Flask, place: str, connection_id: int) -> subprocess.CompletedProcess[str]:
    names = {setting.name for setting in SETTINGS}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {
        "DATABASE_URL": app.config["DATABASE_URL"],
        "REDIS_URL": app.config["REDIS_URL"],
        "SHOPBRIDGE_DATA": str(app.config["SHOPBRIDGE_DATA"]),
        "SHOPBRIDGE_MASTER_KEYS": ",".join(app.config["SHOPBRIDGE_MASTER_KEYS"]),
        "SHOPBRIDGE_ALLOW_LOOPBACK": "true",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-c", WORKER, place, str(connection_id)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_worker_never_pays_twice(
    step: str, app: Flask, session: Session, bank: tuple[str, provider.Books]
) -> None:
    (place, moved), (url, books) = STEPS[step], bank
    desk = Desk(session)
    settings = {"api_key": provider.API_KEY}
    # Another test of this process may have made an application with keys of its own.
    safe.bind(Vault(app.config["SHOPBRIDGE_MASTER_KEYS"]))
    connection = accounts.connect_payment(session, "simulated", settings, base_url=url, allow_loopback=True)
    trade = desk.trade(captured=False)
    ledger.charge(session, trade)
    session.commit()
    connection_id, trade_id = connection.id, trade.id

    died = killed_worker(app, place, connection_id)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert books.moved()["capture"] == (1000 if moved else 0)
    db.session.expire_all()
    assert session.scalars(select(Command.state).where(Command.kind == "pay")).one() == "leased"
    assert ledger.money(session, session.get_one(Trade, trade_id)).captured == 0

    session.execute(text("UPDATE command SET lease_until = now() - interval '1 second'"))
    session.commit()
    jobs.drain_outbox(connection_id)
    db.session.expire_all()
    assert session.scalars(select(Payment.state)).one() == "done"
    assert session.scalars(select(Command.state).where(Command.kind == "pay")).one() == "done"
    assert books.moved()["capture"] == 1000
    assert len(books.payments) == 1
    assert ledger.money(session, session.get_one(Trade, trade_id)).captured == 1000
    assert sum(session.scalars(select(LedgerEntry.amount))) == 0
