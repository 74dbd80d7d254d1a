"""T8: no spelling of a URL and no answer of a name server leads the bridge into a private network."""

import ipaddress
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from app import outbound
from app.egress import PORTS, check_url, checked_addresses, is_public
from app.errors import Refused, Unavailable
from app.outbound import Door

INNER = {
    "private 10": "10.0.0.1", "private 172": "172.16.0.1", "private 192": "192.168.0.1", "loopback": "127.0.0.1",
    "loopback far": "127.255.255.254", "metadata": "169.254.169.254", "nat": "100.64.0.1", "this": "0.1.2.3",
    "ietf": "192.0.0.1", "doc1": "192.0.2.1", "doc2": "198.51.100.1", "doc3": "203.0.113.1", "relay": "192.88.99.1",
    "bench": "198.18.0.1", "bench far": "198.19.255.255", "multicast": "224.0.0.1", "class e": "240.0.0.1",
    "broadcast": "255.255.255.255", "as112": "192.31.196.1", "amt": "192.52.193.1",
}  # fmt: skip
INNER_V6 = [
    "::", "::1", "::ffff:7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:a9fe:a9fe::", "2002:7f00:1::", "100::1",
    "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1",
    "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "2620:4f:8000::1", "fd00:ec2::254",
]  # fmt: skip


def spellings(address: str) -> list[str]:
    """Other ways to write an IPv4 address that some parser understands."""
    a, b, c, d = (int(part) for part in address.split("."))
    number = int.from_bytes(bytes([a, b, c, d]))
    return [
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.{b}.{c * 256 + d}",
        f"{a}.{b * 65536 + c * 256 + d}",
        f"{a}.{b}.{c}.{d}.",
        f"%{ord(address[0]):02x}{address[1:]}",
        address.replace(".", "。"),
        "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in address),
    ]


