"""The door out against a server on loopback that answers, drips, lies, hangs up or keeps silent as each test asks."""

import contextlib
import errno
import gzip
import json
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import redis
import responses
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.util import WindowStats

from app import outbound
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.logs import redact
from app.outbound import Answer, AttemptNote, Breaker, Door, Limiter

Script = Callable[[socket.socket], None]


class Partner:
    """A partner over real HTTP. `script` answers each request; `requests` are the raw bytes, `callers` the callers' ports."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.script: Script = reply(200)
        self.requests: list[bytes] = []
        self.callers: list[int] = []
        self._context = context
        self._open = True
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while self._open:
            try:
                connection, address = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection, address[1]), daemon=True).start()

    def _serve(self, connection: socket.socket, port: int) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            while request := read_request(connection):
                self.requests.append(request)
                self.callers.append(port)
                self.script(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._open = False
        self._socket.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(status: int, body: bytes = b"{}", headers: str = "") -> Script:
    lines = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
    return lambda connection: connection.sendall(lines + body)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def hang_up_rudely(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def keep_silent(connection: socket.socket) -> None:
    connection.recv(1)


def drip(data: bytes, pause: float = 0.03) -> Script:
    def script(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return script


@pytest.fixture
def partner() -> Iterator[Partner]:
    found = Partner()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _fresh_pools() -> Iterator[None]:
    yield
    for adapter in outbound._pools.__dict__.get("adapters", {}).values():
        adapter.close()
    outbound._forget_pools()


def door(partner: Partner | str, path: str = "/v2", **options: Any) -> Door:
    url = partner if isinstance(partner, str) else partner.url + path
    return Door(
        **{"connection": 7, "base_url": url, "egress": "tenant_url", "allow_loopback": True, **options}
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- what is sent ------------------------------------------------------------------------------------------------------------


def test_an_answer_has_status_headers_and_body(partner: Partner) -> None:
    partner.script = reply(201, b'{"price": 7.90}', "X-Total: 3\r\n")
    answer = door(partner).call("offers.create", "post", "/offers", body=b'{"a":1}')
    assert (answer.status, answer.headers["x-total"], answer.body) == (201, "3", b'{"price": 7.90}')
    assert answer.json() == {"price": Decimal("7.90")}
    head, _, body = partner.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/offers HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("/v2", "", "/v2"),
        ("/v2/", "", "/v2/"),
        ("/v2", "orders", "/v2/orders"),
        ("/v2/", "/orders/", "/v2/orders/"),
        ("", "", "/"),
        ("/?rest_route=/shopbridge/v1/commands", "", "/?rest_route=/shopbridge/v1/commands"),
        ("/v2", "orders?open=1", "/v2/orders?open=1"),
        ("/v2", "orders/a%2Fb", "/v2/orders/a%2Fb"),
    ],
)
def test_base_and_path_meet_with_one_slash(partner: Partner, base: str, path: str, target: str) -> None:
    door(partner, base).call("read", "GET", path)
    assert partner.requests[0].split(b" ")[1].decode() == target


def test_parameters_keep_their_order_and_may_repeat(partner: Partner) -> None:
    door(partner).call("read", "GET", "units", params=[("z", "1"), ("a", "x y"), ("z", "ü&=")])
    assert partner.requests[0].split(b" ")[1] == b"/v2/units?z=1&a=x+y&z=%C3%BC%26%3D"


def test_parameters_join_a_query_that_is_there(partner: Partner) -> None:
    door(partner, "/?rest_route=/x").call("read", "GET", "", params=[("a", "1")])
    assert partner.requests[0].split(b" ")[1] == b"/?rest_route=/x&a=1"


@pytest.fixture(scope="module")
def lasting_partner() -> Iterator[Partner]:
    found = Partner()
    yield found
    found.close()


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(
        st.text(st.characters(exclude_characters="#\\", exclude_categories=["Cs"]), min_size=1, max_size=8),
        max_size=3,
    ),
    params=st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=12)), max_size=5),
)
def test_the_signed_url_is_byte_for_byte_the_sent_one(
    lasting_partner: Partner, parts: list[str], params: list[tuple[str, str]]
) -> None:
    signed: list[str] = []
    lasting_partner.requests.clear()

    def sign(method: str, url: str, body: bytes) -> dict[str, str]:
        signed.append(url)
        return {"Shop-Signature": "x"}

    try:
        door(lasting_partner).call("read", "GET", "/".join(parts), params=params, sign=sign)
    except Refused as error:
        refused = error.code
    else:
        refused = None
    if refused is not None:
        assert refused in {"request.malformed", "address.forbidden"}
        assert lasting_partner.requests == []
        return
    target = lasting_partner.requests[0].split(b"\r\n")[0].decode().split(" ")
    assert len(target) == 3
    assert signed == [lasting_partner.url + target[1]]
    assert target[1].startswith("/v2")


def test_the_signature_sees_method_url_and_body_and_its_headers_are_sent(partner: Partner) -> None:
    seen: list[Any] = []

    def sign(method: str, url: str, body: bytes) -> dict[str, str]:
        seen.append((method, url, body))
        return {"Shop-Signature": "abc", "Accept": "text/csv"}

    door(partner).call(
        "write", "patch", "units", body=b"{}", sign=sign, headers={"accept": "application/xml"}
    )
    assert seen == [("PATCH", f"{partner.url}/v2/units", b"{}")]
    assert b"Shop-Signature: abc" in partner.requests[0]
    assert partner.requests[0].lower().count(b"accept:") == 1
    assert b"Accept: text/csv" in partner.requests[0]


@pytest.mark.parametrize(
    "path", ["../admin", "orders/../../admin", "orders/%2e%2E/x", "a#b", "orders\\..\\x"]
)
def test_an_unquoted_id_cannot_lead_to_another_operation(partner: Partner, path: str) -> None:
    with pytest.raises(Refused, match=r"request\.malformed"):
        door(partner).call("read", "GET", path)
    assert partner.requests == []


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "snowman \u2603", "\ud800"])
def test_a_header_that_cannot_be_sent_as_meant_is_refused(partner: Partner, value: str) -> None:
    with pytest.raises(Refused, match=r"request\.malformed"):
        door(partner).call("read", "GET", "", headers={"X-Note": value})
    assert partner.requests == []


def test_environment_proxies_netrc_and_cookies_have_no_say(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password geheim\n", encoding="ascii")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NETRC", str(netrc))
    partner.script = reply(200, b"{}", "Set-Cookie: tenant=anna; Path=/\r\n")
    for _ in range(2):
        door(partner).call("read", "GET", "")
    assert b"cookie" not in partner.requests[1].lower()
    assert b"authorization" not in partner.requests[1].lower()


# --- the verdict -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "deed", "kind", "code"),
    [
        (301, False, Refused, "partner.redirects"),
        (302, True, Refused, "partner.redirects"),
        (304, False, Refused, "partner.redirects"),
        (400, False, Refused, "partner.refused"),
        (401, False, Unauthorised, "credentials.refused"),
        (401, True, Unauthorised, "credentials.refused"),
        (403, False, Refused, "partner.refused"),
        (404, True, Refused, "partner.refused"),
        (408, False, Unavailable, "partner.unreachable"),
        (408, True, Unknown, "outcome.unknown"),
        (409, True, Refused, "partner.refused"),
        (422, False, Refused, "partner.refused"),
        (425, False, Unavailable, "partner.unreachable"),
        (429, False, Unavailable, "partner.too_many_calls"),
        (429, True, Unavailable, "partner.too_many_calls"),
        (500, False, Unavailable, "partner.unreachable"),
        (500, True, Unknown, "outcome.unknown"),
        (503, False, Unavailable, "partner.unreachable"),
        (503, True, Unknown, "outcome.unknown"),
        (599, True, Unknown, "outcome.unknown"),
        (799, True, Unknown, "outcome.unknown"),
    ],
)
def test_what_a_status_means(
    partner: Partner, status: int, deed: bool, kind: type[ShopbridgeError], code: str
) -> None:
    partner.script = reply(status, b"{}", "Location: http://127.0.0.1:1/\r\n")
    with pytest.raises(ShopbridgeError) as caught:
        door(partner).call("order.ship", "POST", "x", deed=deed)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.params["operation"] == "order.ship"
    assert caught.value.params["status"] == status
    assert isinstance(caught.value, Unavailable) is False or caught.value.pauses is (status == 429)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_two_hundreds_are_answers(partner: Partner, status: int) -> None:
    partner.script = reply(status, b"")
    assert door(partner).call("read", "GET", "").status == status


@pytest.mark.parametrize("status", [302, 401, 404, 409, 429, 500])
def test_an_expected_status_comes_back_as_an_answer(partner: Partner, status: int) -> None:
    partner.script = reply(status, b'{"error": 1}')
    assert door(partner).call("read", "GET", "", expect={status}).json() == {"error": 1}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0), ("17", 17), ("3600", 3600), ("99999", 3600), ("9" * 400, 3600), ("-5", None), ("1.5", None), ("soon", None), ("", None), ("٣", None),
    ],
)  # fmt: skip
def test_retry_after_in_seconds(header: str, seconds: float | None) -> None:
    assert outbound._retry_after({"Retry-After": header}) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (-90, 0), (86400, 3600)])
def test_retry_after_as_a_date(ahead: int, seconds: float) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    assert outbound._retry_after({"Retry-After": at}) == pytest.approx(seconds, abs=2)


@pytest.mark.parametrize(("status", "deed"), [(429, False), (429, True), (503, False), (503, True)])
def test_the_partners_word_for_later_is_kept(partner: Partner, status: int, deed: bool) -> None:
    partner.script = reply(status, b"", "Retry-After: 12\r\n")
    with pytest.raises(Unavailable if status == 429 or not deed else Unknown) as caught:
        door(partner).call("x", "POST", "", deed=deed)
    told = (
        caught.value.retry_after
        if isinstance(caught.value, Unavailable)
        else caught.value.params["retry_after"]
    )
    assert told == 12


def test_a_redirect_is_not_followed(partner: Partner) -> None:
    other = Partner()
    partner.script = reply(302, b"", f"Location: {other.url}/\r\n")
    with pytest.raises(Refused, match=r"partner\.redirects"):
        door(partner).call("read", "GET", "")
    assert other.requests == []
    other.close()


# --- calls without an answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        hang_up,
        hang_up_rudely,
        keep_silent,
        lambda connection: (connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), hang_up(connection)),
        lambda connection: (connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), hang_up(connection)),
        lambda connection: (connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), hang_up(connection)),
        lambda connection: (connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), hang_up(connection)),
        reply(200, b"not gzip at all", "Content-Encoding: gzip\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"),
    ],
    ids=["close", "reset", "silence", "short", "short chunk", "bad chunk", "no http", "bad gzip", "headers", "long header"],
)  # fmt: skip
@pytest.mark.parametrize("deed", [True, False])
def test_after_something_was_sent_a_deed_is_unknown_and_a_question_may_be_asked_again(
    partner: Partner, script: Script, deed: bool
) -> None:
    partner.script = script
    with pytest.raises(ShopbridgeError) as caught:
        door(partner, deadline=1.5).call("order.ship", "POST", "x", body=b"{}", deed=deed)
    assert type(caught.value) is (Unknown if deed else Unavailable)
    assert caught.value.code == ("outcome.unknown" if deed else "partner.unreachable")
    assert len(partner.requests) == 1


@pytest.mark.parametrize("deed", [True, False])
def test_a_refused_connection_is_never_unknown(deed: bool) -> None:
    with pytest.raises(Unavailable, match=r"partner\.unreachable"):
        door(f"http://127.0.0.1:{free_port()}/").call("x", "POST", "", deed=deed)


def test_a_name_that_is_not_found_is_never_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Unavailable) as caught:
        door("https://tee.example/").call("x", "POST", "", deed=True)
    assert caught.value.params["why"] == "name"


def test_a_connect_timeout_is_never_unknown(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: Any, **options: Any) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(outbound, "create_connection", slow)
    with pytest.raises(Unavailable) as caught:
        door(partner).call("x", "POST", "", deed=True)
    assert caught.value.params["why"] == "timeout"


def test_an_unreachable_network_is_never_unknown(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **options: Any) -> socket.socket:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(outbound, "create_connection", unreachable)
    with pytest.raises(Unavailable):
        door(partner).call("x", "POST", "", deed=True)


def test_a_deed_lost_on_a_reused_connection_is_unknown(partner: Partner) -> None:
    door(partner).call("x", "GET", "")
    partner.script = hang_up
    with pytest.raises(Unknown):
        door(partner).call("x", "POST", "", deed=True)
    assert partner.callers[0] == partner.callers[1]


def test_a_foreign_stop_after_sending_is_noted_as_unknown(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class JobTimeoutError(Exception):
        """As RQ raises it, in the middle of anything."""

    notes: list[AttemptNote] = []

    def stop(*args: Any, **options: Any) -> Any:
        raise JobTimeoutError

    monkeypatch.setattr(outbound, "_body", stop)
    with pytest.raises(JobTimeoutError):
        door(partner, record=notes.append).call("x", "POST", "", deed=True)
    assert [(note.outcome, note.error) for note in notes] == [("unknown", "interrupted")]


# --- time and size ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Slow: y\r\n" * 90,
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 900,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
    ids=["headers", "body", "continue"],
)
def test_dripping_bytes_do_not_stretch_the_deadline(partner: Partner, data: bytes) -> None:
    partner.script = drip(data)
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        door(partner, deadline=0.5).call("read", "GET", "")
    assert 0.4 < time.monotonic() - started < 10, "all of it drips for more than 25 seconds"
    assert caught.value.params["why"] == "timeout"


def test_a_partner_that_does_not_read_cannot_hold_us(partner: Partner) -> None:
    class Deaf(Partner):
        def _serve(self, connection: socket.socket, port: int) -> None:
            return

    deaf = Deaf()
    started = time.monotonic()
    with pytest.raises(Unknown):
        door(deaf, deadline=1).call("x", "POST", "", body=b"x" * 20_000_000, deed=True)
    assert time.monotonic() - started < 20
    deaf.close()


def test_nor_on_a_connection_that_worked_before(partner: Partner) -> None:
    over = threading.Event()
    partner.script = lambda connection: (reply(200)(connection), over.wait(60))  # type: ignore[assignment, func-returns-value]
    door(partner).call("read", "GET", "")
    started = time.monotonic()
    with pytest.raises(Unknown):
        door(partner, deadline=1).call("x", "POST", "", body=b"x" * 20_000_000, deed=True)
    assert time.monotonic() - started < 20
    over.set()
    assert len(set(partner.callers)) == 1


def test_a_decompressed_answer_counts_by_its_real_size(partner: Partner) -> None:
    bomb = gzip.compress(b"0" * 64_000_000)
    assert len(bomb) < 100_000
    partner.script = reply(200, bomb, "Content-Encoding: gzip\r\n")
    sizes: list[int] = []
    whole = outbound._body

    def measured(*args: Any, **options: Any) -> tuple[bytes, bool]:
        body, all_of_it = whole(*args, **options)
        sizes.append(len(body))
        return body, all_of_it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbound, "_body", measured)
        with pytest.raises(Refused, match=r"answer\.too_large"):
            door(partner).call("read", "GET", "")
    assert sizes == [outbound.ANSWER_LIMIT]


@pytest.mark.parametrize(
    ("limit", "size", "fits"), [(1000, 1000, True), (1000, 1001, False), (8_388_608, 5_000_000, True)]
)
def test_the_limit_of_an_answer_is_exact(partner: Partner, limit: int, size: int, fits: bool) -> None:
    partner.script = reply(200, b"x" * size)
    if fits:
        assert len(door(partner, answer_limit=limit).call("read", "GET", "").body) == size
        return
    with pytest.raises(Refused, match=r"answer\.too_large"):
        door(partner, answer_limit=limit).call("read", "GET", "")


def test_a_deed_with_an_answer_too_large_to_read_is_unknown(partner: Partner) -> None:
    partner.script = reply(200, b"x" * 2000)
    with pytest.raises(Unknown):
        door(partner, answer_limit=1000).call("x", "POST", "", deed=True)


@pytest.mark.parametrize("deed", [True, False])
def test_a_refusal_stays_a_refusal_when_its_body_breaks(partner: Partner, deed: bool) -> None:
    partner.script = lambda c: (c.sendall(b"HTTP/1.1 422 X\r\nContent-Length: 99\r\n\r\nabc"), hang_up(c))  # type: ignore[assignment, func-returns-value]
    with pytest.raises(Refused, match=r"partner\.refused"):
        door(partner).call("x", "POST", "", deed=deed)


def test_no_garbage_makes_a_foreign_exception(partner: Partner) -> None:
    rng = random.Random(31)
    starts = [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    for number in range(200):
        garbage = rng.choice(starts) + rng.randbytes(rng.randrange(200))
        partner.script = lambda c, data=garbage: (c.sendall(data), hang_up(c))  # type: ignore[assignment, misc]
        try:
            door(partner, deadline=5).call("x", "POST", "", deed=number % 2 == 0)
        except ShopbridgeError:
            continue
    assert len(partner.requests) == 200


# --- connections -------------------------------------------------------------------------------------------------------------------


def test_doors_of_one_thread_share_a_connection(partner: Partner) -> None:
    for number in range(5):
        door(partner, connection=number).call("read", "GET", "")
    assert len(set(partner.callers)) == 1


def test_connections_of_different_policies_are_never_mixed(partner: Partner) -> None:
    door(partner).call("read", "GET", "")
    door(partner, egress="public_https").call("read", "GET", "")
    assert len(set(partner.callers)) == 2
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door(partner, allow_loopback=False).call("read", "GET", "")


def test_a_connection_that_idled_too_long_is_not_trusted(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    door(partner).call("read", "GET", "")
    monkeypatch.setattr(outbound, "IDLE_SECONDS", -1.0)
    door(partner).call("x", "POST", "", deed=True)
    assert len(set(partner.callers)) == 2


def test_a_forked_worker_dials_anew(partner: Partner) -> None:
    door(partner).call("read", "GET", "")
    child = os.fork()
    if child == 0:
        try:
            door(partner).call("read", "GET", "")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    door(partner).call("read", "GET", "")
    assert partner.callers[0] == partner.callers[2] != partner.callers[1]


# --- TLS ---------------------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate and its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class TlsPartner(Partner):
    def __init__(self, pem: Path) -> None:
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        super().__init__(context)


@pytest.fixture
def tls_partner(tmp_path: Path) -> Iterator[TlsPartner]:
    found = TlsPartner(certificate(tmp_path, "tee.localhost"))
    yield found
    found.close()


@pytest.fixture
def _every_name_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def here(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", here)


@pytest.mark.usefixtures("_every_name_is_here")
def test_the_checked_address_is_dialled_with_the_name_of_the_host(
    tls_partner: TlsPartner, tmp_path: Path
) -> None:
    url = f"https://tee.localhost:{tls_partner.port}/"
    door(url, ca_file=str(tmp_path / "tee.localhost.pem")).call("read", "GET", "")
    assert tls_partner.names == ["tee.localhost"]
    assert f"Host: tee.localhost:{tls_partner.port}".encode() in tls_partner.requests[0]


@pytest.mark.usefixtures("_every_name_is_here")
@pytest.mark.parametrize("name", ["boldt.localhost", "tee.localhost"])
def test_a_certificate_of_another_name_or_of_nobody_is_refused_before_anything_is_sent(
    tls_partner: TlsPartner, tmp_path: Path, name: str
) -> None:
    trusted = str(tmp_path / "tee.localhost.pem") if name == "boldt.localhost" else None
    with pytest.raises(Unavailable, match=r"partner\.certificate"):
        door(f"https://{name}:{tls_partner.port}/", ca_file=trusted).call("x", "POST", "", deed=True)
    assert tls_partner.requests == []


@pytest.mark.usefixtures("_every_name_is_here")
def test_a_handshake_that_never_ends_is_never_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Partner):
        def _serve(self, connection: socket.socket, port: int) -> None:
            return

    mute = Mute()
    monkeypatch.setattr(outbound, "CONNECT_SECONDS", 0.3)
    with pytest.raises(Unavailable, match=r"partner\.unreachable"):
        door(f"https://tee.localhost:{mute.port}/").call("x", "POST", "", deed=True)
    mute.close()


@pytest.mark.usefixtures("_every_name_is_here")
def test_plain_http_on_a_tls_port_is_never_unknown(partner: Partner) -> None:
    with pytest.raises(Unavailable, match=r"partner\.unreachable"):
        door(f"https://tee.localhost:{partner.port}/", deadline=1).call("x", "POST", "", deed=True)


# --- notes -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "outcome", "status"),
    [
        (reply(200), "ok", 200),
        (reply(404), "refused", 404),
        (reply(401), "unauthorised", 401),
        (reply(429), "unavailable", 429),
        (reply(500), "unknown", 500),
        (hang_up, "unknown", None),
    ],
)
def test_every_call_leaves_exactly_one_note(
    partner: Partner, script: Script, outcome: str, status: int | None
) -> None:
    notes: list[AttemptNote] = []
    partner.script = script
    before = datetime.now(UTC)
    error: str | None = None
    try:
        door(partner, record=notes.append).call("order.ship", "post", "units", deed=True)
    except ShopbridgeError as raised:
        error = str(raised)
    (note,) = notes
    assert note.error == error
    assert (note.outcome, note.status, note.operation, note.method) == (outcome, status, "order.ship", "POST")
    assert before <= note.started_at <= datetime.now(UTC)
    assert note.url == f"{partner.url}/v2/units"
    assert 0 <= note.duration_ms < 5000


def test_an_expected_refusal_is_noted_as_what_it_was(partner: Partner) -> None:
    notes: list[AttemptNote] = []
    partner.script = reply(404)
    door(partner, record=notes.append).call("read", "GET", "", expect={404})
    assert [(note.outcome, note.error) for note in notes] == [("refused", None)]


def test_a_note_holds_no_secrets_and_no_buyers(partner: Partner) -> None:
    notes: list[AttemptNote] = []
    body = {
        "access_token": "T0KENVALUE", "units": [{"id": 314, "note": "call +49 151 2345678", "shipping_address": {"first_name": "Chai", "street": "Teegasse 7"}}],
        "buyer": {"email": "chai@gmbh.example"}, "secret_key": {"a": {"b": "NESTED"}}, "status": "open",
    }  # fmt: skip
    partner.script = reply(422, json.dumps(body).encode())
    with pytest.raises(Refused):
        door(partner, record=notes.append).call(
            "read",
            "GET",
            "x",
            params=[
                ("api_key", "K3YVALUE"),
                ("api%5Fkey", "K3Y"),
                ("page", "2"),
                ("email", "chai@gmbh.example"),
            ],
        )
    text = repr(notes)
    for hidden in (
        "T0KENVALUE",
        "K3YVALUE",
        "2345678",
        "Chai",
        "Teegasse",
        "chai@gmbh",
        "chai%40gmbh",
        "NESTED",
    ):
        assert hidden not in text
    assert "page=2" in notes[0].url
    assert '"status": "open"' in notes[0].excerpt
    assert '"id": 314' in notes[0].excerpt


def test_an_excerpt_is_what_the_whole_answer_would_begin_with() -> None:
    rows = [
        {
            "id": number,
            "email": f"buyer{number}@shop.example",
            "items": [{"sku": f"TEE-{number:03d}", "qty": 1.5}],
        }
        for number in range(400)
    ]
    for body in (
        {"data": rows, "token": "geheim"},
        rows,
        {},
        [],
        "Tee",
        None,
        {"note": "Tee " * 2000, "id": 7},
    ):
        text = json.dumps(body, ensure_ascii=False).encode()
        whole = json.dumps(redact(body), ensure_ascii=False)[: outbound.EXCERPT_CHARS]
        assert outbound._excerpt(text) == whole


def test_an_excerpt_is_short_also_of_a_large_answer(partner: Partner) -> None:
    notes: list[AttemptNote] = []
    partner.script = reply(200, json.dumps([{"email": "chai@gmbh.example", "n": "\0"}] * 9000).encode())
    door(partner, record=notes.append).call("read", "GET", "")
    assert len(notes[0].excerpt) == outbound.EXCERPT_CHARS
    assert "chai@" not in notes[0].excerpt


def test_a_wrong_use_of_the_door_is_an_error_of_ours_not_the_partners() -> None:
    notes: list[AttemptNote] = []
    breaker = Breaker.in_memory(fail_max=1)
    with pytest.raises(ValueError, match="query"):
        door("http://127.0.0.1:1/?a=1", record=notes.append, breaker=breaker).call("x", "GET", "y")
    assert notes[0].outcome == "blocked"
    breaker.pass_or_rest()


# --- pace --------------------------------------------------------------------------------------------------------------------------


def test_the_pace_is_kept_by_waiting_a_little(partner: Partner) -> None:
    limiter = Limiter.in_memory(patience=5)
    started = time.monotonic()
    for _ in range(7):
        door(partner, pace="3/second", limiter=limiter).call("read", "GET", "")
    assert 1.9 < time.monotonic() - started < 20
    assert len(partner.requests) == 7


def test_a_long_wait_goes_back_to_the_queue(partner: Partner) -> None:
    limiter = Limiter.in_memory()
    notes: list[AttemptNote] = []
    way_out = door(partner, pace="2/minute", limiter=limiter, record=notes.append)
    for _ in range(2):
        way_out.call("read", "GET", "")
    with pytest.raises(Unavailable, match=r"pace\.wait") as caught:
        way_out.call("x", "POST", "", deed=True)
    assert caught.value.retry_after == pytest.approx(60, abs=15)
    assert caught.value.pauses is False
    assert notes[-1].outcome == "blocked"
    assert len(partner.requests) == 2


def test_losing_the_free_place_to_others_again_and_again_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Limiter.in_memory(patience=1.0)
    slept: list[float] = []
    monkeypatch.setattr(limiter._window, "hit", lambda *args: False)
    monkeypatch.setattr(limiter._window, "get_window_stats", lambda *args: WindowStats(time.time() + 0.2, 0))
    with pytest.raises(Unavailable, match=r"pace\.wait"):
        limiter.take("1/second", 7, sleep=slept.append)
    assert 0.6 < sum(slept) <= 1.0


def test_each_connection_has_a_pace_of_its_own(partner: Partner) -> None:
    limiter = Limiter.in_memory()
    for connection in (1, 2):
        door(partner, connection=connection, pace="1/minute", limiter=limiter).call("read", "GET", "")
    assert len(partner.requests) == 2


def test_the_pace_is_shared_through_redis_and_several_limits_hold_together(
    partner: Partner, empty_redis: str
) -> None:
    doors = [
        door(partner, pace="100/second; 3/minute", limiter=Limiter.on_redis(empty_redis)) for _ in range(2)
    ]
    for number in range(3):
        doors[number % 2].call("read", "GET", "")
    for one in doors:
        with pytest.raises(Unavailable, match=r"pace\.wait"):
            one.call("read", "GET", "")


def test_without_redis_the_call_goes_out_and_a_line_is_logged(
    partner: Partner, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = Limiter.on_redis(f"redis://127.0.0.1:{free_port()}/0")
    for _ in range(2):
        door(partner, pace="1/minute", limiter=limiter).call("read", "GET", "")
    assert len(partner.requests) == 2
    assert "pace not kept" in caplog.text


def busy_lane(partner: Partner, **how: Any) -> Door:
    """A door with two lanes whose paces are no hindrance."""
    lanes = {"dates": "1000/second", "orders": "1000/second"}
    return door(partner, lanes=lanes, **({"limiter": Limiter.in_memory()} | how))


def too_many(way_out: Door, lane: str | None, **how: Any) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        way_out.call("read", "GET", "", lane=lane, **how)
    return caught.value


@pytest.mark.parametrize(("header", "seconds"), [("Retry-After: 90\r\n", 90), ("", outbound.REST_SECONDS)])
def test_a_429_rests_its_lane_for_as_long_as_was_asked_for_and_no_other(
    partner: Partner, header: str, seconds: float
) -> None:
    way_out = busy_lane(partner)
    with time_machine.travel(datetime(2026, 11, 22, 12, tzinfo=UTC), tick=False) as clock:
        partner.script = reply(429, b"", header)
        first = too_many(way_out, "dates")
        assert (first.code, first.pauses, first.retry_after) == ("partner.too_many_calls", False, seconds)
        partner.script = reply(200)
        clock.shift(seconds - 1)
        still = too_many(way_out, "dates", deed=True)
        assert (still.code, still.pauses, still.retry_after) == ("pace.wait", False, 1)
        way_out.call("read", "GET", "", lane="orders")
        way_out.call("read", "GET", "")
        assert len(partner.requests) == 3
        clock.shift(1)
        way_out.call("read", "GET", "", lane="dates")
    assert len(partner.requests) == 4


def test_a_rest_is_never_longer_than_the_cap(partner: Partner) -> None:
    partner.script = reply(429, b"", "Retry-After: 80000\r\n")
    assert too_many(busy_lane(partner), "dates").retry_after == outbound.RETRY_AFTER_CAP


@pytest.mark.parametrize("lane", [None, "dates"])
def test_somebody_rests_after_every_429(partner: Partner, lane: str | None) -> None:
    """Without a lane, or where nobody can keep its rest, it is the whole connection."""
    partner.script = reply(429, b"", "Retry-After: 30\r\n")
    nobody = {} if lane is None else {"limiter": None}
    told = too_many(busy_lane(partner, **nobody), lane)
    assert (told.pauses, told.retry_after) == (True, 30)


def test_all_workers_rest_through_redis_and_of_two_words_the_longer_counts(
    partner: Partner, empty_redis: str
) -> None:
    first, second, other = (
        busy_lane(partner, connection=number, limiter=Limiter.on_redis(empty_redis)) for number in (7, 7, 8)
    )
    for seconds in (90, 20):
        assert first._limiter is not None
        assert first._limiter.rest("7:dates", seconds)
    assert 60 < (too_many(second, "dates").retry_after or 0) <= 90
    assert partner.requests == []
    other.call("read", "GET", "", lane="dates")
    with redis.Redis.from_url(empty_redis) as client:
        client.flushdb()
    second.call("read", "GET", "", lane="dates")


def test_without_redis_the_whole_connection_rests(partner: Partner, caplog: pytest.LogCaptureFixture) -> None:
    partner.script = reply(429, b"", "Retry-After: 30\r\n")
    way_out = busy_lane(partner, limiter=Limiter.on_redis(f"redis://127.0.0.1:{free_port()}/0"))
    assert too_many(way_out, "dates").pauses
    assert "rest not kept" in caplog.text


# --- rest --------------------------------------------------------------------------------------------------------------------------


def fail(way_out: Door, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable, match=r"partner\.unreachable"):
            way_out.call("read", "GET", "")


def test_a_partner_that_is_down_may_rest_and_one_good_answer_ends_it(partner: Partner) -> None:
    breaker = Breaker.in_memory(fail_max=3, rest=60)
    notes: list[AttemptNote] = []
    way_out = door(partner, breaker=breaker, record=notes.append)
    partner.script = reply(500)
    with time_machine.travel(datetime(2026, 11, 22, 12, tzinfo=UTC), tick=False) as clock:
        fail(way_out, 3)
        clock.shift(59)
        with pytest.raises(Unavailable, match=r"partner\.resting") as caught:
            way_out.call("x", "POST", "", deed=True)
        assert caught.value.retry_after == 1
        assert notes[-1].outcome == "blocked"
        assert len(partner.requests) == 3
        clock.shift(1)
        fail(way_out, 1)  # one try is let through; it fails, so the rest begins again
        with pytest.raises(Unavailable, match=r"partner\.resting"):
            way_out.call("read", "GET", "")
        clock.shift(60)
        partner.script = reply(200)
        for _ in range(3):
            way_out.call("read", "GET", "")


@pytest.mark.parametrize("status", [302, 400, 401, 404, 422, 429])
def test_a_partner_that_says_no_is_well(partner: Partner, status: int) -> None:
    breaker = Breaker.in_memory(fail_max=2)
    partner.script = reply(status)
    for _ in range(6):
        with pytest.raises(ShopbridgeError) as caught:
            door(partner, breaker=breaker).call("x", "POST", "", deed=True)
        assert caught.value.code != "partner.resting"
    assert len(partner.requests) == 6


def test_only_failures_in_a_row_count(partner: Partner) -> None:
    breaker = Breaker.in_memory(fail_max=2)
    for _ in range(3):
        partner.script = reply(500)
        fail(door(partner, breaker=breaker), 1)
        partner.script = reply(404)
        with pytest.raises(Refused):
            door(partner, breaker=breaker).call("read", "GET", "")
    assert len(partner.requests) == 6


def test_the_rest_is_shared_through_redis_and_a_flush_ends_it(partner: Partner, empty_redis: str) -> None:
    first, second, other = (Breaker.on_redis(empty_redis, number, fail_max=2) for number in (7, 7, 8))
    partner.script = reply(500)
    fail(door(partner, breaker=first), 2)
    with pytest.raises(Unavailable, match=r"partner\.resting"):
        door(partner, breaker=second).call("read", "GET", "")
    fail(door(partner, breaker=other), 1)
    with redis.Redis.from_url(empty_redis) as client:
        client.flushdb()
    fail(door(partner, breaker=second), 1)


def test_without_redis_nobody_rests(partner: Partner, caplog: pytest.LogCaptureFixture) -> None:
    started = time.monotonic()
    breaker = Breaker.on_redis(f"redis://127.0.0.1:{free_port()}/0", 7)
    partner.script = reply(500)
    fail(door(partner, breaker=breaker), 3)
    assert "nobody rests" in caplog.text
    assert time.monotonic() - started < 10


def test_a_redis_that_falls_ill_later_stops_no_call(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ill(*args: Any, **options: Any) -> Any:
        raise redis.exceptions.ConnectionError("gone")

    breaker = Breaker.in_memory()
    monkeypatch.setattr(type(breaker._storage), "state", property(ill))
    assert door(partner, breaker=breaker).call("read", "GET", "").status == 200


def test_calls_side_by_side_do_not_wait_for_each_other_in_the_breaker(partner: Partner) -> None:
    breaker = Breaker.in_memory()
    gate = threading.Barrier(3, timeout=30)

    def together(connection: socket.socket) -> None:
        gate.wait()
        reply(200)(connection)

    partner.script = together
    done: list[int] = []

    def call() -> None:
        done.append(door(partner, breaker=breaker).call("read", "GET", "").status)
        for adapter in outbound._pools.__dict__.get("adapters", {}).values():
            adapter.close()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [200, 200, 200]


# --- answers and test doubles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"\xff\xfe\xfd", b"NaN", b'{"a": Infinity}', b"[" * 100_000]
)
def test_what_is_not_json_is_said_so(body: bytes) -> None:
    with pytest.raises(Invalid, match=r"answer\.not_json"):
        Answer(200, {}, body).json()


@responses.activate
def test_a_door_works_with_the_responses_library() -> None:
    responses.get("https://sellerapi.kaufland.com/v2/units?limit=1", json={"data": []})
    way_out = Door(connection=1, base_url="https://sellerapi.kaufland.com/v2", egress="public_https")
    assert way_out.call("units", "GET", "units", params=[("limit", "1")]).json() == {"data": []}
    with pytest.raises(Unknown):
        way_out.call("units", "POST", "nowhere", deed=True)
