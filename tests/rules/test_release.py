"""Which products retailers may list, and what is missing where one may not (K1, K2)."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import reasons, release
from app.rules.release import Goods, Terms, decide

TERMS = Terms(
    shop_state="active",
    orders_come_here=True,
    is_supplier=True,
    profile_state="approved",
    currency="EUR",
    dealer_prices="net",
    vat_percent=None,
)
ASSAM = Goods(
    kind="simple",
    published=True,
    deleted=False,
    gtin="4006381333931",
    price=790,
    dealer_price=420,
    currency="EUR",
    vat_percent="7",
    network_category="food.tea",
)


def codes(goods: Goods = ASSAM, terms: Terms = TERMS) -> list[str]:
    return [reason.code for reason in decide(goods, terms).reasons]


def test_a_complete_product_of_an_approved_supplier_is_released() -> None:
    verdict = decide(ASSAM, TERMS)
    assert verdict.released
    assert (verdict.price, verdict.category, verdict.vat_percent) == (
        449,
        "food.tea",
        "7",
    )  # 4.20 + 7 % = 4.494


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"gtin": None}, "release.gtin_missing"),
        ({"gtin": " "}, "release.gtin_missing"),
        ({"gtin": "4006381333930"}, "release.gtin_invalid"),
        ({"same_gtin": "Assam, 200 g"}, "release.gtin_duplicate"),
        ({"dealer_price": None}, "release.dealer_price_missing"),
        ({"dealer_price": 0}, "release.dealer_price_not_positive"),
        ({"dealer_price": -100}, "release.dealer_price_not_positive"),
        ({"dealer_price": 739}, "release.dealer_price_too_high"),  # 7.39 + 7 % = 7.91
        ({"vat_percent": None}, "release.tax_missing"),
        ({"vat_percent": "many"}, "release.tax_missing"),
        ({"network_category": None}, "release.category_missing"),
        ({"network_category": "food.stones"}, "release.category_unknown"),
        ({"currency": "CHF"}, "release.currency"),
        ({"published": False}, "release.not_published"),
        ({"deleted": True}, "release.deleted"),
        ({"kind": "variable"}, "release.parent"),
        ({"kind": "other"}, "release.kind_not_sellable"),
    ],
)
def test_each_thing_that_is_missing_is_named_with_its_field(changed: dict[str, Any], code: str) -> None:
    assert codes(replace(ASSAM, **changed)) == [code]
    assert code in release.FIELDS


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"shop_state": "needs_attention"}, "release.shop_not_connected"),
        ({"shop_state": "removed"}, "release.shop_not_connected"),
        ({"orders_come_here": False}, "release.other_shop"),
        ({"profile_state": "submitted"}, "release.profile_not_approved"),
        ({"is_supplier": False}, "release.profile_not_approved"),
        ({"dealer_prices": "perhaps"}, "release.options_incomplete"),
        ({"vat_percent": "many"}, "release.options_incomplete"),
    ],
)
def test_what_the_shop_or_the_profile_is_missing_stops_every_product(
    changed: dict[str, Any], code: str
) -> None:
    assert codes(terms=replace(TERMS, **changed)) == [code]


def test_everything_that_is_missing_is_told_at_once() -> None:
    bare = replace(ASSAM, gtin=None, dealer_price=None, vat_percent=None, network_category=None)
    assert codes(bare, replace(TERMS, profile_state="draft")) == [
        "release.profile_not_approved",
        "release.gtin_missing",
        "release.dealer_price_missing",
        "release.tax_missing",
        "release.category_missing",
    ]


def test_a_parent_is_never_released_itself_and_asks_for_nothing() -> None:
    """K2: its variations are, each on its own."""
    parent = replace(ASSAM, kind="variable", gtin=None, dealer_price=None)
    assert codes(parent, replace(TERMS, profile_state="draft")) == ["release.parent"]
    assert release.field_of("release.parent") is None
    assert decide(replace(ASSAM, kind="variation"), TERMS).released


def test_a_dealer_price_as_high_as_the_own_price_is_the_suppliers_decision() -> None:
    assert decide(replace(ASSAM, price=449), TERMS).released
    assert codes(replace(ASSAM, price=448)) == ["release.dealer_price_too_high"]
    assert decide(replace(ASSAM, price=None), TERMS).released
    assert decide(replace(ASSAM, price=0), TERMS).released


def test_the_rate_of_the_product_wins_over_the_option() -> None:
    option = replace(TERMS, vat_percent="19")
    assert decide(ASSAM, option).price == 449
    assert decide(replace(ASSAM, vat_percent=None), option).price == 500  # 4.998
    assert decide(replace(ASSAM, vat_percent="0"), option).price == 420


@pytest.mark.parametrize(
    ("net", "vat", "gross"),
    [(100, "19", 119), (50, "19", 60), (150, "19", 179), (10, "5", 11), (1, "49.9", 1), (1, "50", 2)],
)
def test_net_prices_become_gross_rounded_half_up_per_unit(net: int, vat: str, gross: int) -> None:
    assert release.gross(net, Decimal(vat), "net") == gross
    assert release.gross(net, Decimal(vat), "gross") == net


def test_a_gross_price_is_known_without_a_rate_and_a_net_price_is_not() -> None:
    assert release.gross(420, None, "gross") == 420
    assert release.gross(420, None, "net") is None
    assert codes(replace(ASSAM, vat_percent=None), replace(TERMS, dealer_prices="gross")) == [
        "release.tax_missing"
    ]


def test_a_upc_and_its_ean_are_the_same_number() -> None:
    assert set(release.gtin_forms("036000291452")) == set(release.gtin_forms("0036000291452"))
    assert release.gtin_forms("4006381333931") == ("04006381333931", "4006381333931")
    assert release.gtin_forms("96385074") == ("00000096385074", "0000096385074", "000096385074", "96385074")
    assert release.gtin_forms("4006381333930") == ()
    assert release.gtin_forms(None) == ()


@pytest.mark.parametrize("code", release.FIELDS)
def test_every_reason_has_a_sentence_that_names_no_product(code: str) -> None:
    """The same sentence is counted for many products on the status page."""
    assert code in reasons.all_codes()
    assert "{sku}" not in reasons.table()[code]["de"]


goods = st.builds(
    Goods,
    kind=st.sampled_from(["simple", "variation", "variable", "other"]),
    published=st.booleans(),
    deleted=st.booleans(),
    gtin=st.sampled_from([None, "", "4006381333931", "4006381333930"]),
    price=st.none() | st.integers(0, 2000),
    dealer_price=st.none() | st.integers(-10, 2000),
    currency=st.sampled_from([None, "EUR", "CHF"]),
    vat_percent=st.sampled_from([None, "7", "19", "x"]),
    network_category=st.sampled_from([None, "food.tea", "food.stones"]),
    same_gtin=st.sampled_from([None, "Assam"]),
)
terms = st.builds(
    Terms,
    shop_state=st.sampled_from(["active", "paused", "removed"]),
    orders_come_here=st.booleans(),
    is_supplier=st.booleans(),
    profile_state=st.sampled_from(["approved", "draft", "refused"]),
    currency=st.just("EUR"),
    dealer_prices=st.sampled_from(["net", "gross"]),
    vat_percent=st.sampled_from([None, "19"]),
)


@given(goods, terms)
def test_whatever_is_released_has_everything_that_k1_asks_for(product: Goods, shop: Terms) -> None:
    verdict = decide(product, shop)
    assert {reason.code for reason in verdict.reasons} <= set(release.FIELDS)
    if not verdict.released:
        return
    assert (shop.shop_state, shop.profile_state, shop.is_supplier) == ("active", "approved", True)
    assert product.gtin == "4006381333931"
    assert verdict.price is not None
    assert verdict.price > 0
    assert verdict.category == "food.tea"
    assert verdict.vat_percent is not None
