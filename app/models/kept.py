"""What partners told us for a while and notes of clients about their deeds (app.kept)."""

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Key, SealedJSON, Time, Words


class KeptValue(Model):
    """One named value of a connection until its time is over; a list with the value in it. Sealed, because tokens are among them."""

    __tablename__ = "kept"
    __table_args__ = (UniqueConstraint("connection_id", "name"), Index("ix_kept_until", "until"))

    id: Mapped[Key]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    name: Mapped[Words]
    value: Mapped[Any] = mapped_column(SealedJSON)
    until: Mapped[Time]
