"""The proof of Stripe's webhooks: forged, replayed late, from the future and half signed ones are refused; the right one is read."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from app import messages as m
from app.errors import Invalid, Unauthorised
from app.payments.stripe import translate

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SECRET, OTHER = "whsec_right", "whsec_wrong"


def event(kind: str = "payment_intent.succeeded", **data: Any) -> bytes:
    thing = {"id": "pi_1", "metadata": {translate.KEY: "capture:1"}, **data}
    body = {"id": "evt_1", "type": kind, "created": int(NOW.timestamp()), "data": {"object": thing}}
    return json.dumps(body).encode()


def header(raw: bytes, secret: str = SECRET, at: datetime = NOW) -> str:
    """As Stripe's own library signs."""
    return stripe.WebhookSignature.generate_signature_header(raw.decode(), secret, int(at.timestamp()))


def read(raw: bytes, signed: str, secrets: list[str] | None = None) -> m.PaymentNotice | None:
    return translate.notice(secrets or [SECRET], {"stripe-signature": signed}, raw, NOW)


def test_what_stripes_own_library_signs_is_proven() -> None:
    raw = event()
    assert read(raw, header(raw)) == m.PaymentNotice("evt_1", "payment", "capture:1", "pi_1", NOW)


def test_what_we_sign_is_accepted_by_stripes_own_library() -> None:
    raw = event()
    stamp = str(int(NOW.timestamp()))
    signed = f"t={stamp},v1={translate.signature(SECRET, stamp, raw)}"
    assert stripe.WebhookSignature.verify_header(raw, signed, SECRET, tolerance=None)


@pytest.mark.parametrize("seconds", [-300, -299, 0, 300])
def test_a_message_within_the_window_is_taken(seconds: int) -> None:
    raw = event()
    assert read(raw, header(raw, at=NOW + timedelta(seconds=seconds))) is not None


@pytest.mark.parametrize("seconds", [-86400, -301, 301, 86400])
def test_an_old_message_and_one_from_the_future_are_refused(seconds: int) -> None:
    raw = event()
    with pytest.raises(Unauthorised):
        read(raw, header(raw, at=NOW + timedelta(seconds=seconds)))


def _forged() -> dict[str, tuple[bytes, str]]:
    raw = event()
    good = header(raw)
    stamp, mark = good.split(",")
    return {
        "no header": (raw, ""),
        "wrong secret": (raw, header(raw, OTHER)),
        "changed body": (raw.replace(b"capture:1", b"capture:2"), good),
        "one byte more": (raw + b" ", good),
        "no time": (raw, mark),
        "no signature": (raw, stamp),
        "two times": (raw, f"{stamp},t=1,{mark}"),
        "another time": (raw, f"t={int(NOW.timestamp()) - 1},{mark}"),
        "cut off": (raw, good[:-1]),
        "old scheme only": (raw, good.replace("v1=", "v0=")),
        "upper case": (raw, f"{stamp},{mark.upper().replace('V1', 'v1')}"),
        "not ascii": (raw, f"{stamp},v1=ü"),
        "time with a sign": (raw, good.replace("t=", "t=+")),
        "time with a point": (raw, good.replace(stamp, stamp + ".0")),
        "arabic digits": (raw, good.replace(stamp, "t=١٧")),
        "long time": (raw, good.replace(stamp, "t=" + "9" * 400)),
        "blank": (raw, " "),
        "commas": (raw, ",,,,"),
        "null byte": (raw, f"{stamp},v1=\x00"),
    }


@pytest.mark.parametrize("name", _forged())
def test_a_forged_message_is_refused(name: str) -> None:
    raw, signed = _forged()[name]
    with pytest.raises(Unauthorised) as refused:
        read(raw, signed)
    assert refused.value.code == "signature.invalid"


def test_one_right_signature_of_several_is_enough_while_a_secret_is_rolled() -> None:
    raw = event()
    stamp, mark = header(raw).split(",")
    assert read(raw, f"{stamp},v1={'0' * 64},{mark}") is not None
    assert read(raw, header(raw), [OTHER, SECRET]) is not None


def test_without_a_secret_nothing_is_proven() -> None:
    raw = event()
    with pytest.raises(Unauthorised):
        translate.notice([], {"stripe-signature": header(raw, "")}, raw, NOW)


def test_a_thousand_random_changes_are_refused() -> None:
    draw = random.Random(20261121)
    raw = event()
    good = header(raw)
    for _ in range(1000):
        where = draw.randrange(len(raw))
        bent = raw[:where] + bytes([raw[where] ^ (1 << draw.randrange(8))]) + raw[where + 1 :]
        with pytest.raises(Unauthorised):
            read(bent, good)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"id": 1, "type": "payment_intent.succeeded", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1e999, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1, "data": {"object": []}}',
        b'{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1, "data": null}',
        b'{"id": "evt_1", "type": "charge.dispute.created", "created": 1, "data": {"object": {"amount": -1}}}',
        b"[" * 100_000,
    ],
)
def test_a_signed_message_that_cannot_be_read_is_invalid(raw: bytes) -> None:
    stamp = str(int(NOW.timestamp()))
    with pytest.raises(Invalid):
        read(raw, f"t={stamp},v1={translate.signature(SECRET, stamp, raw)}")


@pytest.mark.parametrize("kind", ["customer.created", "invoice.paid", "payout.paid", "charge.succeeded"])
def test_an_event_we_do_not_act_on_says_nothing(kind: str) -> None:
    raw = event(kind)
    assert read(raw, header(raw)) is None


@pytest.mark.parametrize(
    "kind",
    [
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "refund.updated",
        "refund.failed",
        "charge.refund.updated",
        "transfer.created",
        "transfer.reversed",
    ],
)
def test_an_event_about_a_payment_is_a_hint_to_ask(kind: str) -> None:
    raw = event(kind)
    notice = read(raw, header(raw))
    assert notice is not None
    assert (notice.kind, notice.amount) == ("payment", None)


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        ("charge.dispute.created", "needs_response", "dispute"),
        ("charge.dispute.closed", "won", "dispute_won"),
        ("charge.dispute.closed", "warning_closed", "dispute_won"),
        ("charge.dispute.closed", "lost", "dispute_lost"),
    ],
)
def test_a_dispute_names_its_payment_and_its_amount(kind: str, status: str, word: str) -> None:
    raw = event(
        kind, id="du_1", status=status, amount=1790, currency="eur", payment_intent="pi_1", metadata={}
    )
    notice = read(raw, header(raw))
    assert notice == m.PaymentNotice("evt_1", word, None, "pi_1", NOW, "du_1", 1790, "EUR")
