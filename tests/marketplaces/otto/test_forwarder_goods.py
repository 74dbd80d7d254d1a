"""A seller of parcels and of forwarder goods on one account: how a product is delivered, and who answers for it, the product says itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flask import Flask
from market_world import market
from sqlalchemy import select

from app import messages as m
from app.extensions import db
from app.marketplaces.otto.translate import contact
from app.models import Offer
from app.sandbox.otto import SIMULATOR
from app.sandbox.otto.world import PROFILE
from tests.marketplaces.otto.conftest import GTIN, OTHER_GTIN, Otto, parcel

LORRY = "0b6c1f3c-7f1c-4b44-9a2e-7a7b3f0a2c11"
MAPPING = {
    "category": "=Tee",
    "brand": "=Teeladen",
    "attribute:Herkunftsland": "=Indien",
    "delivery_type": "attribute:Lieferart",
    "safety_name": "attribute:Hersteller",
    "safety_address": "attribute:Anschrift",
    "safety_email": "attribute:E-Mail",
}
ANNA = {"safety_name": "Anna", "safety_address": "Teeweg 1", "safety_email": "anna@teeladen.example"}


def chest(sku: str = "TEE-001", was: m.OfferShown | None = None, **fields: str) -> m.OfferWanted:
    """An offer of which the shop tells these attributes."""
    data = m.ProductData(
        {f"attribute:{name}": value for name, value in fields.items()}, ("https://shop.example/1.jpg",)
    )
    gtin = GTIN if sku == "TEE-001" else OTHER_GTIN
    return m.OfferWanted(
        sku, gtin, "Teetruhe", 790, "EUR", 5, 1, on=True, vat_percent="19", product=data, was=was
    )


def confirmed(**change: Any) -> m.OfferShown:
    told: dict[str, Any] = {"price": 790, "stock": 5, "handling_days": 1, "on": True, "raw_state": "ONLINE"}
    return m.OfferShown("TEE-001", "M00A000001", **(told | change))


@pytest.fixture
def both(otto: Otto) -> Otto:
    """Two shipping profiles, and two products that OTTO has."""
    otto.world.profiles[LORRY] = "FORWARDER_CURBSIDE"
    otto.product("TEE-001", GTIN)
    otto.product("TEE-002", OTHER_GTIN)
    return otto


def profiles(otto: Otto) -> list[str]:
    return [each["delivery"]["shippingProfileId"] for each in otto.world.products_of(otto.seller)]


@pytest.mark.parametrize("group", [None, PROFILE])
def test_each_product_gets_the_shipping_profile_of_its_own_kind_of_delivery(
    both: Otto, group: str | None
) -> None:
    client = both.client(product_mapping=MAPPING, shipping_group=group)
    offers = [chest(Lieferart="FORWARDER_CURBSIDE"), chest("TEE-002")]
    told = client.push_offers([dataclasses.replace(each, shipping_group=group) for each in offers])
    assert [each.ok for each in told] == [True, True]
    assert profiles(both) == [LORRY, PROFILE]


def test_an_unchanged_kind_of_delivery_is_not_told_again_and_a_changed_one_is(both: Otto) -> None:
    client = both.client(product_mapping=MAPPING)
    (told,) = client.push_offers(
        [chest(Lieferart="FORWARDER_CURBSIDE", was=confirmed(shipping_group=PROFILE))]
    )
    assert profiles(both)[0] == LORRY
    assert told.shown is not None
    assert told.shown.shipping_group == LORRY
    again = confirmed(shipping_group=told.shown.shipping_group)
    for stock in (4, 3):  # what is not told again is known all the same the next time
        fewer = dataclasses.replace(chest(Lieferart="FORWARDER_CURBSIDE", was=again), stock=stock)
        (told,) = client.push_offers([fewer])
        assert told.shown is not None
        again = confirmed(stock=stock, shipping_group=told.shown.shipping_group)
    assert both.faults.count("POST", "product-delivery-information") == 1


def test_a_kind_of_delivery_that_otto_does_not_know_is_named(both: Otto) -> None:
    (told,) = both.client(product_mapping=MAPPING).push_offers([chest(Lieferart="Esel")])
    assert told.reason is not None
    assert (told.reason.code, told.reason.params["value"]) == ("otto.delivery_type", "Esel")
    assert both.world.products_of(both.seller)[0]["quantity"] == 5  # Its stock is told all the same.


# --- product safety ------------------------------------------------------------------------------------------------------------------


def test_a_product_names_who_answers_for_it_else_the_account_does() -> None:
    own = {"safety_name": "Chai GmbH", "safety_address": "Hafen 2", "safety_url": "https://chai.example"}
    found = contact(own, ANNA | {"safety_region": "DE"})
    assert (found.name, found.address, found.email, found.url, found.region) == (
        "Chai GmbH", "Hafen 2", "", "https://chai.example", "DE",
    )  # fmt: skip
    found = contact({"safety_email": "rueckruf@teeladen.example"}, ANNA)
    assert (found.name, found.email) == ("Anna", "rueckruf@teeladen.example")


def test_the_products_own_contact_reaches_otto(otto: Otto) -> None:
    client = otto.client(product_mapping=MAPPING, **ANNA)
    told = {"Hersteller": "Chai GmbH", "Anschrift": "Hafen 2, 20457 Hamburg", "E-Mail": "chai@example.com"}
    client.push_offers([chest(**told), chest("TEE-002")])
    sent = [call.body for call in otto.faults.calls if call.path == "/v5/products" and call.method == "POST"]
    names = [row["compliance"]["productSafety"]["addresses"][0]["name"] for body in sent for row in body]
    assert names == ["Chai GmbH", "Anna"]


def test_what_a_products_own_contact_lacks_is_named_and_never_filled_with_another_persons(otto: Otto) -> None:
    (told,) = otto.client(product_mapping=MAPPING, **ANNA).push_offers([chest(Hersteller="Chai GmbH")])
    assert told.reason is not None
    assert told.reason.code == "product.data_missing"
    assert told.reason.params["fields"] == "safety_address, safety_email"


# --- parcels -------------------------------------------------------------------------------------------------------------------------


def test_a_forwarder_needs_no_return_label_also_on_an_account_of_parcels(otto: Otto) -> None:
    first, second = otto.order(("TEE-001", 2))
    (told,) = otto.client().ship(parcel(first, carrier="dachser", back=None))
    assert told.ok
    (told,) = otto.client().ship(parcel(second, number="00340434161094015919", back=None))
    assert (told.ok, told.reason and told.reason.code) == (False, "ship.return_tracking_required")
    otto.complaints.clear()  # FACTS 5: the schema's list of required fields is stricter than the vendor's own examples.


@pytest.mark.parametrize(("carrier", "told"), [("Dachser", True), ("DHL", False)])
def test_goods_that_a_forwarder_takes_are_told_at_once_and_a_parcel_waits_for_its_label(
    app: Flask, carrier: str, told: bool
) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1))
        at.work()
        (sold,) = at.orders_in_shop()
        at.in_shop("complete", sold.id, tracking={"number": "00340434161094015902", "carrier": carrier})
        at.work()
        assert [each["state"] for each in at.pieces(order).values()] == ["shipped" if told else "to_ship"]
        assert at.cases() == ([] if told else ["ship.return_tracking_required"])


def test_the_hourly_look_remembers_the_shipping_profile_so_that_it_is_not_sent_again(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        at.work()
        offers = db.session.scalars(select(Offer).where(Offer.connection_id == at.market_connection))
        assert {(each.confirmed or {}).get("shipping_group") for each in offers} == {PROFILE}
