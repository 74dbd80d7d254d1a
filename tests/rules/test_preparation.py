"""Handling time and delivery modes (I3, I10)."""

import pytest

from app.rules.preparation import CDISCOUNT_CAP_DAYS, handling_days, is_capped, missing_modes


@pytest.mark.parametrize(
    ("shop_days", "default", "added", "cap", "expected"),
    [
        (None, 2, 0, None, 2),
        (1, 2, 0, None, 1),
        (0, 2, 0, None, 0),
        (3, 2, 1, None, 4),
        (3, 2, 4, CDISCOUNT_CAP_DAYS, 5),
        (3, 2, 2, CDISCOUNT_CAP_DAYS, 5),
        (1, 2, -3, None, 0),
        (4, 2, 0, -1, 0),
        (4, 2, 0, 0, 0),
    ],
)
def test_the_products_own_days_or_the_default_plus_the_added_ones_up_to_the_cap(
    shop_days, default, added, cap, expected
):
    assert handling_days(shop_days, default, added, cap) == expected


@pytest.mark.parametrize(
    ("shop_days", "cap", "capped"),
    [(6, 5, True), (5, 5, False), (6, None, False), (1, 0, True), (0, -1, False)],
)
def test_the_merchant_is_told_when_the_cap_shortens(shop_days, cap, capped):
    assert is_capped(shop_days, 1, 0, cap) is capped


@pytest.mark.parametrize(
    ("modes", "missing"),
    [
        ((), ("tracked", "registered")),
        (("tracked",), ("registered",)),
        (("registered", "tracked"), ()),
        (("standard", "tracked", "registered"), ()),
        (("standard",), ("tracked", "registered")),
    ],
)
def test_tracked_and_registered_are_both_needed(modes, missing):
    assert missing_modes(modes) == missing
