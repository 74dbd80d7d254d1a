"""The servers that tests stand on: one embedded PostgreSQL and one Valkey for each test process.

SHOPBRIDGE_TEST_DATABASE_URL and SHOPBRIDGE_TEST_REDIS_URL point to servers of your own instead; then each test process
makes a database of its own there (the user needs CREATEDB) and takes its own Redis database number, which it empties.
"""

import os
import random
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from app.machine.servers import Postgres, Valkey

# Tests of crash safety start servers of their own with the real settings.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def worker_number(worker_id: str) -> int:
    """0 without xdist and for its first process, then 1, 2, ..."""
    return int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0


def free_ports(count: int) -> list[int]:
    """Different ports for programs that are started later.

    Not those that the kernel hands out (from 32768 on with Linux): until the program has come up, the other test process may have got one of them.
    """
    first = 20_000 + 1_000 * (worker_number(os.environ.get("PYTEST_XDIST_WORKER", "")) % 12)
    found: list[int] = []
    for port in random.sample(range(first, first + 1_000), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports from {first} on")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder with a short path, because sockets need one."""
    folder = Path(tempfile.mkdtemp(prefix="shopbridge-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    """A PostgreSQL on which we may create databases."""
    given = os.environ.get("SHOPBRIDGE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with Postgres(settings=FAST_SETTINGS) as server:
        yield server.start(server_folder)


@pytest.fixture(scope="session")
def database_url(postgres_url: str) -> Iterator[str]:
    """A new empty database for this test process."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[Valkey | None]:
    """The embedded Valkey, for tests that kill it; None when a server of your own is used."""
    if os.environ.get("SHOPBRIDGE_TEST_REDIS_URL"):
        yield None
        return
    with Valkey(settings={"databases": "64"}) as server:
        server.start(server_folder)
        yield server


@pytest.fixture(scope="session")
def redis_url(valkey: Valkey | None, worker_id: str) -> str:
    """A Redis or Valkey of this test process alone."""
    if valkey is not None:
        return valkey.url
    base = os.environ["SHOPBRIDGE_TEST_REDIS_URL"].rstrip("/").removesuffix("/0")
    return f"{base}/{worker_number(worker_id)}"


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    """The URL of an empty Redis or Valkey."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return redis_url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A new empty database that exists inside the `with` block; gives its URL."""
    name = f"shopbridge_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield with_database(server_url, name)
    finally:
        drop_database(server_url, name)


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    address, _, query = url.partition("?")
    base, _, _ = address.rpartition("/")
    return f"{base}/{name}" + (f"?{query}" if query else "")


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
