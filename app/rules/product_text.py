"""Descriptions of products as marketplaces take them: a handful of plain tags, or no tags at all.

What a shop has is a web page: boxes, styles, scripts, embedded films. What may go wrong: a marketplace refuses the whole product for one of them, or a
text that is longer than it allows; then `shortened` gives the words that fit.
"""

from __future__ import annotations

import re
from html import escape, unescape
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
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_REST_OF_TAG = re.compile(r"""(?>(?:[^>"']++|"[^"]{0,500}"|'[^']{0,500}'){0,200})>""")
_NO_MARKUP: Final = {each: re.compile(rf"</{each}\b", re.IGNORECASE) for each in ("script", "style")}
_NO_CHARACTER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{8,});?")
_ALONE: Final = frozenset({"p", "li"})  # the next one ends the one before
_DEEPEST = 30  # tags in tags; nobody writes that many, and every further one costs time
_EMPTY = re.compile(r"<(p|ul|ol|li|b|strong|i|em)></\1>")


class _Reader:
    """Collects what a reader sees. Tags that are kept lose their attributes; tags that were left open are closed.

    Reads as browsers do, never fails, and takes time by the length of the text only: html.parser raises at a few broken declarations that Word
    leaves behind, and takes minutes for a text of nothing but "<a".
    """

    def __init__(self, *, tags: bool) -> None:
        self._tags = tags
        self._unseen = 0
        self._open: list[str] = []
        self.parts: list[str] = []

    def read(self, text: str) -> str:
        at, last, comments = 0, text.rfind(">"), text.rfind("-->")
        while (begins := text.find("<", at)) >= 0 and begins < last:
            self._words(text[at:begins])
            tag = _TAG.match(text, begins)
            if tag is not None:
                at = self._tag(text, tag)
            elif text.startswith("<!--", begins) and begins + 4 <= comments:
                at = text.index("-->", begins + 4) + 3
            elif text.startswith(("<!", "<?", "</"), begins):
                at = text.index(">", begins) + 1
            else:
                self._words("<")
                at = begins + 1
        self._words(text[at:])
        self.parts += [f"</{tag}>" for tag in reversed(self._open)]
        return "".join(self.parts)

    def _tag(self, text: str, tag: re.Match[str]) -> int:
        """Answers where the text goes on."""
        ending, name = tag[1], tag[2].lower()
        rest = _REST_OF_TAG.match(text, tag.end())
        # The first ">" ends a tag with a quote that nobody closed, and one with a whole picture in it.
        ends = rest.end() if rest is not None else text.index(">", tag.end()) + 1
        if ending:
            self._end(name)
        elif name in _NO_MARKUP:
            closed = _NO_MARKUP[name].search(text, ends)
            self._unseen += 1
            return closed.start() if closed is not None else len(text)
        elif name not in _UNSEEN or text[ends - 2] != "/":
            self._begin(name)
        return ends

    def _begin(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "br":
            self.parts.append("<br>" if self._tags else "\n")
        elif tag in _ALONE and self._open[-1:] == [tag]:
            self._end(tag)
            self._begin(tag)
        elif tag in _KEPT and self._tags and len(self._open) < _DEEPEST:
            self._open.append(tag)
            self.parts.append(f"<{tag}>")
        elif tag in _KEPT or tag in _BLOCKS:
            self.parts.append("\n" if tag in _BLOCKS or tag in {"p", "li", "ul", "ol"} else "")

    def _end(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in self._open:
            while (last := self._open.pop()) != tag:
                self.parts.append(f"</{last}>")
            self.parts.append(f"</{tag}>")
        elif tag in _BLOCKS or tag == "p":
            self.parts.append("\n")

    def _words(self, told: str) -> None:
        if told and not self._unseen:
            words = unescape(_NO_CHARACTER.sub("\ufffd", told))
            self.parts.append(escape(words, quote=False) if self._tags else words)


def simple_html(text: str) -> str:
    """The same words with nothing but p, br, lists, bold and italic, without attributes. A text without tags stays as it is."""
    if "<" not in text and "&" not in text:
        return shortened(text.strip(), LONGEST)
    tidy = _tidied(_Reader(tags=True).read(text))
    while (fewer := _EMPTY.sub("", tidy)) != tidy:
        tidy = _tidied(fewer)
    return tidy if len(tidy) <= LONGEST else shortened(tidy, LONGEST)


def _tidied(told: str) -> str:
    return _BETWEEN_TAGS.sub(r"\1", _LINES.sub(" ", _BLANKS.sub(" ", told))).strip()


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
