"""The books of the network: accounts with guarded balances, transactions and entries that nobody can change, and payment instructions.

The database itself refuses what must never be (`GUARDS`): changing or deleting what is written, a transaction that does not add up to zero in
each currency, a guarded balance below zero. What may go wrong: a new guard that is only in this file; `shopbridge migrate --draft` writes
every guard that the database does not have yet into the migration, and a test compares both.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    DDL,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.columns import Big, Json, Key, Sealed, Time, Words


class LedgerAccount(Model):
    """One place where money is, in minor units of `currency`. `balance` is on its natural side, so it is never below zero where it is guarded.

    Of one trade: psp_clearing (money at the provider, debit), escrow, dispute_hold, refund_in_transit, fee, fee_vat, payable (credit),
    receivable (what the supplier owes, debit). Of one supplier: payout_in_transit (credit), psp_clearing (what went out to him, so below
    zero), recovery_in_transit (debit). `owner_id` is the tenant whose money it is; None = the operator's.
    """

    __tablename__ = "ledger_account"
    __table_args__ = (
        UniqueConstraint("id", "currency"),
        CheckConstraint(
            "kind IN ('psp_clearing','escrow','dispute_hold','refund_in_transit','fee','fee_vat','payable','receivable',"
            "'payout_in_transit','recovery_in_transit')",
            name="kind",
        ),
        CheckConstraint("balance >= 0 OR (kind = 'psp_clearing' AND trade_id IS NULL)", name="balance"),
        Index(
            "uq_ledger_account_trade",
            "trade_id",
            "kind",
            unique=True,
            postgresql_where=text("trade_id IS NOT NULL"),
        ),
        Index(
            "uq_ledger_account_owner",
            "owner_id",
            "kind",
            "currency",
            unique=True,
            postgresql_where=text("trade_id IS NULL"),
        ),
        Index(
            "ix_ledger_account_open",
            "owner_id",
            "kind",
            "currency",
            "id",
            postgresql_where=text("balance > 0 AND kind IN ('payable','receivable')"),
        ),
    )

    id: Mapped[Key]
    kind: Mapped[Words]
    owner_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id"))
    trade_id: Mapped[Big | None] = mapped_column(ForeignKey("trade.id"))
    currency: Mapped[Words]
    balance: Mapped[Big] = mapped_column(server_default="0")


class LedgerTransaction(Model):
    """One thing that happened to money, written once by `key` (invariant 2) with who, which event and why (invariant 16).

    `facts` explains the figures to people and to the checks: the parcel and units of a release, what a refund took from where.
    """

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("actor <> '' AND event <> '' AND reason <> ''", name="source"),
        Index("ix_ledger_transaction_trade", "trade_id", "id"),
        Index("ix_ledger_transaction_supplier", "supplier_id", "id"),
        Index("ix_ledger_transaction_payment", "payment_id"),
    )

    id: Mapped[Key]
    key: Mapped[Words]
    kind: Mapped[
        Words
    ]  # capture, release, refund, refund_done, payout, payout_done, payout_failed, dispute, ...
    trade_id: Mapped[Big | None] = mapped_column(ForeignKey("trade.id"))
    supplier_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id"))
    payment_id: Mapped[Big | None] = mapped_column(ForeignKey("payment.id"))
    actor: Mapped[Words]
    event: Mapped[Words]
    reason: Mapped[Words]
    facts: Mapped[Json] = mapped_column(default=dict)
    at: Mapped[Time]


class LedgerEntry(Model):
    """One line of a transaction: `amount` minor units, debit positive, credit negative."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        ForeignKeyConstraint(
            ["account_id", "currency"],
            ["ledger_account.id", "ledger_account.currency"],
            name="fk_ledger_entry_account",
        ),
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_ledger_entry_transaction", "transaction_id"),
        Index("ix_ledger_entry_account", "account_id", "id"),
    )

    id: Mapped[Key]
    transaction_id: Mapped[Big] = mapped_column(ForeignKey("ledger_transaction.id"))
    account_id: Mapped[Big]
    currency: Mapped[Words]
    amount: Mapped[Big]


