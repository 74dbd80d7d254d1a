"""Misbehaviour on request, shared by all simulated partners, and the log of the calls they received.

A fault is drawn per call; what goes wrong is exactly what was ordered, with a count and a seed, so that a failing run can be repeated.
"""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from flask import Flask, Response, g, jsonify, request

CONTROL: Final = "/_control"

KINDS: Final = {
    "latency": "the answer comes `seconds` later",
    "status": "answers `status` (with `retry_after` seconds where given); `effect` true: only after the deed was done",
    "timeout": "the deed is done (unless `effect` is false), no answer comes for `seconds`, then the line is cut",
    "reset": "the line is cut; `effect` true: after the deed was done",
    "garbage": "answers 200 with an HTML page; `effect` as above",
    "duplicate_row": "the first row of a list comes twice",
    "half_page": "only the first half of a list's rows comes",
    "unknown_enum": "`name` of every row is a word nobody knows (`value`)",
    "schema_change": "`name` of every row is missing and a new field `value` is there",
}
# These change an answer that has rows; the others break the conversation.
ROW_KINDS: Final = frozenset({"duplicate_row", "half_page", "unknown_enum", "schema_change"})


@dataclass
class Fault:
    """One order to misbehave: for calls with this method whose path and body match, after `skip` of them, `count` times (-1: always)."""

    kind: str
    method: str | None = None
    path: str = ""
    body: str = ""
    count: int = 1
    skip: int = 0
    probability: float = 1.0
    status: int = 500
    retry_after: int | None = None
    seconds: float = 0.0
    effect: bool | None = None
    rows: str = "data"
    name: str = "status"
    value: str = "never_seen_before"
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are: {', '.join(KINDS)}")
        if self.effect is None:
            self.effect = self.kind == "timeout"

    @classmethod
    def ordered(cls, data: Mapping[str, Any]) -> Fault:
        """From the JSON of the control endpoint. ValueError names what is not understood."""
        known = {each.name for each in fields(cls)} - {"struck"}
        if strange := sorted(set(data) - known):
            raise ValueError(f"unknown words in a fault: {', '.join(strange)}")
        if "kind" not in data:
            raise ValueError("a fault needs a kind")
        return cls(**data)


@dataclass
class Call:
    """One call as it arrived. `faults` names what was done to it."""

    number: int
    method: str
    path: str
    query: str
    body: Any
    status: int | None = None
    faults: list[str] = field(default_factory=list)


class Faults:
    """The orders of one simulator. Thread-safe. `seed` decides the draws with a probability below one."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311  A repeatable draw is what is wanted.
        self._awake = threading.Event()
        self.calls: list[Call] = []

    def add(self, fault: Fault | Mapping[str, Any]) -> Fault:
        ordered = fault if isinstance(fault, Fault) else Fault.ordered(fault)
        with self._lock:
            self._orders.append(ordered)
        return ordered

    def orders(self) -> list[Fault]:
        with self._lock:
            return list(self._orders)

    def reseed(self, seed: int) -> None:
        with self._lock:
            self._random.seed(seed)

    def clear(self) -> None:
        """Forget all orders and let go of calls that hang."""
        with self._lock:
            self._orders.clear()
            self._awake.set()
            self._awake = threading.Event()

    def draw(self, method: str, path: str, body: str = "") -> list[Fault]:
        """The faults that strike this call; each is counted."""
        with self._lock:
            return [fault for fault in self._orders if self._strikes(fault, method, path, body)]

    def _strikes(self, fault: Fault, method: str, path: str, body: str) -> bool:
        if fault.method not in {None, method} or fault.count == 0:
            return False
        if not re.search(fault.path, path) or not re.search(fault.body, body):
            return False
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        fault.count -= fault.count > 0
        fault.struck += 1
        return True

    def hang(self, seconds: float) -> None:
        """Say nothing for so long, or until `clear`."""
        self._awake.wait(seconds)

    def note(self, method: str, path: str, query: str, body: Any) -> Call:
        with self._lock:
            call = Call(len(self.calls) + 1, method, path, query, body)
            self.calls.append(call)
            return call

    def count(self, method: str, path: str) -> int:
        """How many calls with this method and a path that matches arrived, struck by a fault or not."""
        with self._lock:
            return sum(call.method == method and bool(re.search(path, call.path)) for call in self.calls)

    def forget_calls(self) -> None:
        with self._lock:
            self.calls.clear()


def install(app: Flask, faults: Faults, error: Callable[[int], Any]) -> None:
    """Let `faults` strike the calls of this simulator and be ordered under /_control. `error(status)` is the partner's own error body."""

    def before() -> Response | None:
        if request.path.startswith(CONTROL):
            return None
        g.faults = faults.draw(request.method, request.path, request.get_data(as_text=True))
        g.call = faults.note(request.method, request.path, request.query_string.decode(), _json_or_none())
        g.call.faults = [fault.kind for fault in g.faults]
        for fault in g.faults:
            if fault.kind == "latency":
                faults.hang(fault.seconds)
            elif fault.kind not in ROW_KINDS and not fault.effect:
                return _strike(faults, fault, error)
        return None

    def after(response: Response) -> Response:
        for fault in g.get("faults", []):
            if fault.kind in ROW_KINDS:
                response = bent(response, fault)
            elif fault.effect and fault.kind != "latency":
                response = _strike(faults, fault, error)
        if call := g.get("call"):
            call.status = response.status_code
        return response

    app.before_request(before)
    app.after_request(after)
    _control(app, faults)


