"""A simulated payment provider over real HTTP: captures, refunds, payouts and reversals in books that never lose a cent.

Its faults are ordered under /_control: those of every simulator (lost answers, errors), and its own (final only later, refused, payouts that
fail afterwards, messages told twice). What may go wrong on purpose: the same key with another amount is refused, never booked.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, Response, jsonify, request

from app.payments.simulated import translate
from app.sandbox import faults as fault_orders
from app.sandbox.shop_outbox import NoAnswer, send

API_KEY: Final = "sim_key"  # of the sandbox; there is nothing to protect
WEBHOOK_SECRET: Final = "sim_webhook_secret"  # noqa: S105 - as above.
KINDS: Final = ("capture", "refund", "payout", "reverse")
_IN: Final = {"capture", "reverse"}  # these make the balance larger


class Refusal(Exception):
    """The provider says no; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Booking:
    """One payment. `state` pending | done | failed. `at` ISO 8601 in UTC; amounts in minor units."""

    number: int
    id: str
    key: str
    kind: str
    amount: int
    currency: str
    about: str
    account: str | None
    of: str | None
    state: str
    at: str
    why: str | None = None
    asked: int = 1  # how often the instruction came


@dataclass
class Conduct:
    """How the provider behaves. Each list names kinds: final only later, refused at once, failed afterwards (they are late, too)."""

    late: list[str] = field(default_factory=list)
    refusing: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    duplicate_notices: bool = False
    own_money: int = (
        0  # what the operator keeps in the account himself: refunds after a payout come out of it
    )