class RefundShare(Model):
    """The part of a refund that falls on one line of the trade, with the VAT in it (invariant 18): the lines of a credit note.

    `line_id` None = shipping. `amount` and `vat` are gross minor units; `vat_percent` is decimal text such as "19".
    """

    __tablename__ = "refund_share"
    __table_args__ = (
        CheckConstraint("amount >= 0 AND vat >= 0 AND vat <= amount AND quantity >= 0", name="amounts"),
        Index("ix_refund_share_transaction", "transaction_id"),
        Index("ix_refund_share_trade", "trade_id"),
    )

    id: Mapped[Key]
    transaction_id: Mapped[Big] = mapped_column(ForeignKey("ledger_transaction.id"))
    trade_id: Mapped[Big] = mapped_column(ForeignKey("trade.id"))
    line_id: Mapped[Big | None] = mapped_column(ForeignKey("trade_line.id"))
    quantity: Mapped[int] = mapped_column(default=0)
    amount: Mapped[Big]
    vat_percent: Mapped[Words | None]
    vat: Mapped[Big]


class Payment(Model):
    """One instruction to a payment provider, written once by `key`; its amount never changes (invariant 19).

    `state`: due (written) -> unknown (sent, no final word) -> done | failed; withdrawn = never sent. `of_id`: the capture that is refunded or
    the payout that is reversed. `reserve`: what a payout left with us, minor units. `external_id` is the provider's own id.
    """

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("kind IN ('capture','refund','payout','reverse')", name="kind"),
        CheckConstraint("state IN ('due','unknown','done','failed','withdrawn')", name="state"),
        CheckConstraint("amount >= 0 AND reserve >= 0", name="amount"),
        Index("ix_payment_trade", "trade_id"),
        Index("ix_payment_supplier", "supplier_id", "id"),
        Index("ix_payment_open", "connection_id", "id", postgresql_where=text("state IN ('due','unknown')")),
    )

    id: Mapped[Key]
    key: Mapped[Words]
    connection_id: Mapped[Big] = mapped_column(ForeignKey("connection.id"))
    kind: Mapped[Words]
    trade_id: Mapped[Big | None] = mapped_column(ForeignKey("trade.id"))
    supplier_id: Mapped[Big | None] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[Big]
    currency: Mapped[Words]
    state: Mapped[Words] = mapped_column(default="due")
    external_id: Mapped[Words | None]
    of_id: Mapped[Big | None] = mapped_column(ForeignKey("payment.id"))
    reserve: Mapped[Big] = mapped_column(default=0)
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[Time] = mapped_column(server_default=func.now())
    done_at: Mapped[Time | None]


