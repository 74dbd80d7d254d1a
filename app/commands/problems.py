"""Errors as one plain sentence: what happened and what to do. A traceback never reaches a person.

What may go wrong: an error that nobody foresaw. It is not hidden: it passes as it is, because it is a defect of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from app.errors import ShopbridgeError


class Problem(click.ClickException):
    """Ends the command with exit code 1 and one sentence on stderr."""

    def show(self, file: object = None) -> None:
        """Without a prefix: the sentence speaks for itself."""
        click.echo(self.format_message(), err=True)


def stop(sentence: str) -> NoReturn:
    """End the command with this sentence."""
    raise Problem(sentence)


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn what a person can do something about into a Problem."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        raise Problem(sentence) from None


def _sentence(error: Exception) -> str | None:
    """The sentence for an error; None when it is not one that we know."""
    from app.errors import ShopbridgeError

    if isinstance(error, ShopbridgeError):
        return told(error)
    if type(getattr(error, "orig", None)).__name__ in {"UndefinedTable", "UndefinedColumn"}:
        return _NO_TABLES
    # Only what is loaded already can have been raised: no imports here just to compare.
    for module, name, sentence in _KNOWN:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return sentence or str(error)
    return None


def told(error: ShopbridgeError) -> str:
    """One of our own errors: its sentence in English and what to do."""
    from app.rules import reasons

    parts = [
        reasons.sentence(error.code, error.params, "en"),
        reasons.next_step(error.code, error.params, "en"),
    ]
    expected = str(error.params.get("expected") or "").rstrip(".")
    if error.code == "field.invalid" and expected:
        parts.insert(1, f"Expected: {expected}.")
    elif error.code == "settings.invalid" and expected:
        # The schemas of settings speak in whole phrases: "must be ...", "these countries have ...".
        parts.insert(1, f"{expected[0].upper()}{expected[1:]}.")
    return " ".join(part for part in parts if part)


_NO_DATABASE = "The database does not answer. Is the bridge running (`shopbridge up`), or is DATABASE_URL right? `shopbridge doctor` says more."
_NO_TABLES = "The tables are missing or old. Run `shopbridge migrate` and try again."

# (module, class, sentence); an empty sentence takes the error's own words. More special ones first.
_KNOWN = (
    ("app.machine.servers", "ServerFailed", ""),
    ("app.commands.opening", "NotRunning", ""),
    ("environs", "EnvError", ""),
    ("sqlalchemy.exc", "OperationalError", _NO_DATABASE),
    (
        "redis",
        "RedisError",
        "Redis does not answer. Is the bridge running (`shopbridge up`), or is REDIS_URL right?",
    ),
)
