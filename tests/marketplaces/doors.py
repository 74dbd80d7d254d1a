"""Doors for tests: one that answers every call with one status, one that follows a script. Both keep the promises of app.outbound.Door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from app.errors import Refused, Unauthorised, Unavailable, Unknown
from app.kept import KeptInMemory
from app.outbound import Answer


@dataclass(frozen=True)
class Sent:
    """One call as a client made it."""

    operation: str
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    body: Any
    deed: bool
    headers: Mapping[str, str]
    host: str | None = None
    lane: str | None = None
    whose: str | None = None


def answer(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, headers or {}, raw)


def judged(said: Answer, operation: str, *, deed: bool, expect: Container[int]) -> Answer:
    """What the real Door makes of this answer."""
    if 200 <= said.status < 300 or said.status in expect:
        return said
    if said.status == 401:
        raise Unauthorised("credentials.refused", status=401, operation=operation)
    if said.status == 429:
        raise Unavailable("partner.busy", retry_after=7, pauses=True)
    if said.status >= 500:
        raise Unknown("partner.no_answer") if deed else Unavailable("partner.unavailable")
    raise Refused("partner.refused", status=said.status, operation=operation)


@dataclass
class ScriptedDoor:
    """Answers by (method, path pattern); the first rule that fits wins. A rule may be an answer, an error, or a list used up in turn."""

    rules: list[tuple[str, str, Any]] = field(default_factory=list)
    base_url: str = "https://partner.example/v2"
    sent: list[Sent] = field(default_factory=list)
    kept: KeptInMemory = field(default_factory=KeptInMemory)

    def on(self, method: str, path: str, reply: Any) -> ScriptedDoor:
        self.rules.append((method, path, reply))
        return self

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        sign: Callable[[str, str, bytes], Mapping[str, str]] | None = None,
        deed: bool = False,
        expect: Container[int] = (),
        host: str | None = None,
        lane: str | None = None,
        whose: str | None = None,
    ) -> Answer:
        url = self.base_url + path + (f"?{urlencode(params)}" if params else "")
        signed = dict(sign(method, url, body or b"")) if sign else {}
        data = json.loads(body) if body and body[:1] in b"[{" else body
        self.sent.append(
            Sent(
                operation,
                method,
                path,
                tuple(params),
                data,
                deed,
                {**(headers or {}), **signed},
                host,
                lane,
                whose,
            )
        )
        reply = self._reply(operation, method, path)
        if isinstance(reply, Exception):
            raise reply
        return judged(reply, operation, deed=deed, expect=expect)

    @property
    def shared(self) -> KeptInMemory:
        return self.kept

    def _reply(self, operation: str, method: str, path: str) -> Any:
        for wanted, pattern, reply in self.rules:
            if wanted in {method, "*"} and re.fullmatch(pattern, path):
                return reply.pop(0) if isinstance(reply, list) else reply
        raise AssertionError(f"nobody told the door what to say to {operation}: {method} {path}")

    def count(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.sent)


@dataclass
class StubbornDoor:
    """Answers everything with one status, except operations named in `always` (say, how to get a token)."""

    status: int
    error: Callable[[int], bytes]
    always: Mapping[str, Answer] = field(default_factory=dict)
    base_url: str = "https://partner.example"
    deeds: int = 0
    kept: KeptInMemory = field(default_factory=KeptInMemory)

    @property
    def shared(self) -> KeptInMemory:
        return self.kept

    def call(self, operation: str, method: str, path: str, **how: Any) -> Answer:
        if operation in self.always:
            return self.always[operation]
        self.deeds += bool(how.get("deed"))
        said = Answer(self.status, {"Content-Type": "application/json"}, self.error(self.status))
        return judged(said, operation, deed=bool(how.get("deed")), expect=how.get("expect", ()))
