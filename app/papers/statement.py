"""A merchant's statement for a period, as CSV and as PDF: every movement of his money, with fees and VAT, from balance to balance. Pure.

What may go wrong: a cell that a spreadsheet takes for a formula (T13). Every text that begins like one gets an apostrophe; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from babel.dates import format_datetime
from babel.numbers import format_currency

from app.papers.sheet import Sheet

Role = Literal["supplier", "retailer"]

FORMULA: Final = tuple("=+-@\t\r\n\0|%")
COLUMNS: Final = (
    "date",
    "kind",
    "order",
    "reference",
    "gross",
    "fee",
    "fee_vat",
    "amount",
    "balance",
    "currency",
)

_WORDS: Final = {
    "de": {
        "supplier": "Abrechnung für Lieferanten",
        "retailer": "Kontoauszug für Händler",
        "period": "Zeitraum",
        "currency": "Währung",
        "opening": "Anfangsbestand",
        "closing": "Endbestand",
        "date": "Datum",
        "kind": "Vorgang",
        "order": "Bestellung",
        "gross": "Betrag",
        "fee": "Gebühr",
        "fee_vat": "USt. auf Gebühr",
        "amount": "Wirkung",
        "balance": "Bestand",
        "fees": "Gebühren netto",
        "fees_vat": "Umsatzsteuer auf Gebühren",
        "fees_gross": "Gebühren brutto",
        "nothing": "In diesem Zeitraum hat sich nichts bewegt.",
        "supplier_balance": "Bestand: was dem Lieferanten noch auszuzahlen ist; unter null: was er schuldet.",
        "retailer_balance": "Bestand: was für offene Bestellungen verwahrt wird oder auf dem Weg zurück ist.",
    },
    "en": {
        "supplier": "Statement for suppliers",
        "retailer": "Statement for retailers",
        "period": "Period",
        "currency": "Currency",
        "opening": "Opening balance",
        "closing": "Closing balance",
        "date": "Date",
        "kind": "What happened",
        "order": "Order",
        "gross": "Amount",
        "fee": "Fee",
        "fee_vat": "VAT on fee",
        "amount": "Effect",
        "balance": "Balance",
        "fees": "Fees net",
        "fees_vat": "VAT on fees",
        "fees_gross": "Fees gross",
        "nothing": "Nothing moved in this period.",
        "supplier_balance": "Balance: what is still to be paid out to the supplier; below zero: what he owes.",
        "retailer_balance": "Balance: what is kept for open orders or is on its way back.",
    },
}  # fmt: skip

KINDS: Final = {
    "capture": ("Zahlung", "Payment"),
    "release": ("Freigabe", "Release"),
    "refund": ("Erstattung", "Refund"),
    "refund_done": ("Erstattung ausgezahlt", "Refund paid"),
    "payout": ("Auszahlung", "Payout"),
    "payout_done": ("Auszahlung bestätigt", "Payout confirmed"),
    "payout_failed": ("Auszahlung fehlgeschlagen", "Payout failed"),
    "recover": ("Rückforderung", "Recovery"),
    "recover_done": ("Rückforderung bestätigt", "Recovery confirmed"),
    "recover_failed": ("Rückforderung fehlgeschlagen", "Recovery failed"),
    "dispute": ("Rückbuchung eröffnet", "Dispute opened"),
    "dispute_won": ("Rückbuchung abgewehrt", "Dispute won"),
    "dispute_lost": ("Rückbuchung verloren", "Dispute lost"),
    "net": ("Verrechnung", "Netting"),
}
"""What happened, in the words of the ledger -> (German, English)."""


@dataclass(frozen=True)
class Line:
    """One movement, minor units. `gross`: what the retailer paid or got back in it; `fee` and `fee_vat`: what the operator took (below zero:
    gave back); `amount`: the effect on the merchant's balance; `balance`: after it.
    """

    at: datetime
    kind: str
    order: str
    reference: str
    gross: int
    fee: int
    fee_vat: int
    amount: int
    balance: int


@dataclass(frozen=True)
class Statement:
    """`start` is in it, `end` is not; both aware. `opening` + all amounts = `closing`."""

    name: str
    address: tuple[str, ...]
    role: Role
    currency: str
    start: datetime
    end: datetime
    opening: int
    lines: tuple[Line, ...]
    closing: int

    @property
    def fees(self) -> int:
        """Net, of the period."""
        return sum(line.fee for line in self.lines)

    @property
    def fee_vat(self) -> int:
        """The VAT on them."""
        return sum(line.fee_vat for line in self.lines)


def word(kind: str, language: str) -> str:
    """What happened, for people; an unknown word stays as it is."""
    return KINDS.get(kind, (kind, kind))[0 if language == "de" else 1]


# --- CSV ---------------------------------------------------------------------------------------------------------------------


def as_csv(statement: Statement, language: str = "de") -> bytes:
    """UTF-8 with a byte order mark (Excel needs it), semicolons, amounts as 12.34; the first and last row are the balances."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    words = _WORDS[language]
    writer.writerow(_balance_row(statement, words["opening"], statement.start, statement.opening))
    for line in statement.lines:
        writer.writerow(_csv_row(line, statement.currency, language))
    writer.writerow(_balance_row(statement, words["closing"], statement.end, statement.closing))
    return ("\ufeff" + buffer.getvalue()).encode()


