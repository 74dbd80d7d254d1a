"""Files with bank transfers of payouts by hand: what was handed to the bank stays as it was (invariant 19), and nobody is in two files."""

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Key, Sealed, Time, Words


class TransferFile(Model):
    """One pain.001 file. `body` (sealed, it holds IBANs) is what the bank got, byte for byte; `total` minor units, `digest` its SHA-256."""

    __tablename__ = "transfer_file"
    __table_args__ = (
        UniqueConstraint("message_id"),
        CheckConstraint("count > 0 AND total > 0", name="not_empty"),
    )

    id: Mapped[Key]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id"))
    message_id: Mapped[Words]
    currency: Mapped[Words]
    count: Mapped[int]
    total: Mapped[Big]
    digest: Mapped[Words]
    body: Mapped[bytes] = mapped_column(Sealed)
    created_at: Mapped[Time] = mapped_column(server_default=func.now())


class TransferLine(Model):
    """One payment in a file. The key of the table keeps a payment from being handed to the bank twice."""

    __tablename__ = "transfer_line"

    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), primary_key=True)
    file_id: Mapped[Big] = mapped_column(ForeignKey("transfer_file.id"), index=True)
