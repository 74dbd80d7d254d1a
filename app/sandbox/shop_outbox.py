"""The outbox of the simulated shop: events wait here, are signed and delivered with the plugin's retry plan (protocol section 3).

It keeps the promises a real plugin must keep, and breaks them on request: duplicate, reordered, lost answers, offline. Time between
tries is multiplied by `time_scale`, so that 75 hours of retries fit into a test.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import string
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from app.shops import signing

RETRY_PLAN: Final = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)  # seconds
HOLD_AFTER_401: Final = 300
PARKED_BY: Final = frozenset({400, 413, 415, 422})
_ID_LETTERS: Final = string.ascii_letters + string.digits


class NoAnswer(Exception):
    """Nobody answered: refused, cut, or too late."""


@dataclass
class Entry:
    """One event. state: waiting, sending, sent, parked (wrong for ever), dead (tried for 75 hours)."""

    id: str
    type: str
    subject: str
    sequence: int
    at: datetime
    due: float
    state: str = "waiting"
    attempts: int = 0
    answers: list[int | None] = field(default_factory=list)
    transitions: list[dict[str, str]] = field(default_factory=list)
    fixed: dict[str, Any] | None = None  # data that is not a snapshot of something in the shop
    extra: dict[str, Any] = field(default_factory=dict)  # what only this event knows, beside the snapshot
    reported: bool = False  # counted in a manifest
    repeats: int = 0  # how often a delivery came twice, as ordered
    last_body: bytes | None = None


@dataclass
class Mischief:
    """How often the next deliveries misbehave, and whether the shop is cut off from the bridge."""

    offline: bool = False
    duplicate: int = 0
    reorder: int = 0
    answer_lost: int = 0
    lost_on_the_way: int = 0

    def takes(self, name: str) -> bool:
        """Uses one up."""
        left: int = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0


def now() -> datetime:
    """The shop's clock."""
    return datetime.now(UTC)


