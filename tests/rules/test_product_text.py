"""Descriptions for marketplaces: the words stay, the web page around them goes."""

from __future__ import annotations

import re
import time
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.product_text import LONGEST, plain, shortened, simple_html

PAGE = """<div class="tab" style="color:red">
<h2>Assam &amp; Darjeeling</h2>
<p onclick="steal()">Ein <strong>kräftiger</strong> Tee,<br />3 &lt; 5 Minuten.</p>
<script>alert("x")</script><style>p { color: red }</style>
<ul>
  <li>lose</li>
  <li><a href="https://elsewhere.example">biologisch</a></li>
</ul>
<iframe src="https://film.example"></iframe><p></p>
</div>"""


def test_of_a_page_only_plain_tags_are_left() -> None:
    assert simple_html(PAGE) == (
        "Assam &amp; Darjeeling<p>Ein <strong>kräftiger</strong> Tee,<br>3 &lt; 5 Minuten.</p><ul><li>lose</li><li>biologisch</li></ul>"
    )


def test_without_tags_every_paragraph_and_point_is_a_line() -> None:
    assert plain(PAGE) == "Assam & Darjeeling\nEin kräftiger Tee,\n3 < 5 Minuten.\nlose\nbiologisch"


@pytest.mark.parametrize("text", ["", "  Tee  ", "Zeile 1\nZeile 2", "5 > 3"])
def test_a_text_without_tags_stays_as_it_is(text: str) -> None:
    assert simple_html(text) == plain(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<p>offen <b>fett", "<p>offen <b>fett</b></p>"),
        ("<b>ver<i>kehrt</b> herum</i>", "<b>ver<i>kehrt</i></b> herum"),
        ("</p>zu viel</div>", "zu viel"),
        ("<script>alles weg", ""),
        ("<p>a</p><!-- geheim --><p>b</p>", "<p>a</p><p>b</p>"),
        ("<ul><li></li></ul>", ""),
        ("Tee <b></b>", "Tee"),
        ("<i>Tee</i> <b></b> Kanne", "<i>Tee</i> Kanne"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("<img src=x onerror=alert(1)>", ""),
        (
            "<p>eins<p>zwei<ul><li>drei<li>vier</ul>",
            "<p>eins</p><p>zwei<ul><li>drei</li><li>vier</li></ul></p>",
        ),
        ("<![if !supportLists]>1.<![endif]> Tee<![>!", "1. Tee!"),
        ("<![ endif]>Tee<![wort[x]]>", "Tee"),
        ("<a title='a > b'>Tee</a> <a title=\"a>Kanne</a>", "Tee Kanne"),
        ("<img src='data:image/png;base64," + "iVBO" * 500 + "'>Tee", "Tee"),
        ("<STYLE>p > b {}</Style>Tee<script/>weg", "Tee"),
        ("&#" + "9" * 5_000 + ";<b>Tee</b>", "\ufffd<b>Tee</b>"),
    ],
)
def test_broken_pages_are_made_whole(text: str, told: str) -> None:
    assert simple_html(text) == told


@pytest.mark.parametrize(
    ("text", "most", "told"),
    [
        ("<p>Tee</p>", 10, "<p>Tee</p>"),
        ("<p>Tee</p>", 9, "Tee"),
        ("Ein kräftiger Tee", 17, "Ein kräftiger Tee"),
        ("Ein kräftiger Tee", 16, "Ein kräftiger…"),
        ("Ein kräftiger Tee", 14, "Ein kräftiger…"),
        ("Ein kräftiger Tee", 13, "Ein…"),
        ("Kräftigertee", 5, "Kräf…"),
    ],
)
def test_what_is_too_long_is_cut_at_a_word(text: str, most: int, told: str) -> None:
    assert shortened(text, most) == told


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, len(attrs)))


_PIECES = st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "<div a='1'>", "</div>", "<script>", "</script>", "<br/>", "<li>", "&lt;", "&", "<", ">", "Tee", " ", "\n", "x<y", "<!--", "-->", "<![CDATA[", "</", "<a href=\"", "\x00", "ä"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_whatever_comes_there_are_only_plain_tags_and_the_same_result_a_second_time(text: str) -> None:
    told = simple_html(text)
    tags = _Tags()
    tags.feed(told)
    assert {each for each, _ in tags.found} <= {"p", "br", "ul", "ol", "li", "b", "strong", "i", "em"}
    assert sum(attrs for _, attrs in tags.found) == 0
    assert simple_html(told) == told
    assert len(re.findall("<p>", told)) == len(re.findall("</p>", told))
    assert unescape(told).count("Tee") <= text.count("Tee")


@given(st.text(max_size=300), st.integers(min_value=1, max_value=100))
def test_what_is_shortened_fits(text: str, most: int) -> None:
    assert len(shortened(text, most)) <= max(most, 1)


@pytest.mark.parametrize(
    "part",
    [
        "<b>",
        "<i></b>",
        "\n",
        " \n",
        "<",
        "<a ",
        '<a "x>',
        "<!--",
        "<!",
        "<![",
        "&#x",
        "</scrip",
        "<script></scrip",
        "<a x='",
        "</",
    ],
)
@pytest.mark.parametrize("end", ["", ">", "<b>Tee</b>-->"])
def test_a_hostile_page_takes_no_longer_than_an_honest_one(part: str, end: str) -> None:
    page = part * (200_000 // len(part)) + end
    started = time.process_time()
    simple_html(page)
    plain(page)
    assert time.process_time() - started < 5  # of each of these the first version took minutes


def test_a_book_of_a_description_is_cut() -> None:
    assert len(simple_html("<p>" + "Tee und Kanne " * 5_000 + "</p>")) <= LONGEST
