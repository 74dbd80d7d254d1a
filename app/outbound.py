"""The one door out: every HTTP call to a shop or marketplace goes through `Door.call`, and nothing else imports requests.

The door checks where it goes, keeps the partner's pace, rests when the partner is down, never follows redirects, never
retries (the queue does), and turns every outcome into an answer or one of app.errors. What may go wrong: a deed whose answer
got lost is `Unknown`, and the caller must read back before it repeats it. Why it is built this way:
docs/decisions/0002-one-door-out.md.
"""

import http.client
import io
import json
import logging
import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import limits
import limits.strategies
import pybreaker
import requests
import urllib3
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from app.egress import Egress, check_url, checked_addresses
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.kept import Kept, KeptInMemory
from app.logs import is_secret_name, redact, redact_text

__all__ = ["Answer", "AttemptNote", "Breaker", "Door", "Egress", "Limiter", "check_url"]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
READ_SECONDS = 20.0
IDLE_SECONDS = 15.0  # an idle connection older than this may be dead without our knowing
RETRY_AFTER_CAP = 3600.0  # no partner may put a connection to sleep for longer than this in one go
REST_SECONDS = 5.0  # after a 429 that does not say for how long
ANSWER_LIMIT = 1024 * 1024
BIG_ANSWER_LIMIT = 8 * 1024 * 1024
EXCERPT_CHARS = 2000
_CHUNK = 64 * 1024
_MAX_DIALS = 4

Outcome = Literal["ok", "refused", "unauthorised", "unavailable", "unknown", "blocked"]
Sign = Callable[[str, str, bytes], Mapping[str, str]]

# Raised before anything has left: such a call costs the partner nothing and says nothing about the partner's health.
_BLOCKED = frozenset({"address.forbidden", "request.malformed", "partner.resting", "pace.wait"})


@dataclass(frozen=True)
class Answer:
    """What the partner said. `headers` are looked up without regard to case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Numbers with a point become Decimal, never float. Raises Invalid("answer.not_json")."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise Invalid("answer.not_json", field="body", status=self.status) from None


@dataclass(frozen=True)
class AttemptNote:
    """One try, fit to be kept: secrets and personal data are removed. `started_at` is aware UTC.

    `blocked` = nothing left this machine (address filter, pace, breaker, malformed request).
    """

    operation: str
    method: str
    url: str
    started_at: datetime
    duration_ms: int
    outcome: Outcome
    status: int | None
    excerpt: str
    error: str | None


class Limiter:
    """Keeps a partner's documented pace over all workers: a moving window in Redis, and the rests that partners ask for (429). Fails open
    when Redis is ill.
    """

    def __init__(
        self, storage: MemoryStorage | RedisStorage, *, patience: float = 2.0, rests: Redis | None = None
    ) -> None:
        self._window = limits.strategies.MovingWindowRateLimiter(storage)
        self._patience = patience
        self._rests = rests
        self._rests_here: dict[str, float] = {}  # without a store: key -> time.time()

    @classmethod
    def on_redis(cls, url: str, *, patience: float = 2.0) -> Self:
        """`patience`: seconds a call may wait here before it goes back to the queue."""
        store = _redis(url)
        return cls(
            RedisStorage(url, connection_pool=store.connection_pool, wrap_exceptions=True, key_prefix="pace"),
            patience=patience,
            rests=store,
        )

    @classmethod
    def in_memory(cls, *, patience: float = 2.0) -> Self:
        """For tests and a single process."""
        return cls(MemoryStorage(), patience=patience)

    def take(self, pace: str, connection: int | str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait for a free place in each limit of `pace` ("20/second; 3600/day"). Raises Unavailable("pace.wait")."""
        left = self._patience
        for item in limits.parse_many(pace):
            left = self._take_one(item, str(connection), left, sleep)

    def rest(self, lane: str, seconds: float) -> bool:
        """From now on nobody passes this lane for so long. False when that could not be kept: then somebody else must see to it."""
        if self._rests is None:
            self._rests_here[lane] = max(time.time() + seconds, self._rests_here.get(lane, 0.0))
            return True
        wait = math.ceil(seconds * 1000)
        try:
            # Of two words the longer one counts, whichever comes last.
            return self._rests.pttl(_rest_of(lane)) >= wait or bool(
                self._rests.set(_rest_of(lane), 1, px=max(wait, 1))
            )
        except RedisError as error:
            log.warning("rest not kept: the store of the limits does not answer (%s)", error)
            return False

    def pass_or_rest(self, lane: str) -> None:
        """Raise Unavailable("pace.wait", retry_after=) while this lane rests. Nobody waits here: a rest was asked for, not a pace."""
        if (left := self._rest_left(lane)) > 0:
            raise Unavailable("pace.wait", retry_after=math.ceil(left * 1000) / 1000)

    def _rest_left(self, lane: str) -> float:
        if self._rests is None:
            return self._rests_here.get(lane, 0.0) - time.time()
        try:
            return self._rests.pttl(_rest_of(lane)) / 1000
        except RedisError as error:
            log.warning("nobody rests: the store of the limits does not answer (%s)", error)
            return 0.0

    def _take_one(
        self, item: limits.RateLimitItem, key: str, left: float, sleep: Callable[[float], None]
    ) -> float:
        try:
            while not self._window.hit(item, "out", key):
                # A place comes free when the oldest call leaves the window; the jitter keeps workers from all asking then.
                free_at = self._window.get_window_stats(item, "out", key).reset_time
                pause = max(free_at - time.time(), 0.005) + random.uniform(0, 0.02)  # noqa: S311
                if pause > left:
                    raise Unavailable("pace.wait", retry_after=math.ceil(pause * 1000) / 1000)
                sleep(pause)
                left -= pause
        except StorageError as error:
            log.warning("pace not kept: the store of the limits does not answer (%s)", error)
        return left


