"""One account with a shop, a marketplace, a product, an offer, an order, and one of everything that goes wrong."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import accounts
from app.models import (
    Account,
    Attempt,
    Case,
    Command,
    Connection,
    Event,
    Manifest,
    Offer,
    Order,
    OrderLine,
    OrderPiece,
    Product,
    Refund,
    Return,
    Shipment,
    Timeline,
)

KEYS = {"client_key": "a" * 32, "secret_key": "b" * 64}
THEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BUYER = {"billing": {"last_name": "Canarybuyer", "email": "mia@canary.example"}}


@dataclass
class Api:
    """Somebody's program with a token."""

    app: Flask
    token: str | None

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> TestResponse:
        return self.call("POST", path, json=body, **options)

    def patch(self, path: str, body: Any, **options: Any) -> TestResponse:
        return self.call("PATCH", path, json=body, **options)


@dataclass
class World:
    """The rows of one account, by name."""

    account: Account
    shop: Connection
    marketplace: Connection
    product: Product
    offer: Offer
    order: Order
    event: Event
    command: Command
    network: Any = None  # members_world.Network where a test asks for it


def world_of(session: Session, account: Account) -> World:
    shop, _, _ = accounts.connect_standard(session, account, "Teeladen")
    marketplace = accounts.connect_marketplace(session, account, "kaufland", KEYS)
    product = Product(
        account_id=account.id,
        connection_id=shop.id,
        external_id="17",
        title="Assam",
        sku="TEE-001",
        gtin="4006381333931",
        price=790,
        currency="EUR",
        stock=5,
        extra={},
    )
    session.add(product)
    session.flush()
    offer = an_offer(session, marketplace, product)
    order = an_order(session, account, shop, marketplace, product)
    event = an_event(session, shop, state="refused", reason="field.missing")
    command = a_command(session, marketplace, order, state="dead", reason="retry.exhausted")
    session.add_all(
        [
            Attempt(
                account_id=account.id,
                connection_id=marketplace.id,
                command_id=command.id,
                operation="ship",
                method="PATCH",
                url="https://x.example",
                started_at=THEN,
                duration_ms=12,
                outcome="unavailable",
                status=500,
                excerpt="",
                error=None,
            ),
            Case(
                account_id=account.id,
                order_id=order.id,
                subject=f"order/{order.id}",
                code="ship.deadline_near",
                params={},
                state="open",
            ),
            Timeline(
                account_id=account.id,
                order_id=order.id,
                code="ship.waiting_for_tracking",
                params={"until": "2026-11-20T15:00:00Z"},
            ),
            Manifest(
                account_id=account.id,
                connection_id=shop.id,
                day="2026-11-20",
                first_sequence=1,
                last_sequence=10,
                count=2,
                arrived=1,
            ),
        ]
    )
    session.commit()
    return World(account, shop, marketplace, product, offer, order, event, command)


def an_offer(session: Session, marketplace: Connection, product: Product, **changes: Any) -> Offer:
    shown = {"stock": 5, "price": 790}
    offer = Offer(
        account_id=marketplace.account_id,
        connection_id=marketplace.id,
        product_id=product.id,
        overrides={},
        stale=False,
        desired=shown,
        revision=3,
        sent=shown,
        sent_revision=3,
        confirmed=shown,
        confirmed_revision=3,
        confirmed_at=THEN,
        state="on_sale",
        reason_code=None,
        reason_params={},
    )
    for name, value in changes.items():
        setattr(offer, name, value)
    session.add(offer)
    session.flush()
    return offer


def an_order(
    session: Session,
    account: Account,
    shop: Connection,
    marketplace: Connection,
    product: Product,
    external_id: str = "M7X2K9P",
) -> Order:
    order = Order(
        account_id=account.id,
        connection_id=marketplace.id,
        external_id=external_id,
        key=f"kaufland:{external_id}",
        currency="EUR",
        placed_at=THEN,
        ship_by=THEN + timedelta(days=3),
        buyer=BUYER,
        shop_id=shop.id,
        shop_order_id=f"1042-{external_id}",
        shop_number="1042",
        shop_status="processing",
        wait_until=None,
    )
    session.add(order)
    session.flush()
    line = OrderLine(
        order_id=order.id, group_key="g", product_id=product.id, sku="TEE-001", title="Assam", unit_price=790
    )
    session.add(line)
    session.flush()
    pieces = [
        OrderPiece(
            connection_id=marketplace.id,
            order_id=order.id,
            line_id=line.id,
            external_id=f"{external_id}-{n}",
            price=790,
            shipping_price=100 * (n == 0),
            state="to_ship",
            raw_state="need_to_be_sent",
        )
        for n in range(2)
    ]
    session.add_all(pieces)
    session.flush()
    session.add_all(
        [
            Shipment(order_id=order.id, tracking_number="", carrier_source="none", piece_ids=[pieces[0].id]),
            Refund(
                order_id=order.id, origin="shop", external_id="r1", amount=100, currency="EUR", allocation={}
            ),
            Return(
                connection_id=marketplace.id,
                order_id=order.id,
                piece_id=pieces[0].id,
                external_id=f"ret-{external_id}",
                return_external_id="x",
                state="announced",
                raw_state="new",
            ),
        ]
    )
    session.flush()
    return order


def an_event(
    session: Session, shop: Connection, *, state: str = "done", reason: str | None = None, **changes: Any
) -> Event:
    body = json.dumps({"type": "order.changed", "data": {"id": 1, "mail": "mia@canary.example"}}).encode()
    number = changes.pop("number", 1)
    event = Event(
        account_id=shop.account_id,
        connection_id=shop.id,
        delivery_id=f"evt_{number:030d}",
        type="order.changed",
        subject="order/1042",
        sequence=number,
        happened_at=THEN,
        body=body,
        state=state,
        reason_code=reason,
        reason_params={"field": "data.id"} if reason else None,
    )
    for name, value in changes.items():
        setattr(event, name, value)
    session.add(event)
    session.flush()
    return event


def a_command(
    session: Session,
    connection: Connection,
    order: Order | None,
    *,
    state: str = "due",
    reason: str | None = None,
    key: str = "k1",
) -> Command:
    command = Command(
        account_id=connection.account_id,
        connection_id=connection.id,
        kind="ship",
        subject="order/1",
        key=key,
        payload={"note": "mia@canary.example"},
        order_id=order.id if order else None,
        state=state,
        reason_code=reason,
        reason_params={},
    )
    session.add(command)
    session.flush()
    return command
