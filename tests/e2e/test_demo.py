"""The demo with fewer orders: a whole bridge of real processes, a killed worker, a flushed Valkey, and books that agree."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.sandbox import simulators

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-P", "-m", "app.cli", "demo", "--short"]


def environment(folder: Path) -> dict[str, str]:
    """The demo takes its data folder from here, so that what it leaves behind can be found."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SHOPBRIDGE_", "DATABASE_", "REDIS_"))
    }
    return {**kept, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")


def left_in(folder: Path) -> list[str]:
    """Processes whose data folder is below this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SHOPBRIDGE_DATA", "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(700)  # one and a half minutes on a quiet machine
def test_both_sides_agree_after_a_short_day_and_nothing_stays_behind(short_folder: Path) -> None:
    done = subprocess.run(
        DEMO, env=environment(short_folder), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ok"] is True
    assert told["events_sent"] == told["events_stored"] > 100
    assert told["orders_at_marketplace"] == told["orders_in_shop"] >= 20
    assert (told["duplicate_orders"], told["lost"], told["disagreements"]) == (0, 0, 0)
    assert min(told["shipped_at_marketplace"], told["cancelled_both"], told["refunded_both"]) > 0
    assert told["stock_changes_measured"] >= 15
    for name, figures in told["marketplaces"].items():
        assert figures["orders_at_marketplace"] >= 5, name
        assert min(figures["shipped"], figures["cancelled"], figures["offers_confirmed"]) > 0, name
        assert figures["offers_refused_with_reason"] >= 1, name
        assert (figures["lost"], figures["duplicates"]) == (0, 0), name
    assert told["marketplaces"].keys() == {each.plays or key for key, each in simulators().items()}
    network = told["network"]
    assert network["orders"] >= 14
    assert network["trades"] > network["orders"]
    assert min(network["mirrored_cancellations"], network["not_released"]) > 0
    assert min(network[f"{what}_minor"] for what in ("refunded", "released", "held", "receivable")) > 0
    zero = ("ledger_sum", "released_without_tracking", "leaks_of_supplier_identity")
    assert [network[name] for name in zero] == [0, 0, 0]
    assert "kill -9" in done.stdout
    assert "FLUSHALL" in done.stdout
    assert left_in(short_folder) == []
    assert list(short_folder.iterdir()) == []


def hear_ctrl_c() -> None:
    """A test run in the background of a shell ignores Ctrl-C, and so would everything that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.timeout(400)
def test_ctrl_c_leaves_nothing_behind(short_folder: Path) -> None:
    demo = subprocess.Popen(
        DEMO,
        env=environment(short_folder),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no thread of this process holds what a signal's handler needs.
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Connecting" in line:
            break
    assert left_in(short_folder)
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    demo.stdout.close()
    assert demo.wait(timeout=120) == 130, rest
    assert left_in(short_folder) == []
    assert list(short_folder.iterdir()) == []
