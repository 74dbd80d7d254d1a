"""The simulated provider over HTTP: one POST for each deed, a read by key, and its books in pages.

What may go wrong is what it is there for: an answer that gets lost after the money has moved is Unknown, and `find` tells the truth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from app import messages as m
from app.errors import Invalid, Refused, Unavailable, Unknown
from app.payments.simulated import translate as t

if TYPE_CHECKING:
    from app.outbound import Door

PAGE: Final = 100
TOLD: Final = frozenset({400, 403, 404, 409, 422})


class SimulatedClient:
    """One account at the sandbox's provider."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._headers = {"Authorization": f"Bearer {settings['api_key']}"}

    def check(self) -> m.ConnectionCheck:
        """Whether the key works."""
        try:
            self._read("balance", "/v1/balance")
        except Refused as error:
            return m.ConnectionCheck(False, m.Reason(error.code, dict(error.params)), {})
        return m.ConnectionCheck(True, None, {"mode": "simulated"})

    def capture(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Take the retailer's money."""
        return self._deed("capture", key, payment)

    def refund(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Give back part of a capture."""
        return self._deed("refund", key, payment)

    def payout(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Pay a supplier."""
        return self._deed("payout", key, payment)

    def reverse(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Take back part of a payout."""
        return self._deed("reverse", key, payment)

    def find(
        self,
        key: str,
        *,
        kind: str | None = None,
        payment: m.PaymentWanted | None = None,
        since: datetime | None = None,
    ) -> m.PaymentAnswer | None:
        """By our key; None when it was never seen."""
        found = self._read("find", f"/v1/payments/{quote(key, safe='')}", missing=True)
        return None if found is None else t.answer(found)

    def movements(self, since: datetime) -> Iterable[m.PaymentAnswer]:
        """The books since then, oldest first."""
        after = 0
        while True:
            params = [
                ("since", since.astimezone(UTC).isoformat()),
                ("after", str(after)),
                ("limit", str(PAGE)),
            ]
            page = self._read("movements", "/v1/payments", params)
            for row in page["data"]:
                yield t.answer(row)
            if page["next"] is None:
                return
            after = int(page["next"])

    def _deed(self, kind: str, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        body = json.dumps(t.wanted(payment), separators=(",", ":")).encode()
        headers = {**self._headers, "Content-Type": "application/json", "Idempotency-Key": key}
        answer = self._door.call(
            kind, "POST", f"/v1/{kind}s", headers=headers, body=body, deed=True, expect=TOLD
        )
        if answer.status in TOLD:
            raise _refusal(kind, answer.status, answer.body)
        try:
            return t.answer(_json(answer.body))
        except Invalid:
            # It took the deed; only what it says about it cannot be read.
            raise Unknown("outcome.unknown", operation=kind, why="not_json") from None

    def _read(
        self,
        operation: str,
        path: str,
        params: list[tuple[str, str]] | None = None,
        *,
        missing: bool = False,
    ) -> Any:
        answer = self._door.call(
            operation, "GET", path, params=params or [], headers=self._headers, expect=TOLD
        )
        if missing and answer.status == 404:
            return None
        if answer.status in TOLD:
            raise _refusal(operation, answer.status, answer.body)
        try:
            return _json(answer.body)
        except Invalid:
            raise Unavailable("partner.unreadable", operation=operation, partner=t.NAME) from None


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Invalid("answer.not_json", field="body", partner=t.NAME) from None


def _refusal(operation: str, status: int, raw: bytes) -> Refused:
    try:
        message = json.loads(raw)["error"]
    except (ValueError, KeyError, TypeError):
        message = None
    return Refused("payment.refused", operation=operation, status=status, partner=t.NAME, message=message)
