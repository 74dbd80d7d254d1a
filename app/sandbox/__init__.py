"""Simulated partners, as strict as the real ones are known to be. Every folder here with a SIMULATOR is a marketplace that can be played with.

A simulator is a Flask app over real HTTP with two faces: the partner's own API, checked on every request, and `/_control`, the same for all,
where buyers, customer service and the clock are played (docs in `Simulator`). `app.sandbox.faults` lets any of them misbehave on request.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class Simulator:
    """One simulated marketplace. `settings` are credentials that it accepts, as a merchant would type them in.

    `create_app(first_number)` makes it with one demo seller and an empty catalogue; numbers it gives out begin at `first_number`, so that a new
    simulator repeats none of an old one's. `prefix` is where its API begins (the connection's base URL is address + prefix).

    Besides `/_control/faults` and `/_control/calls` (app.sandbox.faults.install) every simulator answers, with JSON, amounts in minor units:

    - POST /_control/products `[{"gtin", "title"}]`: into its catalogue, so that offers of them can go on sale at once.
    - POST /_control/buy `{"lines": [{"sku", "pieces"}], "oversell": false, "state": "to_ship"}` -> `{"order", "pieces": [piece ids]}`: somebody
      buys what is on offer (409 when there is not so much and `oversell` is false). Piece ids are those that the provider's translate.py gives
      out. `state` "announced" leaves it before payment; then POST /_control/orders/<id>/pay.
    - POST /_control/cancel `{"order"}` or `{"pieces": [...]}`: the buyer or customer service cancels, as far as the real one lets them; 409 else.
    - POST /_control/return `{"pieces": [...]}` -> `{"returns": [...]}`: the buyer sends pieces back and they arrive; 409 where the partner
      has no returns.
    - POST /_control/time `{"seconds"}`: its clock goes on.
    - POST /_control/settle: what was taken for processing (imports, packages, tasks) is done now.
    - GET /_control/state -> `{"orders": [{"order", "placed_at", "pieces": [{"piece", "sku", "price", "state", "tracking_number", "refunded"}]}],
      "offers": [{"sku", "stock", "price", "on", "handling_days", "state", "refused"}], "deeds": [{"deed", "order", "pieces", "amount", "at"}]}`
      with `state` of a piece one of messages.PieceState, `deed` one of accept, ship, cancel, refund, accept_return, offer; a deed is listed as
      often as it had an effect, so a doubled one is seen. `refunded` counts minor units, `refused` is the partner's reason or null.
    """

    key: str
    name: str
    port: int
    prefix: str
    settings: Mapping[str, Any]
    create_app: Callable[[int], Flask]
    plays: str | None = None  # which operator it stands for, where one provider serves many


@cache
def simulators() -> Mapping[str, Simulator]:
    """All simulated marketplaces by key, in alphabetical order."""
    found: dict[str, Simulator] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            simulator: Simulator | None = getattr(
                importlib.import_module(f"{__name__}.{module.name}"), "SIMULATOR", None
            )
            if simulator is not None:
                found[simulator.key] = simulator
    return dict(sorted(found.items()))
