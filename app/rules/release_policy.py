"""When a supplier's parcel releases his money (K11): tracking given (default), carrier scan, or delivered + n days. Each policy is an object.

What may go wrong: releasing too early cannot be taken back. Times are aware and compared in UTC, an event from the future counts from now
on, and a policy nobody knows releases nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from app.messages import Reason

MAX_DAYS = 90  # no provider holds money longer (reliability 4.1)

WAITS = frozenset({"ledger.waiting_scan", "ledger.waiting_delivery", "ledger.waiting_days", "ledger.frozen"})
"""Reasons that only say what a parcel waits for: a line in the story, no problem that somebody must look at."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one parcel whose number counts; aware times, None = not seen."""

    scanned_at: datetime | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """`reason` None = release. `due_at`: when time alone will change it, None = only new evidence can."""

    reason: Reason | None = None
    due_at: datetime | None = None

    @property
    def releases(self) -> bool:
        """Whether the money is released now."""
        return self.reason is None


class Policy(Protocol):
    """A rule of release. Format, check digit and "not used before" are always looked at first, whatever the policy."""

    def judge(self, evidence: Evidence, now: datetime) -> Verdict: ...


@dataclass(frozen=True)
class TrackingGiven:
    """The number is enough (K11, default)."""

    def judge(self, evidence: Evidence, now: datetime) -> Verdict:
        """Always released."""
        return Verdict()


@dataclass(frozen=True)
class CarrierScan:
    """The carrier has had the parcel in his hands; delivering it proves that too."""

    def judge(self, evidence: Evidence, now: datetime) -> Verdict:
        """Released once scanned or delivered."""
        if evidence.scanned_at is None and evidence.delivered_at is None:
            return Verdict(Reason("ledger.waiting_scan"))
        return Verdict()


@dataclass(frozen=True)
class Delivered:
    """So many times 24 hours after delivery."""

    days: int

    def judge(self, evidence: Evidence, now: datetime) -> Verdict:
        """Released when the time is over; before, it says when that is."""
        if evidence.delivered_at is None:
            return Verdict(Reason("ledger.waiting_delivery", {"days": self.days}))
        due_at = evidence.delivered_at.astimezone(UTC) + timedelta(days=self.days)
        if due_at <= now:
            return Verdict()
        return Verdict(Reason("ledger.waiting_days", {"until": due_at.isoformat()}), due_at)


@dataclass(frozen=True)
class Nobody:
    """A policy that this version does not know: nothing is released."""

    kind: str

    def judge(self, evidence: Evidence, now: datetime) -> Verdict:
        """Never released."""
        return Verdict(Reason("ledger.policy_unknown", {"policy": self.kind}))


def policy_of(stored: Mapping[str, Any]) -> Policy:
    """The policy as partnerships and trades store it: {"kind": "tracking"}, {"kind": "carrier_scan"}, {"kind": "delivered", "days": n}."""
    kind = stored.get("kind")
    if kind == "tracking":
        return TrackingGiven()
    if kind == "carrier_scan":
        return CarrierScan()
    days = stored.get("days")
    if kind == "delivered" and isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= MAX_DAYS:
        return Delivered(days)
    return Nobody(str(kind))
