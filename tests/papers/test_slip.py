"""K7: the packing slip is the retailer's. Each paper is read back as a stranger would read it: texts, metadata and every stream, unpacked."""

import io
import logging
import re
from datetime import UTC, datetime

import pypdf
import pytest
from pypdf.generic import StreamObject

from app.messages import Address
from app.papers import sheet, slip
from app.papers.slip import Slip, SlipLine

MADE = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)
BOLDT = Address(
    company="Bücher Boldt GmbH",
    address_1="Seitenweg 3",
    postcode="10115",
    city="Berlin",
    country="DE",
    email="hallo@boldt.example",
    phone="+49 30 1234",
)
MIA = Address(
    first_name="Mia",
    last_name="Größler",
    address_1="Lindenstr. 5",
    postcode="20095",
    city="Hamburg",
    country="DE",
)
ANNA = {
    "Anna's Teeladen",
    "Anna Teekanne e.K.",
    "anna@teeladen.example",
    "+49 40 999888",
    "Teeweg 1",
    "DE136695976",
    "DE89370400440532013000",
    "TEE-001",
    "4006381333931",
}
LINES = (SlipLine("Assam", 2, "BB-17"),)


def a_slip(**changes: object) -> Slip:
    told = {"sender": BOLDT, "recipient": MIA, "number": "1042", "placed_at": MADE, "lines": LINES}
    return Slip(**{**told, **changes})  # type: ignore[arg-type]


def read(paper: bytes) -> str:
    """Everything in a PDF that can hold words: pages, metadata, and the bytes of all streams, unpacked."""
    reader = pypdf.PdfReader(io.BytesIO(paper))
    found = [page.extract_text() for page in reader.pages]
    found += [f"{name}={value}" for name, value in (reader.metadata or {}).items()]
    found.append(paper.decode("latin-1"))
    for number in range(1, len(reader.xref_objStm) + max(reader.xref[0]) + 1):
        thing = reader.get_object(number)
        if isinstance(thing, StreamObject):
            found.append(thing.get_data().decode("latin-1"))
        else:
            found.append(str(thing))
    return "\n".join(found)


def text(paper: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(paper)).pages)


def test_the_slip_says_who_sends_what_to_whom() -> None:
    told = text(slip.pdf([a_slip()], made_at=MADE))
    assert told.splitlines() == [
        "Bücher Boldt GmbH",
        "Seitenweg 3 · 10115 Berlin",
        "Mia Größler",
        "Lindenstr. 5",
        "20095 Hamburg",
        "Lieferschein",
        "Bestellung: 1042",
        "Bestelldatum: 21. November 2026",
        "Menge Artikel Artikelnr.",
        "2 Assam BB-17",
        "Vielen Dank für Ihre Bestellung!",
        "Fragen zu Ihrer Bestellung: hallo@boldt.example · +49 30 1234",
    ]


@pytest.mark.parametrize(
    ("country", "word"),
    [
        ("DE", "Lieferschein"),
        ("AT", "Lieferschein"),
        ("CH", "Lieferschein"),
        ("PL", "Packing slip"),
        ("GB", "Packing slip"),
    ],
)
def test_the_language_is_the_recipients(country: str, word: str) -> None:
    assert word in text(
        slip.pdf(
            [a_slip(recipient=Address(last_name="M", address_1="x", city="y", country=country))], made_at=MADE
        )
    )


def test_letters_of_all_neighbours_are_printed(caplog: pytest.LogCaptureFixture) -> None:
    names = (
        "Łukasz Gżegżółka",
        "Příliš žluťoučký kůň",
        "Αθήνα Ελλάδα",
        "Ångström Æther",
        "Ștefan Țepeș",
        "Ğüneş Işık",
        "Ъгъл",
        "1,50 €",
    )
    caplog.set_level(logging.WARNING)
    told = text(slip.pdf([a_slip(lines=tuple(SlipLine(name, 1) for name in names))], made_at=MADE))
    assert [name for name in names if name not in told] == []
    assert "missing" not in caplog.text


def test_accents_that_come_apart_are_put_together_and_unknown_letters_are_boxes() -> None:
    told = text(slip.pdf([a_slip(lines=(SlipLine("Bu\u0308cher 茶 🫖\x07 \u202eabc", 1),))], made_at=MADE))
    assert f"Bücher {sheet.BOX} {sheet.BOX}" in told
    assert "\x07" not in told
    assert "abc" in told


