"""What a retailer finds in the network and takes into his shop (K3)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listings import (
    ASSAM,
    DARJEELING,
    SENCHA,
    calls,
    change,
    goods,
    in_shop,
    listing,
    offer,
    recorded,
    take,
)
from network_world import Member, Network
from sqlalchemy import select, text
from world import call

from app.errors import Invalid
from app.flows import catalogue, push_listings
from app.flows.catalogue import Query
from app.models import Connection, Listing, Product
from app.rules import listing as rules
from app.shops.woocommerce.client import WooCommerceClient


def shop_of(network: Network, member: Member) -> Connection:
    network.session.rollback()
    return network.session.get_one(Connection, member.connection)


def find(network: Network, member: Member, **asked: Any) -> list[str]:
    """Titles of what the member finds."""
    return [
        each.title
        for each in catalogue.search(network.session, shop_of(network, member), Query(**asked)).items
    ]


@pytest.fixture
def shelf(network: Network) -> Network:
    """Anna's three teas, one of them not released; prices of dealers are gross there."""
    offer(
        network,
        network.anna,
        goods("TEE-001", ASSAM, name="Assam Hathikuli", price="7.90", dealer_price="4.20"),
        goods(
            "TEE-002", DARJEELING, name="Darjeeling", price="10.00", dealer_price="8.00", brand="Makaibari"
        ),
        goods("TEE-003", None, name="Sencha"),
        goods("TASSE", SENCHA, name="Tasse 100%_rund", network_category="household.tableware", price="0"),
    )
    return network


def test_only_released_products_of_active_partners_are_found(shelf: Network) -> None:
    assert find(shelf, shelf.boldt) == ["Assam Hathikuli", "Darjeeling", "Tasse 100%_rund"]
    assert find(shelf, shelf.anna) == []
    stranger = shelf.join("Chai GmbH", retailer=True)
    assert find(shelf, stranger) == []
    shelf.session.execute(text("UPDATE partnership SET state = 'paused'"))
    shelf.session.commit()
    assert find(shelf, shelf.boldt) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"text": "assam"}, ["Assam Hathikuli"]),
        ({"text": "HATHI assam"}, ["Assam Hathikuli"]),
        ({"text": "makaibari"}, ["Darjeeling"]),
        ({"text": "100%_"}, ["Tasse 100%_rund"]),
        ({"text": "%"}, ["Tasse 100%_rund"]),
        ({"text": "Sencha"}, []),
        ({"category": "household.tableware"}, ["Tasse 100%_rund"]),
        ({"gtin": f" {ASSAM} "}, ["Assam Hathikuli"]),
        ({"gtin": f"0{ASSAM}"}, ["Assam Hathikuli"]),
        ({"gtin": "12"}, []),
        ({"brand": "hathikuli"}, ["Assam Hathikuli", "Tasse 100%_rund"]),
        ({"minimum_margin": 20}, ["Assam Hathikuli", "Darjeeling"]),
        ({"minimum_margin": 21}, ["Assam Hathikuli"]),
        ({"supplier_id": 999}, []),
        ({"listed": True}, []),
        ({"page": 2, "per_page": 2}, ["Tasse 100%_rund"]),
    ],
)
def test_what_is_looked_for_is_found(shelf: Network, asked: dict[str, Any], found: list[str]) -> None:
    assert find(shelf, shelf.boldt, **asked) == found


def test_an_item_shows_the_retailers_own_price_the_recommended_one_and_what_can_be_sold(
    shelf: Network,
) -> None:
    shelf.session.execute(
        text("DELETE FROM partnership WHERE retailer_id = :id"), {"id": shelf.boldt.account.id}
    )
    shelf.partners(shelf.boldt, shelf.anna, discount_bp=1250)
    page = catalogue.search(shelf.session, shop_of(shelf, shelf.boldt), Query(gtin=ASSAM))
    (item,) = page.items
    assert (item.dealer_price, item.recommended_price, item.currency) == (
        368,
        790,
        "EUR",
    )  # 4.20 - 12.5 % = 3.675
    assert (item.stock, item.supplier, item.margin_percent) == (10, "Anna's Teeladen", 53)
    assert (item.image, item.category, item.listed) == ("https://tee.example/tee-001.jpg", "food.tea", False)
    assert (page.total, page.next_page) == (1, None)
    assert find(shelf, shelf.boldt, minimum_margin=53) == ["Assam Hathikuli"]
    assert find(shelf, shelf.boldt, minimum_margin=54) == []


