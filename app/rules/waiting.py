"""How long an order waits for its tracking number, and what happens then (C3).

What may go wrong: shipping without tracking where the marketplace forbids it is refused; waiting past the marketplace's own
deadline cancels the order. So the wait ends only where it may, and the alarm comes before the deadline.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Policy = Literal["never", "special_carrier", "yes"]

# A person needs part of a working day to find out why there is no number yet.
ALARM_BEFORE_DEADLINE = timedelta(hours=4)

# A cancellation that a marketplace only takes is done within minutes at most of them; whoever still shows the piece as to be shipped
# after a quarter of a day has refused it, or somebody there has to decide.
CANCELLED_WITHIN = timedelta(hours=6)


@dataclass(frozen=True)
class ShipWithout:
    """Ship now without a tracking number; `special_carrier` where the marketplace wants a carrier such as "Other" for that."""

    special_carrier: bool


@dataclass(frozen=True)
class KeepWaiting:
    """Go on waiting. `alarm`: tell the merchant. `deadline`: the marketplace's own (aware UTC), None when it has none."""

    alarm: bool
    deadline: datetime | None


def wait_until(completed_at: datetime, hours: int) -> datetime:
    """When the wait ends: `hours` after the shop completed the order; never before it. Aware UTC in and out."""
    return _aware(completed_at) + timedelta(hours=max(0, hours))


def decide(
    now: datetime, until: datetime, ship_by: datetime | None, policy: Policy
) -> ShipWithout | KeepWaiting:
    """What to do with an order that has no tracking number at `now`.

    `until` comes from wait_until, `ship_by` is the marketplace's deadline, `policy` its Capabilities.ship_without_tracking.
    Shipping without a number never releases money (K11); that is for the release rule to see, not for this one.
    """
    over = _aware(now) >= _aware(until)
    if over and policy != "never":
        return ShipWithout(special_carrier=policy == "special_carrier")
    near = ship_by is not None and _aware(ship_by) - now <= ALARM_BEFORE_DEADLINE
    return KeepWaiting(alarm=over or near, deadline=ship_by)


def _aware(moment: datetime) -> datetime:
    """The moment itself. A naive one has no meaning here and is a defect of the caller."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment
