"""A retailer's price and the reasons why his shop shows nothing (K3-K5)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.messages import Reason
from app.rules import listing, reasons
from app.rules.listing import Circumstances, price, rule_from

FINE = Circumstances(
    switched_on=True,
    released=True,
    partnership_state="active",
    retailer_approved=True,
    supplier_on_holiday=False,
)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, 790),
        ({"kind": "same"}, 790),
        ({"kind": "same", "base": "dealer"}, 420),
        ({"kind": "fixed", "value": "9.95"}, 995),
        ({"kind": "plus", "value": "2"}, 620),
        ({"kind": "plus_percent", "value": "50"}, 630),
        ({"kind": "plus_percent", "value": "10", "base": "recommended"}, 869),
        ({"kind": "minus", "value": "0.90"}, 700),
        ({"kind": "minus_percent", "value": "5"}, 751),
        ({"kind": "minus_percent", "value": "50", "base": "dealer"}, 210),
    ],
)
def test_what_goes_on_top_starts_from_the_dealer_price_and_what_goes_off_from_the_recommended(
    told: dict[str, Any], wanted: int
) -> None:
    assert price(rule_from(told), 420, 790) == wanted


@pytest.mark.parametrize(
    ("told", "dealer", "recommended", "code"),
    [
        ({}, 420, None, "listing.price_missing"),
        ({}, 420, 0, "listing.price_missing"),
        ({"kind": "minus", "value": "8"}, 420, 790, "listing.price_too_low"),
    ],
)
def test_a_price_that_cannot_be_made_says_why(
    told: Any, dealer: int, recommended: int | None, code: str
) -> None:
    assert price(rule_from(told), dealer, recommended) == Reason(code)


def test_a_fixed_price_needs_no_other() -> None:
    assert price(rule_from({"kind": "fixed", "value": "1"}), None, None) == 100


def test_a_rule_is_kept_with_its_base_so_that_it_never_changes_its_meaning() -> None:
    kept = listing.rule_row(rule_from({"kind": "plus", "value": "1,50"}))
    assert kept == {"kind": "plus", "value": "1.50", "base": "dealer"}
    assert listing.rule_row(rule_from(kept)) == kept


def test_an_unknown_base_is_named() -> None:
    with pytest.raises(Invalid) as wrong:
        rule_from({"kind": "same", "base": "moon"})
    assert wrong.value.params["field"] == "price_rule.base"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"switched_on": False}, "listing.off"),
        ({"partnership_state": "paused"}, "listing.partnership_not_active"),
        ({"partnership_state": "ended"}, "listing.partnership_not_active"),
        ({"retailer_approved": False}, "listing.retailer_not_approved"),
        ({"released": False}, "listing.not_released"),
        ({"supplier_on_holiday": True}, "listing.supplier_on_holiday"),
    ],
)
def test_everything_that_speaks_against_a_sale_is_told(changed: dict[str, Any], code: str) -> None:
    reason = listing.withheld(replace(FINE, **changed))
    assert reason is not None
    assert reason.code == code
    assert code in reasons.all_codes()


def test_nothing_speaks_against_it() -> None:
    assert listing.withheld(FINE) is None


@pytest.mark.parametrize(
    ("price_minor", "dealer", "percent"),
    [(1000, 800, 20), (790, 368, 53), (1000, 1001, -1), (None, 420, None), (0, 420, None), (790, None, None)],
)
def test_margins(price_minor: int | None, dealer: int | None, percent: int | None) -> None:
    assert listing.margin_percent(price_minor, dealer) == percent


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=190))
def test_keys_and_skus_are_short_and_show_nothing_of_the_supplier(shop: str, product: str) -> None:
    key = listing.key(shop, product)
    assert key == listing.key(shop, product)
    assert len(key) == 32
    assert len(listing.sku(key)) == 13
    assert listing.key(shop, product + "1") != key


def test_the_shop_and_the_product_cannot_be_mixed_up() -> None:
    assert listing.key("cn_1", "12") != listing.key("cn_11", "2")