def test_the_country_stands_below_only_abroad() -> None:
    vienna = Address(last_name="Huber", address_1="Ring 1", postcode="1010", city="Wien", country="AT")
    told = text(slip.pdf([a_slip(recipient=vienna)], made_at=MADE))
    assert "1010 Wien\nÖsterreich" in told
    assert "10115 Berlin · Deutschland" in told
    assert "Deutschland" not in text(slip.pdf([a_slip()], made_at=MADE))


def test_returns_go_to_the_retailers_own_return_address() -> None:
    returns = Address(
        company="Boldt Retouren", address_1="Hafen 9", postcode="20457", city="Hamburg", country="DE"
    )
    told = text(slip.pdf([a_slip(returns_to=returns)], made_at=MADE))
    assert "Rücksendungen bitte an: Boldt Retouren, Hafen 9, 20457 Hamburg" in told
    assert "Rücksendungen" not in text(slip.pdf([a_slip()], made_at=MADE))


def test_a_long_order_goes_on_on_the_next_page_and_loses_no_line() -> None:
    lines = tuple(
        SlipLine(f"Ein recht langer Artikelname Nummer {n} " + "mit viel Text " * 8, 1, f"BB-{n}")
        for n in range(80)
    )
    paper = slip.pdf([a_slip(lines=lines)], made_at=MADE)
    told = text(paper)
    assert len(pypdf.PdfReader(io.BytesIO(paper)).pages) > 2
    assert [n for n in range(80) if f"BB-{n}" not in told] == []


def test_each_slip_begins_on_a_page_of_its_own() -> None:
    paper = slip.pdf([a_slip(), a_slip(lines=(SlipLine("Darjeeling", 1),))], made_at=MADE)
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(paper)).pages]
    assert ["Assam" in page for page in pages] == [True, False]
    assert ["Darjeeling" in page for page in pages] == [False, True]


def test_no_slip_is_no_paper() -> None:
    with pytest.raises(ValueError, match="at least one"):
        slip.pdf([], made_at=MADE)


def test_nothing_of_the_supplier_is_on_it_even_when_the_titles_name_him() -> None:
    lines = tuple(
        SlipLine(f"{word} – Assam ({word.upper()}) Nr. {n}", 1, word) for n, word in enumerate(sorted(ANNA))
    )
    paper = slip.pdf([a_slip(lines=lines)], made_at=MADE, never=ANNA)
    everything = read(paper)
    assert "Bücher Boldt GmbH" in everything, "what is on the paper is found by this way of reading"
    assert "Assam" in text(paper)
    hidden = [word for word in ANNA if any(form.lower() in everything.lower() for form in forms(word))]
    assert hidden == []


def forms(word: str) -> set[str]:
    """A word as it may stand in a PDF: plain, as UTF-16, as hexadecimal digits."""
    wide = word.encode("utf-16-be")
    return {word, wide.decode("latin-1"), wide.hex(), word.encode().hex()}


def test_the_way_of_reading_finds_a_word_that_is_there() -> None:
    """The proof above would prove nothing if a name in the metadata or in a packed stream were not found."""
    planted = slip.pdf(
        [
            a_slip(
                sender=Address(company="Anna's Teeladen", address_1="Teeweg 1", city="Hamburg", country="DE")
            )
        ],
        made_at=MADE,
    )
    found = read(planted)
    assert "/Author=Anna's Teeladen" in found
    assert "Teeweg 1" in found


def test_only_whole_words_are_taken_out() -> None:
    pattern = slip._pattern(["Tee", "Anna", "x", ""])
    assert slip.without("Teekanne Anna Hannah", pattern) == "Teekanne Hannah"
    assert slip.without("Tee", pattern) == ""
    assert slip.without("- unverändert -", pattern) == "- unverändert -"
    assert slip.without("x", slip._pattern(["x"])) == "x", "one letter is no name"


def test_a_name_over_several_blanks_is_still_a_name() -> None:
    pattern = slip._pattern(["Anna's  Teeladen"])
    assert slip.without("Assam by ANNA'S\u00a0 TEELADEN, 100 g", pattern) == "Assam by, 100 g"


def test_the_fonts_come_with_their_licence() -> None:
    told = (sheet.FONTS / "LICENSE.txt").read_text(encoding="utf-8")
    assert re.search(r"Permission is hereby granted, free of charge", told)
    assert sorted(path.name for path in sheet.FONTS.iterdir()) == [
        "DejaVuSans-Bold.ttf",
        "DejaVuSans.ttf",
        "LICENSE.txt",
    ]
