"""An instruction as the answer "somebody has to do it". Pure; there is no partner whose words could be translated."""

from __future__ import annotations

from app import messages as m


def waiting(key: str, kind: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
    """Accepted, and open until a person says that it happened."""
    state = m.PaymentState.PENDING
    return m.PaymentAnswer(key, kind, state, payment.amount, payment.currency, key, None, None)
