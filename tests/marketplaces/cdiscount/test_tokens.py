"""What the token endpoint's answers mean: wrong credentials stop the connection, trouble over there is only waited for."""

from __future__ import annotations

import pytest

from app.errors import Unauthorised, Unavailable
from app.marketplaces.cdiscount.client import CdiscountClient
from app.marketplaces.cdiscount.settings import CdiscountSettings
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