class TradeParcel(Model):
    """One shipment of a trade whose number counts: what was in it and how far its evidence goes (K11).

    What is told later to be in it too is one more row with the next `part`: it is released by itself, and what was released stays as it is.
    `units`: {trade_line_id: quantity}. `due_at`: when time alone may release it. `state`: waiting (reason_code says for what) -> released (its
    transaction is `transaction_id`, None when nothing was left in escrow) | refused (never, because the trade is over).
    """

    __tablename__ = "trade_parcel"
    __table_args__ = (
        UniqueConstraint("trade_id", "shipment_id", "part"),
        CheckConstraint("state IN ('waiting','released','refused')", name="state"),
        CheckConstraint("part > 0", name="part"),
        Index(
            "ix_trade_parcel_due",
            "due_at",
            postgresql_where=text("state = 'waiting' AND due_at IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    trade_id: Mapped[Big] = mapped_column(ForeignKey("trade.id"))
    shipment_id: Mapped[Big]
    part: Mapped[int] = mapped_column(default=1)
    number: Mapped[Words]  # as app.rules.tracking normalises it
    country: Mapped[Words | None]
    units: Mapped[dict[str, int]] = mapped_column(JSONB, default=dict)
    actor: Mapped[Words]
    event: Mapped[Words]
    reason: Mapped[Words]
    shipped_at: Mapped[Time]
    scanned_at: Mapped[Time | None]
    delivered_at: Mapped[Time | None]
    due_at: Mapped[Time | None]
    state: Mapped[Words] = mapped_column(default="waiting")
    reason_code: Mapped[Words | None]
    reason_params: Mapped[Json] = mapped_column(default=dict)
    transaction_id: Mapped[Big | None] = mapped_column(ForeignKey("ledger_transaction.id"))


class TrackingUse(Model):
    """A supplier's tracking number counts once (reliability 4.4, L2). `recipient`: a sealed digest of the first parcel's address, forgotten
    after 48 hours, when it cannot matter any more.
    """

    __tablename__ = "tracking_use"
    __table_args__ = (UniqueConstraint("supplier_id", "number"),)

    id: Mapped[Key]
    supplier_id: Mapped[Big] = mapped_column(ForeignKey("account.id"))
    number: Mapped[Words]
    trade_id: Mapped[Big] = mapped_column(ForeignKey("trade.id"))
    recipient: Mapped[Any | None] = mapped_column(Sealed)
    used_at: Mapped[Time]


@dataclass(frozen=True)
class Guard:
    """Something the database refuses by itself: the trigger `name` on `table`, and the function that it calls."""

    table: str
    name: str
    function_name: str
    when: str

    @property
    def statements(self) -> tuple[str, str]:
        """What makes it, in order; the function may be there already, the trigger may not."""
        trigger = f"{self.when} ON {self.table}"
        if "CONSTRAINT" in self.when:
            trigger += " DEFERRABLE INITIALLY DEFERRED"
        return _FUNCTIONS[
            self.function_name
        ], f"{trigger} FOR EACH ROW EXECUTE FUNCTION {self.function_name}()"


_REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only added to: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
""".strip()

_CHECK_BALANCED = """
CREATE OR REPLACE FUNCTION ledger_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint := CASE WHEN TG_TABLE_NAME = 'ledger_transaction' THEN (to_jsonb(NEW)->>'id')::bigint
                          ELSE (to_jsonb(NEW)->>'transaction_id')::bigint END;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger_entry WHERE transaction_id = wanted)
       OR EXISTS (SELECT 1 FROM ledger_entry WHERE transaction_id = wanted GROUP BY currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'ledger transaction % does not add up to zero', wanted USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
""".strip()

_KEEP_PAYMENT = """
CREATE OR REPLACE FUNCTION ledger_keep_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.id, NEW.key, NEW.connection_id, NEW.kind, NEW.amount, NEW.currency, NEW.reserve)
            IS NOT DISTINCT FROM (OLD.id, OLD.key, OLD.connection_id, OLD.kind, OLD.amount, OLD.currency, OLD.reserve)
            AND NEW.trade_id IS NOT DISTINCT FROM OLD.trade_id AND NEW.supplier_id IS NOT DISTINCT FROM OLD.supplier_id
            AND NEW.of_id IS NOT DISTINCT FROM OLD.of_id THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a payment instruction keeps its amount: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$
""".strip()

_FUNCTIONS = {
    "ledger_refuse_change": _REFUSE_CHANGE,
    "ledger_check_balanced": _CHECK_BALANCED,
    "ledger_keep_payment": _KEEP_PAYMENT,
}


def _guard(table: str, name: str, function_name: str, when: str) -> Guard:
    return Guard(table, name, function_name, when.format(name=name))


_CHANGE = "CREATE TRIGGER {name} BEFORE UPDATE OR DELETE"
_ADD = "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT"

GUARDS = (
    _guard("ledger_entry", "ledger_entry_immutable", "ledger_refuse_change", _CHANGE),
    _guard("ledger_transaction", "ledger_transaction_immutable", "ledger_refuse_change", _CHANGE),
    _guard("refund_share", "refund_share_immutable", "ledger_refuse_change", _CHANGE),
    _guard("ledger_entry", "ledger_entry_balanced", "ledger_check_balanced", _ADD),
    _guard("ledger_transaction", "ledger_transaction_balanced", "ledger_check_balanced", _ADD),
    _guard("payment", "payment_kept", "ledger_keep_payment", _CHANGE),
)


def _install() -> None:
    """`create_all()` (tests, first tries) makes the guards with their tables; a migration carries them as SQL."""
    for guard in GUARDS:
        for statement in guard.statements:
            # A per cent sign is the template sign of DDL.
            made = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
            event.listen(Model.metadata.tables[guard.table], "after_create", made)


_install()
