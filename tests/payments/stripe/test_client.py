"""What localstripe does not have, told by doors: transfers, reversals, idempotency, refusals and lost answers.

The answers here follow Stripe's documentation; nobody has held them against Stripe itself. That the names of all fields are ones that Stripe's own
library knows is checked at the end.
"""

from __future__ import annotations

import importlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.payments.stripe import translate
from app.payments.stripe.client import VERSION, StripeClient
from tests.marketplaces.doors import ScriptedDoor, answer

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
CREATED = int(NOW.timestamp())
TRADE = "dropshipping:7f3a:1042"
PAYOUT = m.PaymentWanted(4711, "EUR", "payout:3:2026-11-21", "acct_annas_teeladen", None)
REVERSE = m.PaymentWanted(500, "EUR", "reverse:1", None, "tr_1")
CAPTURE = m.PaymentWanted(1790, "EUR", TRADE, "cus_boldt", None)
REFUND = m.PaymentWanted(500, "EUR", TRADE, None, "pi_1")
CUSTOMER = {"id": "cus_boldt", "invoice_settings": {"default_payment_method": "pm_1"}}

DEEDS = {
    "capture": ("/v1/payment_intents", CAPTURE),
    "refund": ("/v1/refunds", REFUND),
    "payout": ("/v1/transfers", PAYOUT),
    "reverse": ("/v1/transfers/tr_1/reversals", REVERSE),
}


def client(door: ScriptedDoor) -> StripeClient:
    return StripeClient(door, {"secret_key": "sk_test_1"})  # type: ignore[arg-type]


def door(path: str, reply: Any) -> ScriptedDoor:
    made = ScriptedDoor().on("GET", "/v1/customers/.*", answer(200, CUSTOMER))
    return made.on("POST", re.escape(path), reply)


