"""Why is this order not shipped yet? One answer, the nearest obstacle first (C8). Pure: it looks at what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.messages import PieceState, Reason

OPEN = frozenset({PieceState.ANNOUNCED, PieceState.TO_SHIP, PieceState.UNCLEAR})


@dataclass(frozen=True)
class Pending:
    """An unfinished command of the order. `stuck`: it waits for a person."""

    kind: str
    stuck: bool
    reason: Reason | None


@dataclass(frozen=True)
class Standing:
    """Where an order stands. `blocked`: why one of its connections lets nothing out, `parcel_lacks`: what a parcel that was packed cannot be told
    without; None when all is well.
    """

    pieces: Sequence[PieceState]
    raw_states: Sequence[str]
    in_shop: bool
    completed: bool
    stopped: bool
    wait_until: datetime | None
    pending: Sequence[Pending]
    blocked: Reason | None
    parcel_lacks: Reason | None = None


def why_not_shipped(order: Standing) -> Reason | None:
    """The nearest obstacle; None when nothing is left to ship."""
    if not any(piece in OPEN for piece in order.pieces):
        return None
    return _the_order_itself(order) or _what_is_stuck(order) or _the_shop(order)


def _the_order_itself(order: Standing) -> Reason | None:
    if order.stopped:
        return Reason("cancel.by_buyer")
    left = {piece for piece in order.pieces if piece in OPEN}
    if left == {PieceState.ANNOUNCED}:
        return Reason("order.address_missing")
    if left == {PieceState.UNCLEAR}:
        words = [
            raw
            for piece, raw in zip(order.pieces, order.raw_states, strict=True)
            if piece is PieceState.UNCLEAR
        ]
        return Reason("order.piece_unclear", {"raw_state": words[0]})
    return None


def _what_is_stuck(order: Standing) -> Reason | None:
    told = [command.reason for command in order.pending if command.stuck and command.reason is not None]
    if told:
        return told[0]
    if order.blocked is not None:
        return order.blocked
    trying = [command.reason for command in order.pending if command.reason is not None]
    return trying[0] if trying else None


def _the_shop(order: Standing) -> Reason:
    if not order.in_shop:
        return Reason("order.not_in_shop_yet")
    if any(command.kind.startswith(("ship", "order.ship")) for command in order.pending):
        return Reason("next.on_its_way")
    if order.parcel_lacks is not None:
        return order.parcel_lacks
    if order.wait_until is not None:
        params: dict[str, Any] = {"until": order.wait_until}
        return Reason("ship.waiting_for_tracking", params)
    return Reason("next.on_its_way" if order.completed else "next.complete_in_shop")
