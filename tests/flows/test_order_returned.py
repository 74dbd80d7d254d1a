"""A return only goes forward, whichever of a partner's lists is read last."""

import pytest

from app.flows.order_returned import _state_after
from app.messages import ReturnState


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        (None, ReturnState.ANNOUNCED, ReturnState.ANNOUNCED),
        (ReturnState.ANNOUNCED, ReturnState.ARRIVED, ReturnState.ARRIVED),
        (ReturnState.ARRIVED, ReturnState.ANNOUNCED, ReturnState.ARRIVED),
        (ReturnState.ARRIVED, ReturnState.ACCEPTED, ReturnState.ACCEPTED),
        (ReturnState.ACCEPTED, ReturnState.ARRIVED, ReturnState.ACCEPTED),
        (ReturnState.REJECTED, ReturnState.ACCEPTED, ReturnState.ACCEPTED),
    ],
)
def test_a_return_never_goes_back(before: ReturnState | None, seen: ReturnState, after: ReturnState) -> None:
    """One look at a marketplace with two lists said "arrived" and "announced", and the story grew by two lines with every look."""
    assert _state_after(before, seen) == after
