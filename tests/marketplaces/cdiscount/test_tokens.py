"""What the token endpoint's answers mean, and that tokens and their quota belong to a client id, not to a connection (FACTS 1)."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import Unauthorised, Unavailable
from app.marketplaces.cdiscount import PROVIDER
from app.marketplaces.cdiscount.client import CdiscountClient
from app.marketplaces.cdiscount.settings import CdiscountSettings
from app.outbound import Door, Limiter
from tests.marketplaces.cdiscount.conftest import Cdiscount
from tests.marketplaces.cdiscount.contract import SETTINGS
from tests.marketplaces.doors import ScriptedDoor, answer

PAGE = b"<html><body>Forbidden by the gateway</body></html>"


def token_answered(status: int, body: bytes) -> None:
    """What a look at orders meets when no token is given out."""
    door = ScriptedDoor().on("POST", "/auth/.*", answer(status, body))
    CdiscountClient(door, CdiscountSettings().load(SETTINGS)).read_pieces(["A/B/1"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, b"{}"),
        (401, PAGE),
        *(
            (400, b'{"error": "%s"}' % word)
            for word in (b"invalid_client", b"invalid_grant", b"invalid_scope", b"unauthorized_client")
        ),
    ],
)
def test_only_a_word_about_the_client_stops_the_connection(status: int, error: bytes) -> None:
    with pytest.raises(Unauthorised) as refused:
        token_answered(status, error)
    assert (refused.value.code, refused.value.params["field"]) == ("credentials.refused", "client_id")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, PAGE),
        (404, PAGE),
        (400, PAGE),
        (400, b'{"error": "invalid_request"}'),
        (409, b"{}"),
        (422, b'{"error": "invalid_client"}'),
    ],
)
def test_a_gateway_that_is_ill_is_asked_again_later(status: int, error: bytes) -> None:
    with pytest.raises(Unavailable) as later:
        token_answered(status, error)
    assert (later.value.params["operation"], later.value.params["status"]) == ("token", status)
    assert not later.value.pauses


def seller(cdiscount: Cdiscount, number: int, **how: Any) -> Door:
    """The door of another connection at the same bridge: what it keeps for itself is its own, what is shared is one."""
    return Door(
        connection=number,
        base_url=cdiscount.door().base_url,
        egress="public_https",
        allow_loopback=True,
        hosts={"auth": cdiscount.url},
        lanes=PROVIDER.lanes,
        shared=cdiscount.kept,
        **how,
    )


def test_sellers_of_one_client_share_its_token(cdiscount: Cdiscount) -> None:
    for number in (1, 2, 3):
        assert cdiscount.client(door=seller(cdiscount, number)).check().ok
    assert cdiscount.faults.count("POST", "/auth/") == 1


def test_a_token_that_was_revoked_is_renewed_once_for_all_of_them(cdiscount: Cdiscount) -> None:
    clients = [cdiscount.client(door=seller(cdiscount, number)) for number in (1, 2, 3)]
    for client in clients:
        client.check()
    cdiscount.world.tokens.clear()
    for client in clients:
        assert client.check().ok
    assert cdiscount.faults.count("POST", "/auth/") == 2


def test_who_knows_only_the_client_id_gets_nothing(cdiscount: Cdiscount) -> None:
    assert cdiscount.client(door=seller(cdiscount, 1)).check().ok
    checked = cdiscount.client(door=seller(cdiscount, 2), client_secret="guessed-by-chai").check()
    assert checked.reason is not None
    assert checked.reason.code == "credentials.refused"
    assert cdiscount.faults.count("POST", "/auth/") == 2


def test_the_quota_of_tokens_is_counted_for_the_client_over_all_connections(cdiscount: Cdiscount) -> None:
    limiter = Limiter.in_memory(patience=0)
    tight = {"limiter": limiter, "lanes": {**PROVIDER.lanes, "tokens": "1/hour"}}
    how: dict[str, Any] = {
        "base_url": cdiscount.door().base_url,
        "egress": "public_https",
        "allow_loopback": True,
        "hosts": {"auth": cdiscount.url},
    }
    cdiscount.client(door=Door(connection=1, **how, **tight)).check()
    with pytest.raises(Unavailable) as full:
        cdiscount.client(door=Door(connection=2, **how, **tight)).check()
    assert full.value.code == "pace.wait"
    other = cdiscount.client(door=Door(connection=3, **how, **tight), client_secret="another-client").check()
    assert not other.ok  # it may ask, and is refused by Octopia itself
