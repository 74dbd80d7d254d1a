"""The network's categories: a list that only grows, in both languages."""

import re
from pathlib import Path

from app.rules import network_categories

PAGE = Path(__file__).resolve().parents[2] / "docs" / "network-categories.md"


def test_every_key_has_a_name_in_both_languages_and_no_name_comes_twice() -> None:
    for key, names in network_categories.table().items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", key)
        assert set(names) == {"de", "en"}
        assert all(names.values())
    for language in ("de", "en"):
        names_told = [names[language] for names in network_categories.table().values()]
        assert len(set(names_told)) == len(names_told)


def test_the_keys_that_products_carry_already_stay() -> None:
    """Products in shops carry these; a key that goes takes them from sale."""
    assert len(network_categories.table()) >= 70
    assert {"food.tea", "media.books", "household.kitchen", "other.other"} <= set(network_categories.table())


def test_names_follow_the_language_and_an_unknown_key_is_its_own_name() -> None:
    assert network_categories.name("food.tea", "de_DE") == "Tee"
    assert network_categories.name("food.tea", "fr_FR") == "Tea"
    assert network_categories.name("food.nothing", "de") == "food.nothing"
    assert not network_categories.is_known(None)
    assert network_categories.choices("de")[0] == {"key": "food.tea", "name": "Tee"}


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == network_categories.as_markdown()
