"""A whole bridge of real processes that may be killed: own PostgreSQL with its real settings, own Valkey, web, workers, clock.

The simulated shop and the simulated Kaufland run as real HTTP servers in the test's own process, so their books survive every kill.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
from psycopg.rows import dict_row
from servers import free_ports
from world import call, serve

from app import accounts, create_app, extensions
from app.extensions import db
from app.machine.servers import Postgres, Valkey
from app.machine.supervisor import Supervisor
from app.models import Connection
from app.sandbox import kaufland, shop
from app.sandbox.kaufland.world import DEMO_CLIENT_KEY, DEMO_SECRET_KEY
from app.vault import generate_key

CONTROLS = Path(__file__).with_name("controls.py")
# 5 s, 5 min, 30 min ... of the retry plans become 0.01 s, 0.6 s, 3.6 s: the waiting is not what is tested here.
SCALE = 0.002
LANES = ("in-1", "in-2", "out-1", "out-2", "poll")


class Bridge:
    """`with Bridge(...) as bridge`: everything runs and both partners are plugged in.

    `controls` replaces the program of a role ("web", "in", "out") by a wrong one of controls.py; `lanes` names the workers.
    """

    def __init__(
        self, seed: int, *, controls: dict[str, str] | None = None, lanes: Sequence[str] = LANES
    ) -> None:
        self.random = random.Random(seed)
        self.controls = controls or {}
        self.lanes = lanes
        self.kills: Counter[str] = Counter()
        self._stack = ExitStack()

    # --- up and down ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shopbridge-kills-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.postgres = self._stack.enter_context(Postgres())
        self.valkey = self._stack.enter_context(Valkey())
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            "DATABASE_URL": self.postgres.start(self.folder),
            "REDIS_URL": self.valkey.start(self.folder),
            "SHOPBRIDGE_DATA": str(self.folder),
            "SHOPBRIDGE_MASTER_KEYS": generate_key(),
            "SHOPBRIDGE_HOST": "127.0.0.1",
            "SHOPBRIDGE_PORT": str(self.port),
            "SHOPBRIDGE_ALLOW_LOOPBACK": "true",
            "SHOPBRIDGE_WEB_THREADS": "4",
            "SHOPBRIDGE_IN_LEASE_SECONDS": "3",
            "SHOPBRIDGE_OUT_LEASE_SECONDS": "3",
            "SHOPBRIDGE_RETRY_SCALE": str(SCALE),
            "SHOPBRIDGE_POLL_SECONDS": "1",
            "SHOPBRIDGE_SWEEP_SECONDS": "0.3",
            "SHOPBRIDGE_EVENT_RATE": "100000",
        }
        self._start_partners()
        self._make_tables()
        self.supervisor = self._stack.enter_context(Supervisor(self.folder / "logs", longest_pause=0.4))
        self.supervisor.keep(self.valkey)
        for name, program in self._programs().items():
            self.supervisor.start(name, program, self.env)
        self._wait_for_web()
        self._plug_in()

    def _programs(self) -> dict[str, list[str]]:
        workers = {name: self._program(name.partition("-")[0]) for name in self.lanes}
        return {"web": self._program("web"), **workers, "clock": self._program("clock")}

    def _program(self, role: str) -> list[str]:
        if role in self.controls:
            return [sys.executable, str(CONTROLS), self.controls[role]]
        words = [role] if role in {"web", "clock"} else ["worker", role]
        return [sys.executable, "-P", "-m", "app.cli", *words]

    def _start_partners(self) -> None:
        self.kaufland_app = kaufland.create_app()
        self.shop_app = shop.create_app(time_scale=SCALE)
        self.kaufland, self.shop = self.kaufland_app.extensions["kaufland"], self.shop_app.extensions["shop"]
        self.kaufland.conduct.withhold_seconds = 0
        self._stack.callback(self.shop.outbox.stop)
        self.urls = {}
        for name, application in (("kaufland", self.kaufland_app), ("shop", self.shop_app)):
            server, self.urls[name] = serve(application)
            self._stack.callback(server.server_close)
            self._stack.callback(server.shutdown)

    def _make_tables(self) -> None:
        """Our own application only makes the tables and plugs in; everything else is done by the processes."""
        before = extensions.safe._vault
        self._stack.callback(lambda: setattr(extensions.safe, "_vault", before))
        settings = {
            "DATABASE_URL": self.env["DATABASE_URL"],
            "REDIS_URL": self.env["REDIS_URL"],
            "SHOPBRIDGE_MASTER_KEYS": [self.env["SHOPBRIDGE_MASTER_KEYS"]],
            "SHOPBRIDGE_ALLOW_LOOPBACK": True,
        }
        self.app = create_app(settings, web=False)
        with self.app.app_context():
            db.create_all()
            db.engine.dispose()

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()
                return
            time.sleep(0.1)
        raise AssertionError(f"the web server did not start:\n{self.supervisor.log('web')[-2000:]}")

    def _plug_in(self) -> None:
        """The shop pairs over the real web; Kaufland is connected as the command line does it."""
        with self.app.app_context():
            account = accounts.create_account(db.session, "Anna's Teeladen")
            code = accounts.make_pairing(db.session, account, "woocommerce")
            db.session.commit()
            paired = call("POST", f"{self.urls['shop']}/_control/pair", {"bridge": self.url, "code": code})
            assert paired["status"] == 201, paired
            accounts.connect_marketplace(
                db.session,
                account,
                "kaufland",
                {"client_key": DEMO_CLIENT_KEY, "secret_key": DEMO_SECRET_KEY},
                base_url=f"{self.urls['kaufland']}/v2",
                allow_loopback=True,
            )
            db.session.commit()
            self.shop_connection = db.session.query(Connection.id).filter(Connection.role == "shop").scalar()
            db.session.remove()
            db.engine.dispose()

    # --- looking ----------------------------------------------------------------------------------------------------

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """What the database says, on a connection of its own."""
        with psycopg.connect(self.env["DATABASE_URL"], row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def value(self, query: str, **values: Any) -> Any:
        """The first column of the first row."""
        return next(iter(self.rows(query, **values)[0].values()))

    def execute(self, statement: str) -> None:
        """Change something behind the bridge's back."""
        with psycopg.connect(self.env["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(statement)

    # --- killing ----------------------------------------------------------------------------------------------------

    def kill(self, what: str) -> None:
        """`kill -9` of "web master", "web process", a worker, the clock or Valkey; "flush" empties Redis instead."""
        if what == "flush":
            with suppress(redis.RedisError), redis.Redis.from_url(self.env["REDIS_URL"]) as store:
                store.flushall()
                self.kills["FLUSHALL"] += 1
            return
        pid = self._victim_at_last(what)
        if pid is None:
            return  # it does not come up again: the audit will say so
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills[what.partition("-")[0]] += 1

    def _victim_at_last(self, what: str, seconds: float = 30.0) -> int | None:
        """On a slow machine it may still be starting again after the last kill."""
        deadline = time.monotonic() + seconds
        while (pid := self._victim(what)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return pid

    def _victim(self, what: str) -> int | None:
        if what == "valkey":
            return self.valkey.pid if self.valkey.alive() else None
        pids = self.supervisor.pids(what.partition(" ")[0])
        if what == "web process":
            return self.random.choice(pids[1:]) if len(pids) > 1 else None
        return pids[0] if pids else None

    # --- the end ----------------------------------------------------------------------------------------------------

    def wait_until_quiet(self, seconds: float) -> list[str]:
        """Nothing kills any more. Answers what still moves when the time is up; empty = quiet."""
        # A look that died keeps its lease for two minutes; these two minutes are over.
        self.execute("UPDATE schedule SET lease_until = NULL, due_at = now()")
        began = self.value("SELECT now()")
        deadline = time.monotonic() + seconds
        calm = 0
        while time.monotonic() < deadline:
            moving = self._moving(began)
            calm = 0 if moving else calm + 1
            if calm == 3:
                return []
            time.sleep(0.3)
        return moving

    def _moving(self, began: Any) -> list[str]:
        queries = {
            "events": "SELECT count(*) FROM event WHERE state IN ('due', 'leased')",
            "commands": "SELECT count(*) FROM command WHERE state IN ('due', 'leased')",
            "offers": "SELECT count(*) FROM offer WHERE stale OR sent_revision < revision OR lease_until > now()",
            "looks": "SELECT count(*) FROM schedule WHERE coalesce(last_ok_at, '-infinity') < %(began)s",
        }
        if not any(lane.startswith("poll") for lane in self.lanes):
            del queries["looks"]  # nobody looks
        counts = {name: self.value(query, began=began) for name, query in queries.items()}
        waiting = self.shop.outbox.counts()
        counts["events of the shop"] = waiting.get("waiting", 0) + waiting.get("sending", 0)
        return [f"{count} {name}" for name, count in counts.items() if count]

    def logs(self) -> str:
        """The last lines of every process."""
        ends = {name: self.supervisor.log(name).splitlines()[-6:] for name in self.supervisor.names()}
        return "\n".join(
            f"--- {name}\n" + "\n".join(line[:400] for line in end) for name, end in ends.items()
        )
