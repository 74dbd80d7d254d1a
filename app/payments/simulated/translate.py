"""The simulated provider's JSON <-> our messages, and the proof of its messages. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from app import messages as m
from app.errors import Invalid, Unauthorised

NAME: Final = "The simulated provider"
WINDOW_SECONDS: Final = 300
_NOTICES: Final = frozenset({"payment", "dispute", "dispute_won", "dispute_lost"})


def wanted(payment: m.PaymentWanted) -> dict[str, Any]:
    """One instruction as the provider takes it."""
    return {
        "amount": payment.amount,
        "currency": payment.currency,
        "about": payment.about,
        "account": payment.account,
        "of": payment.of,
    }


def answer(data: Any) -> m.PaymentAnswer:
    """One payment of the provider's books. Raises Invalid naming the field."""
    if not isinstance(data, dict):
        raise Invalid("answer.invalid", field="body", partner=NAME)
    for field, kind in (("key", str), ("kind", str), ("amount", int), ("currency", str), ("id", str)):
        if type(data.get(field)) is not kind:
            raise Invalid("answer.invalid", field=field, partner=NAME)
    try:
        state = m.PaymentState(data["state"])
    except (KeyError, ValueError):
        raise Invalid("answer.invalid", field="state", partner=NAME) from None
    why = data.get("why")
    reason = m.Reason("payment.declined", {"partner": NAME, "message": why}) if why else None
    at = _time(data.get("at"))
    return m.PaymentAnswer(
        data["key"], data["kind"], state, data["amount"], data["currency"], data["id"], reason, at
    )


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except ValueError:
        return None


def notice(
    secrets: Sequence[str], headers: Mapping[str, str], raw: bytes, now: datetime
) -> m.PaymentNotice | None:
    """`simulated-signature: t=<unix seconds>,v1=<hex of HMAC-SHA256 over "t.body">`. Raises Unauthorised and Invalid."""
    prove(secrets, headers.get("simulated-signature", ""), raw, now)
    try:
        data = json.loads(raw)
        kind, delivery_id, at = data["type"], data["id"], _time(data["at"])
        about = data["payment"]
        external_id, key = about["id"], about["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid("event.data_invalid", field="body") from None
    if at is None or not all(isinstance(each, str) for each in (kind, delivery_id, external_id, key)):
        raise Invalid("event.data_invalid", field="payment")
    if kind not in _NOTICES:
        return None
    if kind == "payment":
        return m.PaymentNotice(delivery_id, kind, key, external_id, at)
    amount, currency, subject = data.get("amount"), data.get("currency"), data.get("dispute")
    if type(amount) is not int or not isinstance(currency, str) or not isinstance(subject, str):
        raise Invalid("event.data_invalid", field="amount")
    return m.PaymentNotice(delivery_id, kind, key, external_id, at, subject, amount, currency)


def prove(secrets: Sequence[str], header: str, raw: bytes, now: datetime) -> None:
    """Raises Unauthorised("signature.invalid") for a forged, unsigned or old message."""
    found = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", header)
    if found is None:
        raise Unauthorised("signature.invalid", partner=NAME)
    right = [
        hmac.compare_digest(signature(secret, found[1], raw).encode(), found[2].encode())
        for secret in secrets
    ]
    if not any(right) or abs(now.timestamp() - int(found[1])) > WINDOW_SECONDS:
        raise Unauthorised("signature.invalid", partner=NAME)


def signature(secret: str, timestamp: str, raw: bytes) -> str:
    """Lower-case hex."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
