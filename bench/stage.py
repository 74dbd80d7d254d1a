"""Where the measuring happens: embedded PostgreSQL and Valkey with the settings of production, the bridge's own processes, a merchant.

What may go wrong: a process does not come up; then StageFailed shows the end of its log. Nothing stays behind, however a run ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
from flask import Flask
from psycopg import sql
from sqlalchemy import text

from app import accounts, create_app
from app.commands.running import bring_tables_up_to_date
from app.extensions import db
from app.machine import launch
from app.machine.servers import Postgres, Valkey
from app.models import Connection
from app.vault import generate_key

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
# One connection may send 200 events a second by default; here the machine is measured, not the brake.
NO_BRAKE = 1_000_000


class StageFailed(RuntimeError):
    """A process of the stage did not come up."""


@dataclass
class Running:
    """One process of the bridge or of the bench, and where it listens."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


@dataclass
class Shop:
    """Anna's shop as its plugin knows it, plugged in and active."""

    id: int
    account_id: int
    key: str
    secret: str


@dataclass
class Stage:
    """Servers, and whatever was started on them. `database_url` and `redis_url` name servers that are there already (tests)."""

    folder: Path
    database_url: str = ""
    redis_url: str = ""
    web_processes: int = 2
    web_threads: int = 16
    postgres: Postgres | None = None
    valkey: Valkey | None = None
    master_key: str = field(default_factory=generate_key)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        if not self.database_url:
            self.postgres = self._stack.enter_context(Postgres())
            self.database_url = self.postgres.start(self.folder)
        if not self.redis_url:
            self.valkey = self._stack.enter_context(Valkey())
            self.redis_url = self.valkey.start(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- the database ------------------------------------------------------------------------------

    @contextmanager
    def bridge(self) -> Iterator[Flask]:
        """The application of a worker inside its context, on a database of its own with all tables."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        made = create_app(self.settings(with_database(self.database_url, name)), web=False)
        try:
            bring_tables_up_to_date(made)
            with made.app_context():
                yield made
                db.session.rollback()
                db.session.remove()
                db.engine.dispose()
        finally:
            drop_database(self.database_url, name)

    def settings(self, database_url: str) -> dict[str, Any]:
        """What production has, but for the brake."""
        return {
            "DATABASE_URL": database_url,
            "REDIS_URL": self.redis_url,
            "SHOPBRIDGE_DATA": self.folder,
            "SHOPBRIDGE_MASTER_KEYS": [self.master_key],
            "SHOPBRIDGE_ALLOW_LOOPBACK": True,
            "SHOPBRIDGE_EVENT_RATE": NO_BRAKE,
            "SHOPBRIDGE_WEB_PROCESSES": self.web_processes,
            "SHOPBRIDGE_WEB_THREADS": self.web_threads,
            "SHOPBRIDGE_LOG_LEVEL": "WARNING",
        }

    # --- processes ---------------------------------------------------------------------------------

    @contextmanager
    def process(
        self, made: Flask, name: str, arguments: Sequence[str], *, port: int = 0, **more: str
    ) -> Iterator[Running]:
        """`python -m <arguments>` with the settings of `made` in its environment. See `wait_for`."""
        log = self.folder / f"{name}.log"
        env = {**_clean(os.environ), **self._environment(made, port), **more}
        with log.open("ab") as file:
            process = launch.spawn([sys.executable, "-m", *arguments], env=env, log=file, cwd=ROOT)
        running = Running(name, process, log, port)
        try:
            yield running
        finally:
            # Nothing is measured any more and the data are thrown away: no need for peace.
            launch.end(process, with_signal=signal.SIGKILL)

    def _environment(self, made: Flask, port: int) -> dict[str, str]:
        settings = {**self.settings(made.config["DATABASE_URL"]), "SHOPBRIDGE_PORT": port or 8080}
        return {name: _as_text(value) for name, value in settings.items()}

    def wait_for(self, *running: Running) -> None:
        """Until they all listen: starting them first and waiting then lets them start side by side."""
        deadline = time.monotonic() + START_SECONDS
        for each in running:
            while not listens(each.port):
                if each.process.poll() is not None or time.monotonic() > deadline:
                    raise StageFailed(f"{each.name} did not come up:\n{each.last_words()}")
                time.sleep(0.02)

    def cpu_seconds(self, running: Running) -> float:
        """Processor time so far of a process with its children and of both servers."""
        pids = [running.process.pid, *(server.pid for server in (self.postgres, self.valkey) if server)]
        family = [relative for pid in pids for relative in [psutil.Process(pid), *launch.descendants(pid)]]
        return sum(_cpu(each) for each in family)

    def web(self, made: Flask) -> Any:
        """The web server as `shopbridge web` runs it."""
        return self.process(made, "web", ["app.cli", "web"], port=free_port())


@contextmanager
def stage(folder: Path | None = None, **more: Any) -> Iterator[Stage]:
    """A stage in a new folder beside the data of a real bridge, so on the same disk; the folder goes with it."""
    folder = folder or ROOT / "var" / f"bench-{os.getpid()}"
    try:
        with Stage(folder, **more) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- merchants -----------------------------------------------------------------------------------------


def plug_in_shop(provider: str = "woocommerce") -> Shop:
    """Anna's Teeladen with an active shop, as pairing leaves it behind."""
    account = accounts.create_account(db.session(), f"Anna's Teeladen {uuid.uuid4().hex[:6]}")
    connection = Connection(
        account_id=account.id,
        key=accounts.new_key(),
        provider=provider,
        role="shop",
        name="Anna's Teeladen",
        state="active",
        settings={},
        secrets=accounts._new_secrets(),
    )
    db.session.add(connection)
    db.session.commit()
    return Shop(connection.id, account.id, connection.key, accounts._newest(connection, "event"))


def empty_events() -> None:
    """Forget every event, so that each turn begins with the same table."""
    db.session.rollback()
    db.session.execute(text("TRUNCATE event"))
    db.session.commit()


def number(query: str, **parameters: Any) -> int:
    """The one number that a query answers."""
    found = db.session.execute(text(query), parameters).scalar()
    db.session.rollback()
    return int(found or 0)


def wait_until(ready: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


# --- small things --------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own address.
        return bytes(answer.read())


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    address, _, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Without settings of a real bridge."""
    return {name: value for name, value in environ.items() if not name.startswith("SHOPBRIDGE_")}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def drop_database(server_url: str, name: str, tries: int = 50) -> None:
    """Remove a database with everybody in it. Autovacuum belongs to the server and cannot be sent away: it is waited for."""
    statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server_url, autocommit=True) as connection:
        for _ in range(tries):
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                time.sleep(0.2)
            else:
                return
    raise TimeoutError(f"{name} could not be dropped")