class Outbox:
    """All events of one shop, in memory. Thread-safe; `snapshot(type, subject)` renders the thing at the moment of sending."""

    def __init__(
        self,
        snapshot: Callable[[str, str], Mapping[str, Any] | None],
        *,
        seed: int = 0,
        time_scale: float = 1.0,
    ) -> None:
        self._snapshot = snapshot
        self._random = random.Random(seed)  # noqa: S311  Repeatable ids are what is wanted.
        self._time_scale = time_scale
        self._changed = threading.Condition(threading.RLock())
        self._stopped = False
        self._hold_until = 0.0
        self._thread: threading.Thread | None = None
        self._sequence = 0
        self.entries: list[Entry] = []
        self.mischief = Mischief()
        self.webhook_url: str | None = None
        self.secrets: Sequence[str] = ()
        self.removed = False

    # --- writing --------------------------------------------------------------------------------------------------

    def draw_sequence(self) -> int:
        """The next number of the shop's sequence."""
        with self._changed:
            self._sequence += 1
            return self._sequence

    def add(
        self,
        kind: str,
        subject: str,
        *,
        transitions: Iterable[dict[str, str]] = (),
        fixed: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Entry:
        """Writes one event. An older one of the same type and subject that still waits is replaced; its transitions stay."""
        with self._changed:
            entry = Entry(self.new_id("evt_"), kind, subject, self.draw_sequence(), now(), time.monotonic())
            entry.fixed, entry.extra = fixed, extra or {}
            for older in [each for each in self.entries if self._replaced_by(entry, each)]:
                self.entries.remove(older)
                entry.transitions = older.transitions + entry.transitions
            entry.transitions += list(transitions)
            self.entries.append(entry)
            self._changed.notify_all()
            return entry

    def new_id(self, prefix: str) -> str:
        """A message id: the same seed gives the same ids."""
        with self._changed:
            return prefix + "".join(self._random.choices(_ID_LETTERS, k=26))

    @staticmethod
    def _replaced_by(newer: Entry, older: Entry) -> bool:
        """Only what was never tried: a tried one may have arrived, and the manifest must count it (D7)."""
        same = (older.type, older.subject, older.state) == (newer.type, newer.subject, "waiting")
        return same and older.attempts == 0 and newer.fixed is None

    def forget_waiting(self, subject: str) -> None:
        """Drops what still waits about something that is gone for good."""
        with self._changed:
            self.entries = [
                each for each in self.entries if (each.subject, each.state) != (subject, "waiting")
            ]

    def resend(self, ranges: Iterable[Sequence[int]]) -> int:
        """Lets everything in these ranges of sequences wait again, with its old id. Answers how many."""
        with self._changed:
            found = [
                each
                for each in self.entries
                if each.state not in {"waiting", "sending"}
                and any(low <= each.sequence <= high for low, high in ranges)
            ]
            for each in found:
                each.state, each.attempts, each.due = "waiting", 0, time.monotonic()
            self._changed.notify_all()
            return len(found)

    # --- sending --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Delivers in a thread of its own until `stop`."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shop-outbox", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                if not self._due():
                    self._changed.wait(self._pause())
                    continue
            self.deliver_due()

    def _pause(self) -> float | None:
        """Seconds until something is due; None: until something happens."""
        waiting = [each.due for each in self.entries if each.state == "waiting"]
        if not waiting or self.webhook_url is None or self.removed or self.mischief.offline:
            return None
        return max(0.001, max(min(waiting), self._hold_until) - time.monotonic())

    def _due(self, *, newest: bool = False) -> list[Entry]:
        """What may go now: of one subject only the oldest (on request the newest), so that one blocks nobody else."""
        moment = time.monotonic()
        if self.webhook_url is None or self.removed or self.mischief.offline or moment < self._hold_until:
            return []
        first: dict[str, Entry] = {}
        for entry in sorted(self.entries, key=_sequence, reverse=newest):
            if entry.state in {"waiting", "sending"}:
                first.setdefault(entry.subject, entry)
        return [entry for entry in first.values() if entry.state == "waiting" and entry.due <= moment]

    def deliver_due(self) -> int:
        """Delivers what is due now; answers how many were tried. One round: the next of each subject."""
        with self._changed:
            batch = self._due()
            if batch and self.mischief.takes("reorder"):
                batch = self._due(newest=True)
            for entry in batch:
                entry.state = "sending"
        for place, entry in enumerate(batch):
            if not self._deliver(entry):
                self._put_back(batch[place + 1 :])
                return place + 1
        return len(batch)

    def _put_back(self, entries: Iterable[Entry]) -> None:
        with self._changed:
            for entry in entries:
                entry.state = "waiting"

    def _deliver(self, entry: Entry) -> bool:
        """One try, or two when a duplicate was ordered. False when nothing else should be tried now."""
        body = self._body(entry)
        if body is None:
            with self._changed:
                self.entries.remove(entry)
            return True
        with self._changed:
            twice = self.mischief.takes("duplicate")
        status = self._tried(entry.id, body)
        if twice:
            entry.repeats += 1
            status = self._tried(entry.id, body) or status
        with self._changed:
            going = self._settle(entry, status)
            self._changed.notify_all()
            return going

    def _body(self, entry: Entry) -> bytes | None:
        """The message as it is now. Of a thing that is gone: what was tried before, or None (its deletion is reported)."""
        data = entry.fixed if entry.fixed is not None else self._snapshot(entry.type, entry.subject)
        if data is None:
            return entry.last_body
        data = {**data, **entry.extra}
        if entry.transitions and "shopbridge" in data:
            data = {**data, "shopbridge": {**data["shopbridge"], "transitions": entry.transitions}}
        event = {
            "type": entry.type,
            "timestamp": entry.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sequence": entry.sequence,
            "subject": entry.subject,
            "data": data,
        }
        entry.last_body = json.dumps(event, separators=(",", ":")).encode()
        return entry.last_body

    def _tried(self, message_id: str, body: bytes) -> int | None:
        """The status of one delivery; None for no answer."""
        with self._changed:
            lost = self.mischief.takes("lost_on_the_way")
            deaf = not lost and self.mischief.takes("answer_lost")
            url, secrets = self.webhook_url or "", list(self.secrets)
        if lost:
            return None
        try:
            status, _ = send("POST", url, body, signing.sign(secrets, message_id, body, now()))
        except NoAnswer:
            return None
        return None if deaf else status

    def _settle(self, entry: Entry, status: int | None) -> bool:
        """What the answer means (protocol section 3). False when the bridge is not there or does not want us now."""
        entry.attempts += 1
        entry.answers.append(status)
        entry.state = "waiting"
        if status in {200, 202}:
            entry.state, entry.transitions = "sent", []
            return True
        if status in PARKED_BY:
            entry.state = "parked"
            return True
        if status == 410:
            self.removed = True
            return False
        if status == 401:
            self._hold_until = entry.due = time.monotonic() + HOLD_AFTER_401 * self._time_scale
            return False
        return self._later(entry, status)

    def _later(self, entry: Entry, status: int | None) -> bool:
        if entry.attempts > len(RETRY_PLAN):
            entry.state = "dead"
            return True
        jitter = self._random.uniform(0.9, 1.1)
        entry.due = time.monotonic() + RETRY_PLAN[entry.attempts - 1] * self._time_scale * jitter
        if status is None:
            self._hold_until = entry.due  # the bridge cannot be reached: everything rests
        return status is not None

    def drain(self, timeout: float) -> bool:
        """Waits until nothing waits any more. False when that took longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            if self._thread is None:
                self.deliver_due()  # outside of the lock: the snapshot needs the shop's
            with self._changed:
                if not any(each.state in {"waiting", "sending"} for each in self.entries):
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left if self._thread else min(left, 0.001))

    def wake(self) -> None:
        """Looks again at once, e.g. after the shop is online again."""
        with self._changed:
            self._hold_until = 0.0
            self._changed.notify_all()

    # --- telling --------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """How many events are in which state."""
        with self._changed:
            return dict(Counter(each.state for each in self.entries))

    def manifest(self, day: str) -> dict[str, Any]:
        """`data` of manifest.daily over everything that was sent since the last one (D7)."""
        with self._changed:
            sent = sorted(
                (each for each in self.entries if each.state == "sent" and not each.reported), key=_sequence
            )
            for each in sent:
                each.reported = True
            states = self.counts()
            return {
                "day": day,
                "first_sequence": sent[0].sequence if sent else None,
                "last_sequence": sent[-1].sequence if sent else None,
                "count": len(sent),
                "by_type": dict(sorted(Counter(each.type for each in sent).items())),
                "ids_digest": digest(each.id for each in sent),
                "waiting": states.get("waiting", 0) + states.get("sending", 0),
                "dead": states.get("dead", 0),
            }

    def listed(self) -> list[dict[str, Any]]:
        """Every event with its fate, for the books."""
        with self._changed:
            return [
                {
                    "id": each.id,
                    "type": each.type,
                    "subject": each.subject,
                    "sequence": each.sequence,
                    "state": each.state,
                    "attempts": each.attempts,
                    "answers": list(each.answers),
                    "repeats": each.repeats,
                }
                for each in self.entries
            ]


def _sequence(entry: Entry) -> int:
    return entry.sequence


def digest(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted ids joined by newlines, in hex (protocol 3.4)."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, not an invitation."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


def send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float = 20
) -> tuple[int, bytes]:
    """(status, body) of one request. Only to this machine: a simulator never talks to the world. Raises NoAnswer."""
    if urlsplit(url).scheme != "http" or urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise ValueError("the simulated shop only speaks to a bridge on this machine")
    request = urllib.request.Request(  # noqa: S310  The scheme was checked above.
        url, data=body, method=method, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error)) from None
