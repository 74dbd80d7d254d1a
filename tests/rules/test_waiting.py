"""Waiting for a tracking number (C3)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.waiting import ALARM_BEFORE_DEADLINE, KeepWaiting, ShipWithout, decide, wait_until

DONE = datetime(2026, 11, 21, 14, 9, 28, tzinfo=UTC)
UNTIL = DONE + timedelta(hours=3)
FAR = UNTIL + timedelta(days=2)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("hours", "expected"), [(3, UNTIL), (0, DONE), (-2, DONE)])
def test_the_wait_is_that_many_hours_and_never_ends_before_it_began(hours, expected):
    assert wait_until(DONE, hours) == expected


def test_three_hours_are_three_hours_when_the_clocks_change():
    before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert wait_until(before.astimezone(UTC), 3) == datetime(2026, 10, 25, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("policy", ["never", "special_carrier", "yes"])
def test_before_the_end_it_waits_whatever_the_marketplace_allows(policy):
    assert decide(UNTIL - SECOND, UNTIL, FAR, policy) == KeepWaiting(alarm=False, deadline=FAR)


@pytest.mark.parametrize(("policy", "special"), [("yes", False), ("special_carrier", True)])
@pytest.mark.parametrize("late", [timedelta(0), SECOND, timedelta(days=9)])
def test_at_the_end_it_ships_without_where_that_is_allowed(policy, special, late):
    assert decide(UNTIL + late, UNTIL, FAR, policy) == ShipWithout(special_carrier=special)


@pytest.mark.parametrize("deadline", [FAR, None])
def test_at_the_end_it_alarms_where_that_is_forbidden(deadline):
    assert decide(UNTIL, UNTIL, deadline, "never") == KeepWaiting(alarm=True, deadline=deadline)


def test_a_near_deadline_alarms_while_it_still_waits():
    deadline = UNTIL + timedelta(minutes=30)
    assert decide(deadline - ALARM_BEFORE_DEADLINE, UNTIL, deadline, "yes") == KeepWaiting(
        alarm=True, deadline=deadline
    )
    assert decide(deadline - ALARM_BEFORE_DEADLINE - SECOND, UNTIL, deadline, "yes") == KeepWaiting(
        alarm=False, deadline=deadline
    )


def test_a_deadline_that_has_passed_alarms():
    assert decide(DONE, UNTIL, DONE - SECOND, "never").alarm


@pytest.mark.parametrize("place", range(3))
def test_a_time_without_zone_is_a_defect(place):
    times = [DONE, UNTIL, FAR]
    times[place] = times[place].replace(tzinfo=None)
    with pytest.raises(ValueError, match="no time zone"):
        decide(*times, "never")


def test_the_completion_time_needs_a_zone_too():
    with pytest.raises(ValueError, match="no time zone"):
        wait_until(DONE.replace(tzinfo=None), 3)


@given(
    st.timedeltas(-timedelta(days=5), timedelta(days=5)), st.sampled_from(["never", "special_carrier", "yes"])
)
def test_never_ships_without_where_it_is_forbidden_and_never_too_early(passed, policy):
    if isinstance(decide(UNTIL + passed, UNTIL, FAR, policy), ShipWithout):
        assert policy != "never"
        assert passed >= timedelta(0)
