"""What a product costs at a marketplace (I3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Invalid
from app.rules.pricing import KINDS, PriceRule, exact, from_settings, price


@pytest.mark.parametrize(
    ("kind", "value", "shop", "expected"),
    [
        ("same", "0", 790, 790),
        ("fixed", "9.90", 790, 990),
        ("plus", "1.50", 790, 940),
        ("minus", "1.50", 790, 640),
        ("plus_percent", "10", 790, 869),
        ("minus_percent", "10", 790, 711),
        ("plus_percent", "7.5", 790, 849),  # 849.25
        ("plus_percent", "0.5", 100, 101),  # 100.5 is rounded up
        ("minus_percent", "0.5", 100, 100),  # 99.5 is rounded up
        ("minus_percent", "0.6", 100, 99),  # 99.4 is rounded down
        ("plus", "0.005", 100, 101),
        ("minus", "8.00", 790, 1),
        ("minus", "7.90", 790, 1),
        ("minus_percent", "99.99", 1, 1),
    ],
)
def test_each_kind_of_rule_to_the_cent(kind, value, shop, expected):
    assert price(PriceRule(kind, value), shop) == expected


def test_exact_tells_how_far_below_zero_a_rule_goes():
    assert exact(PriceRule("minus", "8.00"), 790) == -10


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, PriceRule()),
        ({"kind": None}, PriceRule()),
        ({"kind": "same", "value": "nonsense"}, PriceRule()),
        ({"kind": "plus", "value": "1,50"}, PriceRule("plus", "1.50")),
        ({"kind": "plus_percent", "value": " 7.5 % "}, PriceRule("plus_percent", "7.5")),
        ({"kind": "fixed", "value": 9}, PriceRule("fixed", "9")),
        ({"kind": "plus", "value": "1e2"}, PriceRule("plus", "100")),
        ({"kind": "plus", "value": "0"}, PriceRule("plus", "0")),
        ({"kind": "plus", "value": "10000000"}, PriceRule("plus", "10000000")),
        ({"kind": "fixed", "value": "10000000"}, PriceRule("fixed", "10000000")),
        ({"kind": "fixed", "value": "0.01"}, PriceRule("fixed", "0.01")),
        ({"kind": "minus_percent", "value": "0"}, PriceRule("minus_percent", "0")),
    ],
)
def test_settings_become_a_rule(settings, rule):
    assert from_settings(settings) == rule


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"kind": "double"}, "price_rule.kind"),
        ({"kind": "plus"}, "price_rule.value"),
        ({"kind": "plus", "value": "a lot"}, "price_rule.value"),
        ({"kind": "plus", "value": "-1"}, "price_rule.value"),
        ({"kind": "plus", "value": "NaN"}, "price_rule.value"),
        ({"kind": "plus", "value": "Infinity"}, "price_rule.value"),
        ({"kind": "plus", "value": "99999999999"}, "price_rule.value"),
        ({"kind": "plus", "value": "10000000.01"}, "price_rule.value"),
        ({"kind": "fixed", "value": "10000000.01"}, "price_rule.value"),
        ({"kind": "fixed", "value": "0"}, "price_rule.value"),
        ({"kind": "minus_percent", "value": "100"}, "price_rule.value"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(settings, field):
    with pytest.raises(Invalid) as refused:
        from_settings(settings)
    assert refused.value.code == "price.rule_invalid"
    assert refused.value.params["field"] == field


@given(st.sampled_from(KINDS), st.decimals("0.01", "99.99", places=2), st.integers(1, 10**9))
def test_a_price_is_a_whole_number_of_at_least_one(kind, value, shop):
    rule = from_settings({"kind": kind, "value": str(value)})
    found = price(rule, shop)
    assert isinstance(found, int)
    assert found >= 1
    assert kind not in {"plus", "plus_percent", "same"} or found >= shop
    assert kind not in {"minus", "minus_percent"} or found <= shop


def test_a_value_that_was_not_given_is_told_as_empty_and_a_long_one_is_cut():
    with pytest.raises(Invalid) as missing:
        from_settings({"kind": "plus"})
    assert missing.value.params["value"] == ""
    with pytest.raises(Invalid) as long:
        from_settings({"kind": "plus", "value": "x" * 99})
    assert long.value.params["value"] == "x" * 60
