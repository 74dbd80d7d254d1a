"""The packing slip of a dropshipping parcel: the retailer is the sender, nothing of the supplier is on it (K7).

What may go wrong: a product's title carries the supplier's name; whoever makes the slip says what must never be on it, and it is taken out.
Prices are not on it: a parcel may be a present, and the supplier's prices are not the customer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date

from app.messages import Address
from app.papers.sheet import Sheet
from app.rules import address

GERMAN_SPEAKING = frozenset({"DE", "AT", "CH", "LI"})
SHORTEST = 3  # a shorter word is no name; taking it out would tear titles apart

_WORDS = {
    "de": {
        "slip": "Lieferschein",
        "order": "Bestellung",
        "date": "Bestelldatum",
        "quantity": "Menge",
        "article": "Artikel",
        "sku": "Artikelnr.",
        "returns": "Rücksendungen bitte an",
        "questions": "Fragen zu Ihrer Bestellung",
        "thanks": "Vielen Dank für Ihre Bestellung!",
    },
    "en": {
        "slip": "Packing slip",
        "order": "Order",
        "date": "Order date",
        "quantity": "Quantity",
        "article": "Article",
        "sku": "Article no.",
        "returns": "Please send returns to",
        "questions": "Questions about your order",
        "thanks": "Thank you for your order!",
    },
}


@dataclass(frozen=True)
class SlipLine:
    """One line. `sku` is the retailer's own, None where nobody knows it."""

    title: str
    quantity: int
    sku: str | None = None


@dataclass(frozen=True)
class Slip:
    """One parcel's paper. `number` is the retailer's order number; `returns_to` is the retailer's own return address, None = not printed."""

    sender: Address
    recipient: Address
    number: str
    placed_at: datetime
    lines: tuple[SlipLine, ...]
    returns_to: Address | None = None


def language(recipient: Address) -> str:
    """German where German is spoken, else English."""
    return "de" if recipient.country.strip().upper() in GERMAN_SPEAKING else "en"


def pdf(slips: Sequence[Slip], *, made_at: datetime, never: Iterable[str] = ()) -> bytes:
    """The slips as one PDF, each beginning on a new page. `never`: names, addresses and numbers that must not be on it (the supplier's).

    `made_at` is aware; it goes into the metadata. Raises ValueError without slips.
    """
    if not slips:
        raise ValueError("a paper needs at least one slip")
    forbidden = _pattern(never)
    first = slips[0]
    spoken = language(first.recipient)
    sheet = Sheet(f"{_WORDS[spoken]['slip']} {first.number}", first.sender.company, made_at, spoken)
    for slip in slips:
        sheet.add_page()
        _draw(sheet, slip, forbidden)
    return bytes(sheet.output())


def _draw(sheet: Sheet, slip: Slip, forbidden: re.Pattern[str] | None) -> None:
    spoken = language(slip.recipient)
    words = _WORDS[spoken]
    sender = address.lines(slip.sender, language=spoken, home=slip.recipient.country)
    sheet.write_line(slip.sender.company, size=14, bold=True)
    sheet.write_line(" · ".join(sender[1:]), size=8)
    sheet.ln(14)
    for line in address.lines(slip.recipient, language=spoken, home=slip.sender.country):
        sheet.write_line(line, size=11)
    sheet.ln(14)
    sheet.write_line(f"{words['slip']}", size=16, bold=True)
    sheet.ln(1)
    sheet.write_line(f"{words['order']}: {slip.number}")
    sheet.write_line(f"{words['date']}: {format_date(slip.placed_at.date(), 'long', locale=spoken)}")
    sheet.ln(6)
    _draw_lines(sheet, slip, words, forbidden)
    sheet.ln(8)
    sheet.write_line(words["thanks"])
    _draw_contact(sheet, slip, words, spoken)


def _draw_lines(sheet: Sheet, slip: Slip, words: dict[str, str], forbidden: re.Pattern[str] | None) -> None:
    with_sku = any(line.sku for line in slip.lines)
    widths = (22.0, 0.0, 45.0) if with_sku else (22.0, 0.0)
    titles = (words["quantity"], words["article"], words["sku"])
    sheet.row(list(zip(titles, widths, strict=False)), bold=True)
    sheet.rule()
    for line in slip.lines:
        told = (str(line.quantity), without(line.title, forbidden), without(line.sku or "", forbidden))
        sheet.row(list(zip(told, widths, strict=False)))


def _draw_contact(sheet: Sheet, slip: Slip, words: dict[str, str], spoken: str) -> None:
    contact = " · ".join(part for part in (slip.sender.email, slip.sender.phone) if part)
    if contact:
        sheet.ln(4)
        sheet.write_line(f"{words['questions']}: {contact}", size=9)
    if slip.returns_to is not None:
        sheet.ln(4)
        where = address.lines(slip.returns_to, language=spoken, home=slip.recipient.country)
        sheet.write_line(f"{words['returns']}: {', '.join(where)}", size=9)


def _pattern(never: Iterable[str]) -> re.Pattern[str] | None:
    """Whole words only, longest first, blanks as they come."""
    told = sorted({" ".join(word.split()) for word in never}, key=len, reverse=True)
    parts = [r"\s+".join(map(re.escape, word.split())) for word in told if len(word) >= SHORTEST]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE) if parts else None


def without(text: str, forbidden: re.Pattern[str] | None) -> str:
    """The text without the forbidden words, and without the dashes and blanks that they leave behind."""
    if forbidden is None or not forbidden.search(text):
        return text
    left = re.sub(r"\s{2,}", " ", forbidden.sub(" ", text))
    return re.sub(r"\s+([,;:)\]])", r"\1", left).strip(" -–—|,;:/·®™")
