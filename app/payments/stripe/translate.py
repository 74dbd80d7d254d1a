"""Stripe's JSON <-> our messages, and the proof of its webhooks. Pure.

What may go wrong: a status that Stripe adds later. It reads as "not final", so nothing is paid on or given up because of a new word.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from app import messages as m
from app.errors import Invalid, Unauthorised

Json: TypeAlias = dict[str, Any]

NAME: Final = "Stripe"
KEY: Final = "shopbridge_key"  # our key in the metadata of everything we make there
LONGEST_KEY: Final = 255  # of an Idempotency-Key
WINDOW_SECONDS: Final = 300  # how old a webhook may be; Stripe signs every retry anew

_INTENT: Final = {
    "succeeded": m.PaymentState.DONE,
    "processing": m.PaymentState.PENDING,
    "requires_payment_method": m.PaymentState.FAILED,
    "requires_action": m.PaymentState.FAILED,
    "requires_confirmation": m.PaymentState.FAILED,
    "canceled": m.PaymentState.FAILED,
}
_CHARGE: Final = {
    "succeeded": m.PaymentState.DONE,
    "pending": m.PaymentState.PENDING,
    "failed": m.PaymentState.FAILED,
}
_REFUND: Final = {
    "succeeded": m.PaymentState.DONE,
    "pending": m.PaymentState.PENDING,
    "requires_action": m.PaymentState.PENDING,
    "failed": m.PaymentState.FAILED,
    "canceled": m.PaymentState.FAILED,
}

_PAYMENTS: Final = re.compile(
    r"payment_intent\.(succeeded|payment_failed|canceled|processing)|refund\.(created|updated|failed)"
    r"|charge\.refund\.updated|transfer\.(created|updated|reversed)"
)
_DISPUTES: Final = frozenset({"charge.dispute.created", "charge.dispute.closed"})


# --- what we send ------------------------------------------------------------------------------------------------------------


def form(fields: Mapping[str, Any]) -> bytes:
    """Form-encoded as Stripe wants it: {"a": {"b": 1}} -> a[b]=1, lists as a[0]=..., truth as true/false."""
    return urlencode(list(_flat("", fields))).encode()


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        inner = ((f"{prefix}[{name}]" if prefix else str(name), each) for name, each in value.items())
        return [pair for name, each in inner for pair in _flat(name, each)]
    if isinstance(value, list | tuple):
        return [pair for place, each in enumerate(value) for pair in _flat(f"{prefix}[{place}]", each)]
    if isinstance(value, bool):
        return [(prefix, "true" if value else "false")]
    return [(prefix, str(value))]


def idempotency_key(key: str) -> str:
    """Our key, or its digest where it is longer than Stripe allows or not ASCII."""
    if len(key) <= LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def capture_form(key: str, payment: m.PaymentWanted, method: str) -> Json:
    """A PaymentIntent that is confirmed at once, with the payment method the retailer has saved.

    Which kinds of methods there are is set in Stripe's dashboard: since version 2026-09-30 `payment_method_types` is refused here.
    """
    return {
        "amount": payment.amount,
        "currency": payment.currency.lower(),
        "customer": payment.account,
        "payment_method": method,
        "confirm": True,
        "off_session": True,
        "metadata": {KEY: key},
    }


def refund_form(key: str, payment: m.PaymentWanted) -> Json:
    """A refund out of the platform's balance; it does not pull a transfer back (reliability 4.1)."""
    return {"payment_intent": payment.of, "amount": payment.amount, "metadata": {KEY: key}}


def payout_form(key: str, payment: m.PaymentWanted) -> Json:
    """A transfer to the supplier's connected account. `transfer_group` is the one field by which transfers can be looked up."""
    return {
        "amount": payment.amount,
        "currency": payment.currency.lower(),
        "destination": payment.account,
        "transfer_group": key,
        "description": payment.about,
        "metadata": {KEY: key},
    }


def reverse_form(key: str, payment: m.PaymentWanted) -> Json:
    """A reversal of part of a transfer."""
    return {"amount": payment.amount, "metadata": {KEY: key}}


# --- what they answer ---------------------------------------------------------------------------------------------------------


def key_of(data: Json) -> str | None:
    """Our key in an object's metadata; None when it is none of ours."""
    found = (data.get("metadata") or {}).get(KEY)
    return found if isinstance(found, str) and found else None


def captured(intent: Json, key: str) -> m.PaymentAnswer:
    """A PaymentIntent. Nobody but us can go on with one that needs a person, so that counts as failed."""
    state = _INTENT.get(str(intent.get("status")), m.PaymentState.PENDING)
    amount = intent.get("amount_received") if state is m.PaymentState.DONE else None
    reason = _failure(intent.get("last_payment_error")) if state is m.PaymentState.FAILED else None
    return _answer(intent, key, "capture", state, amount or intent.get("amount"), reason)


def charged(charge: Json, key: str) -> m.PaymentAnswer:
    """A charge as a capture: the same payment under the id of its intent."""
    state = _CHARGE.get(str(charge.get("status")), m.PaymentState.PENDING)
    error = {"code": charge.get("failure_code"), "message": charge.get("failure_message")}
    reason = _failure(error) if state is m.PaymentState.FAILED else None
    told = {**charge, "id": intent_id(charge) or charge.get("id")}
    return _answer(told, key, "capture", state, charge.get("amount"), reason)


def intent_id(data: Json) -> str | None:
    """The id of the PaymentIntent that a charge, refund or dispute belongs to, whether Stripe gives the id or the object."""
    found = data.get("payment_intent")
    found = found.get("id") if isinstance(found, dict) else found
    return found if isinstance(found, str) else None


