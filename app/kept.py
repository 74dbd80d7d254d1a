"""What a partner told us and what stays true for a while: access tokens, carriers, reasons, categories. In Redis, sealed, for all workers.

`get` asks the partner once, however many workers want the same at the same moment (a token endpoint counts calls, a refresh token works once).
What may go wrong: Redis is ill. Then everybody asks for themselves, which is slower and not wrong.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from redis.retry import Retry

from app.vault import Vault, VaultError

log = logging.getLogger(__name__)

ASKING_SECONDS = 30  # how long one worker may ask while the others wait for its answer
Made = tuple[Any, float]
"""What was made (JSON) and for how many seconds it stays true."""


@cache
def store(url: str) -> Redis:
    """One client for each store. It gives up early: a store that is ill must not slow the calls it is there to protect."""
    return Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


class Kept(Protocol):
    """Named values of one connection that end by themselves."""

    def get(self, name: str, make: Callable[[], Made]) -> Any:
        """The value, made now when there is none. What `make` raises is raised to whoever asked; nothing is kept then."""

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
            self._values[name] = self._clock() + seconds, value
        return value

    def forget(self, name: str) -> None:
        self._values.pop(name, None)


class KeptOnRedis:
    """Shared by all workers; what is kept is sealed, because tokens are among it."""

    def __init__(self, redis: Redis, vault: Vault, connection: int) -> None:
        self._redis, self._vault, self._connection = redis, vault, connection

    def get(self, name: str, make: Callable[[], Made]) -> Any:
        key = self._key(name)
        try:
            if (found := self._read(key)) is not None:
                return found[0]
            lock = self._redis.lock(f"{key}:asking", timeout=ASKING_SECONDS, blocking_timeout=ASKING_SECONDS)
            mine = lock.acquire()
        except RedisError as error:
            return self._alone(make, error)
        try:
            return self._first(key, make)
        except RedisError as error:
            return self._alone(make, error)
        finally:
            if mine:
                _let_go(lock)

    def _first(self, key: str, make: Callable[[], Made]) -> Any:
        """Somebody else may have made it while we waited."""
        if (found := self._read(key)) is not None:
            return found[0]
        value, seconds = make()
        try:
            self._write(key, value, seconds)
        except RedisError as error:
            log.warning("not kept: the store does not answer (%s)", type(error).__name__)
        return value

    def _alone(self, make: Callable[[], Made], error: RedisError) -> Any:
        log.warning("nothing is kept: the store does not answer (%s)", type(error).__name__)
        return make()[0]

    def forget(self, name: str) -> None:
        try:
            self._redis.delete(self._key(name))
        except RedisError as error:
            log.warning("not forgotten: the store does not answer (%s)", type(error).__name__)

    def _key(self, name: str) -> str:
        return f"kept:{self._connection}:{name}"

    def _read(self, key: str) -> list[Any] | None:
        """A list with the value in it, because None is a value. A value of a lost master key counts as none."""
        sealed = self._redis.get(key)
        if not isinstance(sealed, bytes):
            return None
        try:
            found: list[Any] = json.loads(self._vault.open(sealed, context=key.encode()))
        except VaultError:
            return None
        return found

    def _write(self, key: str, value: Any, seconds: float) -> None:
        sealed = self._vault.seal(json.dumps([value]).encode(), context=key.encode())
        if seconds >= 1:
            self._redis.set(key, sealed, ex=int(seconds))


def _let_go(lock: Lock) -> None:
    """The asking may have taken longer than the lock lasts; then it is somebody else's by now."""
    try:
        lock.release()
    except (LockError, RedisError) as error:
        log.warning("the lock was not let go (%s)", type(error).__name__)