def thing(thing_id: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    metadata = {} if key is None else {translate.KEY: key}
    return {
        "id": thing_id,
        "amount": 500,
        "currency": "eur",
        "created": CREATED,
        "metadata": metadata,
        **more,
    }


def page(*rows: dict[str, Any], more: bool = False) -> Any:
    return answer(200, {"object": "list", "data": list(rows), "has_more": more})


def error(status: int, code: str, **more: Any) -> Any:
    return answer(status, {"error": {"type": "invalid_request_error", "code": code, "message": "no", **more}})


def sent(door: ScriptedDoor) -> dict[str, str]:
    return dict(parse_qsl(door.sent[-1].body.decode()))


# --- deeds -----------------------------------------------------------------------------------------------------------


def test_a_payout_is_a_transfer_to_the_suppliers_account() -> None:
    wire = door("/v1/transfers", answer(200, thing("tr_1", amount=4711)))
    said = client(wire).payout("payout:3:2026-11-21", PAYOUT)
    assert (said.kind, said.state, said.amount, said.external_id) == (
        "payout",
        m.PaymentState.DONE,
        4711,
        "tr_1",
    )
    assert sent(wire) == {
        "amount": "4711",
        "currency": "eur",
        "destination": "acct_annas_teeladen",
        "transfer_group": "payout:3:2026-11-21",
        "description": "payout:3:2026-11-21",
        "metadata[shopbridge_key]": "payout:3:2026-11-21",
    }


def test_a_reversal_takes_part_of_its_transfer_back() -> None:
    wire = door("/v1/transfers/tr_1/reversals", answer(200, thing("trr_1")))
    said = client(wire).reverse("reverse:1", REVERSE)
    assert (said.kind, said.state, said.amount, said.external_id) == (
        "reverse",
        m.PaymentState.DONE,
        500,
        "trr_1",
    )
    assert sent(wire) == {"amount": "500", "metadata[shopbridge_key]": "reverse:1"}


@pytest.mark.parametrize("verb", DEEDS)
def test_every_deed_is_signed_versioned_form_encoded_and_carries_its_key(verb: str) -> None:
    path, wanted = DEEDS[verb]
    wire = door(path, answer(200, thing("x_1", amount=wanted.amount, status="succeeded")))
    getattr(client(wire), verb)("our:key", wanted)
    call = wire.sent[-1]
    assert call.deed
    assert call.headers["Idempotency-Key"] == "our:key"
    assert call.headers["Authorization"] == "Bearer sk_test_1"
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert call.headers["Stripe-Version"] == VERSION


@pytest.mark.parametrize("key", ["k" * 300, "Bücher", "line\nbreak"])
def test_a_key_that_is_no_header_becomes_its_digest(key: str) -> None:
    wire = door("/v1/transfers", answer(200, thing("tr_1", amount=4711)))
    client(wire).payout(key, PAYOUT)
    assert re.fullmatch(r"[0-9a-f]{64}", wire.sent[-1].headers["Idempotency-Key"])
    assert sent(wire)["metadata[shopbridge_key]"] == key


@pytest.mark.parametrize("verb", DEEDS)
@pytest.mark.parametrize(
    "said",
    [
        answer(500, {"error": {"type": "api_error"}}),
        error(409, "idempotency_key_in_use"),
        answer(400, {"error": {"type": "idempotency_error", "message": "other parameters"}}),
        answer(200, b"<html>"),
        Unknown("outcome.unknown"),
    ],
    ids=["500", "key in use", "key used for something else", "no json", "lost"],
)
def test_a_deed_of_which_nobody_knows_what_became_is_unknown(verb: str, said: Any) -> None:
    path, wanted = DEEDS[verb]
    with pytest.raises(Unknown):
        getattr(client(door(path, said)), verb)("our:key", wanted)


@pytest.mark.parametrize("verb", DEEDS)
def test_a_deed_whose_answer_has_no_amount_is_invalid_and_not_taken_for_done(verb: str) -> None:
    path, wanted = DEEDS[verb]
    with pytest.raises(Invalid) as wrong:
        getattr(client(door(path, answer(200, {"id": "x_1", "currency": "eur"}))), verb)("our:key", wanted)
    assert wrong.value.params["field"] == "amount"


@pytest.mark.parametrize("verb", DEEDS)
def test_a_lock_of_stripes_is_only_not_now(verb: str) -> None:
    path, wanted = DEEDS[verb]
    with pytest.raises(Unavailable):
        getattr(client(door(path, error(400, "lock_timeout"))), verb)("our:key", wanted)


@pytest.mark.parametrize("verb", ["refund", "reverse", "payout"])
def test_a_refusal_waits_for_a_person_and_says_why(verb: str) -> None:
    path, wanted = DEEDS[verb]
    with pytest.raises(Refused) as refused:
        getattr(client(door(path, error(400, "charge_already_refunded"))), verb)("our:key", wanted)
    assert refused.value.code == "payment.refused"
    assert (refused.value.params["message"], refused.value.params["word"]) == (
        "no",
        "charge_already_refunded",
    )


def test_a_transfer_without_enough_balance_has_failed_because_stripe_never_repeats_it() -> None:
    said = client(door("/v1/transfers", error(400, "balance_insufficient"))).payout("payout:1", PAYOUT)
    assert said.state is m.PaymentState.FAILED
    assert said.reason is not None
    assert said.reason.code == "payment.balance_insufficient"
    assert (said.amount, said.currency) == (4711, "EUR")


def test_a_card_that_wants_its_owner_is_a_failure_that_says_so() -> None:
    begun = {"id": "pi_9", "status": "requires_payment_method"}
    wire = door("/v1/payment_intents", error(402, "authentication_required", payment_intent=begun))
    said = client(wire).capture("capture:1", CAPTURE)
    assert (said.state, said.external_id) == (m.PaymentState.FAILED, "pi_9")
    assert said.reason is not None
    assert said.reason.code == "payment.needs_payer"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", m.PaymentState.DONE),
        ("processing", m.PaymentState.PENDING),
        ("requires_payment_method", m.PaymentState.FAILED),
        ("canceled", m.PaymentState.FAILED),
        ("a_word_of_next_year", m.PaymentState.PENDING),
    ],
)
def test_the_status_of_an_intent_is_read_and_a_new_word_is_not_final(
    status: str, state: m.PaymentState
) -> None:
    wire = door("/v1/payment_intents", answer(200, thing("pi_1", amount=1790, status=status)))
    assert client(wire).capture("capture:1", CAPTURE).state is state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", m.PaymentState.DONE),
        ("pending", m.PaymentState.PENDING),
        ("requires_action", m.PaymentState.PENDING),
        ("failed", m.PaymentState.FAILED),
        ("canceled", m.PaymentState.FAILED),
        (None, m.PaymentState.PENDING),
    ],
)
def test_the_status_of_a_refund_is_read(status: str | None, state: m.PaymentState) -> None:
    wire = door("/v1/refunds", answer(200, thing("re_1", status=status)))
    assert client(wire).refund("refund:1", REFUND).state is state


