"""What a person reads after a connection was checked."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from app.commands.connecting import _tell_golive
from app.marketplaces.otto import translate as t


def facts(**more: Any) -> dict[str, Any]:
    seen = dataclasses.replace(t.evidence([], 0, 0), **more)
    return {
        "golive": t.checklist(seen, (), live=False),
        "support_text": t.support_text("Anna's Teeladen", None),
    }


def test_the_way_to_golive_is_told_step_by_step_with_the_letter(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_golive(facts(moins=3, in_stock=2))
    told = capsys.readouterr().out
    assert "[x] A product with stock exists at OTTO (3 SKU, 2 > 0)" in told
    assert "[ ] Test order placed through the product's own link" in told
    assert "Anna's Teeladen" in told


def test_a_marketplace_without_such_a_way_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    _tell_golive({"storefronts": ["de"]})
    assert capsys.readouterr().out == ""
