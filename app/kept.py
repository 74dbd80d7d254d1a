"""What a partner told us and what stays true for a while: access tokens, carriers, reasons; and notes of a client about its own deeds.

`get` asks the partner once, however many workers want the same at the same moment (a token endpoint counts calls, a refresh token works once).
What may go wrong: the note of a deed is lost. Therefore it is kept in the database (app.jobs.keeping), where nothing is lost with Redis.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

Made = tuple[Any, float]
"""What was made (JSON) and for how many seconds it stays true."""


class Kept(Protocol):
    """Named values of one connection that end by themselves."""

    def get(self, name: str, make: Callable[[], Made]) -> Any:
        """The value, made now when there is none. What `make` raises is raised to whoever asked; nothing is kept then, nor for less than a second."""

    def peek(self, name: str) -> Any:
        """The value, None when there is none."""

    def keep(self, name: str, value: Any, seconds: float) -> None:
        """From now on the value is this one."""

    def forget(self, name: str) -> None:
        """It turned out to be wrong (a token was refused): the next `get` makes a new one."""


class KeptInMemory:
    """For tests and a single process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: dict[str, tuple[float, Any]] = {}

    def get(self, name: str, make: Callable[[], Made]) -> Any:
        until, value = self._values.get(name, (0.0, None))
        if self._clock() >= until:
            value, seconds = make()
            self.keep(name, value, seconds)
        return value

    def peek(self, name: str) -> Any:
        until, value = self._values.get(name, (0.0, None))
        return value if self._clock() < until else None

    def keep(self, name: str, value: Any, seconds: float) -> None:
        self._values[name] = self._clock() + seconds, value

    def forget(self, name: str) -> None:
        self._values.pop(name, None)
