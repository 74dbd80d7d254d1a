"""A supplier system without a shop in the simulated network: it signs its events itself, and has a program with a token (D6)."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from network_world import ADDRESS, Listed, Member, Network
from sqlalchemy import select

from app import accounts
from app.extensions import db
from app.flows import network_members
from app.models import Account, Connection, Product, Profile
from app.shops import signing

TEE, MATE = "4006381333931", "96385074"
DHL = "00340434161094015902"
DHL_TOO = "00340434161094022115"


@dataclass(frozen=True)
class Told:
    """An answer of the API."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> tuple[int, str, str | None]:
        """(status, code, param) of a refusal."""
        assert "error" in self.body, self.body
        return self.status, self.body["error"]["code"], self.body["error"]["param"]


@dataclass
class Program:
    """Somebody's program with a token, over real HTTP."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Told:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/supplier{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return Told(answer.status, _read(answer), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Told(error.code, _read(error), dict(error.headers))

    def get(self, path: str) -> Told:
        return self.call("GET", path)

    def post(self, path: str, body: Any, key: str | None = None) -> Told:
        return self.call("POST", path, body, key)


def _read(answer: Any) -> Any:
    raw = answer.read()
    return json.loads(raw) if answer.headers.get_content_type() == "application/json" else raw


@dataclass
class Supplier:
    """His account, his connection, and what he can do."""

    account: Account
    connection: int
    key: str
    secret: str
    network: int
    program: Program
    bridge: str
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def tells(self, kind: str, subject: str, data: dict[str, Any], **changed: Any) -> int:
        """A signed event; the status of the answer."""
        event = {
            "type": kind,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sequence": next(self.numbers),
            "subject": subject,
            "data": data,
        }
        body = json.dumps(event | changed).encode()
        headers = signing.sign([self.secret], f"evt_{uuid4().hex}", body, datetime.now(UTC))
        request = urllib.request.Request(
            f"{self.bridge}/webhooks/{self.key}", body, headers | {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)

    def has(self, number: str, gtin: str | None = TEE, **changed: Any) -> int:
        """Tells of a product that may be released."""
        data = {
            "id": number,
            "kind": "simple",
            "active": True,
            "title": f"Tee {number}",
            "sku": f"SKU-{number}",
            "gtin": gtin,
            "price": "12.00",
            "currency": "EUR",
            "stock": 10,
            "dealer_price": "4.20",
            "vat_percent": "19",
            "brand": "Hathikuli",
            "network_category": "food.tea",
        }
        return self.tells("product.changed", f"product/{number}", data | changed)

    def product(self, number: str) -> int:
        """Our id of his product."""
        query = select(Product.id).where(
            Product.connection_id == self.connection, Product.external_id == number
        )
        return int(db.session.scalars(query).one())

    def order(self, number: str) -> Any:
        """One order as the API shows it."""
        told = self.program.get(f"/orders/{number}")
        assert told.status == 200, told.body
        return told.body


def join(
    network: Network, name: str = "Emils Lager", *, command_url: str | None = None, **profile: Any
) -> Supplier:
    """A supplier with a system instead of a shop, partner of both retailers."""
    account = accounts.create_account(db.session, name)
    made, secret, _ = accounts.connect_standard(
        db.session, account, "Lager", command_url, allow_loopback=True
    )
    made.settings = {**made.settings, "dealer_prices": "gross"}
    values = {"state": "approved", "address": {**ADDRESS, "company": name}, "shipping_price": 390, **profile}
    db.session.add(Profile(account_id=account.id, supplier=True, retailer=False, **values))
    db.session.flush()
    net = network_members.ensure_network_connection(db.session, account)
    token = accounts.make_token(db.session, account, "ERP")
    db.session.commit()
    url = network.bridge_url
    supplier = Supplier(account, made.id, made.key, secret, net.id, Program(url, token), url)
    for retailer in (network.boldt, network.dora):
        network.partners(retailer, supplier)  # type: ignore[arg-type]  # only his account is asked for
    return supplier


def listed(
    network: Network, supplier: Supplier, retailer: Member, number: str = "A-17", **more: Any
) -> Listed:
    """A product of the supplier in a retailer's shop."""
    supplier.has(number, **more)
    network.work()
    return network.listing(retailer, supplier.product(number))


def sold(network: Network, listing: Listed, retailer: Member, pieces: int = 3, **more: Any) -> int:
    """A customer buys it; everything that follows has happened."""
    number = retailer.buys((listing, pieces), **more)
    network.work()
    return number


def connection_of(supplier: Supplier) -> Connection:
    """His connection as it is now."""
    return db.session.get_one(Connection, supplier.connection, populate_existing=True)
