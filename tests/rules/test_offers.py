"""What a marketplace should show of Anna's tea, or why not (I3-I5, I7, I9)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import Reason
from app.rules.offers import Blocked, Desired, OfferRules, ProductTruth, desired
from app.rules.pricing import PriceRule

ASSAM = ProductTruth(
    sku="TEE-001",
    gtin="4006381333931",
    title="Assam Hathikuli, 100 g",
    price=790,
    currency="EUR",
    stock=5,
    in_stock=True,
    published=True,
    deleted=False,
    kind="simple",
    handling_days=None,
)
RULES = OfferRules(
    on=True,
    price_rule=PriceRule("plus_percent", "10"),
    price_override=None,
    stock_override=None,
    handling_override=None,
    default_handling_days=1,
    added_handling_days=1,
    handling_cap=5,
    buffer=1,
    unmanaged_stock=3,
    currency="EUR",
    shipping_group="Brief",
)


def offer(product=None, rules=None, **given):
    """The offer of Assam with these differences."""
    found = {"reserved": 1, "holiday": False, **given}
    return desired(replace(ASSAM, **(product or {})), replace(RULES, **(rules or {})), **found)


def test_price_stock_and_handling_follow_the_rules():
    assert offer() == Desired(
        "TEE-001", "4006381333931", "Assam Hathikuli, 100 g", 869, "EUR", 3, 2, True, "Brief"
    )


@pytest.mark.parametrize(
    ("product", "code"),
    [
        ({"sku": None}, "product.sku_missing"),
        ({"sku": "  "}, "product.sku_missing"),
        ({"gtin": None}, "product.gtin_missing"),
        ({"gtin": " "}, "product.gtin_missing"),
        ({"gtin": "4006381333932"}, "product.gtin_invalid"),
        ({"price": None}, "product.price_missing"),
        ({"price": 0}, "product.price_missing"),
        ({"currency": "CZK"}, "product.price_currency"),
        ({"currency": None}, "product.price_currency"),
        ({"published": False}, "product.not_published"),
        ({"deleted": True}, "product.deleted"),
        ({"kind": "variable"}, "product.kind_not_sellable"),
        ({"kind": "other"}, "product.kind_not_sellable"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_sent_for_what_was_never_on_sale(product, code):
    found = offer(product)
    assert isinstance(found, Blocked)
    assert (found.reason.code, found.take_down) == (code, False)


@pytest.mark.parametrize("product", [{"sku": None}, {"gtin": "1"}, {"price": None}, {"currency": "CZK"}])
def test_what_was_on_sale_and_lost_its_data_is_taken_down(product):
    found = offer(product, on_sale_before=True)
    assert isinstance(found, Blocked)
    assert found.take_down


@pytest.mark.parametrize(
    ("product", "code"),
    [
        ({"published": False}, "product.not_published"),
        ({"deleted": True}, "product.deleted"),
        ({"kind": "variable"}, "product.kind_not_sellable"),
    ],
)
def test_what_was_on_sale_and_left_the_shop_goes_to_stock_0(product, code):
    found = offer(product, on_sale_before=True)
    assert isinstance(found, Desired)
    assert (found.stock, found.on) == (0, False)
    assert found.reason is not None
    assert found.reason.code == code


def test_what_left_the_shop_without_data_is_taken_down_and_says_why_it_left():
    assert offer({"deleted": True, "price": None}, on_sale_before=True) == Blocked(
        Reason("product.deleted", {"title": "Assam Hathikuli, 100 g", "sku": "TEE-001"}), take_down=True
    )


def test_off_is_stock_0_with_its_reason():
    found = offer(rules={"on": False})
    assert isinstance(found, Desired)
    assert (found.stock, found.on, found.reason) == (0, False, Reason("offer.off"))


def test_holiday_is_stock_0_and_stays_on():
    found = offer(holiday=True)
    assert isinstance(found, Desired)
    assert (found.stock, found.on, found.reason) == (0, True, Reason("offer.holiday"))


def test_off_is_the_reason_even_on_holiday():
    found = offer(rules={"on": False}, holiday=True)
    assert found.reason == Reason("offer.off")


@pytest.mark.parametrize(("override", "price"), [(999, 999), (1, 1)])
def test_a_price_of_its_own_wins_over_rule_and_currency(override, price):
    found = offer({"price": None, "currency": "CZK"}, {"price_override": override})
    assert isinstance(found, Desired)
    assert (found.price, found.currency) == (price, "EUR")


def test_a_fixed_price_needs_no_price_in_the_shop():
    found = offer({"price": None, "currency": None}, {"price_rule": PriceRule("fixed", "9.90")})
    assert isinstance(found, Desired)
    assert found.price == 990


@pytest.mark.parametrize(
    "rules", [{"price_override": 0}, {"price_override": -5}, {"price_rule": PriceRule("minus", "7.90")}]
)
def test_nothing_is_given_away(rules):
    found = offer(rules=rules)
    assert isinstance(found, Blocked)
    assert found.reason.code == "product.price_too_low"


@pytest.mark.parametrize(
    ("stock", "override", "shown"),
    [(5, None, 3), (5, 2, 2), (5, 9, 3), (5, 0, 0), (None, None, 3), (None, 7, 7), (None, 0, 0)],
)
def test_a_stock_of_its_own_lowers_and_never_raises_what_is_counted(stock, override, shown):
    found = offer({"stock": stock}, {"stock_override": override})
    assert isinstance(found, Desired)
    assert found.stock == shown


def test_a_product_the_shop_calls_sold_out_shows_nothing():
    assert offer({"in_stock": False}).stock == 0


@pytest.mark.parametrize(
    ("days", "override", "expected"),
    [(None, None, 2), (2, None, 3), (9, None, 5), (None, 4, 4), (9, 0, 0), (None, 8, 5)],
)
def test_handling_days_follow_product_override_and_cap(days, override, expected):
    found = offer({"handling_days": days}, {"handling_override": override})
    assert isinstance(found, Desired)
    assert found.handling_days == expected


def test_a_product_without_a_title_is_called_by_its_sku():
    assert offer({"title": " "}).title == "TEE-001"


def test_one_cent_is_a_price():
    assert offer({"price": 1}, {"price_rule": PriceRule()}).price == 1
    assert offer(rules={"price_rule": PriceRule("minus", "7.89")}).price == 1


def test_the_gtin_is_sent_clean():
    assert offer({"gtin": "4006381-333931"}).gtin == "4006381333931"


def test_a_variation_is_sold_like_a_simple_product():
    assert isinstance(offer({"kind": "variation"}), Desired)


products = st.builds(
    ProductTruth,
    sku=st.sampled_from([None, "", "TEE-001"]),
    gtin=st.sampled_from([None, "1", "4006381333931"]),
    title=st.text(max_size=3),
    price=st.none() | st.integers(-5, 1000),
    currency=st.sampled_from([None, "EUR", "CZK"]),
    stock=st.none() | st.integers(-5, 9),
    in_stock=st.booleans(),
    published=st.booleans(),
    deleted=st.booleans(),
    kind=st.sampled_from(["simple", "variation", "variable", "other"]),
    handling_days=st.none() | st.integers(0, 9),
)


@given(products, st.integers(0, 9), st.booleans(), st.booleans(), st.booleans())
def test_whatever_the_product_what_is_sent_can_be_sold(product, reserved, on, holiday, before):
    found = desired(product, replace(RULES, on=on), reserved=reserved, holiday=holiday, on_sale_before=before)
    if isinstance(found, Blocked):
        assert found.take_down is before
        return
    assert found.price >= 1
    assert found.sku
    if product.stock is not None:
        assert found.stock <= max(0, product.stock - reserved - RULES.buffer)
    if found.stock:
        assert found.on
        assert found.reason is None
        assert product.published
        assert not product.deleted
