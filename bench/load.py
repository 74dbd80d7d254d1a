"""Sends signed webhooks as fast as they are answered, over a number of kept-alive connections, from a process of its own.

`python -m bench.load` reads its orders as JSON on standard input and prints what it saw as JSON. Signing happens before the clock runs: the
sender's work must not be measured. It needs nothing but Python, so that it starts at once. What may go wrong: a connection is closed by the server; it is counted and opened again.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

GRACE_SECONDS = 30.0


@dataclass
class Orders:
    """Where to send what. `most`: requests that are signed in advance; the run ends early when they are used up."""

    port: int
    path: str
    secret: str
    body: str
    connections: int
    seconds: float
    most: int
    name: str


@dataclass
class Seen:
    """What came back: answers by status, seconds of the run, and the milliseconds of each answer."""

    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    broken: int = 0

    @property
    def good(self) -> int:
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))

    @property
    def rate(self) -> float:
        return self.good / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2) if ordered else 0.0


def run(orders: Orders) -> Seen:
    """Send from another process; what it saw."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(orders)).encode(),
        stdout=subprocess.PIPE,
        check=True,
        cwd=Path(__file__).parents[1],
        timeout=orders.seconds + GRACE_SECONDS + 60,
        env={name: value for name, value in os.environ.items() if not name.startswith("SHOPBRIDGE_")},
    )
    return Seen(**json.loads(done.stdout))


class _Line(asyncio.Protocol):
    """One connection: the next request goes out when the answer to the last one is whole."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.buffer = b""
        self.sent_at = 0.0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        head = self.load.take()
        if head is None:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(head + self.load.body)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        self.load.note(head[9:12].decode(), time.perf_counter() - self.sent_at)
        self.buffer = self.buffer[end + 4 + length :]
        self.sent_at = 0.0
        if b"connection: close" in head:
            self.transport.close()
        else:
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost(self.sent_at > 0)


class _Load:
    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.body = orders.body.encode()
        self.key = base64.b64decode(orders.secret.removeprefix("whsec_"))
        self.heads = [self._head(count) for count in range(orders.most)]
        self.heads.reverse()
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self.broken = 0
        self.stop_at = 0.0
        self.open = 0
        self.finished = asyncio.Event()

    def _head(self, count: int) -> bytes:
        """Everything before the body: each request has an id of its own and is signed for it."""
        name, seconds = f"{self.orders.name}-{count}", str(int(time.time()))
        digest = hmac.digest(self.key, f"{name}.{seconds}.".encode() + self.body, "sha256")
        lines = [
            f"POST {self.orders.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.orders.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            f"webhook-id: {name}",
            f"webhook-timestamp: {seconds}",
            f"webhook-signature: v1,{base64.b64encode(digest).decode()}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def take(self) -> bytes | None:
        if time.perf_counter() >= self.stop_at or not self.heads:
            return None
        return self.heads.pop()

    def note(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.milliseconds.append(round(seconds * 1000, 3))

    def lost(self, unanswered: bool) -> None:
        self.open -= 1
        self.broken += unanswered
        if time.perf_counter() < self.stop_at and self.heads:
            self.open += 1
            asyncio.ensure_future(self._connect())  # noqa: RUF006 - it reports back to us.
        elif self.open == 0:
            self.finished.set()

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: _Line(self), "127.0.0.1", self.orders.port)

    async def send(self) -> Seen:
        self.open = self.orders.connections
        started = time.perf_counter()
        self.stop_at = started + self.orders.seconds
        await asyncio.gather(*(self._connect() for _ in range(self.orders.connections)))
        await asyncio.wait_for(self.finished.wait(), self.orders.seconds + GRACE_SECONDS)
        taken = time.perf_counter() - started
        return Seen(taken, dict(self.statuses), self.milliseconds, self.broken)


async def _main() -> None:
    load = _Load(Orders(**json.load(sys.stdin)))
    print(json.dumps(asdict(await load.send())))


if __name__ == "__main__":
    asyncio.run(_main())
