"""Starts a program that dies with us, in a session of its own so that Ctrl-C in a terminal reaches only us.

All programs are started by one thread that lives as long as the process: the kernel's parent-death signal
(launcher.py) is sent when the starting *thread* ends, and a short-lived one would take its children along.
"""

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")

Task = Callable[[], "subprocess.Popen[bytes]"]


class _Starter:
    """The one thread that forks. A forked process gets its own, because threads do not survive a fork."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.tasks: queue.SimpleQueue[tuple[Task, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="starter", daemon=True).start()

    def _run(self) -> None:
        while True:
            task, answer = self.tasks.get()
            try:
                answer.set_result(task())
            except BaseException as error:  # noqa: BLE001 - it is raised again where it was asked for.
                answer.set_exception(error)

    def start(self, task: Task) -> "subprocess.Popen[bytes]":
        answer: Future[subprocess.Popen[bytes]] = Future()
        self.tasks.put((task, answer))
        return answer.result()


_lock = threading.Lock()
_starter: _Starter | None = None


def _the_starter() -> _Starter:
    global _starter  # noqa: PLW0603 - one for each process is the point.
    with _lock:
        if _starter is None or _starter.owner != os.getpid():
            _starter = _Starter()
        return _starter


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    log: IO[bytes] | int = subprocess.DEVNULL,
    death_signal: int = signal.SIGTERM,
    run_as: tuple[int, int] | None = None,
    reach: bool = False,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program. `death_signal` is what it gets when we die; `run_as` is (uid, gid), for root only."""
    plan: dict[str, Any] = {
        "parent": os.getpid(),
        "signal": int(death_signal),
        "uid": run_as[0] if run_as else None,
        "gid": run_as[1] if run_as else None,
        "reach": reach,
        "watch": sys.platform != "linux",
    }
    command = [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(plan), *argv]
    return _the_starter().start(
        lambda: subprocess.Popen(
            command,
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT if log != subprocess.DEVNULL else subprocess.DEVNULL,
            cwd=cwd,
            start_new_session=True,
        )
    )


def end(
    process: "subprocess.Popen[bytes]", *, with_signal: int | None = signal.SIGTERM, grace: float = 10.0
) -> int:
    """End a program politely, then by force, and everything it started with it; give back its exit status.

    No signal means that it was sent before: to RQ, a second SIGTERM says "drop the job".
    """
    family = descendants(process.pid)
    if process.poll() is None:
        if with_signal is not None:
            process.send_signal(with_signal)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            family += descendants(process.pid)
            process.kill()
    status = process.wait()
    for relative in family:
        kill_quietly(relative)
    return status


def descendants(pid: int) -> list[psutil.Process]:
    """Everything a process started, directly or not: RQ and gunicorn fork, and an orphan would go on working."""
    try:
        children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return children


def working_in(folder: Path, program: str) -> list[psutil.Process]:
    """The living processes of a program that work in this folder. Zombies are gone: they have no folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == program and Path(process.cwd()) == folder:
                found.append(process)
    return found


def kill_quietly(process: psutil.Process) -> None:
    """`kill -9`, unless it is gone. psutil compares the start time, so a reused number is left alone."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def at_exit(end_it: Callable[[], None]) -> Callable[[], None]:
    """Call this when the process ends normally; gives back what takes it off the list. Not inherited by forks."""
    owner = os.getpid()

    def call() -> None:
        if os.getpid() == owner:
            end_it()

    atexit.register(call)
    return lambda: atexit.unregister(call)
