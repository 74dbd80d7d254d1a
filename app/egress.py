"""Which addresses the bridge may call. A URL that a tenant gives must never lead into our own network (reliability T8).

Two checks that belong together: `check_url` reads the text (when saving, and before every call), `checked_addresses` looks
at what the name resolves to, and its answer is what gets dialled: nothing is looked up a second time, so a name cannot
change its address between check and connect. What may go wrong: on a host with IPv6 only and DNS64 every IPv4 shop is
refused, because translated addresses are forbidden (docs/decisions/0002-one-door-out.md).
"""

import ipaddress
import re
import socket
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import idna

from app.errors import Refused

Egress = Literal["public_https", "tenant_url"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = frozenset({443, 8443})

# What Svix blocks, and the later entries of IANA's special-purpose registries.
_FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: cloud metadata lives here
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # class E and broadcast
    )
)
# Everything outside global unicast is forbidden: ::, ::1, IPv4-mapped, NAT64, discard, SRv6, unique and link local, multicast.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # Teredo, benchmarks, ORCHID and other IETF protocols
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 wraps any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_INNER_SUFFIXES = (
    "localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "arpa",
)  # fmt: skip
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)", re.ASCII)


def check_url(url: str, *, egress: Egress, allow_loopback: bool = False, resolve: bool = False) -> None:
    """Raise Refused("address.forbidden", host=, why=) unless the bridge may call this URL.

    `why` is one of: malformed, scheme, user, host, inner, port, address. With `resolve` the name is looked up too (slow:
    seconds, when its name server does not answer), which tells a merchant at once what the first call would tell.
    A name that cannot be resolved is no reason to refuse. IP addresses are for tenants' shops only: marketplaces
    (`public_https`) have names.
    """
    parts = _split(url)
    host, port = _host(parts, url), _port(parts)
    literal = _literal(host)
    if literal is not None and egress == "public_https" and not literal.is_loopback:
        raise _forbidden(host, "address")
    loopback = allow_loopback and _is_loopback_name(host, literal)
    if loopback:
        return
    if parts.scheme != "https":
        raise _forbidden(host, "scheme")
    if port not in PORTS:
        raise _forbidden(host, "port")
    if literal is not None and not is_public(literal):
        raise _forbidden(host, "address")
    if literal is None and _is_inner_name(host):
        raise _forbidden(host, "inner")
    if resolve and literal is None:
        _resolve_for_saving(host, port, allow_loopback=allow_loopback)


def checked_addresses(host: str, port: int, *, tls: bool, allow_loopback: bool) -> list[str]:
    """The addresses of `host`, each of them allowed; the caller dials these and looks nothing up again.

    One forbidden address among good ones refuses them all: no honest shop has both. Raises Refused("address.forbidden")
    and OSError when the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise _forbidden(host, "host") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    plain_is_fine = tls and port in PORTS
    for text in addresses:
        address = ipaddress.ip_address(
            text
        )  # a link-local zone ("%eth0") is kept by Python and forbidden below
        if allow_loopback and address.is_loopback and getattr(address, "ipv4_mapped", None) is None:
            continue
        if not plain_is_fine:
            raise _forbidden(host, "scheme" if not tls else "port")
        if not is_public(address):
            raise _forbidden(host, "address")
    return addresses


def is_public(address: Address) -> bool:
    """Whether this is an ordinary address of the internet. Wrapped IPv4 (mapped, 6to4, NAT64) never is."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in net for net in _FORBIDDEN_V4)
    return address in _GLOBAL_V6 and not any(address in net for net in _FORBIDDEN_V6)


def _forbidden(host: str, why: str) -> Refused:
    return Refused("address.forbidden", host=host[:253], why=why)


def _split(url: str) -> SplitResult:
    """The parts of a URL that reads the same for every parser."""
    if not url.isprintable() or "\\" in url or " " in url:
        raise _forbidden("", "malformed")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _forbidden("", "malformed") from None
    if parts.scheme not in {"http", "https"}:
        raise _forbidden(parts.hostname or "", "scheme")
    if "@" in parts.netloc:
        raise _forbidden(parts.hostname or "", "user")
    if parts.fragment or url.endswith("#"):
        raise _forbidden(parts.hostname or "", "malformed")
    return parts


def _host(parts: SplitResult, url: str) -> str:
    """The host in lower-case ASCII; a name whose spelling hides another one is refused."""
    host = parts.hostname or ""
    if not url.lower().startswith(f"{parts.scheme}://") or not host or "%" in host:
        raise _forbidden(host, "host")
    if parts.netloc.startswith("["):
        if ":" not in host:  # a future kind of address: `[v1.a]`
            raise _forbidden(host, "host")
        return host
    if not host.isascii():
        host = _ascii_name(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _forbidden(host, "host")
    return host


def _ascii_name(host: str) -> str:
    """`bücher.example` as `xn--bcher-kva.example`. Full-width digits and the like turn into plain ASCII: refused."""
    labels = []
    for label in host.split("."):
        try:
            ascii_label = (
                label if label.isascii() else idna.encode(label, uts46=True, std3_rules=True).decode()
            )
        except idna.IDNAError:
            raise _forbidden(host, "host") from None
        if not label.isascii() and (not ascii_label.startswith("xn--") or "." in ascii_label):
            raise _forbidden(host, "host")
        labels.append(ascii_label)
    return ".".join(labels)


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        raise _forbidden(parts.hostname or "", "port") from None
    if parts.netloc.endswith(":"):
        raise _forbidden(parts.hostname or "", "malformed")
    if port is None:
        return 443 if parts.scheme == "https" else 80
    return port


def _literal(host: str) -> Address | None:
    """The IP address that `host` is, None for a name.

    Decimal, octal, hexadecimal and short forms (`2130706433`, `0177.0.0.1`, `0x7f.1`) are names to some parsers and
    addresses to others: only the plain spelling passes.
    """
    if ":" in host or _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        try:
            return ipaddress.ip_address(host)
        except ValueError:
            raise _forbidden(host, "host") from None
    return None


def _is_loopback_name(host: str, literal: Address | None) -> bool:
    if literal is not None:
        return literal.is_loopback and getattr(literal, "ipv4_mapped", None) is None
    return host == "localhost" or host.endswith(".localhost")


def _is_inner_name(host: str) -> bool:
    return "." not in host or host.rsplit(".", 1)[-1] in _INNER_SUFFIXES


def _resolve_for_saving(host: str, port: int, *, allow_loopback: bool) -> None:
    try:
        checked_addresses(host, port, tls=True, allow_loopback=allow_loopback)
    except OSError:
        return
