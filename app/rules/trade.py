"""What a retailer's order means for his suppliers: amounts, states and what is passed on (K6, K8-K10, K12; reliability 4.2). Pure.

What may go wrong: events come late, twice and in any order. States therefore only move forward, and quantities are compared, never added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from app.messages import Address, PieceState, Reason, ShopOrderSeen, ShopStatus

State = Literal[
    "received",
    "payment_pending",
    "held",
    "accepted",
    "part_shipped",
    "shipped",
    "closed",
    "payment_failed",
    "rejected",
    "cancelled",
]

# Where a trade may go from each state. A supplier may cancel at any time, also what he has shipped and was paid for (K9 knows no exception).
FORWARD: Mapping[str, frozenset[str]] = {
    "received": frozenset({"payment_pending", "held", "payment_failed", "rejected", "cancelled"}),
    "payment_pending": frozenset({"held", "payment_failed", "rejected", "cancelled"}),
    "held": frozenset({"accepted", "rejected", "cancelled"}),
    "accepted": frozenset({"part_shipped", "shipped", "cancelled"}),
    "part_shipped": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"closed", "cancelled"}),
    "closed": frozenset({"cancelled"}),
    "payment_failed": frozenset({"cancelled"}),
    "rejected": frozenset(),
    "cancelled": frozenset(),
}
OVER = frozenset({"payment_failed", "rejected", "cancelled"})
"""Nothing of such a trade will be shipped any more."""

PAID = frozenset({ShopStatus.PROCESSING, ShopStatus.COMPLETED})
"""The retailer has his customer's money: his suppliers may hear of the order (K6)."""

RESERVED = PAID | {ShopStatus.ON_HOLD}
"""The retailer's shop has taken the goods out of its stock, so his suppliers hold theirs too; nothing is charged before the order is paid."""

_UNPAID = frozenset({ShopStatus.PENDING, ShopStatus.ON_HOLD, ShopStatus.FAILED, ShopStatus.DRAFT})

TAKEN_BACK = frozenset({ShopStatus.CANCELLED, ShopStatus.REFUNDED, ShopStatus.DELETED, ShopStatus.FAILED})
"""The retailer does not want the order any more, or his customer has not paid. Before it is passed on, that ends his trades; afterwards it is
only shown (K12).
"""

NOT_FORWARDED = frozenset(
    {ShopStatus.COMPLETED, ShopStatus.REFUNDED, ShopStatus.CANCELLED, ShopStatus.DRAFT, ShopStatus.DELETED}
)
"""K12 names the first three; a draft and a deleted order are no statuses that another shop could take over."""

TERMINAL = frozenset({ShopStatus.COMPLETED, ShopStatus.CANCELLED, ShopStatus.REFUNDED, ShopStatus.DELETED})
"""The supplier is done with his order: no status of the retailer touches it any more."""

_GONE = frozenset({PieceState.SHIPPED, PieceState.DELIVERED, PieceState.RETURNED})
_CLOCKS_DIFFER = timedelta(minutes=10)
_KEY_LENGTH = 90  # as everywhere: shops keep up to 100 characters


def after(now: str, wanted: str) -> str:
    """The state of a trade when something says that it is `wanted`: that where it is a step forward (FORWARD), else `now`."""
    return wanted if wanted in FORWARD[now] else now


def forwarded(status: ShopStatus) -> bool:
    """Whether a status that the retailer gives his order reaches the supplier's order (K12)."""
    return status not in NOT_FORWARDED


def external_id(retailer: str, supplier: str, order_id: str, part: int) -> str:
    """What a supplier's part is called: digest of both shops, the retailer's order, and the part from the second on.

    The shops are named by what stays the same for ever (their address). No number of ours is in it: those begin anew with a new database.
    """
    plain = f"{sha256(f'{retailer} {supplier}'.encode()).hexdigest()[:10]}:{order_id}" + (
        f":{part}" if part > 1 else ""
    )
    return plain if len(plain) <= _KEY_LENGTH - 15 else sha256(plain.encode()).hexdigest()


def key(external: str) -> str:
    """The key of a trade and of its child order: what the supplier's shop knows it by for ever."""
    return f"dropshipping:{external}"


def is_key(order_key: str | None) -> bool:
    """Whether an order key is that of a child order of the network."""
    return order_key is not None and order_key.startswith("dropshipping:")


# --- amounts ----------------------------------------------------------------------------------------------------------------


def unit_price(gross: int, discount_bp: int) -> int:
    """The dealer price of one unit for one retailer: gross minor units less the price group's discount (500 = 5 %), rounded half up."""
    if gross < 0 or not 0 <= discount_bp <= 10_000:
        raise ValueError(f"{gross} less {discount_bp} basis points is no price")
    return (gross * (10_000 - discount_bp) + 5_000) // 10_000


