"""How the state of a piece may move, what that makes of its order, and what a shop's status asks for.

What may go wrong: marketplaces answer late, so an old look may arrive after a newer deed. States therefore only move forward.
"""

from collections.abc import Iterable
from typing import Literal

from app.messages import PieceState, ShopStatus

OrderState = Literal[
    "new",
    "in_shop",
    "waiting_for_tracking",
    "part_shipped",
    "shipped",
    "delivered",
    "cancelled",
    "returned",
    "stopped",
]
Wish = Literal["ship", "wait", "cancel", "none"]

_A, _T, _S, _D = PieceState.ANNOUNCED, PieceState.TO_SHIP, PieceState.SHIPPED, PieceState.DELIVERED
_C, _R, _U = PieceState.CANCELLED, PieceState.RETURNED, PieceState.UNCLEAR

# Where a piece may go from each state. Everything else is an old look, or a word we do not understand, and changes nothing.
# Steps may be skipped: a piece may have been shipped, delivered and sent back while nobody looked.
# A shipped piece may still be cancelled (the marketplace's word about money counts; the flow opens cancel.after_shipping),
# a delivered one only returned. Cancelled and returned are final.
FORWARD: dict[PieceState, frozenset[PieceState]] = {
    _U: frozenset({_A, _T, _S, _D, _C, _R}),
    _A: frozenset({_T, _S, _D, _C, _R}),
    _T: frozenset({_S, _D, _C, _R}),
    _S: frozenset({_D, _C, _R}),
    _D: frozenset({_R}),
    _C: frozenset(),
    _R: frozenset(),
}


def piece_after(now: PieceState, seen: PieceState) -> PieceState:
    """The state of a piece after a look at the marketplace: `seen` where it is a step forward (FORWARD), else `now`."""
    return seen if seen in FORWARD[now] else now


def cancelled_after_shipping(now: PieceState, seen: PieceState) -> bool:
    """Whether a look cancels a piece that has left already: the parcel is under way and nobody will pay (C6)."""
    return seen is _C and now in {_S, _D}


def order_state(pieces: Iterable[PieceState], *, in_shop: bool, waiting: bool, stopped: bool) -> OrderState:
    """One word for an order, from its pieces.

    `in_shop`: the shop has created it ("not shipped", C1). `waiting`: completed in the shop, tracking missing (C2).
    `stopped`: shipping was stopped (C6); it shows while something could still leave. Cancelled pieces count only when all are.
    """
    all_pieces = list(pieces)
    live = [piece for piece in all_pieces if piece is not _C]
    if all_pieces and not live:
        return "cancelled"
    if stopped and any(piece in {_A, _T, _U} for piece in live):
        return "stopped"
    gone = [piece for piece in live if piece in {_S, _D, _R}]
    if gone:
        return _state_of_the_gone(gone) if len(gone) == len(live) else "part_shipped"
    if waiting:
        return "waiting_for_tracking"
    return "in_shop" if in_shop else "new"


def _state_of_the_gone(pieces: list[PieceState]) -> OrderState:
    if all(piece is _R for piece in pieces):
        return "returned"
    return "delivered" if all(piece in {_D, _R} for piece in pieces) else "shipped"


def wishes(shop_status: ShopStatus, has_tracking: bool) -> Wish:
    """What the shop's status asks of the marketplace (C2, C6).

    Completed means "it has left": shipped with a tracking number, else waiting for one. REFUNDED alone asks for nothing, only
    refund objects count (K8). A deleted or failed order asks for nothing either: a person decides about it.
    """
    if shop_status is ShopStatus.COMPLETED:
        return "ship" if has_tracking else "wait"
    return "cancel" if shop_status is ShopStatus.CANCELLED else "none"