def _rest_of(lane: str) -> str:
    return f"rest:{lane}"


def faster(pace: str | None, factor: float) -> str | None:
    """A pace with `factor` times as many calls in the same time."""
    if pace is None or factor == 1:
        return pace
    return "; ".join(
        f"{max(1, round(item.amount * factor))} per {item.multiples} {item.GRANULARITY.name}"
        for item in limits.parse_many(pace)
    )


class Breaker:
    """Lets a partner that is down rest: after `fail_max` failures in a row nothing is sent for `rest` seconds.

    Only calls without a clear answer count as failures. The state is shared by all workers through Redis; when Redis is ill
    everything passes. After the rest calls are let through again: a failure begins the next rest, a success closes the matter.
    """

    def __init__(
        self, storage: pybreaker.CircuitBreakerStorage, *, fail_max: int = 5, rest: float = 60.0
    ) -> None:
        self._storage = storage
        self._rest = rest
        self._circuit = pybreaker.CircuitBreaker(fail_max=fail_max, reset_timeout=rest, state_storage=storage)

    @classmethod
    def on_redis(cls, url: str, connection: int, *, fail_max: int = 5, rest: float = 60.0) -> Self:
        """The breaker of one connection, shared by all workers."""
        try:
            storage = pybreaker.CircuitRedisStorage(
                pybreaker.STATE_CLOSED, _redis(url), namespace=f"breaker:{connection}"
            )
        except RedisError as error:
            log.warning("nobody rests: the store of the breakers does not answer (%s)", error)
            return cls.in_memory(fail_max=fail_max, rest=rest)
        return cls(storage, fail_max=fail_max, rest=rest)

    @classmethod
    def in_memory(cls, *, fail_max: int = 5, rest: float = 60.0) -> Self:
        """For tests and a single process."""
        return cls(pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED), fail_max=fail_max, rest=rest)

    def pass_or_rest(self) -> None:
        """Raise Unavailable("partner.resting", retry_after=) while the partner rests."""
        try:
            left = self._left()
        except RedisError as error:
            log.warning("nobody rests: the store of the breakers does not answer (%s)", error)
            return
        if left > 0:
            raise Unavailable("partner.resting", retry_after=left)

    def tell(self, *, healthy: bool) -> None:
        """Count one outcome. The circuit is asked after the call, not around it: its lock must not be held on the wire."""
        try:
            self._circuit.call(_count_success if healthy else _count_failure)
        except (_CountedFailureError, pybreaker.CircuitBreakerError):
            return
        except RedisError as error:
            log.warning("outcome not counted: the store of the breakers does not answer (%s)", error)

    def _left(self) -> float:
        """Seconds of rest left, 0 when the partner does not rest."""
        opened_at = self._storage.opened_at if self._storage.state == pybreaker.STATE_OPEN else None
        if opened_at is None:
            return 0.0
        return (opened_at + timedelta(seconds=self._rest) - datetime.now(UTC)).total_seconds()


