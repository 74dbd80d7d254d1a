"""How long a sender may take over its body. Without a limit a peer that vanished in the middle would hold a thread of the web server for ever.

What this cannot do: stop somebody who opens many slow connections on purpose. For that a proxy that buffers requests stands in front (docs).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

SECONDS = 10.0  # 256 KiB at 26 kB/s


class Patience:
    """Ends the reading side of sockets whose time is up. One thread a process looks once a second; watching costs a microsecond."""

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._watched: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, peer: socket.socket) -> int:
        """Watch this socket until `end`."""
        ticket = id(peer)
        with self._lock:
            self._watched[ticket] = (self._clock() + self._seconds, peer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_on, name="patience", daemon=True)
                self._thread.start()
        return ticket

    def end(self, ticket: int) -> bool:
        """Stop watching. True when the sender was in time."""
        with self._lock:
            return self._watched.pop(ticket, None) is not None

    def look(self) -> int:
        """End those whose time is up; how many. A read that waits on such a socket then sees the end of the stream."""
        now = self._clock()
        with self._lock:
            late = [ticket for ticket, (until, _) in self._watched.items() if until <= now]
            peers = [self._watched.pop(ticket)[1] for ticket in late]
            for peer in peers:  # inside the lock: after `end` the socket may serve the next request already
                with suppress(OSError):
                    peer.shutdown(socket.SHUT_RD)
        return len(peers)

    def _look_on(self) -> None:
        while True:
            time.sleep(1.0)
            self.look()


patience = Patience()
