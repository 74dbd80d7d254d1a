"""`shopbridge up` as people start it: real processes, real HTTP, one order that travels; and nothing stays behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from servers import free_ports

from app.config import SETTINGS
from app.sandbox import simulators

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]  # a quarter of a minute on a quiet machine

WAIT = 120.0


class Running:
    """One `shopbridge up` in a data folder of its own, and commands in a second terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ["shop", *simulators()]
        self.web, *numbers = free_ports(1 + len(names))
        where = dict(zip(names, numbers, strict=True))
        self.url, self.kaufland, self.shop = (
            f"http://127.0.0.1:{port}" for port in (self.web, where["kaufland"], where["shop"])
        )
        ours = {setting.name for setting in SETTINGS}
        self.environment = {name: value for name, value in os.environ.items() if name not in ours}
        self.environment |= {
            "SHOPBRIDGE_DATA": str(folder / "data"),
            "SHOPBRIDGE_WEB_PROCESSES": "1",
            "SHOPBRIDGE_WORKERS_OUT": "1",
        }
        told = [word for name, number in where.items() for word in ("--sandbox-port", f"{name}={number}")]
        ports = ["--port", str(self.web), *told]
        with (folder / "up.log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command("up", "--sandbox", *ports),
                env=self.environment,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "app.cli", *arguments]

    def says(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    def ask(self, *arguments: str, code: int = 0) -> Any:
        """One command with --json."""
        done = subprocess.run(
            self.command(*arguments, "--json"),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def until(self, true: Callable[[], Any]) -> Any:
        """Wait for something; says what `up` said when it never comes."""
        deadline = time.monotonic() + WAIT
        while not (found := true()):
            assert time.monotonic() < deadline, self.says()
            assert self.process.poll() is None, self.says()
            time.sleep(0.1)
        return found


@pytest.fixture
def up() -> Iterator[Running]:
    """Started, and gone afterwards, whatever the test did."""
    # A short path: PostgreSQL's socket lives in it.
    folder = Path(tempfile.mkdtemp(prefix="sb-up-"))
    running = Running(folder)
    try:
        yield running
    finally:
        left = running.family() if running.process.poll() is None else []
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        _, alive = psutil.wait_procs(left, timeout=20)
        for each in alive:
            each.kill()
        shutil.rmtree(folder, ignore_errors=True)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())


def shop_orders(up: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(f"{up.shop}/_control/books")["orders"]
    return found


def test_an_order_travels_and_nothing_stays_behind(up: Running) -> None:
    up.until(lambda: "is running at" in up.says())
    assert get(f"{up.url}/healthz")["status"] == "ok"
    note = up.folder / "data" / "run.json"
    assert note.stat().st_mode & 0o777 == 0o600

    plugged = up.ask("connect", "sandbox", "--account", "Anna's Teeladen")
    assert (plugged["products"], plugged["offers_on_sale"]) == (20, 19)
    bought = up.ask("sandbox", "buy", "--pieces", "2")
    up.until(lambda: shop_orders(up))
    up.until(lambda: [each for each in up.ask("orders") if each["state"] == "in_shop"])
    up.ask("sandbox", "ship")
    up.until(lambda: up.ask("orders")[0]["state"] == "shipped")
    story = up.ask("order", bought["order"])
    assert story["why_not_shipped"] is None
    assert story["pieces"] == 2
    assert len(shop_orders(up)) == 1

    doctor = up.ask("doctor")
    assert doctor["healthy"], doctor
    assert up.ask("connect", "sandbox", "--account", "Anna's Teeladen")["offers_on_sale"] == 19
    assert len(up.ask("connections")) == 2, "plugged in twice is plugged in once"

    family = up.family()
    assert len(family) >= 9, "servers, web, three lanes, clock, two simulators"
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=60) == 0, up.says()
    assert psutil.wait_procs(family, timeout=0)[1] == []
    assert not note.exists()


def test_a_killed_bridge_takes_its_processes_along(up: Running) -> None:
    up.until(lambda: "is running at" in up.says())
    family = up.family()
    up.process.kill()
    up.process.wait()
    assert psutil.wait_procs(family, timeout=30)[1] == []
    done = subprocess.run(
        up.command("connections"),
        env=up.environment,
        cwd=up.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, "the note of a dead bridge counts as none"
    assert "No bridge is running" in done.stderr
