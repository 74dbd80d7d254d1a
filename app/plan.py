"""The retry plan: ten tries over 75 hours (Standard Webhooks), the same for events, commands and offers; and how errors become rows."""

import random
from collections.abc import Mapping
from typing import Any

STEPS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)


def wait(tried: int, scale: float = 1.0) -> float | None:
    """Seconds until the next try after `tried` tries (1 or more), with up to 10 % jitter; None when the plan is used up."""
    if tried > len(STEPS):
        return None
    return STEPS[max(tried, 1) - 1] * scale * random.uniform(1.0, 1.1)  # noqa: S311  (spreading load, not a secret)


def jsonable(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an error as a JSON column can keep them: plain values stay, the rest is told as text, at most 500 characters."""
    return {
        name: value if isinstance(value, bool | int | None) else _text(value)
        for name, value in params.items()
    }


def _text(value: Any) -> str:
    return str(value).replace("\x00", "")[:500]
