"""Each release policy says when, and never early (K11, invariant 20)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.rules.release_policy import CarrierScan, Delivered, Evidence, Nobody, TrackingGiven, policy_of

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "policy"),
    [
        ({"kind": "tracking"}, TrackingGiven()),
        ({"kind": "carrier_scan"}, CarrierScan()),
        ({"kind": "delivered", "days": 14}, Delivered(14)),
        ({"kind": "delivered", "days": 0}, Delivered(0)),
        ({"kind": "delivered"}, Nobody("delivered")),
        ({"kind": "delivered", "days": -1}, Nobody("delivered")),
        ({"kind": "delivered", "days": 91}, Nobody("delivered")),
        ({"kind": "delivered", "days": "14"}, Nobody("delivered")),
        ({"kind": "delivered", "days": True}, Nobody("delivered")),
        ({"kind": "trust"}, Nobody("trust")),
        ({}, Nobody("None")),
    ],
)
def test_policies_are_read_as_they_are_stored(stored: dict[str, object], policy: object) -> None:
    assert policy_of(stored) == policy


def test_tracking_given_is_enough() -> None:
    assert TrackingGiven().judge(Evidence(), NOW).releases


@pytest.mark.parametrize(
    ("evidence", "releases"),
    [(Evidence(), False), (Evidence(scanned_at=NOW), True), (Evidence(delivered_at=NOW), True)],
)
def test_the_carrier_must_have_had_it(evidence: Evidence, releases: bool) -> None:
    assert CarrierScan().judge(evidence, NOW).releases is releases


@pytest.mark.parametrize(
    ("after", "releases"), [(timedelta(days=14, seconds=-1), False), (timedelta(days=14), True)]
)
def test_delivered_plus_days_is_never_early(after: timedelta, releases: bool) -> None:
    verdict = Delivered(14).judge(Evidence(scanned_at=NOW, delivered_at=NOW), NOW + after)
    assert verdict.releases is releases
    assert verdict.due_at == (None if releases else NOW + timedelta(days=14))


def test_a_scan_is_no_delivery() -> None:
    verdict = Delivered(0).judge(Evidence(scanned_at=NOW), NOW + timedelta(days=99))
    assert verdict.reason is not None
    assert (verdict.reason.code, verdict.due_at) == ("ledger.waiting_delivery", None)


@pytest.mark.parametrize("day", [datetime(2026, 3, 28, 12), datetime(2026, 10, 24, 12)])  # noqa: DTZ001 - the zone comes below
def test_a_day_has_twenty_four_hours_also_when_the_clock_is_changed(day: datetime) -> None:
    delivered = day.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    evidence = Evidence(delivered_at=delivered)
    due = delivered.astimezone(UTC) + timedelta(hours=24)
    assert not Delivered(1).judge(evidence, due - timedelta(seconds=1)).releases
    assert Delivered(1).judge(evidence, due).releases


def test_an_unknown_policy_releases_never() -> None:
    assert not Nobody("trust").judge(Evidence(NOW, NOW), NOW + timedelta(days=999)).releases
