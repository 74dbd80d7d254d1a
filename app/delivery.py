"""What a delivery brings back: the result that is written beside the command, or why a person must act."""

from dataclasses import dataclass, field
from typing import Any

from app.messages import OrderSeen, Reason


@dataclass(frozen=True)
class Delivered:
    """The outcome of a command. With `refused` the command waits for a person, while what did work is kept."""

    result: dict[str, Any] = field(default_factory=dict)
    refused: Reason | None = None
    in_doubt: bool = (
        False  # it may have happened: a replay must know, and only a person can say that it did not
    )
    seen: OrderSeen | None = (
        None  # the order as the marketplace shows it after the deed: taken in like any look
    )
