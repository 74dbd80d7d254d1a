"""Column types the tables share: encrypted values (sealed by the vault), UTC times and the pieces every queue row has."""

import json
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator

from app.extensions import Model, safe


class Sealed(TypeDecorator[bytes]):
    """Bytes that are readable in Python and sealed in the database."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else safe.vault.seal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else safe.vault.open(bytes(value))


class SealedJSON(TypeDecorator[Any]):
    """JSON that is sealed in the database. Replace the value as a whole; changes inside it are not noticed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else safe.vault.seal(json.dumps(value, separators=(",", ":")).encode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(safe.vault.open(bytes(value)))


def table_of(model: type[Model]) -> Table:
    """The table of a model, for statements that go past the ORM. The declared type only says FromClause."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model!r} has no table of its own")
    return table


UTC_TIME = DateTime(timezone=True)
Key = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Big = Annotated[int, mapped_column(BigInteger)]
Time = Annotated[datetime, mapped_column(UTC_TIME)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]
Words = Annotated[str, mapped_column(Text)]