@pytest.mark.parametrize(
    ("verb", "wanted", "code"),
    [
        ("capture", m.PaymentWanted(1, "EUR", "x", None, None), "payment.payer_missing"),
        ("payout", m.PaymentWanted(1, "EUR", "x", None, None), "payment.payee_missing"),
        ("refund", m.PaymentWanted(1, "EUR", "x", None, None), "payment.of_missing"),
        ("reverse", m.PaymentWanted(1, "EUR", "x", None, None), "payment.of_missing"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_sent(
    verb: str, wanted: m.PaymentWanted, code: str
) -> None:
    wire = ScriptedDoor()
    with pytest.raises(Refused) as refused:
        getattr(client(wire), verb)("our:key", wanted)
    assert refused.value.code == code
    assert wire.sent == []


def test_a_customer_who_was_deleted_pays_nothing() -> None:
    wire = ScriptedDoor().on("GET", "/v1/customers/.*", answer(200, {**CUSTOMER, "deleted": True}))
    with pytest.raises(Refused) as refused:
        client(wire).capture("capture:1", CAPTURE)
    assert refused.value.code == "payment.payer_missing"


def test_an_id_in_a_path_cannot_lead_to_another_operation() -> None:
    wire = ScriptedDoor().on("POST", ".*", answer(200, thing("trr_1")))
    client(wire).reverse("k", m.PaymentWanted(500, "EUR", "x", None, "tr_1/../../v1/payouts"))
    assert wire.sent[-1].path == "/v1/transfers/tr_1%2F..%2F..%2Fv1%2Fpayouts/reversals"


# --- looking back ----------------------------------------------------------------------------------------------------


def test_a_transfer_is_found_by_its_group() -> None:
    rows = page(thing("tr_0", "another"), thing("tr_1", "payout:1", amount=4711))
    wire = ScriptedDoor().on("GET", "/v1/transfers", rows)
    found = client(wire).find("payout:1", kind="payout", payment=PAYOUT, since=NOW)
    assert found is not None
    assert (found.external_id, found.amount, found.state) == ("tr_1", 4711, m.PaymentState.DONE)
    assert ("transfer_group", "payout:1") in wire.sent[-1].params


def test_a_reversal_is_found_at_its_transfer() -> None:
    wire = ScriptedDoor().on("GET", "/v1/transfers/tr_1/reversals", page(thing("trr_1", "reverse:1")))
    found = client(wire).find("reverse:1", kind="reverse", payment=REVERSE, since=NOW)
    assert found is not None
    assert (found.external_id, found.kind) == ("trr_1", "reverse")


def test_a_charge_that_went_through_counts_more_than_the_one_that_failed_before_it() -> None:
    rows = page(
        thing("ch_2", "capture:1", status="failed", payment_intent="pi_1"),
        thing("ch_1", "capture:1", status="succeeded", payment_intent="pi_1"),
    )
    wire = ScriptedDoor().on("GET", "/v1/charges", rows)
    found = client(wire).find("capture:1", kind="capture", payment=CAPTURE, since=NOW)
    assert found is not None
    assert (found.state, found.external_id) == (m.PaymentState.DONE, "pi_1")
    assert ("customer", "cus_boldt") in wire.sent[-1].params
    assert ("created[gt]", str(CREATED - 600)) in wire.sent[-1].params


def test_without_a_kind_everything_is_looked_through() -> None:
    wire = ScriptedDoor().on("GET", "/v1/.*", page())
    assert client(wire).find("our:key") is None
    assert [call.path for call in wire.sent] == [
        "/v1/charges",
        "/v1/refunds",
        "/v1/transfers",
        "/v1/balance_transactions",
    ]


def test_pages_are_followed_to_their_end() -> None:
    pages = [page(thing("re_3", "a"), thing("re_2", "b"), more=True), page(thing("re_1", "refund:1"))]
    wire = ScriptedDoor().on("GET", "/v1/refunds", pages)
    found = client(wire).find("refund:1", kind="refund", payment=REFUND, since=NOW)
    assert found is not None
    assert ("starting_after", "re_2") in wire.sent[-1].params


def test_the_end_of_our_patience_is_not_the_end_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.payments.stripe.client.MOST_PAGES", 2)
    wire = ScriptedDoor().on("GET", "/v1/refunds", page(thing("re_1", "a"), more=True))
    with pytest.raises(Unknown) as unsure:
        client(wire).find("refund:1", kind="refund", payment=REFUND, since=NOW)
    assert unsure.value.code == "payment.too_much_to_look_through"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(500), Unavailable),
        (answer(401), Unauthorised),
        (answer(429), Unavailable),
        (answer(403, {"error": {}}), Refused),
        (answer(200, b"<html>"), Unavailable),
    ],
)
def test_a_look_that_fails_never_says_that_nothing_is_there(reply: Any, kind: type[ShopbridgeError]) -> None:
    wire = ScriptedDoor().on("GET", "/v1/.*", reply)
    with pytest.raises(kind):
        client(wire).find("our:key", kind="payout", payment=PAYOUT, since=NOW)


