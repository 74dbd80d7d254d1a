"""Keeps the bridge's own processes alive on one machine: starts, restarts and stops them together.

It never gives up on a process; it waits a little longer each time, so one that cannot live does not eat the machine.
What may go wrong: a program that is missing ends at once, again and again; its log file says why. When the supervisor
itself is killed, the kernel sends SIGTERM to its children (launcher.py), so nothing keeps running unseen.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from app.machine import launch

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
# Who lived this long was healthy: the next pause is the first one again.
HEALTHY_SECONDS = 10.0
LOOK_EVERY = 0.05
LOG_LIMIT = 20 * 1024 * 1024


class Server(Protocol):
    """What keep() can look after: the embedded servers."""

    name: str

    def alive(self) -> bool:
        """Is its process there?"""

    def restart(self) -> str:
        """Start it again at the same address."""


@dataclass
class _Child:
    name: str
    argv: list[str]
    env: dict[str, str] | None
    log_file: Path
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = FIRST_PAUSE
    starts: int = 0


class Supervisor:
    """Named child processes, each with its own log file in `log_folder`."""

    def __init__(
        self,
        log_folder: Path | str,
        *,
        first_pause: float = FIRST_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
    ):
        self.log_folder = Path(log_folder)
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._children: dict[str, _Child] = {}
        self._servers: list[Server] = []
        self._server_again_at: dict[str, tuple[float, float]] = {}
        self._lock = threading.RLock()
        # Plain flags, because a signal handler must not wait for a lock that its own thread may hold.
        self._asked = False
        self._stopping = False
        self._forget = launch.at_exit(self.stop_all)
        self._keeper = threading.Thread(target=self._keep_alive, name="supervisor", daemon=True)
        self._keeper.start()

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a child and keep it alive; `env` is added to our own environment. Gives back its process number."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("The supervisor is stopping.")
            if name in self._children:
                raise ValueError(f"There is already a child named {name!r}.")
            child = _Child(
                name,
                list(argv),
                {**os.environ, **env} if env else None,
                self.log_folder / f"{name}.log",
                pause=self._first_pause,
            )
            self._children[name] = child
            return self._launch(child)

    def keep(self, server: Server) -> None:
        """Restart an embedded server when it dies. Stopping it stays with its owner: call stop_all() before."""
        with self._lock:
            self._servers.append(server)

    def names(self) -> list[str]:
        """The children, in the order of their start."""
        with self._lock:
            return list(self._children)

    def pids(self, name: str) -> list[int]:
        """The living process of this name and everything that it started; empty between death and restart."""
        with self._lock:
            process = self._children[name].process
        if process is None or process.poll() is not None:
            return []
        return [process.pid, *(relative.pid for relative in launch.descendants(process.pid))]

    def restarts(self, name: str) -> int:
        """How often this child was started again."""
        with self._lock:
            return self._children[name].starts - 1

    def log(self, name: str) -> str:
        """What this child has written so far."""
        return self._children[name].log_file.read_text(errors="replace")

    def kill(self, name: str, with_signal: int = signal.SIGKILL) -> int:
        """Send a signal to a child's main process; gives back its number. It is started again if it dies."""
        with self._lock:
            process = self._children[name].process
            if process is None or process.poll() is not None:
                raise ProcessLookupError(f"{name} is not running.")
            process.send_signal(with_signal)
            return process.pid

    def stop(self, name: str, grace: float = 10.0) -> None:
        """Stop one child for good."""
        with self._lock:
            child = self._children.pop(name)
        if child.process is not None:
            launch.end(child.process, grace=grace)

    def stop_all(self, grace: float = 10.0) -> None:
        """TERM to all at once, KILL to whoever is left after the grace, with everything that they started."""
        with self._lock:
            self._stopping = True
            children = [child for child in self._children.values() if child.process is not None]
            self._children.clear()
        self._forget()
        family = [relative for child in children for relative in launch.descendants(_pid(child))]
        for child in children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + grace
        for child in children:
            if child.process is not None:
                launch.end(child.process, with_signal=None, grace=max(0.0, deadline - time.monotonic()))
        for relative in family:
            launch.kill_quietly(relative)
        if threading.current_thread() is not self._keeper:
            self._keeper.join()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until someone asked to stop. False when the time is up before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (self._asked or self._stopping):
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY)
        return True

    def ask_to_stop(self) -> None:
        """End wait(). Safe in a signal handler."""
        self._asked = True

    def stop_on_signals(self) -> None:
        """Let SIGTERM, Ctrl-C and a closed terminal end wait(); the caller then calls stop_all()."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: self.ask_to_stop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def _launch(self, child: _Child) -> int:
        if child.log_file.exists() and child.log_file.stat().st_size > LOG_LIMIT:
            child.log_file.replace(child.log_file.with_suffix(".log.1"))
        with child.log_file.open("ab") as log:
            child.process = launch.spawn(child.argv, env=child.env, log=log)
        child.started_at = time.monotonic()
        child.starts += 1
        return child.process.pid

    def _keep_alive(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            with self._lock:
                if self._stopping:
                    return
                for child in self._children.values():
                    self._look_after(child)
                servers = list(self._servers)
            for server in servers:
                self._look_after_server(server)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            status = child.process.poll()
            if status is None:
                return
            child.process = None
            healthy = now - child.started_at >= HEALTHY_SECONDS
            child.pause = self._first_pause if healthy else child.pause
            child.start_again_at = now + child.pause
            self._note(
                child, f"{child.name} ended with status {status}; it starts again in {child.pause:.1f} s"
            )
            child.pause = min(child.pause * 2, self._longest_pause)
        if now >= child.start_again_at:
            try:
                self._launch(child)
            except OSError as error:  # No memory, no process numbers left: try again later.
                child.start_again_at = now + child.pause
                self._note(child, f"{child.name} could not be started: {error}")

    def _look_after_server(self, server: Server) -> None:
        again_at, pause = self._server_again_at.get(server.name, (0.0, self._first_pause))
        now = time.monotonic()
        if self._stopping or server.alive() or now < again_at:
            return
        try:
            server.restart()
            self._server_again_at.pop(server.name, None)
        except (RuntimeError, OSError):  # The server's own log says why; the next try follows.
            self._server_again_at[server.name] = (now + pause, min(pause * 2, self._longest_pause))

    def _note(self, child: _Child, text: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with child.log_file.open("a") as log:
            log.write(f"--- {moment} supervisor: {text}\n")


def _pid(child: _Child) -> int:
    return child.process.pid if child.process is not None else 0