def _json_or_none() -> Any:
    return request.get_json(silent=True)


def _strike(faults: Faults, fault: Fault, error: Callable[[int], Any]) -> Response:
    if fault.kind == "status":
        response = jsonify(error(fault.status))
        response.status_code = fault.status
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response
    if fault.kind == "garbage":
        return Response("<html><body>Wartungsarbeiten</body></html>", 200, content_type="text/html")
    if fault.kind == "timeout":
        faults.hang(fault.seconds)
    cut(request.environ)
    return Response(status=500)


def cut(environ: Mapping[str, Any]) -> None:
    """End the conversation without an answer: the client sees a reset connection. Needs a real server."""
    line = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    if not isinstance(line, socket.socket):
        raise TypeError("this fault needs a real server: a test client has no line to cut")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.shutdown(socket.SHUT_RDWR)


def bent(response: Response, fault: Fault) -> Response:
    """The answer with its rows changed as ordered; an answer without rows stays as it is."""
    body = response.get_json(silent=True)
    rows = body
    for step in fault.rows.split("."):
        rows = rows.get(step) if isinstance(rows, dict) else None
    if isinstance(rows, dict):
        _bend_row(rows, fault)
    elif isinstance(rows, list):
        _bend_rows(rows, fault)
    else:
        return response
    response.set_data(json.dumps(body))
    return response


def _bend_rows(rows: list[Any], fault: Fault) -> None:
    if fault.kind == "duplicate_row":
        rows.extend(rows[:1])
    elif fault.kind == "half_page":
        del rows[(len(rows) + 1) // 2 :]
    for row in rows:
        if isinstance(row, dict):
            _bend_row(row, fault)


def _bend_row(row: dict[str, Any], fault: Fault) -> None:
    if fault.kind == "unknown_enum" and fault.name in row:
        row[fault.name] = fault.value
    elif fault.kind == "schema_change":
        row.pop(fault.name, None)
        row[fault.value] = {"new": True}


def _control(app: Flask, faults: Faults) -> None:
    def order() -> Any:
        wanted = request.get_json()
        try:
            made = [faults.add(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        except (ValueError, TypeError) as wrong:
            return {"error": str(wrong), "kinds": KINDS}, 400
        return {"faults": [asdict(each) for each in made]}, 201

    def seed() -> Any:
        faults.reseed(int(request.get_json()["seed"]))
        return {}

    def clear() -> Any:
        faults.clear()
        return {}

    def listed() -> Any:
        return {"faults": [asdict(each) for each in faults.orders()], "kinds": KINDS}

    def calls() -> Any:
        return {"calls": [asdict(each) for each in list(faults.calls)]}

    def forget() -> Any:
        faults.forget_calls()
        return {}

    app.add_url_rule(f"{CONTROL}/faults", "control_order_fault", order, methods=["POST"])
    app.add_url_rule(f"{CONTROL}/faults", "control_faults", listed, methods=["GET"])
    app.add_url_rule(f"{CONTROL}/faults", "control_clear_faults", clear, methods=["DELETE"])
    app.add_url_rule(f"{CONTROL}/seed", "control_seed", seed, methods=["POST"])
    app.add_url_rule(f"{CONTROL}/calls", "control_calls", calls, methods=["GET"])
    app.add_url_rule(f"{CONTROL}/calls", "control_forget_calls", forget, methods=["DELETE"])
