"""The client against localstripe, an independent program that speaks Stripe's protocol: what it has, as it is.

localstripe has no transfers, no reversals, no disputes, no idempotency keys and no `created` filter on refunds. These are in test_client.py, told
by doors; what Stripe itself does with them is unverified here.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app import messages as m
from app.errors import Refused
from app.payments.stripe import translate
from tests.payments.stripe.conftest import DECLINED_CARD, WEBHOOK_SECRET, LocalStripe

KEY = "capture:dropshipping:7f3a:1042"


def wanted(account: str | None = None, amount: int = 1790, of: str | None = None) -> m.PaymentWanted:
    return m.PaymentWanted(amount, "EUR", "dropshipping:7f3a:1042", account, of)


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def test_the_check_says_that_the_key_works_and_that_it_is_a_test_key(localstripe: LocalStripe) -> None:
    assert localstripe.client().check() == m.ConnectionCheck(True, None, {"mode": "test"})


def test_a_capture_takes_the_retailers_money_by_his_saved_card(localstripe: LocalStripe) -> None:
    customer = localstripe.customer()
    answer = localstripe.client().capture(KEY, wanted(customer))
    assert (answer.key, answer.kind, answer.state) == (KEY, "capture", m.PaymentState.DONE)
    assert (answer.amount, answer.currency) == (1790, "EUR")
    there = localstripe.get(f"/v1/payment_intents/{answer.external_id}")
    assert there["status"] == "succeeded"
    assert there["metadata"] == {translate.KEY: KEY}
    assert there["customer"] == customer


def test_a_declined_card_is_an_answer_and_takes_no_money(localstripe: LocalStripe) -> None:
    customer = localstripe.customer(card=DECLINED_CARD)
    answer = localstripe.client().capture(KEY, wanted(customer))
    assert answer.state is m.PaymentState.FAILED
    assert answer.reason is not None
    assert (answer.reason.code, answer.reason.params["word"]) == ("payment.declined", "card_declined")
    assert localstripe.get("/v1/balance_transactions")["data"] == []


def test_a_direct_debit_that_bounces_is_pending_first_and_found_failed_later(
    localstripe: LocalStripe,
) -> None:
    customer = localstripe.customer(iban="DE62370400440532013001")  # Stripe's IBAN for a debit that fails
    client = localstripe.client()
    first = client.capture(KEY, wanted(customer))
    assert first.state is m.PaymentState.PENDING
    found = client.find(KEY, kind="capture", payment=wanted(customer), since=long_ago())
    until = time.monotonic() + 40
    while found is not None and found.state is m.PaymentState.PENDING and time.monotonic() < until:
        time.sleep(0.1)  # localstripe needs half a second for what takes a bank days
        found = client.find(KEY, kind="capture", payment=wanted(customer), since=long_ago())
    assert found is not None
    assert (found.state, found.external_id) == (m.PaymentState.FAILED, first.external_id)
    assert found.reason is not None
    assert found.reason.code == "payment.declined"


def test_a_retailer_without_a_payment_method_is_named(localstripe: LocalStripe) -> None:
    with pytest.raises(Refused) as refused:
        localstripe.client().capture(KEY, wanted(localstripe.customer(method=False)))
    assert refused.value.code == "payment.payer_missing"
    assert localstripe.get("/v1/payment_intents")["data"] == []


def test_a_customer_that_does_not_exist_is_refused_with_stripes_words(localstripe: LocalStripe) -> None:
    with pytest.raises(Refused) as refused:
        localstripe.client().capture(KEY, wanted("cus_nobody"))
    assert (refused.value.code, refused.value.params["status"]) == ("payment.refused", 404)


def test_a_capture_whose_answer_was_lost_is_found_by_our_key(localstripe: LocalStripe) -> None:
    customer = localstripe.customer()
    client = localstripe.client()
    lost = client.capture(KEY, wanted(customer))
    client.capture("capture:another", wanted(customer))
    found = client.find(KEY, kind="capture", payment=wanted(customer), since=long_ago())
    assert found is not None
    assert (found.external_id, found.amount, found.state) == (lost.external_id, 1790, m.PaymentState.DONE)


def test_what_never_arrived_is_not_found(localstripe: LocalStripe) -> None:
    customer = localstripe.customer()
    client = localstripe.client()
    client.capture("capture:another", wanted(customer))
    assert client.find(KEY, kind="capture", payment=wanted(customer), since=long_ago()) is None
    captured = client.capture(KEY, wanted(customer))
    of_it = wanted(amount=500, of=captured.external_id)
    assert client.find("refund:1", kind="refund", payment=of_it, since=long_ago()) is None


def test_the_captures_of_another_retailer_are_not_taken_for_ours(localstripe: LocalStripe) -> None:
    mine, other = localstripe.customer(), localstripe.customer()
    client = localstripe.client()
    client.capture(KEY, wanted(other))
    assert client.find(KEY, kind="capture", payment=wanted(mine), since=long_ago()) is None


def test_a_refund_gives_back_its_amount_and_is_found_by_our_key(localstripe: LocalStripe) -> None:
    client = localstripe.client()
    captured = client.capture(KEY, wanted(localstripe.customer()))
    of_it = wanted(amount=500, of=captured.external_id)
    answer = client.refund("refund:1", of_it)
    assert (answer.kind, answer.state, answer.amount) == ("refund", m.PaymentState.DONE, 500)
    found = client.find("refund:1", kind="refund", payment=of_it, since=long_ago())
    assert found is not None
    assert (found.external_id, found.amount) == (answer.external_id, 500)
    booked = sorted(row["amount"] for row in localstripe.get("/v1/balance_transactions")["data"])
    assert booked == [-500, 1790]


def test_every_page_of_the_charges_is_looked_through(localstripe: LocalStripe) -> None:
    customer = localstripe.customer()
    client = localstripe.client()
    for number in range(103):
        client.capture(f"capture:{number}", wanted(customer, amount=100 + number))
    found = client.find("capture:102", kind="capture", payment=wanted(customer), since=long_ago())
    assert found is not None
    assert found.amount == 202


def test_the_movements_are_all_captures_and_refunds_with_our_keys(localstripe: LocalStripe) -> None:
    customer = localstripe.customer()
    client = localstripe.client()
    one = client.capture("capture:1", wanted(customer, amount=1000))
    client.capture("capture:2", wanted(customer, amount=2000))
    client.refund("refund:1", wanted(amount=300, of=one.external_id))
    localstripe.post(
        "/v1/charges", amount=999, currency="eur", customer=customer
    )  # the operator's own business
    seen = []
    with pytest.raises(Refused) as end:  # localstripe knows no transfers: the look ends there
        seen.extend(client.movements(long_ago()))
    assert end.value.params["operation"] == "transfers"
    moves = iter(client.movements(long_ago()))
    seen = [next(moves) for _ in range(3)]
    assert [(each.key, each.kind, each.amount) for each in seen] == [
        ("capture:1", "capture", 1000),
        ("capture:2", "capture", 2000),
        ("refund:1", "refund", 300),
    ]


def test_a_wrong_key_is_told_by_the_check(localstripe: LocalStripe) -> None:
    client = localstripe.client()
    client._secret_key = "no"
    checked = client.check()
    assert not checked.ok
    assert checked.reason is not None
    assert checked.reason.code == "credentials.refused"


def test_its_signed_event_is_proven_and_says_which_payment_it_means(localstripe: LocalStripe) -> None:
    taken: list[tuple[str, bytes]] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.headers["Stripe-Signature"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        endpoint.timeout = 40
        localstripe.webhook(f"http://127.0.0.1:{endpoint.server_port}/")
        answer = localstripe.client().capture(KEY, wanted(localstripe.customer()))
        until = time.monotonic() + 40
        # It tells a second later, so the events of the tests before may come first.
        while str(answer.external_id) not in str(taken) and time.monotonic() < until:
            endpoint.handle_request()
    header, body = taken[-1]
    notice = translate.notice([WEBHOOK_SECRET], {"stripe-signature": header}, body, datetime.now(UTC))
    assert notice is not None
    assert (notice.kind, notice.key, notice.external_id) == ("payment", KEY, answer.external_id)
    assert notice.delivery_id == json.loads(body)["id"]
