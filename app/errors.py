"""Everything that can go wrong between us and a partner, on one screen.

    ShopbridgeError
    ├── Refused            a person must act: rule, field, value, who
    │   ├── Unauthorised   the credentials do not work: the connection needs attention
    │   └── Invalid        their data breaks our schema; names the field
    ├── Unavailable        not now; the queue comes back after `retry_after`
    └── Unknown            the call may have had its effect: read back before repeating

Each carries a stable `code` (a key of app.rules.reasons, where its sentence stands in German and English) and `params`
for the sentence. The raw answer of a partner is never in an error: it is in the attempt row, with secrets removed.
"""

from collections.abc import Mapping
from typing import Any

_NOT_ITS_TURN = frozenset({"pace.wait", "partner.too_many_calls"})


class ShopbridgeError(Exception):
    """Base of all errors a flow may meet. `code` names the reason, `params` fill its sentence."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params: Mapping[str, Any] = params

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.code}({told})" if told else self.code


class Refused(ShopbridgeError):
    """Repeating will not help until a person has changed something (`who`: merchant, operator, marketplace)."""


class Unauthorised(Refused):
    """The partner does not accept our credentials: nothing more is sent on this connection until they are mended."""


class Invalid(Refused):
    """Data from outside breaks our schema. `params["field"]` names the place, e.g. `data.line_items.0.id`."""


class Unavailable(ShopbridgeError):
    """The partner cannot take the call now and it had no effect.

    `retry_after` (seconds) is the partner's own word, None lets the retry plan decide. `pauses` is True when the whole
    connection should rest for that long (HTTP 429 of a call without a lane), not only this one piece of work.
    """

    def __init__(
        self, code: str, *, retry_after: float | None = None, pauses: bool = False, **params: Any
    ) -> None:
        super().__init__(code, **params)
        self.retry_after = retry_after
        self.pauses = pauses

    @property
    def only_its_turn(self) -> bool:
        """Only this kind of call must wait, because its pace is used up or its lane rests (429); everything else may go on."""
        return self.code in _NOT_ITS_TURN and not self.pauses


class Unknown(ShopbridgeError):
    """The call left and no clear answer came back: it may have had its effect. Never repeat a deed blindly."""
