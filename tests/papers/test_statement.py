"""Statements on paper: no cell is a formula, the numbers add up as printed, and every word of the ledger has one for people."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pypdf
import pytest

from app.papers import statement as paper
from app.papers.statement import Line, Statement

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
AT = datetime(2026, 11, 21, 14, 2, 11, tzinfo=UTC)

TRIGGERS = [
    "=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", " =1", "\u00a0=1", "\u200b=1", "\ufeff=1", '"=1', "'=1", "＝1", "＋1", "－1",
    "＠A", "=cmd|' /C calc'!A0", "|calc", "%0A=1", "-", "=HYPERLINK(\"http://x\")",
]  # fmt: skip


def line(**change: object) -> Line:
    told = {
        "at": AT, "kind": "release", "order": "1042", "reference": "dropshipping:7f3a:1042", "gross": 1000, "fee": 50, "fee_vat": 10, "amount": 940,
        "balance": 940,
    }  # fmt: skip
    return Line(**{**told, **change})  # type: ignore[arg-type]


def made(*lines: Line, role: paper.Role = "supplier", **change: object) -> Statement:
    told = {
        "name": "Anna's Teeladen", "address": ("Teeweg 1", "20457 Hamburg", "DE123456789"), "role": role, "currency": "EUR", "start": START,
        "end": END, "opening": 0, "lines": lines, "closing": lines[-1].balance if lines else 0,
    }  # fmt: skip
    return Statement(**{**told, **change})  # type: ignore[arg-type]


def rows(statement: Statement, language: str = "de") -> list[dict[str, str]]:
    text = paper.as_csv(statement, language).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))


def test_the_file_leads_from_balance_to_balance() -> None:
    told = rows(
        made(line(), line(kind="payout", gross=-900, fee=0, fee_vat=0, amount=-900, balance=40), opening=0)
    )
    assert [row["kind"] for row in told] == ["Anfangsbestand", "Freigabe", "Auszahlung", "Endbestand"]
    effects = sum(Decimal(row["amount"]) for row in told if row["amount"])
    assert Decimal(told[0]["balance"]) + effects == Decimal(told[-1]["balance"]) == Decimal("0.40")
    assert told[1] == {
        "date": "2026-11-21T14:02:11+00:00", "kind": "Freigabe", "order": "1042", "reference": "dropshipping:7f3a:1042", "gross": "10.00",
        "fee": "0.50", "fee_vat": "0.10", "amount": "9.40", "balance": "9.40", "currency": "EUR",
    }  # fmt: skip


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("column", ["order", "reference", "kind"])
def test_no_text_becomes_a_formula(trigger: str, column: str) -> None:
    (_, told, _) = rows(made(line(**{column: trigger})))
    cell = told[column]
    assert cell.startswith("'"), cell
    assert not set(cell) & set("\t\r\n\0")


def test_negative_numbers_stay_numbers() -> None:
    (_, told, end) = rows(made(line(gross=-5, fee=-1, fee_vat=0, amount=-4, balance=-4)))
    assert (told["gross"], told["fee"], told["amount"], end["balance"]) == (
        "-0.05",
        "-0.01",
        "-0.04",
        "-0.04",
    )


def test_a_harmless_text_stays_as_it_is() -> None:
    assert paper.harmless("Größe 5-7 = gut") == "Größe 5-7 = gut"


@pytest.mark.parametrize(
    ("minor", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (-5, "-0.05"),
        (100, "1.00"),
        (-199, "-1.99"),
        (10**15 + 1, "10000000000000.01"),
    ],
)
def test_amounts_are_exact(minor: int, text: str) -> None:
    assert paper.decimal(minor) == text


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def test_the_paper_says_who_when_what_and_how_much() -> None:
    told = text_of(paper.as_pdf(made(line()), made_at=AT))
    for part in (
        "Abrechnung für Lieferanten",
        "Anna's Teeladen",
        "20457 Hamburg",
        "DE123456789",
        "Freigabe",
        "1042",
        "10,00",
        "0,50",
        "9,40",
    ):
        assert part in told
    for part in (
        "Gebühren netto: 0,50",
        "Umsatzsteuer auf Gebühren: 0,10",
        "Gebühren brutto: 0,60",
        "Endbestand: 9,40",
    ):
        assert part in told.replace("\u00a0", " ")


def test_a_retailer_reads_nothing_about_fees_he_does_not_pay() -> None:
    told = text_of(
        paper.as_pdf(
            made(line(kind="capture", fee=0, fee_vat=0, amount=1000, balance=1000), role="retailer"),
            made_at=AT,
        )
    )
    assert "Kontoauszug für Händler" in told
    assert "Gebühren netto" not in told


def test_a_period_without_movements_says_so() -> None:
    assert "nichts bewegt" in text_of(paper.as_pdf(made(), made_at=AT))


def test_a_long_statement_goes_over_several_pages_and_forgets_no_line() -> None:
    lines = tuple(line(order=f"N{number:04d}", balance=number) for number in range(200))
    told = paper.as_pdf(made(*lines), made_at=AT)
    assert len(pypdf.PdfReader(io.BytesIO(told)).pages) > 3
    text = text_of(told)
    assert all(f"N{number:04d}" in text for number in range(200))


def test_the_same_statement_is_the_same_paper() -> None:
    assert paper.as_pdf(made(line()), made_at=AT) == paper.as_pdf(made(line()), made_at=AT)


def test_both_languages_have_the_same_words() -> None:
    assert paper._WORDS["de"].keys() == paper._WORDS["en"].keys()
    assert "Release" in text_of(paper.as_pdf(made(line()), made_at=AT, language="en"))