@cache
def _redis(url: str) -> Redis:
    """One client for each store. It gives up early: a store that is ill must not slow the calls it is there to protect."""
    return Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


class Door:
    """The way out to one connection. Cheap to make: the pooled connections belong to the thread, not to the door.

    `base_url` is checked at the first call, not here, so that a door to a wrong address can be made and its refusal recorded.
    `pace` needs a `limiter` to have an effect. `record` gets exactly one note for each call, also for blocked ones, and must
    not raise. `ca_file`: certificates to trust instead of the public ones. `deadline`: seconds for the whole call.
    `hosts`: further base URLs by name, `lanes`: further paces by name, both for `call`. `kept`: what stays true between calls; `shared`: the same,
    for whatever connections of this partner know the name (without it, `kept`).
    """

    def __init__(
        self,
        *,
        connection: int,
        base_url: str,
        egress: Egress,
        allow_loopback: bool = False,
        pace: str | None = None,
        limiter: Limiter | None = None,
        breaker: Breaker | None = None,
        record: Callable[[AttemptNote], None] | None = None,
        user_agent: str = "Shopbridge",
        deadline: float = 20.0,
        answer_limit: int = ANSWER_LIMIT,
        ca_file: str | None = None,
        hosts: Mapping[str, str] | None = None,
        lanes: Mapping[str, str] | None = None,
        kept: Kept | None = None,
        shared: Kept | None = None,
    ) -> None:
        self.connection = connection
        self.base_url = base_url
        self.kept: Kept = kept or KeptInMemory()
        self.shared: Kept = shared or self.kept
        self._hosts, self._lanes = hosts or {}, lanes or {}
        self._policy = _Policy(egress, allow_loopback, ca_file)
        self._pace, self._limiter, self._breaker = pace, limiter, breaker
        self._record = record
        self._user_agent = user_agent
        self._deadline = deadline
        self._answer_limit = answer_limit

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        sign: Sign | None = None,
        deed: bool = False,
        expect: Container[int] = (),
        host: str | None = None,
        lane: str | None = None,
        whose: str | None = None,
    ) -> Answer:
        """Send one request and return its answer if the status is 2xx or in `expect`.

        `operation` is our name for it in logs and errors. `path` "" is the base URL itself, else it is appended with exactly one
        slash; identifiers in it must be quoted by the caller. `params` keep their order and may repeat. `sign` gets METHOD,
        the full URL byte for byte as sent, and the body, and answers headers to add. `deed`: the call changes something
        at the partner that must not happen twice. `host`: another base URL of this partner, by its name in Provider.hosts. `lane`: this
        kind of call has a pace of its own (Provider.lanes), which it keeps beside that of the connection. `whose`: the partner counts the calls of
        this lane for whoever this word stands for, over all connections that name it (one client of an interface). A 429 rests that lane at all
        workers; a call without a lane, or one whose lane nobody can keep, asks for a rest of the whole connection (`pauses`).

        Raises Unauthorised (401), Refused (3xx, other 4xx, forbidden address, answer too large), Unavailable (429; no deed
        and 5xx, 408, 425, timeout, broken connection; a deed too, when provably nothing was sent), Unknown (a deed in any
        of these cases after something was sent; `params["retry_after"]` is the partner's word if it gave one).
        """
        call = _Call(operation, method.upper(), deed, expect, _Trip(time.monotonic() + self._deadline))
        call.lane = None if lane is None else f"{whose or self.connection}:{lane}"
        started_at, started = datetime.now(UTC), time.perf_counter()
        url = base_url = self.base_url if host is None else self._hosts[host]
        failure: ShopbridgeError | None = None
        try:
            request = self._prepare(call, base_url, path, params, headers, body, sign)
            url = request.url or url
            self._may_pass(call, lane)
            call.answer = self._exchange(call, request)
            return call.answer
        except ShopbridgeError as error:
            failure = error
            raise
        finally:
            outcome = _outcome(call, failure)
            self._tell_breaker(outcome, call)
            if self._record is not None:
                self._record(_note(call, url, started_at, time.perf_counter() - started, outcome, failure))

    def _prepare(
        self,
        call: "_Call",
        base_url: str,
        path: str,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None,
        body: bytes | None,
        sign: Sign | None,
    ) -> requests.PreparedRequest:
        """The request with its final URL and headers. Refused when it cannot be sent as it is meant."""
        check_url(base_url, egress=self._policy.egress, allow_loopback=self._policy.allow_loopback)
        sent_headers = CaseInsensitiveDict(
            {"User-Agent": self._user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        )
        if body is not None:
            sent_headers["Content-Type"] = "application/json"
        sent_headers.update(headers or {})
        try:
            request = requests.Request(
                call.method, _join(base_url, path), params=list(params), headers=sent_headers, data=body
            ).prepare()
            if sign is not None:
                request.prepare_headers(
                    {**request.headers, **sign(call.method, request.url or "", body or b"")}
                )
            _check_headers(request.headers)
        except (requests.RequestException, UnicodeError) as error:
            raise Refused("request.malformed", operation=call.operation, why=type(error).__name__) from None
        # The text that is sent is checked too: preparing a URL may change its spelling.
        check_url(request.url or "", egress=self._policy.egress, allow_loopback=self._policy.allow_loopback)
        return request

    def _may_pass(self, call: "_Call", lane: str | None) -> None:
        if self._breaker is not None:
            self._breaker.pass_or_rest()
        if self._limiter is not None and lane is not None and call.lane is not None:
            self._limiter.pass_or_rest(call.lane)
            self._limiter.take(self._lanes[lane], call.lane)
        if self._limiter is not None and self._pace is not None:
            self._limiter.take(self._pace, self.connection)

    def _exchange(self, call: "_Call", request: requests.PreparedRequest) -> Answer:
        token = _TRIP.set(call.trip)
        response: requests.Response | None = None
        try:
            # The adapter itself, not a session: a session would read redirects, keep cookies and look into the environment.
            response = _adapter(self._policy).send(
                request,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                verify=self._policy.ca_file or True,
                proxies={},
            )
            return self._read(call, response)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            raise _broken(call, error) from None
        finally:
            _TRIP.reset(token)
            if response is not None:
                response.close()

    def _read(self, call: "_Call", response: requests.Response) -> Answer:
        """Judge the status first, then read: the body of a refusal is wanted only for the attempt row."""
        call.status = response.status_code
        welcome = 200 <= response.status_code < 300 or response.status_code in call.expect
        body, whole = _body(response, self._answer_limit if welcome else ANSWER_LIMIT, must=welcome)
        call.seen = body
        if not welcome:
            raise self._rested(call, _verdict(call, response.headers))
        if not whole:
            raise _too_large(call, self._answer_limit)
        return Answer(response.status_code, CaseInsensitiveDict(response.headers), body)

    def _rested(self, call: "_Call", error: ShopbridgeError) -> ShopbridgeError:
        """A 429 of a kind of call that has a lane rests that lane only: a list that may be asked for once a day must not stop parcels."""
        if isinstance(error, Unavailable) and error.pauses and call.lane is not None and self._limiter:
            seconds = error.retry_after or REST_SECONDS
            if self._limiter.rest(call.lane, seconds):
                error.pauses, error.retry_after = False, seconds
        return error

    def _tell_breaker(self, outcome: Outcome, call: "_Call") -> None:
        if self._breaker is None or outcome == "blocked":
            return
        # 429 comes from a partner that is well; how long to wait is told to the lane, or to the whole connection by `pauses`.
        self._breaker.tell(healthy=outcome not in {"unavailable", "unknown"} or call.status == 429)


# --- the request and its verdict ---------------------------------------------------------------------------------------------


class _Trip:
    """What the connection under it knows about the call: whether we had to dial, and whether anything was sent."""

    __slots__ = ("deadline", "dialled", "sent")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline  # time.monotonic()
        self.dialled = False
        self.sent = False

    @property
    def left(self) -> float:
        """Seconds left. Raises TimeoutError when there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline of the whole call")
        return left


_TRIP: ContextVar[_Trip] = ContextVar("trip")


@dataclass
class _Call:
    """One call on its way through the door."""

    operation: str
    method: str
    deed: bool
    expect: Container[int]
    trip: _Trip
    lane: str | None = None  # whose lane and which
    status: int | None = None
    seen: bytes = b""
    answer: Answer | None = None


def _join(base_url: str, path: str) -> str:
    if not path:
        return base_url
    if urlsplit(base_url).query:
        raise ValueError(f"{base_url!r} has a query, nothing can be appended to its path")
    # A partner's id that is not quoted must not lead to another operation.
    parts = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    if "#" in path or "\\" in path or ".." in parts or "." in parts:
        raise Refused("request.malformed", why="path")
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}"


def _check_headers(headers: Mapping[str, str]) -> None:
    """http.client would find this out only while it sends."""
    for name, value in headers.items():
        name.encode("ascii")
        value.encode("latin-1")


def _body(response: requests.Response, limit: int, *, must: bool) -> tuple[bytes, bool]:
    """The decompressed body up to `limit` bytes, and whether that was all. `must`: a broken body is an error."""
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_content(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                return b"".join(parts)[:limit], False
            _TRIP.get().left  # noqa: B018 - raises when the deadline has passed
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        if must:
            raise
        return b"".join(parts), False
    return b"".join(parts), True


def _verdict(call: _Call, headers: Mapping[str, str]) -> ShopbridgeError:
    """The error for an answer that is neither 2xx nor expected."""
    status, operation, later = call.status or 0, call.operation, _retry_after(headers)
    if 300 <= status < 400:
        return Refused("partner.redirects", operation=operation, status=status)
    if status == 401:
        return Unauthorised("credentials.refused", operation=operation, status=status)
    if status == 429:
        return Unavailable(
            "partner.too_many_calls", retry_after=later, pauses=True, operation=operation, status=status
        )
    # 408 and 425 are refusals by their class and "later" by their meaning.
    if 400 <= status < 500 and status not in {408, 425}:
        return Refused("partner.refused", operation=operation, status=status)
    if call.deed:
        return Unknown("outcome.unknown", retry_after=later, operation=operation, status=status)
    return Unavailable("partner.unreachable", retry_after=later, operation=operation, status=status)


def _broken(call: _Call, error: Exception) -> ShopbridgeError:
    """The error for a call without a whole answer.

    Only what provably was not sent may be repeated blindly: we had to dial and never came to write, or the library says that
    the connecting itself failed.
    """
    unsent = (call.trip.dialled and not call.trip.sent) or isinstance(
        error, requests.exceptions.ConnectTimeout
    )
    why = _why(error)
    if call.deed and not unsent:
        return Unknown("outcome.unknown", operation=call.operation, why=why)
    code = "partner.certificate" if why == "certificate" else "partner.unreachable"
    return Unavailable(code, operation=call.operation, why=why)


def _too_large(call: _Call, limit: int) -> ShopbridgeError:
    """The deed was accepted, we only cannot read what came of it; a question is refused, for the answer will not shrink."""
    if call.deed:
        return Unknown("outcome.unknown", operation=call.operation, why="too_large")
    return Refused("answer.too_large", operation=call.operation, limit=limit)


def _why(error: Exception) -> str:
    """One word for what broke. The library's own text may hold URLs and is not passed on."""
    if isinstance(error, requests.exceptions.SSLError):
        return "certificate" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "tls"
    if isinstance(error, requests.exceptions.Timeout | TimeoutError) or "timed out" in str(error):
        return "timeout"
    if "NameResolutionError" in str(error) or "Failed to resolve" in str(error):
        return "name"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "encoding"
    return "connection"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header (seconds or HTTP date), 0 to RETRY_AFTER_CAP; None when there is none or it is odd."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0.0), RETRY_AFTER_CAP)


def _no_constant(text: str) -> None:
    raise ValueError(text)


# --- the attempt note ----------------------------------------------------------------------------------------------------------


def _outcome(call: _Call, failure: ShopbridgeError | None) -> Outcome:
    if failure is None and call.answer is None:
        # Something foreign stopped us (the worker's time limit, a stop signal): nobody knows what came of it.
        return "unknown" if call.trip.sent else "blocked"
    if failure is None:
        # An expected status went back to the caller, who will judge it; the row says what it was.
        return "ok" if (call.status or 0) < 400 else "unauthorised" if call.status == 401 else "refused"
    if failure.code in _BLOCKED:
        return "blocked"
    if isinstance(failure, Unauthorised):
        return "unauthorised"
    if isinstance(failure, Refused):
        return "refused"
    return "unavailable" if isinstance(failure, Unavailable) else "unknown"


def _note(
    call: _Call,
    url: str,
    started_at: datetime,
    seconds: float,
    outcome: Outcome,
    failure: ShopbridgeError | None,
) -> AttemptNote:
    stopped = None if call.answer is not None else "interrupted"
    return AttemptNote(
        operation=call.operation,
        method=call.method,
        url=_safe_url(url),
        started_at=started_at,
        duration_ms=round(seconds * 1000),
        outcome=outcome,
        status=call.status,
        excerpt=_excerpt(call.seen),
        error=str(failure) if failure is not None else stopped,
    )


def _safe_url(url: str) -> str:
    """The URL without userinfo, and without the values of parameters that look secret."""
    head, mark, query = url.partition("?")
    scheme, sep, rest = head.partition("://")
    head = f"{scheme}{sep}{rest.rpartition('@')[2]}"
    if not mark:
        return head
    pairs = [pair.partition("=") for pair in query.split("&")]
    return f"{head}?" + "&".join(
        f"{name}=[redacted]"
        if is_secret_name(parse_qsl(f"{name}=x")[0][0] if name else "")
        else f"{name}{eq}{redact_text(value)}"
        for name, eq, value in pairs
    )


def _excerpt(body: bytes) -> str:
    """The start of an answer for the attempt row, without secrets and personal data."""
    if len(body) <= _CHUNK:
        try:
            data = json.loads(body)
            if len(body) > 4 * EXCERPT_CHARS:
                data = _beginning(data, [2 * EXCERPT_CHARS])
            return json.dumps(redact(data), ensure_ascii=False)[:EXCERPT_CHARS]
        except (ValueError, RecursionError):
            pass
    return redact_text(body[: 4 * EXCERPT_CHARS].decode("utf-8", "replace").replace("\0", ""))[:EXCERPT_CHARS]


def _beginning(value: Any, left: list[int]) -> Any:
    """As much of JSON data as about so many characters show: what the excerpt cuts off need not be searched for secrets first."""
    if isinstance(value, dict):
        found = {}
        for name, item in value.items():
            if left[0] <= 0:
                break
            left[0] -= len(name)
            found[name] = _beginning(item, left)
        return found
    if isinstance(value, list):
        rows = []
        for item in value:
            if left[0] <= 0:
                break
            rows.append(_beginning(item, left))
        return rows
    left[0] -= len(value) if isinstance(value, str) else 1
    return value


# --- the connection ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Policy:
    """What decides where a pooled connection may lead. Connections of different policies are never mixed."""

    egress: Egress
    allow_loopback: bool
    ca_file: str | None


class _TimedReader(io.RawIOBase):
    """Reads from a socket and never waits beyond the deadline of the whole call, however slowly the bytes drip."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, trip: _Trip) -> None:
        self._raw, self._sock, self._trip = raw, sock, trip

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(self._trip.left, READ_SECONDS))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedAnswer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, _TRIP.get()))


class _Guarded(HTTPConnection):
    """A connection that dials only checked addresses, and knows whether anything was sent."""

    allow_loopback: ClassVar[bool] = False
    tls: ClassVar[bool] = False
    # The standard library calls it to read an answer; urllib3 declares the attribute as its own, later wrapper.
    response_class = _TimedAnswer
    _used_at = 0.0

    def _new_conn(self) -> socket.socket:
        trip = _TRIP.get()
        trip.dialled = True
        try:
            addresses = checked_addresses(
                self._dns_host, self.port, tls=self.tls, allow_loopback=self.allow_loopback
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        self._used_at = time.monotonic()
        return self._dial(addresses[:_MAX_DIALS], trip)

    def _dial(self, addresses: Sequence[str], trip: _Trip) -> socket.socket:
        *others, last = addresses
        for address in others:
            try:
                return self._dial_one(address, trip)
            except (NewConnectionError, ConnectTimeoutError):
                continue
        return self._dial_one(last, trip)

    def _dial_one(self, address: str, trip: _Trip) -> socket.socket:
        try:
            # The address is a literal: nothing is looked up here. TLS still asks for and checks the name of the host.
            return create_connection(
                (address, self.port), min(CONNECT_SECONDS, trip.left), socket_options=self.socket_options
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    def send(self, data: Any) -> None:
        if self.sock is None and self.auto_open:
            self.connect()
        trip = _TRIP.get()
        trip.sent = True
        self._used_at = time.monotonic()
        if self.sock is not None:
            self.sock.settimeout(trip.left)
        super().send(data)

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self._used_at <= IDLE_SECONDS and super().is_connected


class _GuardedTls(_Guarded, HTTPSConnection):
    tls = True


class _GuardedToLoopback(_Guarded):
    allow_loopback = True


class _GuardedTlsToLoopback(_GuardedTls):
    allow_loopback = True


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _PoolToLoopback(urllib3.HTTPConnectionPool):
    ConnectionCls = _GuardedToLoopback


class _TlsPoolToLoopback(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsToLoopback


class _Adapter(HTTPAdapter):
    """requests' adapter on guarded connections: no retries, one connection for each host."""

    def __init__(self, policy: _Policy) -> None:
        self._policy = policy
        super().__init__(pool_connections=32, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        loopback = self._policy.allow_loopback
        self.poolmanager.pool_classes_by_scheme = {
            "http": _PoolToLoopback if loopback else _Pool,
            "https": _TlsPoolToLoopback if loopback else _TlsPool,
        }


_pools = threading.local()


def _adapter(policy: _Policy) -> _Adapter:
    """This thread's pool for the policy; it outlives the doors, so that a lane's calls share a connection."""
    adapters: dict[_Policy, _Adapter] = _pools.__dict__.setdefault("adapters", {})
    if policy not in adapters:
        adapters[policy] = _Adapter(policy)
    return adapters[policy]


def _forget_pools() -> None:
    """A forked worker must not write on its parent's connections."""
    global _pools  # noqa: PLW0603
    _pools = threading.local()


os.register_at_fork(after_in_child=_forget_pools)


class _CountedFailureError(Exception):
    """Tells the circuit that a call failed; never leaves this module."""


def _count_success() -> None:
    return None


def _count_failure() -> None:
    raise _CountedFailureError
