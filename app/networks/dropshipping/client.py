"""The verbs of a marketplace, answered without a call: the other side is our own database.

Only `ship` and `read_pieces` are ever asked. Whatever a supplier ships has left his house, so the answer is always yes; what follows from it
for the retailer and for the money is written by app.flows.trade_shipped in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import messages as m

if TYPE_CHECKING:
    from app.outbound import Door


class Client:
    """A partner that has no address."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None: ...

    def check(self) -> m.ConnectionCheck:
        """There is nothing that could be wrong."""
        return m.ConnectionCheck(ok=True)

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """Nobody else knows these pieces: our rows are the truth."""
        return []

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """They have left."""
        return [m.PieceAnswer(piece, ok=True, state=m.PieceState.SHIPPED) for piece in shipment.pieces]