def forbidden_urls() -> list[str]:
    hosts = [*INNER.values(), *(f"[{address}]" for address in INNER_V6)]
    for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.0.1", "8.8.8.8"):
        hosts += spellings(address)
    hosts += ["0", "127.1", "0x7f.1", "0177.1", "1.1.1", "256.256.256.256", "1.2.3.4.5", "0x", "9999999999"]
    hosts += ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1", "::1", "[1.2.3.4]", "[v1.a]", "[]"]
    hosts += [
        "localhost", "LOCALHOST", "localhost.", "shop.localhost", "router.local", "db.internal", "x.lan",
        "metadata", "metadata.google.internal", "redis", "1.0.0.127.in-addr.arpa", "x.home.arpa", "a.corp",
    ]  # fmt: skip
    hosts += [
        "ⓛocalhost", "loc\u00adalhost", "ﬁ.example", "tee。example", "tee．example", "tee.example.",
        "tee..example", ".tee.example", "-tee.example", "tee-.example", "tee.ex ample", "tee\u200b.example",
        "tee.example\\@10.0.0.1", "a" * 64 + ".example", ("a" * 50 + ".") * 6 + "example", "tée%2eexample", "*.example",
    ]  # fmt: skip
    urls = [f"https://{host}/hook" for host in hosts]
    urls += [
        f"https://{user}@{host}/"
        for user in ("tee.example", "a:b", "", "tee.example:443", "a%40b")
        for host in ("10.0.0.1", "tee.example")
    ]
    urls += [
        f"https://tee.example:{port}/"
        for port in (
            "80",
            "22",
            "25",
            "6379",
            "5432",
            "0",
            "65536",
            "99999",
            "-1",
            "4430",
            "443x",
            "",
            "８４４３",
        )
    ]
    urls += [
        f"{scheme}://tee.example/"
        for scheme in (
            "http",
            "HTTP",
            "file",
            "gopher",
            "ftp",
            "dict",
            "ldap",
            "ws",
            "jar",
            "data",
            "javascript",
            "ssh",
            "tftp",
            "unix",
        )
    ]
    urls += [
        "", "/", "//tee.example/", "tee.example", "https:", "https:/", "https://", "https:///etc/passwd", "https:tee.example",
        "https:/tee.example/", "https:\\\\tee.example", "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://127.0.0.1:6379/_x",
        " https://tee.example/", "https://tee.example/ ", "https://tee.example/\r\nHost: x", "https://tee.example/\t", "\x00https://tee.example/",
        "https://tee.example/#@10.0.0.1", "https://tee.example#", "https://10.0.0.1#@tee.example/", "https://10.0.0.1?@tee.example/",
        "https://10.0.0.1\\.tee.example/", "https://tee.example\n.10.0.0.1/", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "javascript:alert(1)",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c%25eth0]/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c%eth0]/",
        "https://tee.example/\\@10.0.0.1/",
        "https://[::ffff:7f00:1]:8443/", "https://[2002:a9fe:a9fe::]:443/", "https://tee.example:443:443/", "https://tee.example,10.0.0.1/",
        "https://tee.example;10.0.0.1/", "https://10.0.0.1%2f@tee.example/", "https://127.0.0.1:443/", "https://0:443/",
    ]  # fmt: skip
    return list(dict.fromkeys(urls))


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every address that a socket is asked to connect to; nothing really connects."""
    seen: list[Any] = []

    def refuse(_socket: socket.socket, address: Any) -> None:
        seen.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return seen


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Give the resolver's next answers; the last one stays. Literals resolve to themselves."""
    asked: list[str] = []
    waiting = list(answers)

    def answer(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host[0].isdigit() or ":" in host:
            found = [host]
        else:
            asked.append(host)
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        family = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in found]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port))
            for kind, address in zip(family, found, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def door(url: str, **options: Any) -> Door:
    return Door(connection=1, base_url=url, egress="tenant_url", **options)


def test_there_are_at_least_200_spellings() -> None:
    assert len(forbidden_urls()) >= 200


@pytest.mark.parametrize("url", forbidden_urls())
def test_no_spelling_of_a_forbidden_url_is_saved_or_called(
    url: str, dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = names(monkeypatch, ["93.184.215.14"])
    notes: list[outbound.AttemptNote] = []
    with pytest.raises(Refused, match=r"address\.forbidden"):
        check_url(url, egress="tenant_url")
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door(url, record=notes.append).call("ping", "POST", "", body=b"{}", deed=True)
    assert dialled == []
    assert asked == []
    assert [note.outcome for note in notes] == ["blocked"]


@pytest.mark.parametrize(
    "url",
    [
        "https://tee.example",
        "https://tee.example/wp-json/shopbridge/v1/commands",
        "https://tee.example/?rest_route=/shopbridge/v1/commands",
        "https://TEE.example:443/",
        "https://www.tee.example:8443/shop/",
        "https://bücher-boldt.example/",
        "https://xn--bcher-boldt-9db.example/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "https://tee_shop.example/",
        "https://10.example/",
        "https://localhost.tee.example/",
    ],
)
def test_an_ordinary_shop_address_is_fine(url: str) -> None:
    check_url(url, egress="tenant_url")


@pytest.mark.parametrize("address", [*INNER.values(), *INNER_V6])
def test_a_name_that_points_inside_is_never_dialled(
    address: str, dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, [address])
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door("https://tee.example/").call("ping", "POST", "", deed=True)
    assert dialled == []


@pytest.mark.parametrize("order", [["93.184.215.14", "10.0.0.1"], ["10.0.0.1", "93.184.215.14"]])
def test_one_private_address_among_public_ones_refuses_them_all(
    order: list[str], dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, order)
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door("https://tee.example/").call("ping", "GET", "")
    assert dialled == []


def test_a_name_that_changes_its_address_after_the_check_is_dialled_where_it_was_checked(
    dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    with pytest.raises(Unavailable, match=r"partner\.unreachable"):
        door("https://tee.example/").call("ping", "GET", "")
    assert [address[0] for address in dialled] == ["93.184.215.14"]
    assert asked == ["tee.example"]
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door("https://tee.example/").call("ping", "GET", "")
    assert len(dialled) == 1


def test_every_public_address_is_tried_but_no_more_than_four(
    dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, [f"93.184.215.{last}" for last in range(1, 9)])
    with pytest.raises(Unavailable, match=r"partner\.unreachable"):
        door("https://tee.example/").call("ping", "GET", "")
    assert [address[0] for address in dialled] == [f"93.184.215.{last}" for last in range(1, 5)]


def test_marketplaces_have_names_not_numbers() -> None:
    check_url("https://sellerapi.kaufland.com/v2", egress="public_https")
    with pytest.raises(Refused, match=r"address\.forbidden"):
        check_url("https://93.184.215.14/", egress="public_https")


def test_loopback_is_open_only_where_it_is_allowed_and_then_on_any_port() -> None:
    for url in (
        "http://127.0.0.1:8001/",
        "http://localhost:8001/",
        "http://[::1]:1/",
        "https://localhost:9443/",
    ):
        check_url(url, egress="tenant_url", allow_loopback=True)
        with pytest.raises(Refused, match=r"address\.forbidden"):
            check_url(url, egress="tenant_url")
    for url in (
        "http://tee.example/",
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
    ):
        with pytest.raises(Refused, match=r"address\.forbidden"):
            check_url(url, egress="tenant_url", allow_loopback=True)


def test_a_loopback_name_that_points_elsewhere_is_refused(
    dialled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, ["93.184.215.14"])
    with pytest.raises(Refused, match=r"address\.forbidden"):
        door("http://localhost:8001/", allow_loopback=True).call("ping", "GET", "")
    assert dialled == []


def test_saving_may_look_the_name_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = names(monkeypatch, ["10.0.0.1"])
    check_url("https://tee.example/", egress="tenant_url")
    assert asked == []
    with pytest.raises(Refused, match=r"address\.forbidden"):
        check_url("https://tee.example/", egress="tenant_url", resolve=True)


def test_a_name_that_cannot_be_looked_up_now_may_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    check_url("https://tee.example/", egress="tenant_url", resolve=True)


def test_the_reason_says_what_is_wrong() -> None:
    reasons = {}
    for url in (
        "ftp://tee.example/",
        "https://a@tee.example/",
        "https://tee.example:22/",
        "https://10.0.0.1/",
        "https://db.internal/",
    ):
        with pytest.raises(Refused) as caught:
            check_url(url, egress="tenant_url")
        reasons[url] = caught.value.params["why"]
    assert list(reasons.values()) == ["scheme", "user", "port", "address", "inner"]


def test_a_reason_never_repeats_the_password_of_a_url() -> None:
    with pytest.raises(Refused) as caught:
        check_url("https://anna:geheim@tee.example/", egress="tenant_url")
    assert "geheim" not in str(caught.value)


def test_the_deny_list_agrees_with_pythons_own_opinion() -> None:
    """Whatever Python calls not global is never public for us."""
    rng = random.Random(8)
    for _ in range(20_000):
        v4 = ipaddress.IPv4Address(rng.getrandbits(32))
        v6 = ipaddress.IPv6Address(rng.getrandbits(128) >> rng.choice([0, 0, 1, 16, 64, 96]))
        assert not is_public(v4) or v4.is_global
        assert not is_public(v6) or v6.is_global


def test_only_the_two_usual_ports() -> None:
    assert sorted(PORTS) == [443, 8443]


def test_no_address_at_all_is_a_failed_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, [])
    with pytest.raises(OSError, match="no address"):
        checked_addresses("tee.example", 443, tls=True, allow_loopback=False)
