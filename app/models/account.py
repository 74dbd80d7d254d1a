"""An account is a tenant: one merchant or supplier. Everything else belongs to exactly one."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import UTC_TIME, Big, Json, Key, Time, Words


class Account(Model):
    """A tenant. `holiday` puts every offer of the account to stock 0 (I7)."""

    __tablename__ = "account"

    id: Mapped[Key]
    name: Mapped[Words] = mapped_column(unique=True)
    locale: Mapped[Words] = mapped_column(default="de")
    holiday: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Time] = mapped_column(server_default=func.now())


class ApiToken(Model):
    """A bearer token of the JSON API; only its SHA-256 is kept. `account_id` None = the operator, who sees all accounts."""

    __tablename__ = "api_token"

    id: Mapped[Key]
    account_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    digest: Mapped[Words] = mapped_column(unique=True)
    name: Mapped[Words]
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    last_used_at: Mapped[Time | None]


class Pairing(Model):
    """A one-time code with which a shop plugin connects itself; valid 15 minutes, used once."""

    __tablename__ = "pairing"

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    provider: Mapped[Words]
    digest: Mapped[Words] = mapped_column(unique=True)
    expires_at: Mapped[Time]
    used_at: Mapped[Time | None]


class Idempotency(Model):
    """The answer once given to a POST with this Idempotency-Key, so that a repeat gets the same."""

    __tablename__ = "idempotency"
    __table_args__ = (UniqueConstraint("account_id", "key"),)

    id: Mapped[Key]
    account_id: Mapped[Big] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    key: Mapped[Words]
    request_digest: Mapped[Words]
    status: Mapped[int | None]
    answer: Mapped[Json | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), type_=UTC_TIME)
