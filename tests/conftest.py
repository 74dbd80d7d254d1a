"""What every test gets: real servers on request, no way out to the network, and no silent skips where that is asked."""

import gc
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

# With importlib mode the test folder itself is not on the path; the shared modules beside this file are.
sys.path.insert(0, str(Path(__file__).parent))

from bridge import _no_haste, app, bridge_app, client, session
from network_world import network
from servers import (
    database_url,
    empty_redis,
    postgres_url,
    redis_url,
    server_folder,
    valkey,
)
from world import world

__all__ = [
    "_no_haste",
    "app",
    "bridge_app",
    "client",
    "database_url",
    "empty_redis",
    "network",
    "postgres_url",
    "redis_url",
    "server_folder",
    "session",
    "valkey",
    "world",
]

NO_SKIP = os.environ.get("SHOPBRIDGE_NO_SKIP") == "1"

# The same examples in every run, and no example has to be quick: a busy machine and an unlucky draw look like a mistake of whoever lands next.
# `pytest --hypothesis-profile=default` draws new ones.
settings.register_profile(
    "bridge",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bridge")


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine."""


def stays_here(address: Any) -> bool:
    """Unix sockets and the loopback addresses."""
    if not isinstance(address, tuple):
        return True
    host = address[0]
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_servers() -> set[str]:
    """The hosts of servers that were given for the tests."""
    urls = (os.environ.get(f"SHOPBRIDGE_TEST_{name}_URL", "") for name in ("DATABASE", "REDIS"))
    return {host for url in urls if (host := urlsplit(url).hostname)}


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection and every name that leaves this machine."""
    allowed = own_servers()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    looked_up: set[str] = set()

    def check(address: Any) -> None:
        if not stays_here(address) and address[0] not in allowed | looked_up:
            raise NetworkBlockedError(f"A test tried to reach {address!r}.")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not stays_here((name,)) and name not in allowed:
            # An address is not looked up anywhere; whether it may be reached is decided when connecting.
            try:
                ipaddress.ip_address(name)
            except ValueError:
                raise NetworkBlockedError(f"A test tried to look up {name!r}.") from None
        found = getaddrinfo(host, *arguments, **options)
        if name in allowed:
            looked_up.update(entry[4][0] for entry in found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several test processes begin with the long tests: begun last, one of them would keep a single process busy."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Ten thousand collected tests live to the end: the collector of garbage need not look at them again and again."""
    gc.collect()
    gc.freeze()


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure (SHOPBRIDGE_NO_SKIP=1); an expected failure is not a skip."""
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.longrepr = f"{reason}\nNothing may be skipped here (SHOPBRIDGE_NO_SKIP=1)."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """See refuse_skip."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    """See refuse_skip: importorskip skips a whole file while collecting."""
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tables that a test left with record_property("table", ...) are shown at the end, whichever process ran it."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "table" and getattr(report, "when", "call") == "call":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.write_line(value)