def _csv_row(line: Line, currency: str, language: str) -> list[str]:
    texts = [line.at.isoformat(timespec="seconds"), word(line.kind, language), line.order, line.reference]
    numbers = [line.gross, line.fee, line.fee_vat, line.amount, line.balance]
    return [*map(harmless, texts), *map(decimal, numbers), harmless(currency)]


def _balance_row(statement: Statement, name: str, at: datetime, balance: int) -> list[str]:
    told = [harmless(at.isoformat(timespec="seconds")), harmless(name), "", ""]
    return [*told, "", "", "", "", decimal(balance), harmless(statement.currency)]


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula (T13): an apostrophe in front, also where blanks, quotes or full-width twins hide the sign."""
    plain = unicodedata.normalize("NFKC", text.replace("\0", ""))
    hidden = plain.lstrip(" \u00a0\u200b\ufeff\"'")
    clean = text.replace("\0", "").replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return (
        f"'{clean}"
        if text.startswith(FORMULA) or plain.startswith(FORMULA) or hidden.startswith(FORMULA)
        else clean
    )


def decimal(minor: int) -> str:
    """-5 -> -0.05: a number for every program, never a float on the way."""
    whole, cents = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole}.{cents:02d}"


# --- PDF ---------------------------------------------------------------------------------------------------------------------

_WIDTHS: Final = (23.0, 34.0, 0.0, 19.0, 16.0, 16.0, 20.0, 20.0)


def as_pdf(statement: Statement, *, made_at: datetime, language: str = "de") -> bytes:
    """The statement on A4. `made_at` (aware) goes into the metadata."""
    words = _WORDS[language]
    title = words[statement.role]
    sheet = Sheet(f"{title} {statement.name}", statement.name, made_at, language)
    sheet.add_page()
    sheet.write_line(title, size=16, bold=True)
    sheet.ln(2)
    for text in (statement.name, *statement.address):
        sheet.write_line(text)
    sheet.ln(4)
    sheet.write_line(
        f"{words['period']}: {_moment(statement.start, language)} – {_moment(statement.end, language)} UTC"
    )
    sheet.ln(4)
    _table(sheet, statement, words, language)
    sheet.ln(3)
    _totals(sheet, statement, words, language)
    return bytes(sheet.output())


def _table(sheet: Sheet, statement: Statement, words: dict[str, str], language: str) -> None:
    def money(minor: int) -> str:
        return decimal(minor).replace(".", "," if language == "de" else ".")

    names = ("date", "kind", "order", "gross", "fee", "fee_vat", "amount", "balance")
    _row(sheet, [words[name] for name in names], bold=True)
    sheet.rule()
    blank = [""] * 4
    _row(
        sheet,
        [_moment(statement.start, language), words["opening"], "", *blank, money(statement.opening)],
        bold=True,
    )
    if not statement.lines:
        sheet.write_line(words["nothing"], size=7)
    for line in statement.lines:
        told = [_moment(line.at, language), word(line.kind, language), line.order or line.reference]
        numbers = (line.gross, line.fee, line.fee_vat, line.amount, line.balance)
        _row(sheet, [*told, *map(money, numbers)])
    sheet.rule()
    _row(
        sheet,
        [_moment(statement.end, language), words["closing"], "", *blank, money(statement.closing)],
        bold=True,
    )


def _row(sheet: Sheet, texts: Sequence[str], *, bold: bool = False) -> None:
    sheet.row(list(zip(texts, _WIDTHS, strict=True)), size=7, bold=bold)


def _totals(sheet: Sheet, statement: Statement, words: dict[str, str], language: str) -> None:
    def money(minor: int) -> str:
        return format_currency(Decimal(decimal(minor)), statement.currency, locale=language)

    if statement.role == "supplier":
        sheet.write_line(f"{words['fees']}: {money(statement.fees)}", size=9)
        sheet.write_line(f"{words['fees_vat']}: {money(statement.fee_vat)}", size=9)
        sheet.write_line(f"{words['fees_gross']}: {money(statement.fees + statement.fee_vat)}", size=9)
    sheet.write_line(f"{words['closing']}: {money(statement.closing)}", size=9, bold=True)
    sheet.ln(2)
    sheet.write_line(words[f"{statement.role}_balance"], size=8)


def _moment(at: datetime, language: str) -> str:
    return format_datetime(at, "dd.MM.yy HH:mm" if language == "de" else "yyyy-MM-dd HH:mm", locale=language)
