"""What a merchant types in for Cdiscount, and what is forgiven."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from app.marketplaces.cdiscount import PROVIDER
from app.marketplaces.cdiscount.settings import CdiscountSettings

TYPED = {"client_id": "anna-client", "client_secret": "secret-of-anna", "seller_id": "98979"}


def load(**more: Any) -> dict[str, Any]:
    return dict(CdiscountSettings().load(TYPED | more))


def test_credentials_and_costs_are_all_that_is_needed() -> None:
    found = load(delivery_costs={"TRK": "4.90"})
    assert (found["handling_cap"], found["ecotax"], found["vat_rates"]) == (5, "0", {"19": "20"})


def test_blanks_and_commas_are_forgiven() -> None:
    found = load(
        client_id=" anna-client\n",
        client_secret="secret-of\u200b-anna ",
        seller_id=98979,
        delivery_costs={" trk": "4,90", "REG": ""},
        ecotax="0,35",
        ecotax_field="",
        handling_cap=None,
    )
    assert (found["client_id"], found["client_secret"], found["seller_id"]) == (
        "anna-client",
        "secret-of-anna",
        "98979",
    )
    assert (found["delivery_costs"], found["handling_cap"]) == ({"TRK": "4.90"}, 5)
    assert (found["ecotax"], found["ecotax_field"]) == ("0.35", None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"seller_id": "anna"}, "seller_id"),
        ({"client_id": "98979"}, "client_id"),
        ({"client_secret": ""}, "client_secret"),
        ({"delivery_costs": {"TRK": "viel"}}, "delivery_costs"),
        ({"delivery_costs": {"TRK": "4.905"}}, "delivery_costs"),
        ({"delivery_costs": {"TRK": "-1"}}, "delivery_costs"),
        ({"additional_costs": {"TRK": "x"}}, "additional_costs"),
        ({"delivery_modes": ["tracked mode"]}, "delivery_modes"),
        ({"ecotax": "x"}, "ecotax"),
        ({"vat_rates": {"19": "19"}}, "vat_rates"),
        ({"default_vat_percent": "19"}, "default_vat_percent"),
        ({"handling_cap": 11}, "handling_cap"),
        ({"handling_days": 11}, "handling_days"),
        ({"cancel_codes": {"bored": "X"}}, "cancel_codes"),
        ({"product_texts": {"titel": "title"}}, "product_texts"),
    ],
)
def test_what_is_wrong_names_its_field(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(**wrong)
    assert list(refused.value.normalized_messages()) == [field]


def test_product_data_are_wanted_only_where_something_is_mapped() -> None:
    assert not PROVIDER.can(load()).creates_products
    assert PROVIDER.can(load(categories={"*": "0Z0102"})).creates_products
    assert PROVIDER.can(load(ecotax_field="attribute:Ecotax")).creates_products