def shipping_price(goods: int, price: int, free_from: int | None) -> int:
    """What the supplier's shipping costs for one part: gross minor units, nothing from `free_from` goods on."""
    return 0 if free_from is not None and goods >= free_from else max(0, price)


# --- quantities -------------------------------------------------------------------------------------------------------------


def wanted(seen: ShopOrderSeen) -> dict[str, int]:
    """Shop line id -> how many units the retailer still wants: ordered, less what refund objects take back by quantity.

    Nothing at all once he has cancelled, deleted or wholly refunded the order, or its payment has failed.
    """
    if seen.status in TAKEN_BACK:
        return {line.external_id: 0 for line in seen.lines}
    left = {line.external_id: line.quantity for line in seen.lines}
    for refund in seen.refunds:
        for line_id, quantity, _ in refund.lines:
            if line_id in left:
                left[line_id] = max(0, left[line_id] - max(0, quantity))
    return left


def orders_now(status: ShopStatus, was: str | None) -> bool:
    """Whether a look at a retailer's order in this status orders from his suppliers what they do not have yet.

    What was at work or completed before and is completed now is none of their business: the retailer has shipped it himself.
    """
    return status in RESERVED and (status is not ShopStatus.COMPLETED or was is None or was in _UNPAID)


def is_his_own(*, adopted: bool, placed_at: datetime, listed_at: datetime) -> bool:
    """Whether a retailer sold his own goods: the order is older than the listing (or than its coming back), and the product was there before.

    Where the product came by the listing, only clocks that differ can make an order look older, so a few minutes do not count.
    """
    return placed_at < listed_at - (timedelta(0) if adopted else _CLOCKS_DIFFER)


@dataclass(frozen=True)
class Units:
    """What became of the units of one retailer's line in all his trades."""

    ordered: int = 0
    taken_back: int = 0  # by the retailer, before they were passed on
    called_off: int = 0  # by the supplier, or because they could not be paid

    def missing(self, wanted_now: int) -> int:
        """Units to order: never again what a supplier has called off, that is for a person to decide."""
        return max(0, wanted_now - (self.ordered - self.taken_back))

    def too_many(self, wanted_now: int) -> int:
        """Units that are ordered and not wanted any more."""
        return max(0, self.ordered - self.taken_back - self.called_off - wanted_now)


def answer_hours(warn: int, limit: int) -> tuple[int, int | None]:
    """Hours until a supplier who has not answered is warned, and from then until his silence counts as a no; None = it never does (limit 0).

    A limit that is shorter than the warning is halved by it: nobody is rejected without a warning.
    """
    if limit <= 0:
        return max(1, warn), None
    first = max(1, warn if 0 < warn < limit else limit // 2)
    return first, max(1, limit - first)


def progress(pieces: Iterable[PieceState]) -> State | None:
    """What the pieces of a child order say about its trade: part_shipped, shipped, or None while nothing has left.

    Cancelled pieces are not waited for.
    """
    live = [piece for piece in pieces if piece is not PieceState.CANCELLED]
    gone = [piece for piece in live if piece in _GONE]
    if not gone:
        return None
    return "shipped" if len(gone) == len(live) else "part_shipped"


def waits_for(
    state: str,
    *,
    passed_on: bool,
    pass_on_at: datetime | None,
    by_hand: bool,
    paid: bool,
    frozen: bool,
    now: datetime,
) -> Reason | None:
    """What a trade that is not shipped yet waits for; None when nothing more is to be shipped.

    `by_hand`: its supplier accepts every order himself. `paid`: the retailer's order is being processed.
    """
    if state in OVER or state in {"shipped", "closed"}:
        return None
    if passed_on:
        return Reason("trade.with_supplier")
    if frozen:
        return Reason("trade.disputed")
    if not paid:
        return Reason("trade.on_hold")
    if state in {"received", "payment_pending"}:
        return Reason("trade.waiting_payment")
    if state == "held" and by_hand:
        return Reason("trade.waiting_accept")
    over = pass_on_at is None or pass_on_at <= now
    return Reason("trade.regret_window", {} if over else {"until": pass_on_at})


# --- addresses --------------------------------------------------------------------------------------------------------------


def for_the_supplier(address: Address) -> Address:
    """The customer's address as the supplier gets it: enough to deliver, without the e-mail address (K6)."""
    return replace(address, email="")


def is_deliverable(address: Address | None) -> bool:
    """Whether there is anything to write on a parcel."""
    return address is not None and bool(address.address_1.strip() and address.city.strip())
