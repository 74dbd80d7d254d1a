"""What goes into the ledger and what it answers. Amounts are integer minor units of the trade's currency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.messages import Reason

EvidenceKind = Literal["carrier_scan", "delivered"]


@dataclass(frozen=True)
class Source:
    """Who did it, which event told us, and why (invariant 16): Source("shop cn_x", "event 4711", "order.refunded"). None may be empty."""

    actor: str
    event: str
    reason: str


@dataclass(frozen=True)
class Released:
    """What one parcel released: `amount` gross from escrow = supplier's net + `fee` + `vat` on the fee.

    `reasons` say why it was nothing, or less than the goods are worth; empty = everything as it should be.
    """

    amount: int
    fee: int = 0
    vat: int = 0
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Refunded:
    """Where a refund came from, in the order escrow, supplier's payable, supplier's receivable (what he owes now).

    `fee` and `vat`: the operator's fee that goes back with released money. The five add up to `amount`. `refused`: nothing was posted.
    """

    from_escrow: int = 0
    from_payable: int = 0
    receivable: int = 0
    fee: int = 0
    vat: int = 0
    refused: Reason | None = None

    @property
    def amount(self) -> int:
        """What the retailer gets."""
        return self.from_escrow + self.from_payable + self.receivable + self.fee + self.vat


@dataclass(frozen=True)
class RefundLine:
    """A part of a refund that belongs to one line. `line_id` None = shipping; `amount` gross."""

    line_id: int | None
    quantity: int
    amount: int


@dataclass(frozen=True)
class Money:
    """One trade's money, read from its entries. `released` is gross (fees included) and never falls.

    `refunded`: what the retailer is owed or has got back, the lost disputes (`charged_back`) included; `refund_in_transit` of it waits for
    the provider's word. `paid_out`: confirmed by the provider; `payout_in_transit` is on its way. `payable`: released, not paid out yet.
    `receivable`: what the supplier owes because of this trade. `disputed`: held by open disputes. `fees`, `fee_vat`: what the operator keeps.
    """

    captured: int = 0
    refunded: int = 0
    released: int = 0
    paid_out: int = 0
    escrow: int = 0
    payable: int = 0
    receivable: int = 0
    disputed: int = 0
    fees: int = 0
    fee_vat: int = 0
    charged_back: int = 0
    refunded_from_escrow: int = 0
    refund_in_transit: int = 0
    payout_in_transit: int = 0

    @property
    def refundable(self) -> int:
        """What can still go back to the retailer (invariants 3 and 17)."""
        return self.captured - self.refunded - self.disputed


@dataclass(frozen=True)
class Totals:
    """Money of many trades of one currency. `ledger_sum` is 0, or the books are broken."""

    held_minor: int = 0  # escrow and open disputes
    released_minor: int = 0
    refunded_minor: int = 0
    paid_out_minor: int = 0
    receivable_minor: int = 0
    payable_minor: int = 0
    fees_minor: int = 0
    ledger_sum: int = 0


@dataclass(frozen=True)
class Breach:
    """An invariant (its number in reliability 4.3) that does not hold, where (`trade/7`, `payment/3`, `transaction/12`) and what was found."""

    invariant: int
    subject: str
    detail: str
