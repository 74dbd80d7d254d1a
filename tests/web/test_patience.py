import socket
from typing import Any

import pytest
from gunicorn.http.errors import InvalidChunkSize
from senders_of_tests import Shop, event, rows
from sqlalchemy.orm import Session

from app.web import bodies
from app.web.patience import Patience


def test_a_sender_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Patience(seconds=1000)
        ticket = watch.begin(ours)
        assert watch.look() == 0
        assert watch.end(ticket) is True
        theirs.send(b"x")
        assert ours.recv(1) == b"x"


def test_a_sender_whose_time_is_up_is_ended() -> None:
    now = [0.0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Patience(seconds=15, clock=lambda: now[0])
        ticket = watch.begin(ours)
        now[0] = 14.9
        assert watch.look() == 0
        now[0] = 15.0
        assert watch.look() == 1
        assert ours.recv(1) == b"", "a read that waits sees the end"
        assert watch.end(ticket) is False


def test_after_the_end_the_socket_is_not_touched_any_more() -> None:
    now = [0.0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = Patience(seconds=1, clock=lambda: now[0])
        watch.end(watch.begin(ours))
        now[0] = 100
        assert watch.look() == 0
        theirs.send(b"next request")
        assert ours.recv(4) == b"next"


class Stalled:
    """A body that never comes: reading waits until somebody ends the socket."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer

    def read(self, size: int = -1) -> bytes:
        return self.peer.recv(1)


def test_a_body_that_never_comes_is_408_and_frees_the_thread(
    shop: Shop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "patience", Patience(seconds=0))
    body = event()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environ: dict[str, Any] = {
            "wsgi.input": Stalled(ours),
            "gunicorn.socket": ours,
            "CONTENT_LENGTH": str(len(body)),
        }
        answer = shop.app.test_client().post(
            f"/webhooks/{shop.key}", headers=shop.headers(body), environ_overrides=environ
        )
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (408, "body.too_slow")
    assert rows(session) == 0


class BrokenChunks:
    """What gunicorn's reader does with a chunk whose length is no number."""

    def read(self, size: int = -1) -> bytes:
        raise InvalidChunkSize(b"zz")

    readinto = read


def test_broken_chunks_are_400(shop: Shop, session: Session) -> None:
    environ = {
        "wsgi.input": BrokenChunks(),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    answer = shop.app.test_client().post(
        f"/webhooks/{shop.key}", headers=shop.headers(b""), environ_overrides=environ
    )
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "body.incomplete")
