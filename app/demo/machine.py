"""A whole bridge of its own for the demo: `shopbridge up` as a child process in a temporary folder, with free ports and short times.

What may go wrong: it does not come up (then the end of its log is told), or something stays behind when it ends (`left_behind` finds it).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis
from flask import Flask
from sqlalchemy import text

from app import config
from app.commands import opening
from app.machine import launch, runfile
from app.sandbox import simulators

START_SECONDS = 120.0
STOP_SECONDS = 60.0

# Times that suit a day of one minute. Nothing else differs from a bridge at work.
SHORT_TIMES = {
    "SHOPBRIDGE_IN_LEASE_SECONDS": "5",
    "SHOPBRIDGE_OUT_LEASE_SECONDS": "8",
    "SHOPBRIDGE_RETRY_SCALE": "0.015",
    "SHOPBRIDGE_SWEEP_SECONDS": "0.5",
    "SHOPBRIDGE_WEB_PROCESSES": "1",
    "SHOPBRIDGE_LOG_LEVEL": "WARNING",
}


class DemoFailed(RuntimeError):
    """The demo cannot go on; the text says why."""


class Machine:
    """One bridge with its simulators. `folder` is its data folder, `shop` and `kaufland` are the simulators' addresses."""

    def __init__(self) -> None:
        # Short, because PostgreSQL's socket lives in it and its path may not be long.
        self.folder = Path(tempfile.mkdtemp(prefix="sb-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self.network_shops: list[str] = []
        self.payments = ""
        self._bridge: runfile.RunningBridge | None = None
        self._app: Flask | None = None

    @property
    def log_file(self) -> Path:
        """What `shopbridge up` itself says."""
        return self.folder / "up.log"

    @property
    def bridge(self) -> runfile.RunningBridge:
        """The note of the running bridge."""
        if self._bridge is None:
            raise DemoFailed("The bridge is not running.")
        return self._bridge

    @property
    def shop(self) -> str:
        """Address of the simulated shop."""
        return self.bridge.sandbox["shop"]

    @property
    def kaufland(self) -> str:
        """Address of the simulated Kaufland."""
        return self.bridge.sandbox["kaufland"]

    def start(self) -> None:
        """Start everything and wait until it answers."""
        names = ["shop", *simulators()]
        web, *ports = _free_ports(1 + len(names))
        told = [
            word
            for name, port in zip(names, ports, strict=True)
            for word in ("--sandbox-port", f"{name}={port}")
        ]
        command = ["up", "--port", str(web), "--sandbox", *told]
        with self.log_file.open("ab") as log:
            self._process = launch.spawn(_ourselves(*command), env=self._environment(), log=log)
        deadline = time.monotonic() + START_SECONDS
        while b"Shopbridge is running" not in self.log_file.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed(f"The bridge did not start. It says:\n{self._last_words()}")
            pause(0.1)
        self._bridge = runfile.read(self.folder)

    def start_network(self) -> None:
        """Four more simulated shops and a simulated payment provider, in one process."""
        ports = _free_ports(5)
        told = [word for port in ports for word in ("--port", str(port))]
        with (self.folder / "network.log").open("ab") as log:
            self._network = launch.spawn(
                _ourselves("sandbox", "network", *told), env=self._environment(), log=log
            )
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        deadline = time.monotonic() + START_SECONDS
        while not all(_listens(port) for port in ports):
            if self._network.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed("The simulated shops of the network did not start.")
            pause(0.1)
        self.network_shops, self.payments = addresses[:-1], addresses[-1]

    def connect(self, account: str, marketplace: str = "kaufland") -> dict[str, Any]:
        """Plug in the shop and a simulated marketplace ("all": every one), as a merchant would: with `shopbridge connect sandbox`. Its answer."""
        done = subprocess.run(
            _ourselves("connect", "sandbox", "--account", account, "--marketplace", marketplace, "--json"),
            env=self._environment(),
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DemoFailed(f"The simulators could not be connected: {done.stderr.decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @contextmanager
    def database(self) -> Iterator[Any]:
        """A fresh session of the bridge's database: for reading its books, and for settings a merchant would change."""
        from app.extensions import db

        if self._app is None:
            told = config.load({**self.bridge.settings, "SHOPBRIDGE_DATA": str(self.folder)})
            self._app = opening.made_from(told)
        with self._app.app_context():
            yield db.session
            db.session.rollback()

    def ask_often(self) -> None:
        """Simulators may be asked often; the real marketplaces are asked by their own plan."""
        with self.database() as session:
            for kind, seconds in (("orders", 1), ("changes", 1), ("returns", 1), ("drift", 2)):
                session.execute(
                    text(
                        "UPDATE schedule SET every = :every, floor = :every, pause = :every, due_at = now() WHERE kind = :kind"
                    ),
                    {"every": seconds, "kind": kind},
                )
            session.commit()

    def kill_the_busy_worker(self, seconds: float = 15.0) -> str:
        """`kill -9` to the worker that hangs in a delivery; its name. Raises DemoFailed when none is at work for so long."""
        deadline = time.monotonic() + seconds
        before: dict[int, bytes] = {}
        with redis.Redis.from_url(self.bridge.settings["REDIS_URL"]) as store:
            while time.monotonic() < deadline:
                now = _jobs_in_hand(store)
                for pid, job in now.items():
                    if before.get(pid) == job:
                        psutil.Process(pid).kill()
                        return f"worker {pid}"
                before = now
                pause(0.4)
        raise DemoFailed("No worker was at work when one was to be killed.")

    def flush_the_bells(self) -> None:
        """FLUSHALL: everything that Valkey knows is gone."""
        with redis.Redis.from_url(self.bridge.settings["REDIS_URL"]) as store:
            store.flushall()

    def stop(self) -> None:
        """End everything. Harmless when it is not running."""
        if self._app is not None:
            from app.extensions import db

            with self._app.app_context():
                db.engine.dispose()
            self._app = None
        for process in (self._process, self._network):
            if process is not None:
                launch.end(process, grace=STOP_SECONDS)
        self._process = self._network = None

    def left_behind(self) -> list[str]:
        """Processes that still belong to this bridge; none when it ended as it should."""
        return [f"{process.pid} {name}" for process, name in self._belonging()]

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _belonging(self) -> Iterator[tuple[psutil.Process, str]]:
        folder = str(self.folder)
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                inside = process.cwd() == folder or process.cwd().startswith(folder + os.sep)
                if inside or process.environ().get("SHOPBRIDGE_DATA") == folder:
                    yield process, process.name()

    def _environment(self) -> dict[str, str]:
        """Ours, without anything that would lead to another bridge's data."""
        kept = {name: value for name, value in os.environ.items() if not _is_a_setting(name)}
        return {**kept, **SHORT_TIMES, "SHOPBRIDGE_DATA": str(self.folder), "PYTHONUNBUFFERED": "1"}

    def _last_words(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])


def pause(seconds: float) -> None:
    """Let the others work for a while."""
    threading.Event().wait(seconds)


def _is_a_setting(name: str) -> bool:
    return name in {"DATABASE_URL", "REDIS_URL"} or name.startswith("SHOPBRIDGE_")


def _ourselves(*arguments: str) -> list[str]:
    # -P: another package called "app" in the current folder must not be taken for ours.
    return [sys.executable, "-P", "-m", "app.cli", *arguments]


def _free_ports(how_many: int) -> list[int]:
    """Ports that are free now. Held together while they are drawn, so that no two are the same."""
    probes = [socket.socket() for _ in range(how_many)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _jobs_in_hand(store: redis.Redis) -> dict[int, bytes]:
    """Process number -> job, for every delivering worker that has one. Worker names are `lane-number-word` (app/queues.py)."""
    found: dict[int, bytes] = {}
    for key in store.scan_iter("rq:worker:out-*:executions"):
        job = next(iter(store.smembers(key)), None)
        if job:
            found[int(key.decode().split(":")[2].split("-")[1])] = (
                job if isinstance(job, bytes) else job.encode()
            )
    return found
