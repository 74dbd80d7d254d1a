"""The flat table of a product: its own words first, then its parent's, never what the variations differ in."""

from __future__ import annotations

from app.rules.product_data import Facts, product_data

PARENT = Facts(
    title="Assam",
    sku="TEE",
    gtin="4006381333931",
    brand="Hathikuli",
    network_category="food.tea",
    extra={
        "images": ["https://shop.example/tee.jpg"],
        "attributes": {"Herkunft": "Indien", "Ernte": "2025"},
        "categories": ["Tee", "Schwarzer Tee"],
        "weight": "0.1",
    },
    texts={"description": "<p>Kräftig</p>", "short_description": "Tee"},
)


def test_a_variation_has_from_its_parent_what_it_lacks() -> None:
    own = Facts(
        title="Assam, 100 g", sku="TEE-100", extra={"attributes": {"Menge": "100 g", "Ernte": "2026"}}
    )
    told = product_data(own, PARENT, "11")
    assert told.fields == {
        "sku": "TEE-100",
        "title": "Assam, 100 g",
        "brand": "Hathikuli",
        "description": "<p>Kräftig</p>",
        "short_description": "Tee",
        "category": "Tee",
        "weight": "0.1",
        "attribute:Herkunft": "Indien",
        "attribute:Ernte": "2026",
        "attribute:Menge": "100 g",
    }
    assert (told.images, told.parent) == (("https://shop.example/tee.jpg",), "11")


def test_a_variation_never_has_the_gtin_of_its_parent() -> None:
    assert "gtin" not in product_data(Facts(title="Assam, 100 g"), PARENT, "11").fields


def test_own_words_win() -> None:
    own = Facts(
        brand="Anna",
        extra={"images": ["https://shop.example/100.jpg"], "categories": ["Neu"], "weight": "0.2"},
        texts={"description": "Eigen"},
    )
    told = product_data(own, PARENT, "11")
    assert (told.fields["brand"], told.fields["description"], told.fields["weight"]) == (
        "Anna",
        "Eigen",
        "0.2",
    )
    assert (told.images, told.categories) == (("https://shop.example/100.jpg",), ("Neu",))


def test_where_there_is_no_description_the_short_one_is_it() -> None:
    told = product_data(Facts(texts={"short_description": "Kurz"}), None, None)
    assert told.fields == {"description": "Kurz", "short_description": "Kurz"}


def test_a_category_is_found_by_any_of_its_names() -> None:
    told = product_data(PARENT, None, None)
    assert told.categories == ("Tee", "Schwarzer Tee", "food.tea")
    assert told.mapped_category({"Schwarzer Tee": 1, "food.tea": 2, "*": 3}) == 1
    assert told.mapped_category({"food.tea": 2, "*": 3}) == 2
    assert told.mapped_category({"Kaffee": 1, "*": 3}) == 3
    assert told.mapped_category({"Kaffee": 1}) is None


def test_a_product_of_which_little_is_known_is_no_error() -> None:
    assert product_data(Facts(), None, None).fields == {}
    assert product_data(Facts(), None, None).mapped_category({"*": "x"}) == "x"
