"""What is kept for one connection (app.kept.Kept), in the database: sealed, shared by all workers, and still there when Redis was emptied.

One worker asks the partner while the others wait for its answer. What may go wrong: that takes longer than they wait; then each asks for itself,
which costs a call and is not wrong. Each step is a transaction of its own, because a note of a deed must stay whatever becomes of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, delete, extract, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from app.kept import Made
from app.models import Connection as ConnectionRow
from app.models import KeptValue
from app.models.columns import table_of
from app.vault import VaultError

TURN_SECONDS = 30  # how long one worker may ask while the others wait

_KEPT = table_of(KeptValue)
_CONNECTIONS = table_of(ConnectionRow)


class KeptInDatabase:
    """The values of one connection. `shared`: a value that another connection of the same partner has under this name is as good as one's own,
    and is copied with its end; so the name must say whose it is in a way that nobody can guess.
    """

    def __init__(self, engine: Engine, connection: int, *, shared: bool = False) -> None:
        self._engine, self._connection, self._shared = engine, connection, shared

    def get(self, name: str, make: Callable[[], Made]) -> Any:
        if (found := self._read(name)) is not None:
            return found[0]
        with self._engine.connect() as turn:
            self._wait(turn, name)
            if (found := self._read(name) or (self._copy(name) if self._shared else None)) is not None:
                return found[0]
            value, seconds = make()
            self.keep(name, value, seconds)
            return value

    def peek(self, name: str) -> Any:
        found = self._read(name)
        return found[0] if found is not None else None

    def keep(self, name: str, value: Any, seconds: float) -> None:
        if seconds < 1:
            return
        until = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, literal(float(seconds)))
        row = {"connection_id": self._connection, "name": name, "value": [value], "until": until}
        known = ["connection_id", "name"]
        new = insert(_KEPT).values(**row)
        changed = {"value": new.excluded.value, "until": new.excluded.until}
        with self._engine.begin() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=known, set_=changed))

    def forget(self, name: str) -> None:
        where = self._of_all(name) if self._shared else self._mine(name)
        with self._engine.begin() as connection:
            connection.execute(delete(_KEPT).where(*where))

    def _mine(self, name: str) -> tuple[Any, ...]:
        return _KEPT.c.connection_id == self._connection, _KEPT.c.name == name

    def _read(self, name: str) -> list[Any] | None:
        """A list with the value in it, because None is a value. One whose master key is lost counts as none."""
        query = select(_KEPT.c.value).where(*self._mine(name), _KEPT.c.until > func.now())
        with self._engine.connect() as connection:
            try:
                found: list[Any] | None = connection.execute(query).scalar()
            except VaultError:
                return None
            return found

    def _of_all(self, name: str) -> tuple[Any, ...]:
        """Of all connections of this partner."""
        here = select(_CONNECTIONS.c.provider).where(_CONNECTIONS.c.id == self._connection).scalar_subquery()
        brothers = select(_CONNECTIONS.c.id).where(_CONNECTIONS.c.provider == here)
        return _KEPT.c.name == name, _KEPT.c.connection_id.in_(brothers)

    def _copy(self, name: str) -> list[Any] | None:
        """What a brother has, from now on one's own too."""
        left = extract("epoch", _KEPT.c.until - func.now())
        query = select(_KEPT.c.value, left).where(*self._of_all(name), _KEPT.c.until > func.now())
        with self._engine.connect() as connection:
            try:
                found = connection.execute(query.order_by(_KEPT.c.until.desc()).limit(1)).first()
            except VaultError:
                return None
        if found is None:
            return None
        self.keep(name, found[0][0], float(found[1]))
        return list(found[0])

    def _wait(self, turn: Connection, name: str) -> None:
        """Until nobody else asks for the same. The lock ends with the connection's transaction, also when this process dies."""
        try:
            turn.execute(text(f"SET LOCAL lock_timeout = '{TURN_SECONDS}s'"))
            key = f"kept:{'' if self._shared else self._connection}:{name}"
            turn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
        except OperationalError:
            turn.rollback()
