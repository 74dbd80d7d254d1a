"""What leaves in one call stays one call: also when its turn had not come yet (I4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select
from world import World

from app import jobs
from app import messages as m
from app.errors import Unavailable
from app.marketplaces.kaufland.client import KauflandClient
from app.models import Offer


def test_a_batch_whose_turn_had_not_come_is_due_as_one_batch_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marketplace that takes a file a minute would else get two half files, the second a minute later."""
    for number in range(5):
        world.product(f"TEE-00{number}", f"400638133393{number}", known=False)
    world.send_events()
    jobs.drain_inbox(world.shop_connection)

    def not_its_turn(*_: Any, **__: Any) -> Sequence[m.OfferAnswer]:
        raise Unavailable("pace.wait", retry_after=60)

    monkeypatch.setattr(KauflandClient, "push_offers", not_its_turn)
    jobs.drain_outbox(world.kaufland_connection)
    due = world.session.scalars(select(Offer.next_attempt_at)).all()
    assert (len(due), len(set(due))) == (5, 1)
