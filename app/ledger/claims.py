"""What suppliers get and owe, trade by trade: one signed claim each, netted against each other in the same currency (reliability 4.2).

What may go wrong: a supplier who is paid for one order while he owes for another. So whenever a claim changes, debts are taken from whatever
else is payable to him, the oldest first, never from a trade that a dispute freezes. All of it happens under the supplier's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.ledger.posting import ACCOUNTS, Leg, Place, lock_supplier
from app.ledger.reading import TRADES

# Written out, not bound: PostgreSQL finds the partial index only by literals.
_OPEN = text("ledger_account.balance > 0 AND ledger_account.kind IN ('payable','receivable')")


@dataclass
class Claims:
    """Open balances of one supplier in one currency, by trade, in the order of the trades. Legs collect what is to be posted."""

    supplier_id: int
    currency: str
    payable: dict[int, int] = field(default_factory=dict)
    receivable: dict[int, int] = field(default_factory=dict)
    frozen: set[int] = field(default_factory=set)
    legs: list[Leg] = field(default_factory=list)

    def change(self, trade_id: int, by: int) -> None:
        """The claim of one trade grows or shrinks: a debt of the same trade is settled first, and made last."""
        if by > 0:
            settled = min(by, self.receivable.get(trade_id, 0))
            self._book("receivable", trade_id, -settled)
            self._book("payable", trade_id, by - settled)
        else:
            taken = min(-by, self.payable.get(trade_id, 0))
            self._book("payable", trade_id, -taken)
            self._book("receivable", trade_id, -by - taken)

    def net(self) -> None:
        """Debts are paid by what is payable for other trades, the oldest by the oldest."""
        for debtor in sorted(self.receivable):
            for giver in sorted(self.payable.keys() - self.frozen):
                part = min(self.receivable[debtor], self.payable[giver])
                self._book("payable", giver, -part)
                self._book("receivable", debtor, -part)

    def payable_now(self) -> Iterator[tuple[int, int]]:
        """(trade, minor units) that may be paid out, the oldest first: nothing of frozen trades."""
        for trade_id in sorted(self.payable.keys() - self.frozen):
            if self.payable[trade_id]:
                yield trade_id, self.payable[trade_id]

    def owed(self) -> int:
        """All debts."""
        return sum(self.receivable.values())

    def _book(self, kind: str, trade_id: int, by: int) -> None:
        """A balance changes on its natural side: payable is a credit, receivable a debit."""
        if by == 0:
            return
        balances = self.payable if kind == "payable" else self.receivable
        balances[trade_id] = balances.get(trade_id, 0) + by
        place = Place(kind, self.currency, self.supplier_id, trade_id)
        self.legs.append(Leg(place, by if kind == "receivable" else -by))


def open_claims(session: Session, supplier_id: int, currency: str) -> Claims:
    """Lock the supplier and read what is open."""
    session.flush()
    lock_supplier(session, supplier_id, currency)
    rows = session.execute(
        select(ACCOUNTS.c.kind, ACCOUNTS.c.trade_id, ACCOUNTS.c.balance, TRADES.c.frozen)
        .join(TRADES, TRADES.c.id == ACCOUNTS.c.trade_id)
        .where(ACCOUNTS.c.owner_id == supplier_id, ACCOUNTS.c.currency == currency, _OPEN)
    )
    claims = Claims(supplier_id, currency)
    for row in rows:
        (claims.payable if row.kind == "payable" else claims.receivable)[row.trade_id] = row.balance
        if row.frozen:
            claims.frozen.add(row.trade_id)
    return claims


def changed(session: Session, supplier_id: int, currency: str, changes: Mapping[int, int]) -> Claims:
    """The claims after some trades changed theirs, netted; its legs add up to the negative sum of the changes."""
    claims = open_claims(session, supplier_id, currency)
    frozen = select(TRADES.c.id).where(TRADES.c.id.in_(changes), TRADES.c.frozen)
    claims.frozen.update(session.execute(frozen).scalars())
    for trade_id in sorted(changes):
        claims.change(trade_id, changes[trade_id])
    claims.net()
    return claims
