"""The simulated provider over real HTTP: its books, its faults, and that a lost answer never moves money twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unknown
from app.payments.simulated import translate
from app.sandbox.payments import WEBHOOK_SECRET
from tests.payments.simulated.conftest import Simulated

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def wanted(amount: int = 1790, of: str | None = None) -> m.PaymentWanted:
    return m.PaymentWanted(amount, "EUR", "dropshipping:7f3a:1042", "acc_3", of)


def test_money_comes_in_goes_back_goes_out_and_comes_back(simulated: Simulated) -> None:
    client = simulated.client()
    captured = client.capture("capture:1", wanted(1790))
    client.refund("refund:1", wanted(500, captured.external_id))
    paid = client.payout("payout:1", wanted(1000))
    client.reverse("reverse:1", wanted(200, paid.external_id))
    assert simulated.books.moved() == {"capture": 1790, "refund": 500, "payout": 1000, "reverse": 200}
    assert simulated.books.balance() == 1790 - 500 - 1000 + 200


def test_the_same_key_moves_money_once(simulated: Simulated) -> None:
    client = simulated.client()
    said = {client.capture("capture:1", wanted()).external_id for _ in range(5)}
    assert len(said) == 1
    assert simulated.books.moved()["capture"] == 1790
    assert simulated.books.payments["capture:1"].asked == 5


def test_the_same_key_with_another_amount_is_refused(simulated: Simulated) -> None:
    client = simulated.client()
    client.capture("capture:1", wanted(1790))
    with pytest.raises(Refused) as refused:
        client.capture("capture:1", wanted(1791))
    assert refused.value.code == "payment.refused"
    assert simulated.books.moved()["capture"] == 1790


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "timeout", "seconds": 0.01},
        {"kind": "reset", "effect": True},
        {"kind": "status", "status": 500, "effect": True},
        {"kind": "garbage", "effect": True},
    ],
    ids=["timeout with effect", "cut with effect", "500 with effect", "garbage with effect"],
)
def test_an_answer_lost_after_the_money_moved_is_unknown_and_found(
    simulated: Simulated, fault: dict[str, Any]
) -> None:
    client = simulated.client()
    simulated.faults.add({**fault, "path": "/v1/captures"})
    with pytest.raises(Unknown):
        client.capture("capture:1", wanted())
    found = client.find("capture:1")
    assert found is not None
    assert (found.state, found.amount) == (m.PaymentState.DONE, 1790)
    assert simulated.books.moved()["capture"] == 1790


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "reset"}])
def test_a_call_that_had_no_effect_is_unknown_and_not_found(
    simulated: Simulated, fault: dict[str, Any]
) -> None:
    client = simulated.client()
    simulated.faults.add({**fault, "path": "/v1/captures"})
    with pytest.raises(Unknown):
        client.capture("capture:1", wanted())
    assert client.find("capture:1") is None


def test_what_is_late_is_pending_and_final_afterwards(simulated: Simulated) -> None:
    simulated.books.conduct.late = ["capture"]
    client = simulated.client()
    assert client.capture("capture:1", wanted()).state is m.PaymentState.PENDING
    assert simulated.books.balance() == 0
    simulated.books.settle()
    found = client.find("capture:1")
    assert found is not None
    assert found.state is m.PaymentState.DONE


def test_a_payout_that_fails_afterwards_gives_its_money_back(simulated: Simulated) -> None:
    client = simulated.client()
    client.capture("capture:1", wanted())
    simulated.books.conduct.failing = ["payout"]
    assert client.payout("payout:1", wanted(1000)).state is m.PaymentState.PENDING
    assert simulated.books.balance() == 790
    simulated.books.settle()
    found = client.find("payout:1")
    assert found is not None
    assert (found.state, simulated.books.balance()) == (m.PaymentState.FAILED, 1790)
    assert found.reason is not None
    assert found.reason.params["message"] == "the bank sent it back"


def test_a_payout_without_enough_balance_fails(simulated: Simulated) -> None:
    assert simulated.client().payout("payout:1", wanted(1)).state is m.PaymentState.FAILED


def test_no_more_than_the_capture_is_refunded(simulated: Simulated) -> None:
    client = simulated.client()
    captured = client.capture("capture:1", wanted(1000))
    client.refund("refund:1", wanted(600, captured.external_id))
    with pytest.raises(Refused):
        client.refund("refund:2", wanted(401, captured.external_id))
    assert client.refund("refund:3", wanted(400, captured.external_id)).state is m.PaymentState.DONE


def test_the_books_are_read_in_pages(simulated: Simulated) -> None:
    client = simulated.client()
    for number in range(250):
        simulated.books.book("capture", f"capture:{number}", {"amount": 1 + number, "currency": "EUR"})
    seen = list(client.movements(LONG_AGO))
    assert [each.amount for each in seen] == list(range(1, 251))
    assert list(client.movements(datetime.now(UTC) + timedelta(hours=1))) == []


def test_a_wrong_key_is_told_by_the_check(simulated: Simulated) -> None:
    checked = simulated.client(api_key="wrong").check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == "credentials.refused"
    with pytest.raises(Unauthorised):
        simulated.client(api_key="wrong").capture("capture:1", wanted())
    assert simulated.books.payments == {}


@pytest.mark.parametrize(
    "change", [{"amount": "17"}, {"amount": True}, {"state": "new"}, {"key": None}, {"id": 5}]
)
def test_an_answer_of_the_wrong_shape_names_its_field(change: dict[str, Any]) -> None:
    good = {"key": "k", "kind": "capture", "state": "done", "amount": 17, "currency": "EUR", "id": "sim_1"}
    assert translate.answer(good).amount == 17
    with pytest.raises(Invalid) as wrong:
        translate.answer({**good, **change})
    assert wrong.value.params["field"] == next(iter(change))


# --- its messages ------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def signed(body: bytes, at: datetime = NOW, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    return {"simulated-signature": f"t={stamp},v1={translate.signature(secret, stamp, body)}"}


def message(**change: Any) -> bytes:
    body = {
        "id": "sim_evt_1",
        "type": "payment",
        "at": NOW.isoformat(),
        "payment": {"id": "sim_1", "key": "k"},
    }
    return json.dumps(body | change).encode()


def test_a_signed_message_is_read() -> None:
    notice = translate.notice([WEBHOOK_SECRET], signed(message()), message(), NOW)
    assert notice == m.PaymentNotice("sim_evt_1", "payment", "k", "sim_1", NOW)


def test_a_dispute_has_an_amount() -> None:
    body = message(type="dispute", amount=500, currency="EUR", dispute="sim_dispute_1")
    notice = translate.notice([WEBHOOK_SECRET], signed(body), body, NOW)
    assert notice is not None
    assert (notice.kind, notice.subject_id, notice.amount) == ("dispute", "sim_dispute_1", 500)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"simulated-signature": ""},
        {"simulated-signature": "t=1,v1=00"},
        signed(message(), secret="wrong"),
        signed(message() + b" "),
        signed(message(), NOW - timedelta(seconds=301)),
        signed(message(), NOW + timedelta(seconds=301)),
    ],
)
def test_a_forged_or_old_message_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorised):
        translate.notice([WEBHOOK_SECRET], headers, message(), NOW)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"x", message(at=5), message(payment=[]), message(type="dispute")]
)
def test_a_signed_message_of_the_wrong_shape_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        translate.notice([WEBHOOK_SECRET], signed(body), body, NOW)
