"""Descriptions of products as marketplaces take them: a handful of plain tags, or no tags at all.

What a shop has is a web page: boxes, styles, scripts, embedded films. What may go wrong: a marketplace refuses the whole product for one of them, or a
text that is longer than it allows; then `shortened` gives the words that fit.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import Final

LONGEST: Final = 20_000
"""Characters of a description that is kept; a longer one is cut at a word and loses its tags."""

_KEPT: Final = frozenset({"p", "ul", "ol", "li", "b", "strong", "i", "em"})
_BLOCKS: Final = frozenset(
    {"div", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "table", "blockquote"}
)
_UNSEEN: Final = frozenset(
    {"script", "style", "iframe", "object", "noscript", "template", "svg", "head", "title"}
)
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
_BETWEEN_TAGS = re.compile(r"\s*(</?(?:p|ul|ol|li)>|<br>)\s*")
_EMPTY = re.compile(r"<(p|ul|ol|li|b|strong|i|em)></\1>")


class _Reader(HTMLParser):
    """Collects what a reader sees. Tags that are kept lose their attributes; tags that were left open are closed."""

    def __init__(self, *, tags: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._tags = tags
        self._unseen = 0
        self._open: list[str] = []
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "br":
            self.parts.append("<br>" if self._tags else "\n")
        elif tag in _KEPT and self._tags:
            self._open.append(tag)
            self.parts.append(f"<{tag}>")
        elif tag in _KEPT or tag in _BLOCKS:
            self.parts.append("\n" if tag in _BLOCKS or tag in {"p", "li", "ul", "ol"} else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in self._open:
            while (last := self._open.pop()) != tag:
                self.parts.append(f"</{last}>")
            self.parts.append(f"</{tag}>")
        elif tag in _BLOCKS or tag == "p":
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _UNSEEN:
            self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(escape(data, quote=False) if self._tags else data)

    def read(self, text: str) -> str:
        self.feed(text)
        self.close()
        self.parts += [f"</{tag}>" for tag in reversed(self._open)]
        return "".join(self.parts)


def simple_html(text: str) -> str:
    """The same words with nothing but p, br, lists, bold and italic, without attributes. A text without tags stays as it is."""
    if "<" not in text and "&" not in text:
        return shortened(text.strip(), LONGEST)
    read = _BLANKS.sub(" ", _Reader(tags=True).read(text))
    tidy = _LINES.sub(" ", _BETWEEN_TAGS.sub(r"\1", read)).strip()
    while (fewer := _EMPTY.sub("", tidy)) != tidy:
        tidy = fewer
    return tidy if len(tidy) <= LONGEST else shortened(tidy, LONGEST)


def plain(text: str) -> str:
    """Only the words, a line for each paragraph and point."""
    if "<" not in text and "&" not in text:
        return text.strip()
    return _LINES.sub("\n", _BLANKS.sub(" ", _Reader(tags=False).read(text))).strip()


def shortened(text: str, most: int) -> str:
    """At most so many characters: as it is where it fits, else without tags, else cut at a word."""
    if len(text) <= most:
        return text
    words = plain(text)
    if len(words) <= most:
        return words
    cut = words[: most - 1]
    at_word = (
        cut.rsplit(None, 1)[0] if len(cut.rsplit(None, 1)) > 1 and not words[most - 1].isspace() else cut
    )
    return at_word.rstrip() + "…"