def test_pages_end(shelf: Network) -> None:
    shop = shop_of(shelf, shelf.boldt)
    pages = [catalogue.search(shelf.session, shop, Query(page=page, per_page=2)) for page in (1, 2, 3)]
    assert [(len(page.items), page.next_page, page.total) for page in pages] == [
        (2, 2, 3),
        (1, None, 3),
        (0, None, 3),
    ]


def test_an_import_makes_the_product_with_everything_but_a_description(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K3"""
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    sent = recorded(monkeypatch)
    assert take(network, network.boldt, [product], {"kind": "plus_percent", "value": "50"}).queued == 1
    made = in_shop(network, network.boldt, product)
    assert (made.name, made.gtin, made.price, made.stock) == ("Tee TEE-001", ASSAM, 630, 10)
    assert (made.images, made.brand, made.category) == (
        ["https://tee.example/tee-001.jpg"],
        "Hathikuli",
        "Tee",
    )
    assert (made.managed, made.status) == (True, "publish")
    (upsert,) = [data for kind, data in sent if kind == "product.upsert"]
    assert set(upsert) == {
        "key", "name", "stock_quantity", "managed", "gtin", "sku", "status", "price", "images", "brand", "category", "tax_rate",
    }  # fmt: skip
    assert (upsert["tax_rate"], made.tax_rate) == ("7", "7")
    assert listing(network, network.boldt, product).state == "listed"
    assert find(network, network.boldt, listed=True) == ["Tee TEE-001"]
    assert find(network, network.boldt, listed=False) == []


def test_the_sku_in_the_retailers_shop_is_never_the_suppliers(network: Network) -> None:
    """He may have an article with that number already, which would be taken over."""
    call(
        "POST",
        f"{network.boldt.shop_url}/_control/products",
        {"name": "Lexikon", "sku": "TEE-001", "stock": 2},
    )
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    assert network.boldt.shop.find(sku="TEE-001").name == "Lexikon"
    assert in_shop(network, network.boldt, product).sku == rules.sku(
        listing(network, network.boldt, product).key
    )


def test_a_product_that_the_retailer_has_is_taken_over_by_its_gtin_and_keeps_his_words(
    network: Network,
) -> None:
    mine = {
        "name": "Mein Assam",
        "sku": "B-7",
        "gtin": ASSAM,
        "price": "9.90",
        "stock": 1,
        "images": ["https://b.example/1.jpg"],
    }
    made = call("POST", f"{network.boldt.shop_url}/_control/products", mine)["products"][0]
    network.work()
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    before = len(network.boldt.shop.products)
    take(network, network.boldt, [product])
    own = in_shop(network, network.boldt, product)
    assert (own.id, len(network.boldt.shop.products)) == (made["id"], before)
    assert (own.name, own.sku, own.images) == ("Mein Assam", "B-7", ["https://b.example/1.jpg"])
    assert (own.stock, own.price, own.managed) == (10, 790, True)


def test_the_same_gtin_of_a_second_supplier_is_refused_with_the_reason(network: Network) -> None:
    chai = network.join("Chai GmbH", supplier=True)
    network.partners(network.boldt, chai)
    (first,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    (second,) = offer(network, chai, goods("CHAI-1", f"0{ASSAM}"))
    assert take(network, network.boldt, [first]).queued == 1
    found = take(network, network.boldt, [second])
    assert (found.queued, [each.reason.code for each in found.refused]) == (0, ["catalogue.gtin_taken"])
    assert take(network, network.dora, [second]).queued == 0, "Dora is no partner of Chai"
    catalogue.unlist(network.session, shop_of(network, network.boldt), [first])
    network.session.commit()
    assert take(network, network.boldt, [second]).queued == 1


def test_the_article_goes_over_to_the_second_supplier_when_the_first_is_taken_out(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One product all the time, and the one who has it in his hands never becomes the retailer's own by it."""
    chai = network.join("Chai GmbH", supplier=True)
    network.partners(network.boldt, chai)
    (first,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    (second,) = offer(network, chai, goods("CHAI-1", ASSAM, stock=3))
    take(network, network.boldt, [first])
    made = in_shop(network, network.boldt, first)
    sent = recorded(monkeypatch)
    catalogue.unlist(network.session, shop_of(network, network.boldt), [first])
    network.session.commit()
    assert take(network, network.boldt, [second]).queued == 1
    assert [data["managed"] for kind, data in sent if kind == "product.upsert"] == [False, True]
    again = in_shop(network, network.boldt, second)
    assert (again.id, again.stock, again.status, again.managed) == (made.id, 3, "publish", True)
    row = listing(network, network.boldt, first)
    assert (row.state, row.shop_product_id) == ("withdrawn", None)
    assert (listing(network, network.boldt, second).adopted, network.cases(network.boldt)) == (False, [])
    change(network, network.anna, "TEE-001", stock=9)
    network.work()
    assert in_shop(network, network.boldt, second).stock == 3


def test_one_that_was_taken_out_is_the_retailers_own_after_a_while(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order from before may be on its way; then nobody resets his stock any more, and a new import shows the same product again."""
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    made = in_shop(network, network.boldt, product)
    catalogue.unlist(network.session, shop_of(network, network.boldt), [product])
    network.session.commit()
    network.work()
    assert (made.managed, made.status, made.stock) == (False, "draft", 0)
    assert in_shop(network, network.boldt, product) is made
    monkeypatch.setattr(push_listings, "SALE_GRACE", 0.0)
    network.hurry()
    network.work()
    assert listing(network, network.boldt, product).shop_product_id is None
    call("PATCH", f"{network.boldt.shop_url}/_control/products/{made.id}", {"stock": 4})
    network.work()
    assert made.stock == 4
    take(network, network.boldt, [product])
    assert (made.stock, made.status, made.managed) == (10, "publish", True)
    assert not listing(network, network.boldt, product).adopted
    assert len(network.boldt.shop.products) == 1


def test_one_that_the_shop_never_took_is_not_made_when_it_is_taken_out(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    with monkeypatch.context() as refusing:
        refuse_upserts(refusing)
        take(network, network.boldt, [product])
    assert network.cases(network.boldt) == ["listing.refused"]
    catalogue.unlist(network.session, shop_of(network, network.boldt), [product])
    network.session.commit()
    network.work()
    assert network.boldt.shop.products == {}
    assert (listing(network, network.boldt, product).state, network.cases(network.boldt)) == ("withdrawn", [])


def test_the_case_of_one_that_was_refused_is_closed_when_a_new_import_succeeds(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    with monkeypatch.context() as refusing:
        refuse_upserts(refusing)
        take(network, network.boldt, [product])
    assert network.cases(network.boldt) == ["listing.refused"]
    take(network, network.boldt, [product])
    assert (listing(network, network.boldt, product).state, network.cases(network.boldt)) == ("listed", [])


def refuse_upserts(monkeypatch: pytest.MonkeyPatch) -> None:
    send = WooCommerceClient.send

    def nameless(client: WooCommerceClient, command_id: str, kind: str, data: dict[str, Any]) -> Any:
        return send(client, command_id, kind, {**data, "name": None} if kind == "product.upsert" else data)

    monkeypatch.setattr(WooCommerceClient, "send", nameless)


def test_the_catalogue_says_that_the_retailer_deleted_it(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    number = listing(network, network.boldt, product).shop_product_id
    call("DELETE", f"{network.boldt.shop_url}/_control/products/{number}?force=1")
    network.work()
    (item,) = catalogue.search(network.session, shop_of(network, network.boldt), Query()).items
    assert (item.listed, item.state) == (False, "withdrawn")
    assert item.reason is not None
    assert item.reason.code == "listing.gone_from_shop"


def test_a_listing_that_is_not_offered_any_more_stays_in_its_retailers_catalogue_and_says_why(
    network: Network,
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    change(network, network.anna, "TEE-001", dealer_price="")
    network.work()
    assert in_shop(network, network.boldt, product).stock == 0
    for asked in (Query(), Query(listed=True), Query(gtin=ASSAM)):
        (item,) = catalogue.search(network.session, shop_of(network, network.boldt), asked).items
        assert (item.listed, item.dealer_price, item.margin_percent, item.stock) == (True, None, None, 0)
        assert item.reason is not None
        assert item.reason.code == "listing.not_released"
    assert find(network, network.boldt, listed=False) == find(network, network.boldt, minimum_margin=1) == []
    refused = catalogue.list_products(
        network.session, shop_of(network, network.boldt), [product], {"kind": "same"}
    ).refused
    assert [each.reason.code for each in refused] == ["catalogue.not_offered"]


def test_a_listing_of_a_partner_who_pauses_stays_in_the_catalogue_too(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", DARJEELING))[:1]
    take(network, network.boldt, [product])
    network.session.execute(text("UPDATE partnership SET state = 'paused'"))
    network.session.execute(text("UPDATE listing SET stale = true, next_attempt_at = now()"))
    network.session.commit()
    network.work()
    (item,) = catalogue.search(network.session, shop_of(network, network.boldt), Query()).items
    assert (item.listed, item.dealer_price, item.stock) == (True, None, 0)
    assert item.reason is not None
    assert item.reason.code == "listing.partnership_not_active"


@pytest.mark.parametrize(("told", "sent_rate"), [("19", "19"), ("5.5", "5.5"), ("0", None)])
def test_the_rate_of_the_goods_is_told_but_not_that_a_supplier_charges_none(
    network: Network, monkeypatch: pytest.MonkeyPatch, told: str, sent_rate: str | None
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM, tax_rate=told))
    sent = recorded(monkeypatch)
    take(network, network.boldt, [product])
    (upsert,) = [data for kind, data in sent if kind == "product.upsert"]
    assert upsert.get("tax_rate") == sent_rate


def test_goods_without_vat_are_told_as_such(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM, tax_rate="0"))
    row = network.session.get_one(Product, product)
    row.extra = {**row.extra, "zero_rated": True}
    network.session.commit()
    sent = recorded(monkeypatch)
    take(network, network.boldt, [product])
    (upsert,) = [data for kind, data in sent if kind == "product.upsert"]
    assert upsert["tax_rate"] == "0"


def test_both_in_one_import_is_refused_too(network: Network) -> None:
    chai = network.join("Chai GmbH", supplier=True)
    network.partners(network.boldt, chai)
    (first,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    (second,) = offer(network, chai, goods("CHAI-1", ASSAM))
    found = take(network, network.boldt, [first, second, first])
    assert (found.queued, [each.product_id for each in found.refused]) == (1, [second])


def test_what_cannot_be_listed_is_named_one_by_one(network: Network) -> None:
    (product, hidden) = offer(network, network.anna, goods("TEE-001", ASSAM), goods("TEE-002", None))
    own = offer(network, network.boldt, goods("BUCH-1", DARJEELING))
    found = take(network, network.boldt, [product, hidden, *own, 4711])
    assert found.queued == 1
    assert {each.product_id: each.reason.code for each in found.refused} == {
        hidden: "catalogue.not_offered",
        own[0]: "catalogue.own_product",
        4711: "catalogue.not_offered",
    }


def test_another_currency_than_the_shops_is_refused(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    shop = shop_of(network, network.boldt)
    shop.facts = {**shop.facts, "currency": "CHF"}
    network.session.commit()
    assert [each.reason.code for each in take(network, network.boldt, [product]).refused] == [
        "listing.currency"
    ]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "half"}, "price_rule.kind"),
        ({"kind": "plus", "value": "much"}, "price_rule.value"),
        ({"kind": "plus", "value": "1", "base": "moon"}, "price_rule.base"),
    ],
)
def test_a_price_rule_that_makes_no_sense_is_refused_whole(
    network: Network, rule: dict[str, str], field: str
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    with pytest.raises(Invalid) as wrong:
        take(network, network.boldt, [product], rule)
    assert wrong.value.params["field"] == field
    network.session.rollback()
    assert network.session.scalars(select(Listing)).all() == []


def test_importing_again_changes_the_price_rule_and_doubles_nothing(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    take(network, network.boldt, [product], {"kind": "fixed", "value": "8.50"})
    assert in_shop(network, network.boldt, product).price == 850
    assert len(network.session.scalars(select(Listing)).all()) == 1
    assert len(network.boldt.shop.products) == 1


def test_taken_out_it_is_hidden_at_stock_0_and_an_import_brings_the_same_product_back(
    network: Network,
) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    assert catalogue.unlist(network.session, shop_of(network, network.boldt), [product]) == 1
    network.session.commit()
    network.work()
    made = in_shop(network, network.boldt, product)
    assert (made.stock, made.status) == (0, "draft")
    assert listing(network, network.boldt, product).state == "withdrawn"
    change(network, network.anna, "TEE-001", stock=7)
    network.work()
    assert in_shop(network, network.boldt, product).stock == 0
    take(network, network.boldt, [product])
    again = in_shop(network, network.boldt, product)
    assert (again.id, again.stock, again.status) == (made.id, 7, "publish")


def test_the_retailers_own_product_is_not_hidden_when_it_is_taken_out(network: Network) -> None:
    call(
        "POST",
        f"{network.boldt.shop_url}/_control/products",
        {"name": "Mein Assam", "gtin": ASSAM, "stock": 1},
    )
    network.work()
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    catalogue.unlist(network.session, shop_of(network, network.boldt), [product])
    network.session.commit()
    network.work()
    made = in_shop(network, network.boldt, product)
    assert (made.stock, made.status) == (0, "publish")


def test_what_never_reached_the_shop_is_taken_out_without_a_call(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    shop = shop_of(network, network.boldt)
    catalogue.list_products(network.session, shop, [product], {})
    catalogue.unlist(network.session, shop, [product])
    network.session.commit()
    network.work()
    assert calls(network.boldt, "product.upsert", "stock.set") == []
    assert catalogue.unlist(network.session, shop_of(network, network.boldt), [product]) == 0


def test_one_switched_off_shows_0_and_says_why(network: Network) -> None:
    (product,) = offer(network, network.anna, goods("TEE-001", ASSAM))
    take(network, network.boldt, [product])
    assert catalogue.switch(network.session, shop_of(network, network.boldt), [product], on=False) == 1
    network.session.commit()
    network.work()
    assert in_shop(network, network.boldt, product).stock == 0
    assert listing(network, network.boldt, product).reason_code == "listing.off"
    assert catalogue.switch(network.session, shop_of(network, network.boldt), [product], on=True) == 1
    network.session.commit()
    network.work()
    assert in_shop(network, network.boldt, product).stock == 10


@given(st.integers(1, 10**7), st.integers(0, 10_000), st.integers(1, 10**7))
def test_the_margin_that_is_shown_is_the_margin_that_is_filtered(
    price: int, discount: int, dealer: int
) -> None:
    unit = (dealer * (10_000 - discount) + 5_000) // 10_000
    shown = rules.margin_percent(price, unit)
    assert shown is not None
    assert (price - unit) * 100 >= price * shown
    assert (price - unit) * 100 < price * (shown + 1)
