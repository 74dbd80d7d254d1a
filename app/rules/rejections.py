"""Why a merchant rejects a return, in words for people. Each marketplace knows some of these reasons (Capabilities.return_rejections).

A word that is missing here is shown as it is; tests/rules/test_rejections.py wants every word of every marketplace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WORDS: Final = {
    "damaged": ("Beschädigt oder benutzt zurückgekommen", "Came back damaged or used"),
    "wrong_item": ("Es kam etwas anderes zurück", "Something else came back"),
    "missing_item": ("Es fehlt etwas", "Something is missing"),
    "too_late": ("Die Frist für die Rücksendung ist vorbei", "Sent back too late"),
    "hygiene_seal": ("Das Hygienesiegel ist gebrochen", "The hygiene seal is broken"),
    "third_party": ("Nicht bei mir gekauft", "Not bought from me"),
    "exchange": ("Wird umgetauscht", "Is exchanged"),
    "other": ("Anderer Grund", "Another reason"),
}


def name(word: str, locale: str) -> str:
    """What people call the reason; a locale that does not begin with "de" reads English."""
    german, english = WORDS.get(word, (word, word))
    return german if locale.lower().startswith("de") else english


def choices(words: Iterable[str], locale: str) -> list[dict[str, str]]:
    """[{"code", "text"}] in our order, those that are missing here at the end."""
    places = list(WORDS)
    known = sorted(words, key=lambda word: (places.index(word) if word in WORDS else len(places), word))
    return [{"code": word, "text": name(word, locale)} for word in known]
