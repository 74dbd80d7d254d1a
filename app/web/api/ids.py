"""Prefixed ids of the API: `evt_12`, `cmd_9`, `ord_88`. The prefix says what it is; anything else is not found."""

from __future__ import annotations

import re

from app.web import answers

_ID = re.compile(r"(?P<prefix>[a-z]{2,4})_(?P<number>[1-9][0-9]{0,17})")


def public(prefix: str, number: int | None) -> str | None:
    """The id as others see it."""
    return None if number is None else f"{prefix}_{number}"


def read(prefix: str, text: str) -> int | None:
    """The number in an id of this kind, None when it is none. ASCII digits only, within what PostgreSQL holds."""
    found = _ID.fullmatch(text) if text.isascii() else None
    return int(found["number"]) if found and found["prefix"] == prefix else None


def number(prefix: str, text: str, *, param: str = "id") -> int:
    """The number in an id of this kind. Ends the request with 404 in a path, 400 in a parameter."""
    from app.web.api.caller import Stop, not_found

    found = read(prefix, text)
    if found is not None:
        return found
    if param == "id":
        not_found()
    raise Stop(answers.problem(400, "id.invalid", f"An id like {prefix}_1 is expected.", param=param))
