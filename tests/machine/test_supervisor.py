import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest

from app.machine import launch
from app.machine.supervisor import Supervisor

pytestmark = pytest.mark.long

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; print('awake', flush=True); time.sleep(60)"]
# Starts a child of its own and ignores SIGTERM: the worst guest.
STUBBORN = [
    sys.executable,
    "-I",
    "-S",
    "-c",
    "import os, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = os.fork()\n"
    "if child == 0:\n"
    "    os.setsid()\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n",
]
# Counts the signals that ask it to stop, and stops a little after the first one.
COUNTING = [
    sys.executable,
    "-I",
    "-S",
    "-c",
    "import signal, time\n"
    "asked = []\n"
    "signal.signal(signal.SIGTERM, lambda *_: (asked.append(1), print('asked', flush=True)))\n"
    "print('ready', flush=True)\n"
    "while not asked: time.sleep(0.02)\n"
    "end = time.monotonic() + 0.6\n"
    "while time.monotonic() < end: time.sleep(0.02)\n",
]
PARENT = """
import sys, time
from app.machine.supervisor import Supervisor
supervisor = Supervisor(sys.argv[1])
first = supervisor.start("one", eval(sys.argv[2]))
print(first, flush=True)
if sys.argv[3] == "end":
    sys.exit(0)
if sys.argv[3] == "wait":
    supervisor.stop_on_signals()
    print("waiting", flush=True)
    supervisor.wait()
    supervisor.stop_all()
    print("stopped", flush=True)
    sys.exit(0)
time.sleep(60)
"""


