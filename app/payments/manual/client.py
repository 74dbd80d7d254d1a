"""The verbs of a payment provider, answered without a call: everything waits for a person.

Nothing can go wrong here, because nothing happens here: repeating an instruction only leaves it open once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from app import messages as m
from app.payments.manual import translate as t

if TYPE_CHECKING:
    from app.outbound import Door


class ManualClient:
    """A person with a list."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._licensed = bool(settings.get("licensed_operator"))

    def check(self) -> m.ConnectionCheck:
        """There is nothing that could be wrong."""
        return m.ConnectionCheck(True, None, {"licensed_operator": self._licensed})

    def capture(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """The retailer pays by himself; somebody sees the money."""
        return t.waiting(key, "capture", payment)

    def refund(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Somebody pays the retailer back."""
        return t.waiting(key, "refund", payment)

    def payout(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Somebody pays the supplier."""
        return t.waiting(key, "payout", payment)

    def reverse(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Somebody asks the supplier for it."""
        return t.waiting(key, "reverse", payment)

    def find(
        self,
        key: str,
        *,
        kind: str | None = None,
        payment: m.PaymentWanted | None = None,
        since: datetime | None = None,
    ) -> m.PaymentAnswer | None:
        """Nobody knows more than the bridge itself."""
        return None if kind is None or payment is None else t.waiting(key, kind, payment)

    def movements(self, since: datetime) -> Iterable[m.PaymentAnswer]:
        """There is no account to read."""
        return ()
