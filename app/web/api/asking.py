"""The fields that requests of the API are made of: strict, and nothing in them that PostgreSQL cannot compare with."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate


class Moment(fields.AwareDateTime):
    """ISO 8601 with a time zone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        moment = super()._deserialize(value, *args, **kwargs)
        # Near the ends of the calendar a change of zone overflows, here or in PostgreSQL.
        if not 1970 <= moment.year <= 2999:
            raise ValidationError("a time between 1970 and 2999")
        return moment


def text(longest: int = 200, **kwargs: Any) -> fields.String:
    """A text without control characters: PostgreSQL cannot even compare with a NUL."""
    return fields.String(validate=[validate.Length(1, longest), _printable], **kwargs)


def _printable(value: str) -> None:
    if not value.isprintable():
        raise ValidationError("printable characters only")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValidationError("no lone surrogates") from None


class Flag(fields.Boolean):
    """true or false; 0, 1 and "yes" are somebody's mistake."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("true or false")
        return value