def gone(pid: int) -> bool:
    """No such process, or only its entry is left because nobody has asked for its status yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(true: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.01)
    return true()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log", first_pause=0.05, longest_pause=0.2) as keeper:
        yield keeper


def test_it_starts_and_stops_a_child(supervisor: Supervisor) -> None:
    pid = supervisor.start("one", SLEEP)
    assert supervisor.pids("one") == [pid]
    assert eventually(lambda: "awake" in supervisor.log("one"))
    supervisor.stop_all()
    assert gone(pid)
    with pytest.raises(RuntimeError):
        supervisor.start("late", SLEEP)


def test_a_killed_child_comes_back(supervisor: Supervisor) -> None:
    supervisor.start("one", SLEEP)
    other = supervisor.start("two", SLEEP)
    dead = supervisor.kill("one")
    assert eventually(lambda: supervisor.pids("one") not in ([], [dead]))
    assert gone(dead)
    assert supervisor.restarts("one") == 1
    assert supervisor.pids("two") == [other]
    assert supervisor.restarts("two") == 0
    assert f"ended with status -{signal.SIGKILL.value}" in supervisor.log("one")


def test_it_never_gives_up_but_waits_longer_each_time(supervisor: Supervisor) -> None:
    started = time.monotonic()
    supervisor.start("broken", [sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])
    assert eventually(lambda: supervisor.restarts("broken") >= 4)
    # Pauses of 0.05, 0.1, 0.2 and 0.2 seconds at least.
    assert time.monotonic() - started >= 0.55
    assert "ended with status 3; it starts again in 0.2 s" in supervisor.log("broken")


def test_a_missing_program_is_named_in_the_log(supervisor: Supervisor) -> None:
    supervisor.start("missing", ["/no/such/program"])
    assert eventually(lambda: "/no/such/program cannot be started" in supervisor.log("missing"))
    assert eventually(lambda: supervisor.restarts("missing") >= 1)


def test_a_child_gets_our_environment_and_its_own(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_US", "tea")
    show = "import os, time; print(os.environ['FROM_US'], os.environ['EXTRA'], flush=True); time.sleep(60)"
    supervisor.start("one", [sys.executable, "-I", "-S", "-c", show], env={"EXTRA": "pot"})
    assert eventually(lambda: "tea pot" in supervisor.log("one"))


def test_a_stubborn_child_and_its_own_child_are_killed_after_the_grace(supervisor: Supervisor) -> None:
    pid = supervisor.start("stubborn", STUBBORN)
    assert eventually(lambda: supervisor.log("stubborn").count("ready") == 2)
    family = supervisor.pids("stubborn")
    assert len(family) == 2
    assert family[0] == pid
    started = time.monotonic()
    supervisor.stop_all(grace=0.3)
    assert 0.3 <= time.monotonic() - started < 20
    assert eventually(lambda: all(gone(number) for number in family))


def test_a_stubborn_child_can_be_stopped_alone(supervisor: Supervisor) -> None:
    supervisor.start("stubborn", STUBBORN)
    assert eventually(lambda: supervisor.log("stubborn").count("ready") == 2)
    family = supervisor.pids("stubborn")
    supervisor.stop("stubborn", grace=0.2)
    assert eventually(lambda: all(gone(number) for number in family))
    assert len(family) == 2


def test_a_child_is_asked_only_once(supervisor: Supervisor) -> None:
    """To RQ, a second SIGTERM says: drop the job."""
    supervisor.start("counting", COUNTING)
    assert eventually(lambda: "ready" in supervisor.log("counting"))
    supervisor.stop_all()
    assert (supervisor.log_folder / "counting.log").read_text().count("asked") == 1


def test_one_child_can_be_stopped_for_good(supervisor: Supervisor) -> None:
    pid = supervisor.start("one", SLEEP)
    supervisor.stop("one")
    assert gone(pid)
    assert supervisor.names() == []


def test_two_children_cannot_have_one_name(supervisor: Supervisor) -> None:
    supervisor.start("one", SLEEP)
    with pytest.raises(ValueError, match="already a child named 'one'"):
        supervisor.start("one", SLEEP)


def test_it_restarts_a_server_that_died(supervisor: Supervisor) -> None:
    class Server:
        name = "fake"
        running = False
        tries = 0

        def alive(self) -> bool:
            return self.running

        def restart(self) -> str:
            self.tries += 1
            if self.tries < 3:
                raise RuntimeError("The disk is full.")
            self.running = True
            return "address"

    server = Server()
    supervisor.keep(server)
    assert eventually(server.alive)
    assert server.tries == 3


def test_a_child_outlives_the_thread_that_asked_for_it(supervisor: Supervisor) -> None:
    """The kernel's parent-death signal comes when the starting thread ends; ours never does."""

    def start_and_end() -> None:
        supervisor.start("one", SLEEP)
        assert eventually(lambda: "awake" in supervisor.log("one"))

    thread = Thread(target=start_and_end)
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert supervisor.restarts("one") == 0
    assert len(supervisor.pids("one")) == 1


@pytest.mark.parametrize("how", ["end", "SIGTERM", "SIGKILL"])
def test_children_die_with_us(how: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), repr(SLEEP), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if how != "end":
            assert not gone(child)
            parent.send_signal(getattr(signal, how))
        parent.wait(20)
    assert eventually(lambda: gone(child))


def test_a_signal_ends_the_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), repr(SLEEP), "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "waiting\n"
        parent.terminate()
        assert parent.stdout.readline() == "stopped\n"
        assert parent.wait(20) == 0
    assert gone(child)


def test_where_the_kernel_does_not_help_a_watcher_does() -> None:
    """What other systems than Linux use; it works here too."""
    starter = f"""
import sys, time
from app.machine import launch
sys.platform = "darwin"
print(launch.spawn({SLEEP!r}).pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert eventually(lambda: len(launch.descendants(child)) == 1)
        watcher = launch.descendants(child)[0].pid
        parent.kill()
    assert eventually(lambda: gone(child) and gone(watcher))


def test_programs_do_not_inherit_ignored_signals(supervisor: Supervisor) -> None:
    """Python ignores SIGPIPE; a shell started by it must not."""
    supervisor.start("shell", ["/bin/sh", "-c", "trap; kill -PIPE $$; echo still here; sleep 60"])
    assert eventually(lambda: f"ended with status -{signal.SIGPIPE.value}" in supervisor.log("shell"))
    assert "still here" not in supervisor.log("shell")
