"""Every reason that the code can give has its sentence, and docs/reasons.md is what the table says."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import PieceState, ReturnState
from app.rules import reasons

ROOT = Path(__file__).parents[2]
ERRORS = {"Refused", "Invalid", "Unavailable", "Unknown", "Unauthorised", "Reason", "VaultError"}
# Stories and answers carry a code too, in whatever place.
TELLERS = {"tell", "open_case", "order_case", "problem", "later"}
CODE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def first_argument(call: ast.Call) -> ast.expr | None:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    return call.args[0] if call.args else named.get("code")


def called(call: ast.Call) -> str:
    """`Refused` of both Refused(...) and errors.Refused(...)."""
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


def literals(node: ast.AST) -> Iterator[str]:
    """Codes written in an expression: a literal, both ends of a condition, the values of a table that is looked up."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and CODE.fullmatch(each.value):
            yield each.value


def table_values(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """Codes in a dictionary that maps a partner's words to ours: one known code among the values shows that it is such a table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            values = [code for value in node.values for code in literals(value)]
            if known.intersection(values):
                yield from values


def codes_in(source: str, known: set[str]) -> set[str]:
    tree = ast.parse(source)
    found = set(table_values(tree, known))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in ERRORS:
            argument = first_argument(node)
            found.update(literals(argument) if argument is not None else ())
        elif isinstance(node, ast.Call) and called(node) in TELLERS:
            found.update(code for argument in node.args for code in literals(argument))
            found.update(
                code for keyword in node.keywords if keyword.arg == "code" for code in literals(keyword.value)
            )
    return found


def used_codes() -> dict[str, list[str]]:
    """Code -> the files of app/ that can give it."""
    known = set(reasons.all_codes())
    used: dict[str, list[str]] = {}
    for path in sorted((ROOT / "app").rglob("*.py")):
        for code in codes_in(path.read_text(encoding="utf-8"), known):
            used.setdefault(code, []).append(str(path.relative_to(ROOT)))
    return used


def test_every_code_in_the_program_has_its_sentence():
    missing = {code: files for code, files in used_codes().items() if code not in reasons.all_codes()}
    assert not missing, f"add to app/rules/reasons.json: {missing}"


def test_every_state_of_a_piece_has_its_line():
    assert {f"piece.{state}" for state in PieceState} <= set(reasons.all_codes())


def test_every_state_of_a_return_has_its_line():
    assert {f"return.{state}" for state in ReturnState} <= set(reasons.all_codes())


@pytest.mark.parametrize("state", ["pending", "paused", "needs_attention", "removed"])
def test_every_state_of_a_connection_in_which_nothing_goes_out_has_its_line(state):
    assert f"connection.{state}" in reasons.all_codes()


def test_every_refusal_of_a_shop_has_its_sentence():
    protocol = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    codes = re.findall(
        r"`([a-z_]+\.[a-z_]+)`", protocol.split("Error codes of a refusal:")[1].splitlines()[0]
    )
    assert len(codes) == 10
    for code in codes:
        assert f"shop.{code.replace('.', '_')}" in reasons.all_codes()
        assert "Kennung" not in reasons.sentence(f"shop.{code}", {}, "de")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ('raise Refused("tea.cold", cup=1)', "tea.cold"),
        ('raise errors.Unavailable("tea.cold", retry_after=3)', "tea.cold"),
        ('Reason(code="tea.cold")', "tea.cold"),
        ('m.Reason("tea.cold" if cold else "tea.hot", {})', "tea.cold"),
        ('WORDS = {"x": "tea.cold", "y": "product.gtin_missing"}', "tea.cold"),
        ('Unknown(WORDS.get(word, "tea.cold"))', "tea.cold"),
        ('tell(session, order, "tea.cold", cup=1)', "tea.cold"),
        ('open_case(session, subject="order/1", code="tea.cold")', "tea.cold"),
    ],
)
def test_the_search_finds_a_code_however_it_is_written(source, code):
    assert code in codes_in(source, set(reasons.all_codes()))


def test_the_search_ignores_other_words_with_a_dot():
    assert (
        codes_in('send("order.changed"); {"a": "order.changed"}; SignatureInvalid("a b")', {"offer.off"})
        == set()
    )


@pytest.mark.parametrize("code", reasons.all_codes())
def test_every_row_is_complete(code):
    row = reasons.table()[code]
    assert CODE.fullmatch(code)
    assert set(row) == {"de", "en", "who", "next"}
    assert set(row["next"]) == {"de", "en"}
    assert row["who"] in {"merchant", "operator", "marketplace", "nobody"}
    for text in (row["de"], row["en"], row["next"]["de"], row["next"]["en"]):
        assert re.search(r"[.?!]\]?$", text), text
        assert text[0].isupper() or text[0] in "„“{", text
        assert "  " not in text


@pytest.mark.parametrize("code", reasons.all_codes())
def test_both_languages_fill_the_same_gaps(code):
    row = reasons.table()[code]
    gaps = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (row["de"], row["en"])]
    assert gaps[0] == gaps[1]
    brackets = [text.count("[") - text.count("]") for text in (row["de"], row["en"], *row["next"].values())]
    assert brackets == [0, 0, 0, 0]


@pytest.mark.parametrize("locale", ["de", "en"])
@pytest.mark.parametrize("code", reasons.all_codes())
def test_a_sentence_without_values_is_still_a_sentence(code, locale):
    for text in (reasons.sentence(code, {}, locale), reasons.next_step(code, None, locale)):
        assert not re.search(r"[\[\]{}]", text), text
        assert "nicht angegeben" not in text
        assert "(not given)" not in text
        assert not re.search(r"\s[.,:;]|[(„“]\s*[)”]|: ?\.", text), text


def test_a_known_value_is_shown_and_an_unknown_part_left_out():
    assert (
        reasons.sentence("product.gtin_missing", {"title": "Assam"}, "de_DE")
        == "Der Artikel „Assam“ hat keine GTIN (EAN)."
    )
    assert (
        reasons.sentence("product.gtin_missing", {"title": ""}, "de_DE")
        == "Der Artikel hat keine GTIN (EAN)."
    )
    assert reasons.sentence("product.gtin_missing", {}, "en_GB") == "The product has no GTIN (EAN)."


@pytest.mark.parametrize("locale", ["fr_FR", "", None, "x"])
def test_another_language_reads_english(locale):
    assert reasons.sentence("offer.off", {}, locale) == reasons.sentence("offer.off", {}, "en")


def test_an_unknown_code_is_named_and_belongs_to_the_operator():
    assert reasons.sentence("tea.cold", {"cup": 1}, "de") == "Etwas ist nicht gelungen (Kennung tea.cold)."
    assert reasons.sentence("tea.cold", None, "en") == "Something did not work (code tea.cold)."
    assert reasons.next_step("tea.cold", None, "en") == ""
    assert reasons.who("tea.cold") == "operator"
    assert reasons.who("product.gtin_missing") == "merchant"


def test_amounts_read_like_money():
    params = {"amount": 123405, "currency": "EUR"}
    assert "1234,05 EUR" in reasons.sentence("refund.not_assignable", params, "de")
    assert "1234.05 EUR" in reasons.sentence("refund.not_assignable", params, "en")
    assert "(-0.05)" in reasons.sentence("refund.not_assignable", {"amount": -5}, "en")
    assert "(7.90 €)" in reasons.sentence("refund.not_assignable", {"amount": "7.90 €"}, "en")


def test_times_are_shown_in_utc():
    until = datetime(2026, 11, 21, 15, 2, tzinfo=ZoneInfo("Europe/Berlin"))
    assert "21.11.2026 14:02 UTC" in reasons.sentence("ship.waiting_for_tracking", {"until": until}, "de")
    assert "2026-11-21 14:02 UTC" in reasons.sentence(
        "ship.waiting_for_tracking", {"until": until.astimezone(UTC)}, "en"
    )


def test_a_time_as_text_is_shown_like_a_time():
    params = {"deadline": "2026-11-24T22:59:59Z"}
    assert "24.11.2026 22:59 UTC" in reasons.sentence("ship.deadline_near", params, "de")


def test_what_is_no_time_is_shown_as_it_is():
    assert "is soon" in reasons.sentence("ship.deadline_near", {"deadline": "soon"}, "en")


def test_a_carrier_is_shown_by_name():
    assert "DHL Express" in reasons.sentence(
        "ship.carrier_guessed", {"carrier": "dhl_express", "number": "1"}, "de"
    )
    assert "Teekurier" in reasons.sentence("ship.carrier_unknown", {"carrier": "Teekurier"}, "de")


def test_other_names_for_the_same_thing_fill_the_same_gap():
    assert (
        reasons.sentence("partner.refused", {"said": "no", "marketplace": "OTTO"}, "en")
        == "OTTO refused the call: no."
    )


def test_lists_and_truths_read_like_words():
    assert "a, b." in reasons.sentence("product.data_incomplete", {"field": ["a", "b"]}, "en")
    assert "a, b." in reasons.sentence("product.data_incomplete", {"field": {"b", "a"}}, "en")
    assert ": ja." in reasons.sentence("product.data_incomplete", {"field": True}, "de")
    assert ": no." in reasons.sentence("product.data_incomplete", {"field": False}, "en")


@given(
    st.sampled_from([*reasons.all_codes(), "tea.cold"]),
    st.dictionaries(
        st.sampled_from(["field", "amount", "currency", "title", "until", "number"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(),
            st.booleans(),
            st.lists(st.text()),
            st.datetimes(),
            st.binary(),
        ),
    ),
    st.one_of(st.none(), st.text()),
)
def test_no_value_breaks_a_sentence(code, params, locale):
    assert reasons.sentence(code, params, locale)
    reasons.next_step(code, params, locale)


def test_a_value_with_brackets_or_gaps_in_it_is_shown_as_it_is():
    text = reasons.sentence("partner.refused", {"message": "[x] {field}", "partner": "Kaufland.de"}, "en")
    assert text == "Kaufland.de refused the call: [x] {field}."


@pytest.mark.parametrize("locale", reasons.LOCALES)
def test_a_company_that_ends_with_a_full_stop_ends_the_sentence_with_one(locale):
    told = reasons._filled("Asked: {name}.", {"name": "Chai e.K."}, locale)
    assert told == "Asked: Chai e.K."
    assert reasons._filled("{name} asks.", {"name": "Chai e.K."}, locale) == "Chai e.K. asks."
    assert reasons._filled("Asked[ by {name}].", {"name": "Chai GmbH"}, locale) == "Asked by Chai GmbH."


def test_a_partner_nobody_named_is_called_the_partner():
    assert reasons.sentence("partner.unreachable", {}, "de").startswith(
        "Die Gegenstelle ist gerade nicht erreichbar"
    )


def test_the_page_of_reasons_is_current():
    page = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert page == reasons.as_markdown(), "run: python -m app.rules.reasons > docs/reasons.md"
