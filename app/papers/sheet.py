"""One A4 sheet as every paper of the bridge has it: fonts that write all of Europe's languages, margins, and metadata that name nobody by chance.

What may go wrong: a letter that the font does not have (emoji, Chinese). It is printed as a box; nothing fails. The fonts are parts of DejaVu Sans
for Latin, Greek and Cyrillic writing, shipped in `fonts/` with their licence; only the glyphs that a paper uses go into its PDF.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import cast

from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos

FONTS = Path(__file__).with_name("fonts")
NAME = "DejaVu"
BOX = "□"
MARGIN = 20.0  # millimetres


class Sheet(FPDF):
    """An A4 document. Lengths are millimetres, font sizes points."""

    def __init__(self, title: str, author: str, made_at: datetime, language: str) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self.add_font(NAME, "", str(FONTS / "DejaVuSans.ttf"))
        self.add_font(NAME, "B", str(FONTS / "DejaVuSans-Bold.ttf"))
        self._known = frozenset(self.fonts[NAME.lower()].cmap)  # type: ignore[union-attr]
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN)
        self.set_title(one_line(title))
        self.set_author(one_line(author))
        self.set_lang(language)
        self.set_creation_date(made_at)

    def write_line(self, text: str, *, size: float = 10, bold: bool = False, align: str = "L") -> None:
        """One paragraph over the whole width; the pen goes to the beginning of the next line."""
        self.set_font(NAME, "B" if bold else "", size)
        self.multi_cell(
            0,
            size * 0.5,
            self.printable(text),
            align=Align.coerce(align),
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def row(self, cells: list[tuple[str, float]], *, size: float = 10, bold: bool = False) -> None:
        """One row of a table: (text, width); 0 = the rest. Texts wrap, and the row is as high as its highest cell."""
        self.set_font(NAME, "B" if bold else "", size)
        step, left = size * 0.5, sum(width for _, width in cells)
        rest = self.epw - left
        texts = [(self.printable(text), width or rest) for text, width in cells]
        height = step * max(self._lines(text, width, step) for text, width in texts)
        if self.will_page_break(height):
            self.add_page()
        top = self.get_y()
        for text, width in texts:
            here = self.get_x()
            self.multi_cell(width, step, text, align=Align.L, new_x=XPos.RIGHT, new_y=YPos.TOP)
            self.set_xy(here + width, top)
        self.set_xy(self.l_margin, top + height + 1)

    def _lines(self, text: str, width: float, step: float) -> int:
        wrapped = self.multi_cell(width, step, text, dry_run=True, output=MethodReturnValue.LINES)
        return len(cast("list[str]", wrapped))

    def printable(self, text: str) -> str:
        """The text as the fonts can write it: a box for what there is no glyph for."""
        return "".join(letter if ord(letter) in self._known else BOX for letter in one_line(text))

    def rule(self) -> None:
        """A thin line over the whole width."""
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.ln(1.5)


def one_line(text: str) -> str:
    """Accents on their letters, no control characters."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(letter if letter.isprintable() else " " for letter in composed)
