import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.machine import launch
from app.machine.servers import Postgres, ServerFailed, Valkey, data_folder, valkey_binary

pytestmark = pytest.mark.long

# A process of its own that starts both servers, says how to reach them, and then does as it is told.
PARENT = """
import sys, time, os
from app.machine import launch
from app.machine.servers import Postgres, Valkey
postgres, valkey = Postgres(), Valkey()
print(postgres.start(sys.argv[1]), valkey.start(sys.argv[1]), postgres.pid, valkey.pid, flush=True)
if sys.argv[2] == "end":
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
        time.sleep(0.02)
    return true()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """With the real settings, in a folder that is closed to others and too long for a socket."""
    folder = tmp_path_factory.mktemp("closed") / ("long" * 20)
    folder.mkdir()
    with Postgres() as server:
        server.start(folder)
        yield server


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey() as server:
        server.start(tmp_path_factory.mktemp("valkey"))
        yield server


def test_postgres_answers_and_is_safe_and_private(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
                [
                    [
                        "fsync",
                        "synchronous_commit",
                        "listen_addresses",
                        "max_connections",
                        "server_encoding",
                        "TimeZone",
                    ]
                ],
            ).fetchall()
        )
        role = connection.execute(
            "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "max_connections": "200",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
    }
    assert role == (False, True)
    assert psutil.Process(postgres.pid).uids().effective != 0


def test_postgres_keeps_what_was_committed_when_it_is_killed(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (42)")
    # Not in a `with` block: its end would commit, and a backend may outlive its killed server for a moment.
    unfinished = psycopg.connect(postgres.url)
    unfinished.execute("INSERT INTO kept VALUES (43)")
    before = postgres.url
    postgres.kill()
    assert not postgres.alive()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres.url)
    assert postgres.restart() == before
    unfinished.close()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(42,)]


def test_a_second_postgres_runs_beside_it(postgres: Postgres, tmp_path: Path) -> None:
    with Postgres(settings={"fsync": "off"}) as second:
        assert second.start(tmp_path) != postgres.url
        with psycopg.connect(second.url) as connection:
            assert connection.execute(
                "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"
            ).fetchone() == (0,)
        pid = second.pid
    assert gone(pid)
    assert postgres.alive()


def test_two_bridges_cannot_share_a_data_folder(postgres: Postgres, own_valkey: Valkey) -> None:
    with pytest.raises(ServerFailed, match="Another Shopbridge already uses"):
        Postgres().start(postgres.folder.parent)
    with pytest.raises(ServerFailed, match="Another Shopbridge already uses"):
        Valkey().start(own_valkey.folder.parent)
    assert postgres.alive()
    assert own_valkey.alive()


def test_postgres_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="no_such_setting"):
        Postgres(settings={"fsync": "off", "no_such_setting": "1"}).start(tmp_path)
    # And the folder is free again.
    with Postgres(settings={"fsync": "off"}) as server:
        assert server.start(tmp_path)


def test_a_stale_process_number_does_not_stop_postgres(tmp_path: Path) -> None:
    with Postgres(settings={"fsync": "off"}) as server:
        server.start(tmp_path)
        server.kill()
        # After a restart of the machine the number belongs to another program of the same user.
        owner = server.cluster.stat()
        run_as = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
        other = launch.spawn(["/bin/sleep", "60"], run_as=run_as)
        try:
            assert eventually(lambda: psutil.Process(other.pid).uids().effective == owner.st_uid)
            stale = server.cluster / "postmaster.pid"
            stale.write_text("\n".join([str(other.pid), *stale.read_text().splitlines()[1:]]))
            server.restart()
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            launch.end(other)


def test_valkey_wants_its_password_and_writes_an_append_only_file(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.config_get("append*")["appendonly"] == "yes"
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    with (
        redis.Redis(host="127.0.0.1", port=own_valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
    configuration = own_valkey.folder / "valkey.conf"
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600
    password = own_valkey.url.split("@")[0].rpartition(":")[2]
    assert password in configuration.read_text()
    assert not any(password in part for part in psutil.Process(own_valkey.pid).cmdline())


def test_valkey_keeps_its_data_and_its_address_when_it_is_killed(own_valkey: Valkey) -> None:
    before = own_valkey.url
    with redis.Redis.from_url(before) as client:
        client.set("kept", "42")
        # "everysec" may lose the last second; this waits until it is on the disk.
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    pid = own_valkey.pid
    own_valkey.kill()
    assert not own_valkey.alive()
    assert own_valkey.restart() == before
    assert own_valkey.pid != pid
    with redis.Redis.from_url(before) as client:
        assert client.get("kept") == b"42"


def test_valkey_on_a_taken_port_says_so(own_valkey: Valkey, tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=f"did not start on port {own_valkey.port}"):
        Valkey().start(tmp_path, port=own_valkey.port)


@pytest.mark.parametrize("how", ["end", "SIGTERM", "SIGKILL"])
def test_no_server_stays_behind(how: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), how], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        words = parent.stdout.readline().split()
        pids = [int(word) for word in words[2:]]
        assert len(pids) == 2, "the parent did not start its servers"
        if how != "end":
            assert not any(gone(pid) for pid in pids)
            parent.send_signal(getattr(signal, how))
        parent.wait(30)
    # At a normal end we wait for them; otherwise they have their signal and need a moment.
    assert eventually(lambda: all(gone(pid) for pid in pids), seconds=0 if how == "end" else 30)


def test_a_new_bridge_waits_for_the_servers_of_a_crashed_one(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), "SIGKILL"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()[2:]]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # Slow to shut down.
        parent.kill()
        parent.wait(30)
    wakers = [
        Timer(delay, os.kill, (pid, signal.SIGCONT)) for delay, pid in zip((0.3, 1.2), pids, strict=True)
    ]
    for waker in wakers:
        waker.start()
    with Postgres() as postgres, Valkey() as valkey:
        postgres_url = postgres.start(tmp_path)
        assert gone(pids[0])
        valkey_url = valkey.start(tmp_path)
        assert gone(pids[1])
        with psycopg.connect(postgres_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with redis.Redis.from_url(valkey_url) as client:
            assert client.ping()
    for waker in wakers:
        waker.join()


def test_the_data_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOPBRIDGE_DATA", raising=False)
    assert data_folder() == tmp_path / "var"
    monkeypatch.setenv("SHOPBRIDGE_DATA", "/srv/bridge")
    assert data_folder() == Path("/srv/bridge")


def test_a_foreign_processor_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ServerFailed, match="set REDIS_URL"):
        valkey_binary()
