"""Why a return is rejected, in words: every marketplace's words are known, and each language says something else."""

from app import registry
from app.rules import rejections
from app.sandbox import simulators


def test_every_word_of_every_marketplace_is_named() -> None:
    words = {
        word
        for key, simulator in simulators().items()
        for word in registry.provider(key).can(simulator.settings).return_rejections
    }
    assert words
    assert words == set(rejections.WORDS)


def test_both_languages_say_it_and_an_unknown_word_stays() -> None:
    assert rejections.name("too_late", "de_DE") == "Die Frist für die Rücksendung ist vorbei"
    assert rejections.name("too_late", "ro_RO") == "Sent back too late"
    assert rejections.name("lost_in_space", "de") == "lost_in_space"


def test_choices_come_in_our_order_with_strangers_at_the_end() -> None:
    told = rejections.choices(["other", "zebra", "damaged"], "en")
    assert [each["code"] for each in told] == ["damaged", "other", "zebra"]
    assert told[0]["text"] == "Came back damaged or used"