def refunded(refund: Json, key: str) -> m.PaymentAnswer:
    """A refund; a failed one puts the money back into the platform's balance."""
    state = _REFUND.get(str(refund.get("status")), m.PaymentState.PENDING)
    reason = None
    if state is m.PaymentState.FAILED:
        reason = m.Reason("payment.refund_failed", {"partner": NAME, "message": refund.get("failure_reason")})
    return _answer(refund, key, "refund", state, refund.get("amount"), reason)


def transferred(transfer: Json, key: str) -> m.PaymentAnswer:
    """A transfer has no status: that it exists means that the money is in the supplier's account there."""
    return _answer(transfer, key, "payout", m.PaymentState.DONE, transfer.get("amount"), None)


def reversed_(reversal: Json, key: str) -> m.PaymentAnswer:
    """A transfer reversal."""
    return _answer(reversal, key, "reverse", m.PaymentState.DONE, reversal.get("amount"), None)


def failed(key: str, kind: str, payment: m.PaymentWanted, error: Json) -> m.PaymentAnswer:
    """A deed that Stripe refused for good, told in the body of its refusal. A payment that was begun has its id in there."""
    begun = error.get("payment_intent")
    external_id = begun.get("id") if isinstance(begun, dict) else None
    state, amount, currency = m.PaymentState.FAILED, payment.amount, payment.currency
    return m.PaymentAnswer(key, kind, state, amount, currency, external_id, _failure(error), None)


def _failure(error: Any) -> m.Reason:
    told = error if isinstance(error, dict) else {}
    word = told.get("decline_code") or told.get("code")
    if told.get("code") == "balance_insufficient":
        return m.Reason("payment.balance_insufficient", {"partner": NAME})
    if told.get("code") == "authentication_required":
        return m.Reason("payment.needs_payer", {"partner": NAME})
    return m.Reason("payment.declined", {"partner": NAME, "message": told.get("message"), "word": word})


def _answer(
    data: Json, key: str, kind: str, state: m.PaymentState, amount: Any, reason: m.Reason | None
) -> m.PaymentAnswer:
    """Raises Invalid naming the field that is not as Stripe documents it."""
    currency, external_id = data.get("currency"), data.get("id")
    if type(amount) is not int or amount < 0:
        raise Invalid("answer.invalid", field="amount", partner=NAME)
    if not isinstance(currency, str) or not isinstance(external_id, str):
        field = "id" if isinstance(currency, str) else "currency"
        raise Invalid("answer.invalid", field=field, partner=NAME)
    return m.PaymentAnswer(key, kind, state, amount, currency.upper(), external_id, reason, moment(data))


def moment(data: Json) -> datetime | None:
    """When Stripe made the object."""
    created = data.get("created")
    return datetime.fromtimestamp(created, UTC) if type(created) is int else None


# --- webhooks -----------------------------------------------------------------------------------------------------------------


def notice(
    secrets: Sequence[str], headers: Mapping[str, str], raw: bytes, now: datetime
) -> m.PaymentNotice | None:
    """What a signed event is about; None for one that says nothing we act on.

    Raises Unauthorised("signature.invalid") for forged, unsigned and old messages, Invalid for a signed one that cannot be read.
    """
    prove(secrets, headers.get("stripe-signature", ""), raw, now)
    try:
        event = json.loads(raw)
        kind, data, event_id = event["type"], event["data"]["object"], event["id"]
        at = datetime.fromtimestamp(event["created"], UTC)
        wanted = isinstance(event_id, str) and isinstance(data, dict) and isinstance(kind, str)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
        raise Invalid("event.data_invalid", field="body") from None
    if not wanted:
        raise Invalid("event.data_invalid", field="data.object")
    if kind in _DISPUTES:
        return _dispute(event_id, kind, data, at)
    if _PAYMENTS.fullmatch(kind):
        return m.PaymentNotice(event_id, "payment", key_of(data), _text(data.get("id")), at)
    return None


def _dispute(event_id: str, kind: str, data: Json, at: datetime) -> m.PaymentNotice:
    """A closed inquiry that never became a chargeback (warning_closed) leaves the money where it is, as a won one does."""
    word = "dispute"
    if kind == "charge.dispute.closed":
        word = "dispute_lost" if data.get("status") == "lost" else "dispute_won"
    amount, currency, dispute = data.get("amount"), _text(data.get("currency")), _text(data.get("id"))
    if type(amount) is not int or amount < 0 or currency is None or dispute is None:
        raise Invalid("event.data_invalid", field="data.object.amount")
    return m.PaymentNotice(
        event_id, word, key_of(data), intent_id(data), at, dispute, amount, currency.upper()
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def prove(secrets: Sequence[str], header: str, raw: bytes, now: datetime) -> None:
    """`Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>]`: HMAC-SHA256 over "<t>.<body>". Raises Unauthorised.

    All pairs of secret and signature are compared, in constant time and as bytes, so that the time taken tells nothing.
    """
    pairs = [part.partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name.strip() == "t"]
    signatures = [value.encode("utf-8", "replace") for name, value in pairs if name.strip() == "v1"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]) or not signatures:
        raise Unauthorised("signature.invalid", partner=NAME)
    wanted = [signature(secret, times[0], raw).encode() for secret in secrets]
    right = [hmac.compare_digest(one, other) for one in wanted for other in signatures[:10]]
    # Stripe's clock and ours may differ a little in either direction; a message from the future is as wrong as an old one.
    in_time = abs(now.timestamp() - int(times[0])) <= WINDOW_SECONDS
    if not any(right) or not in_time:
        raise Unauthorised("signature.invalid", partner=NAME)


def signature(secret: str, timestamp: str, raw: bytes) -> str:
    """Lower-case hex; the secret is used as it is written, prefix and all."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