class Books:
    """Everything the provider knows, in memory. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.conduct = Conduct()
        self.payments: dict[str, Booking] = {}  # by key
        self.disputes: dict[str, dict[str, Any]] = {}
        self.notices: list[dict[str, Any]] = []
        self.webhook_url: str | None = None
        self.webhook_secret = WEBHOOK_SECRET

    # --- deeds --------------------------------------------------------------------------------------------------

    def book(self, kind: str, key: str, asked: Mapping[str, Any]) -> Booking:
        """One instruction; the same key again answers what became of the first. Raises Refusal."""
        with self._lock:
            known = self.payments.get(key)
            if known is not None:
                return _repeated(known, kind, asked)
            amount, currency = asked.get("amount"), asked.get("currency")
            if type(amount) is not int or amount <= 0 or not isinstance(currency, str):
                raise Refusal(422, "amount and currency are needed")
            self._allow(kind, amount, asked.get("of"))
            made = self._new(kind, key, amount, currency, asked)
            self.payments[key] = made
            if made.state != "pending":
                self._tell("payment", made)
            return made

    def _new(self, kind: str, key: str, amount: int, currency: str, asked: Mapping[str, Any]) -> Booking:
        number = len(self.payments) + 1
        state, why = "done", None
        if kind in self.conduct.refusing:
            state, why = "failed", "declined by the bank"
        elif kind in (*self.conduct.late, *self.conduct.failing):
            state = "pending"
        elif kind in {"refund", "payout"} and amount > self.balance():
            state, why = "failed", "the balance is too low"
        return Booking(
            number, f"sim_{kind}_{number}", key, kind, amount, currency, str(asked.get("about") or ""),
            asked.get("account"), asked.get("of"), state, _now(), why,
        )  # fmt: skip

    def _allow(self, kind: str, amount: int, of: Any) -> None:
        """A refund never exceeds its capture, a reversal never its payout."""
        wanted = {"refund": "capture", "reverse": "payout"}.get(kind)
        if wanted is None:
            return
        first = next((each for each in self.payments.values() if each.id == of), None)
        if first is None or first.kind != wanted:
            raise Refusal(404, f"there is no {wanted} {of}")
        taken = [each for each in self.payments.values() if each.of == of and each.state != "failed"]
        if sum(each.amount for each in taken) + amount > first.amount:
            raise Refusal(422, f"more than is left of {of}")

    def settle(self, key: str | None = None, state: str | None = None) -> list[Booking]:
        """Make pending payments final: one, or all; as told, or as `conduct.failing` says."""
        with self._lock:
            open_ones = [
                each for each in self.payments.values() if each.state == "pending" and key in {None, each.key}
            ]
            for each in open_ones:
                each.state = state or ("failed" if each.kind in self.conduct.failing else "done")
                each.why = "the bank sent it back" if each.state == "failed" else None
                self._tell("payment", each)
            return open_ones

    def balance(self) -> int:
        """What is in the account, in minor units. Money on its way out is gone already."""
        with self._lock:
            total = self.conduct.own_money
            for each in self.payments.values():
                if each.kind in _IN:
                    total += each.amount if each.state == "done" else 0
                else:
                    total -= each.amount if each.state != "failed" else 0
            return total - sum(
                int(each["amount"]) for each in self.disputes.values() if each["state"] != "won"
            )

    # --- disputes -----------------------------------------------------------------------------------------------

    def dispute(self, key: str, amount: int | None = None) -> dict[str, Any]:
        """A retailer has his bank take a capture back."""
        with self._lock:
            paid = self.payments[key]
            number = len(self.disputes) + 1
            made: dict[str, Any] = {"id": f"sim_dispute_{number}", "key": key, "state": "open"}
            made["amount"] = amount or paid.amount
            self.disputes[made["id"]] = made
            self._tell("dispute", paid, made)
            return made

    def close_dispute(self, dispute_id: str, *, won: bool) -> dict[str, Any]:
        """The bank has decided; `won` is seen from the operator's side."""
        with self._lock:
            made = self.disputes[dispute_id]
            made["state"] = "won" if won else "lost"
            self._tell(f"dispute_{made['state']}", self.payments[made["key"]], made)
            return made

    # --- telling ------------------------------------------------------------------------------------------------

    def _tell(self, kind: str, about: Booking, dispute: Mapping[str, Any] | None = None) -> None:
        notice: dict[str, Any] = {
            "id": f"sim_evt_{len(self.notices) + 1}",
            "type": kind,
            "at": _now(),
            "payment": {"id": about.id, "key": about.key},
        }
        if dispute is not None:
            notice |= {"amount": dispute["amount"], "currency": about.currency, "dispute": dispute["id"]}
        self.notices.append({"body": notice, "answers": [], "told": False})

    def deliver_due(self) -> int:
        """Send every message that was not taken yet; answers how many were tried."""
        with self._lock:
            url, due = self.webhook_url, [each for each in self.notices if not each["told"]]
        if url is None:
            return 0
        for notice in due:
            for _ in range(2 if self.conduct.duplicate_notices else 1):
                status = self.deliver(url, notice["body"])
                notice["answers"].append(status)
                notice["told"] = notice["told"] or (status is not None and 200 <= status < 300)
        return len(due)

    def deliver(self, url: str, body: Mapping[str, Any], *, at: float | None = None) -> int | None:
        """One signed message; the status of the answer, None when there was none. `at`: the time in the signature."""
        raw = json.dumps(body, separators=(",", ":")).encode()
        stamp = str(int(time.time() if at is None else at))
        signed = f"t={stamp},v1={translate.signature(self.webhook_secret, stamp, raw)}"
        try:
            return send("POST", url, raw, {"Simulated-Signature": signed})[0]
        except NoAnswer:
            return None

    # --- books --------------------------------------------------------------------------------------------------

    def listed(self, since: datetime, after: int, limit: int) -> tuple[list[Booking], int | None]:
        """A page of the books: (rows, where the next begins)."""
        with self._lock:
            rows = [
                each
                for each in sorted(self.payments.values(), key=lambda each: each.number)
                if each.number > after and datetime.fromisoformat(each.at) >= since
            ]
        return rows[:limit], (rows[limit - 1].number if len(rows) > limit else None)

    def moved(self) -> dict[str, int]:
        """What was really moved, by kind: the figure that must never be doubled."""
        with self._lock:
            done = [each for each in self.payments.values() if each.state == "done"]
            return {kind: sum(each.amount for each in done if each.kind == kind) for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Everything, for tests and the demo."""
        with self._lock:
            return {
                "payments": [asdict(each) for each in self.payments.values()],
                "disputes": list(self.disputes.values()),
                "balance": self.balance(),
                "moved": self.moved(),
                "notices": self.notices,
            }


def _repeated(known: Booking, kind: str, asked: Mapping[str, Any]) -> Booking:
    same = (known.kind, known.amount, known.currency) == (kind, asked.get("amount"), asked.get("currency"))
    if not same:
        raise Refusal(409, f"{known.key} was used for another instruction")
    known.asked += 1
    return known


def _now() -> str:
    return datetime.now(UTC).isoformat()


# --- over HTTP ----------------------------------------------------------------------------------------------------


def create_app(*, api_key: str = API_KEY, seed: int = 0, deliver: bool = True) -> Flask:
    """The provider as a WSGI application; `app.extensions["payments"]` is its state. `deliver` False: tests call deliver_due."""
    app = Flask("shopbridge-sandbox-payments")
    app.extensions["payments"] = books = Books()
    app.extensions["faults"] = orders = fault_orders.Faults(seed)
    fault_orders.install(app, orders, lambda status: {"error": f"status {status}"})
    app.register_error_handler(Refusal, lambda no: ({"error": no.message}, no.status))
    _api(app, books, hashlib.sha256(f"Bearer {api_key}".encode()).digest(), deliver=deliver)
    _control(app, books, deliver=deliver)
    return app


def _api(app: Flask, books: Books, key_digest: bytes, *, deliver: bool) -> None:
    def guard() -> Response | None:
        given = hashlib.sha256(request.headers.get("Authorization", "").encode()).digest()
        if request.path.startswith("/v1/") and given != key_digest:
            answer = jsonify(error="the key is wrong")
            answer.status_code = 401
            return answer
        return None

    def book(kind: str) -> Any:
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise Refusal(400, "Idempotency-Key is missing")
        made = books.book(kind, key, request.get_json(silent=True) or {})
        if deliver:
            _deliver_soon(books)
        return asdict(made)

    def find(key: str) -> Any:
        if key not in books.payments:
            raise Refusal(404, "never seen")
        return asdict(books.payments[key])

    def listed() -> Any:
        since = datetime.fromisoformat(request.args.get("since", "2000-01-01T00:00:00+00:00"))
        rows, following = books.listed(
            since, int(request.args.get("after", "0")), int(request.args.get("limit", "100"))
        )
        return {"data": [asdict(each) for each in rows], "next": following}

    app.before_request(guard)
    for kind in KINDS:
        app.add_url_rule(f"/v1/{kind}s", kind, book, methods=["POST"], defaults={"kind": kind})
    app.add_url_rule("/v1/payments", "payments", listed)
    app.add_url_rule("/v1/payments/<path:key>", "payment", find)
    app.add_url_rule("/v1/balance", "balance", lambda: {"balance": books.balance()})


def _control(app: Flask, books: Books, *, deliver: bool) -> None:
    """The hand of the bank, the retailer's bank and the test."""

    def asked() -> dict[str, Any]:
        return request.get_json(silent=True) or {}

    def conduct() -> Any:
        for name, value in asked().items():
            if not hasattr(books.conduct, name):
                return {"error": f"no conduct {name}"}, 400
            setattr(books.conduct, name, value)
        return asdict(books.conduct)

    def settle() -> Any:
        settled = books.settle(asked().get("key"), asked().get("state"))
        return told({"settled": [each.key for each in settled]})

    def dispute() -> Any:
        return told(books.dispute(asked()["key"], asked().get("amount")))

    def close(dispute_id: str) -> Any:
        return told(books.close_dispute(dispute_id, won=bool(asked().get("won"))))

    def webhook() -> Any:
        books.webhook_url = asked()["url"]
        return {}

    def told(answer: Any) -> Any:
        if deliver:
            _deliver_soon(books)
        return answer

    rules: dict[str, Callable[..., Any]] = {
        "/conduct": conduct,
        "/settle": settle,
        "/disputes": dispute,
        "/disputes/<dispute_id>/close": close,
        "/webhook": webhook,
        "/deliver": lambda: {"tried": books.deliver_due()},
    }
    for path, view in rules.items():
        app.add_url_rule(fault_orders.CONTROL + path, f"control {path}", view, methods=["POST"])
    app.add_url_rule(f"{fault_orders.CONTROL}/books", "control_books", books.as_json)


def _deliver_soon(books: Books) -> None:
    """After the answer, as a provider does: a message may well come before it."""
    threading.Thread(target=books.deliver_due, name="payments-notices", daemon=True).start()