def test_the_movements_are_four_lists_that_end_where_they_get_too_old() -> None:
    old = CREATED - 7200
    reversal = {**thing("txn_1"), "source": thing("trr_1", "reverse:1")}
    wire = (
        ScriptedDoor()
        .on("GET", "/v1/charges", page(thing("ch_1", "capture:1", status="succeeded", payment_intent="pi_1")))
        .on(
            "GET",
            "/v1/refunds",
            page(
                thing("re_1", "refund:1", status="succeeded"),
                thing("re_0", "refund:0", created=old),
                more=True,
            ),
        )
        .on("GET", "/v1/transfers", page(thing("tr_1", "payout:1"), thing("tr_0", "payout:0", created=old)))
        .on("GET", "/v1/balance_transactions", page(reversal, {**thing("txn_2"), "source": "trr_2"}))
    )
    seen = list(client(wire).movements(NOW - timedelta(hours=1)))
    assert [(each.key, each.kind, each.external_id) for each in seen] == [
        ("capture:1", "capture", "pi_1"),
        ("refund:1", "refund", "re_1"),
        ("payout:1", "payout", "tr_1"),
        ("reverse:1", "reverse", "trr_1"),
    ]


def test_a_disputed_charge_is_still_the_whole_capture() -> None:
    """Stripe takes the money of a dispute with a line of its own; the charge keeps its amount and its status."""
    more = {"status": "succeeded", "payment_intent": "pi_1", "disputed": True, "dispute": "du_1"}
    plain = thing("ch_1", "capture:1", status="succeeded", payment_intent="pi_1")
    seen = []
    for charge in (thing("ch_1", "capture:1", **more), plain):
        wire = ScriptedDoor().on("GET", "/v1/charges", page(charge)).on("GET", "/v1/.*", page())
        seen += list(client(wire).movements(NOW - timedelta(hours=1)))
    assert seen[0] == seen[1]
    assert (seen[0].amount, seen[0].state) == (500, m.PaymentState.DONE)


def test_a_charge_without_its_own_metadata_is_read_by_its_intent() -> None:
    intent = thing("pi_1", "capture:1", status="succeeded")
    wire = (
        ScriptedDoor()
        .on("GET", "/v1/charges", page(thing("ch_1", status="succeeded", payment_intent="pi_1")))
        .on("GET", "/v1/payment_intents/pi_1", answer(200, intent))
    )
    found = client(wire).find("capture:1", kind="capture", payment=CAPTURE, since=NOW)
    assert found is not None
    assert found.key == "capture:1"


def test_the_check_says_when_real_money_moves() -> None:
    wire = ScriptedDoor().on("GET", "/v1/balance", answer(200, {"livemode": True}))
    assert client(wire).check().facts == {"mode": "live"}


# --- the names ----------------------------------------------------------------------------------------------------------


def known_by_stripe(params: str) -> set[str]:
    """The parameters that Stripe's own library (made from its OpenAPI file) has for a call."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in params).lstrip("_")
    module = importlib.import_module(f"stripe.params.{'_' + words}")
    return set(getattr(module, params).__annotations__)


@pytest.mark.parametrize(
    ("params", "ours"),
    [
        ("PaymentIntentCreateParams", translate.capture_form("k", CAPTURE, "pm_1")),
        ("RefundCreateParams", translate.refund_form("k", REFUND)),
        ("TransferCreateParams", translate.payout_form("k", PAYOUT)),
        ("TransferCreateReversalParams", translate.reverse_form("k", REVERSE)),
        ("ChargeListParams", {"customer": "", "created": "", "limit": "", "starting_after": ""}),
        ("RefundListParams", {"payment_intent": "", "limit": "", "starting_after": ""}),
        ("TransferListParams", {"transfer_group": "", "limit": "", "starting_after": ""}),
        ("BalanceTransactionListParams", {"type": "", "expand": "", "limit": "", "starting_after": ""}),
    ],
)
def test_stripes_own_library_knows_every_field_we_send(params: str, ours: dict[str, Any]) -> None:
    assert set(ours) - known_by_stripe(params) == set()


def test_the_form_is_encoded_as_stripes_own_library_encodes_it() -> None:
    from stripe._encode import _api_encode

    fields = {"amount": 5, "metadata": {"a b": "ü&="}, "types": ["card", "sepa_debit"], "confirm": True}
    theirs = [(name, str(value)) for name, value in _api_encode(fields)]
    assert parse_qsl(translate.form(fields).decode()) == theirs


def test_every_answer_can_be_kept_as_json() -> None:
    said = client(
        door("/v1/refunds", answer(200, thing("re_1", status="failed", failure_reason="lost")))
    ).refund("refund:1", REFUND)
    assert said.reason is not None
    assert json.loads(json.dumps(said.reason.params)) == said.reason.params
