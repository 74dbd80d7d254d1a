"""Stripe's API through the Door: PaymentIntents, refunds, transfers and their reversals, each under an Idempotency-Key.

What may go wrong: an answer gets lost. Stripe repeats the saved answer for the same key, but only for a day, and it saves a 500 as well. So
after Unknown `find` reads back first, by lists (which are up to date at once) and never by the search, which may lag behind:

- a capture: the charges of the customer since the instruction was written (a PaymentIntent without a charge took no money);
- a refund: the refunds of its PaymentIntent;
- a transfer: the transfers with our key as transfer_group;
- a reversal: the reversals of its transfer.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from app import messages as m
from app.errors import Refused, Unauthorised, Unavailable, Unknown
from app.payments.stripe import translate as t

if TYPE_CHECKING:
    from app.outbound import Answer, Door

VERSION: Final = "2026-10-28.endive"  # what the fields here were checked against
PAGE: Final = 100
MOST_PAGES: Final = 1000  # 100,000 payments in one look
TOLD: Final = frozenset({400, 402, 403, 404, 409, 424})  # answers with an error object that says why
CLOCKS_DIFFER: Final = timedelta(minutes=10)

_AGAIN_SOON: Final = frozenset({"lock_timeout", "rate_limit"})  # Stripe did nothing and says so


class StripeClient:
    """The operator's platform account. `settings` as loaded by StripeSettings."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._secret_key: str = settings["secret_key"]

    # --- deeds -----------------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether the key works, and whether real money moves with it. Raises Unavailable only."""
        try:
            balance = self._get("balance", "/v1/balance")
        except Refused as error:
            return m.ConnectionCheck(False, m.Reason(error.code, dict(error.params)), {})
        mode = "live" if balance.get("livemode") is True else "test"
        return m.ConnectionCheck(True, None, {"mode": mode})

    def capture(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Charge the payment method that the retailer has saved with his Stripe customer (`account`, cus_...).

        A refusal of his bank is an answer (FAILED), not an error. Raises Refused where the retailer has no customer or no payment method.
        """
        customer = _required(payment.account, "payment.payer_missing")
        method = self._method_of(customer)
        fields = t.capture_form(key, payment, method)
        answer = self._deed("capture", "/v1/payment_intents", key, fields)
        if isinstance(answer, _Refusal):
            if answer.status == 402:
                return t.failed(key, "capture", payment, answer.error)
            raise answer.as_refused()
        return t.captured(answer, key)

    def refund(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Give back part of a capture out of the platform's balance."""
        _required(payment.of, "payment.of_missing")
        answer = self._deed("refund", "/v1/refunds", key, t.refund_form(key, payment))
        if isinstance(answer, _Refusal):
            raise answer.as_refused()
        return t.refunded(answer, key)

    def payout(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """A transfer to the supplier's connected account (`account`, acct_...); Stripe pays it out to his bank.

        Too little in the platform's balance is FAILED: Stripe never repeats such a transfer, the next payout run makes another.
        """
        _required(payment.account, "payment.payee_missing")
        answer = self._deed("payout", "/v1/transfers", key, t.payout_form(key, payment))
        if isinstance(answer, _Refusal):
            if answer.code == "balance_insufficient":
                return t.failed(key, "payout", payment, answer.error)
            raise answer.as_refused()
        return t.transferred(answer, key)

    def reverse(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Pull part of a transfer back from the supplier's account there; refused when it is empty already."""
        transfer = _required(payment.of, "payment.of_missing")
        path = f"/v1/transfers/{quote(transfer, safe='')}/reversals"
        answer = self._deed("reverse", path, key, t.reverse_form(key, payment))
        if isinstance(answer, _Refusal):
            raise answer.as_refused()
        return t.reversed_(answer, key)

    def _method_of(self, customer: str) -> str:
        """What the retailer chose to pay with. A PaymentIntent does not take it from the customer by itself."""
        found = self._get("customer", f"/v1/customers/{quote(customer, safe='')}")
        method = (found.get("invoice_settings") or {}).get("default_payment_method")
        method = method.get("id") if isinstance(method, dict) else method
        if not isinstance(method, str) or found.get("deleted"):
            raise Refused("payment.payer_missing", partner=t.NAME, account=customer)
        return method

    # --- looking back ----------------------------------------------------------------------------------------------------

    def find(
        self,
        key: str,
        *,
        kind: str | None = None,
        payment: m.PaymentWanted | None = None,
        since: datetime | None = None,
    ) -> m.PaymentAnswer | None:
        """What became of a call with this key, by lists. Raises Unknown when there is more than can be looked through."""
        looks = {
            "capture": self._find_capture,
            "refund": self._find_refund,
            "payout": self._find_payout,
            "reverse": self._find_reversal,
        }
        for each in [kind] if kind else list(looks):
            found = looks[each](key, payment, since)
            if found is not None:
                return found
        return None

    def _find_capture(
        self, key: str, payment: m.PaymentWanted | None, since: datetime | None
    ) -> m.PaymentAnswer | None:
        """A payment that failed first and went through later has several charges: what went through counts."""
        params = [("customer", payment.account)] if payment is not None and payment.account else []
        mine = [answer for answer in self._captures(since, params) if answer.key == key]
        final = [answer for answer in mine if answer.state is not m.PaymentState.FAILED]
        return next(iter(final or mine), None)

    def _find_refund(
        self, key: str, payment: m.PaymentWanted | None, since: datetime | None
    ) -> m.PaymentAnswer | None:
        params = [("payment_intent", payment.of)] if payment is not None and payment.of else []
        pages = self._pages("refunds", "/v1/refunds", params)
        return next((t.refunded(each, key) for each in pages if t.key_of(each) == key), None)

    def _find_payout(self, key: str, *_: Any) -> m.PaymentAnswer | None:
        pages = self._pages("transfers", "/v1/transfers", [("transfer_group", key)])
        return next((t.transferred(each, key) for each in pages if t.key_of(each) == key), None)

    def _find_reversal(
        self, key: str, payment: m.PaymentWanted | None, since: datetime | None
    ) -> m.PaymentAnswer | None:
        if payment is None or not payment.of:
            found = (answer for answer in self._reversals(since) if answer.key == key)
            return next(found, None)
        path = f"/v1/transfers/{quote(payment.of, safe='')}/reversals"
        pages = self._pages("reversals", path, [])
        return next((t.reversed_(each, key) for each in pages if t.key_of(each) == key), None)

    def movements(self, since: datetime) -> Iterable[m.PaymentAnswer]:
        """Everything with our key that Stripe has booked since then, page by page: captures, refunds, transfers, reversals."""
        yield from self._captures(since, [])
        for each in self._pages("refunds", "/v1/refunds", [], until=since):
            if (key := t.key_of(each)) is not None:
                yield t.refunded(each, key)
        for each in self._pages("transfers", "/v1/transfers", [], until=since):
            if (key := t.key_of(each)) is not None:
                yield t.transferred(each, key)
        yield from self._reversals(since)

    def _captures(self, since: datetime | None, params: list[tuple[str, str]]) -> Iterator[m.PaymentAnswer]:
        """Charges carry a copy of their PaymentIntent's metadata; where one does not, the intent is asked."""
        if since is not None:
            begin = int((since - CLOCKS_DIFFER).timestamp())
            params = [*params, ("created[gt]", str(begin))]
        for charge in self._pages("charges", "/v1/charges", params):
            key, intent = t.key_of(charge), t.intent_id(charge)
            if key is None and intent is not None:
                key = t.key_of(self._get("payment_intent", f"/v1/payment_intents/{quote(intent, safe='')}"))
            if key is not None:
                yield t.charged(charge, key)

    def _reversals(self, since: datetime | None) -> Iterator[m.PaymentAnswer]:
        """Reversals have no list of their own, but each is a line of the platform's balance."""
        params = [("type", "transfer_refund"), ("expand[]", "data.source")]
        for line in self._pages("reversals", "/v1/balance_transactions", params, until=since):
            source = line.get("source")
            if isinstance(source, dict) and (key := t.key_of(source)) is not None:
                yield t.reversed_(source, key)

    # --- speaking ----------------------------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._secret_key}",
            "Stripe-Version": VERSION,
            "Accept": "application/json",
        }

    def _deed(self, operation: str, path: str, key: str, fields: Mapping[str, Any]) -> t.Json | _Refusal:
        """One POST. A repeat with the same key has no second effect for at least 24 hours."""
        headers = {
            **self._headers(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": t.idempotency_key(key),
        }
        answer = self._door.call(
            operation, "POST", path, headers=headers, body=t.form(fields), deed=True, expect=TOLD
        )
        data = _object(answer)
        if answer.status not in TOLD:
            if data is None:
                raise Unknown("outcome.unknown", operation=operation, why="not_json")
            return data
        refusal = _Refusal.of(operation, answer.status, data)
        refusal.raise_if_open()
        return refusal

    def _get(self, operation: str, path: str, params: list[tuple[str, str]] | None = None) -> t.Json:
        """The JSON object of a read. Raises Refused with Stripe's words, Unavailable for anything that is no JSON."""
        answer = self._door.call(
            operation, "GET", path, params=params or [], headers=self._headers(), expect=TOLD
        )
        data = _object(answer)
        if answer.status in TOLD:
            raise _Refusal.of(operation, answer.status, data).as_refused()
        if data is None:
            raise Unavailable("partner.unreadable", operation=operation, partner=t.NAME)
        return data

    def _pages(
        self, operation: str, path: str, params: list[tuple[str, str]], until: datetime | None = None
    ) -> Iterator[t.Json]:
        """All rows of a list, newest first as Stripe sorts them; `until` ends it at the first row that is older."""
        oldest = None if until is None else until - CLOCKS_DIFFER
        asked = [*params, ("limit", str(PAGE))]
        after: list[tuple[str, str]] = []
        for page in itertools.count(1):
            # Whoever looks for a key must not read the end of our patience as "it is not there".
            if page > MOST_PAGES:
                raise Unknown("payment.too_much_to_look_through", operation=operation, partner=t.NAME)
            body = self._get(operation, path, [*asked, *after])
            rows = [row for row in body.get("data") or [] if isinstance(row, dict)]
            for row in rows:
                made = t.moment(row)
                if oldest is not None and made is not None and made < oldest:
                    return
                yield row
            if not body.get("has_more") or not rows:
                return
            after = [("starting_after", str(rows[-1].get("id")))]


class _Refusal:
    """A 4xx of Stripe with the error object that came with it."""

    def __init__(self, operation: str, status: int, error: t.Json) -> None:
        self.operation, self.status, self.error = operation, status, error
        self.code = str(error.get("code") or "")

    @classmethod
    def of(cls, operation: str, status: int, data: t.Json | None) -> _Refusal:
        error = (data or {}).get("error")
        return cls(operation, status, error if isinstance(error, dict) else {})

    def raise_if_open(self) -> None:
        """Some 4xx do not say that nothing happened: the key is in use, or it was used for something else."""
        if self.code in _AGAIN_SOON:
            raise Unavailable("partner.unavailable", operation=self.operation, partner=t.NAME)
        if self.status == 409 or self.error.get("type") == "idempotency_error":
            raise Unknown("outcome.unknown", operation=self.operation, status=self.status, why=self.code)

    def as_refused(self) -> Refused | Unavailable:
        params: dict[str, Any] = {
            "operation": self.operation,
            "status": self.status,
            "partner": t.NAME,
            "message": self.error.get("message"),
            "word": self.code or None,
        }
        if self.code in _AGAIN_SOON:
            return Unavailable("partner.unavailable", **params)
        if self.code in {"api_key_expired", "platform_api_key_expired"}:
            return Unauthorised("credentials.refused", **params)
        if self.code == "balance_insufficient":
            return Refused("payment.balance_insufficient", **params)
        return Refused("payment.refused", **params)


def _object(answer: Answer) -> t.Json | None:
    """The JSON object of an answer; None when it is none. Stripe's numbers are all whole."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _required(value: str | None, code: str) -> str:
    """Raises Refused(code) when somebody has to enter it first."""
    if not value:
        raise Refused(code, partner=t.NAME)
    return value
