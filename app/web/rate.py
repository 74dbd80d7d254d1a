"""How fast one connection may send (T20): a token bucket per connection in the memory of each web process.

In memory and not in Redis: it costs about a microsecond instead of a round trip, and it works when Redis is away. Each process allows its
share of SHOPBRIDGE_EVENT_RATE and a burst of one full second's worth.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flask import Flask, current_app

MOST = 10_000


class Buckets:
    """`rate` tokens a second for every connection, at most `burst` saved up."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._levels: dict[int, tuple[float, float]] = {}  # connection -> (tokens, when)
        self._lock = threading.Lock()

    def take(self, connection_id: int) -> float:
        """0 when the connection may send now, else the seconds until it may again."""
        now = self._clock()
        with self._lock:
            tokens, since = self._levels.get(connection_id, (self.burst, now))
            tokens = min(self.burst, tokens + (now - since) * self.rate)
            allowed = tokens >= 1
            self._levels[connection_id] = (tokens - 1 if allowed else tokens, now)
            if len(self._levels) > MOST:
                self._forget_the_full(now)
        return 0.0 if allowed else (1 - tokens) / self.rate

    def _forget_the_full(self, now: float) -> None:
        """A bucket that has filled up again is the same as no bucket."""
        self._levels = {
            name: (tokens, since)
            for name, (tokens, since) in self._levels.items()
            if tokens + (now - since) * self.rate < self.burst
        }


def buckets() -> Buckets:
    """The buckets of this process's app."""
    found: Buckets = current_app.extensions["shopbridge.buckets"]
    return found


def register(app_: Flask) -> None:
    """The share of this process; the processes of several machines are not counted together."""
    whole = float(app_.config["SHOPBRIDGE_EVENT_RATE"])
    share = whole / max(1, app_.config["SHOPBRIDGE_WEB_PROCESSES"])
    app_.extensions["shopbridge.buckets"] = Buckets(max(share, 0.1), max(whole, 1.0))
