"""An order of the network that belongs to nobody, for the developer of a supplier's system: it moves no money and no shop is told (D6).

It has no trade, and every rule about money starts from the trade (docs/decisions/0011). What may go wrong: it holds a piece of a product until it
is sent or cancelled, like any order.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import messages as m
from app.errors import Refused
from app.models import Connection, Product, Release

PREFIX = "trial-"
SOLD_BY = "Shopbridge trial"
PIECES = 2

_CUSTOMER = m.Address(
    first_name="Mia",
    last_name="Muster",
    address_1="Beispielweg 4",
    postcode="10115",
    city="Berlin",
    country="DE",
)


def made(session: Session, shop: Connection) -> tuple[Connection, m.OrderSeen]:
    """What the network's connection of this shop sees. Raises Refused("trial.not_possible") when the shop supplies nobody or released nothing."""
    network = session.scalar(
        select(Connection).where(
            Connection.account_id == shop.account_id,
            Connection.role == "network",
            Connection.shop_id == shop.id,
            Connection.state == "active",
        )
    )
    found = session.execute(
        select(Product, Release)
        .join(Release, Release.product_id == Product.id)
        .where(Product.connection_id == shop.id, Release.state == "released")
        .order_by(Product.id)
        .limit(1)
    ).one_or_none()
    if network is None or found is None:
        raise Refused("trial.not_possible")
    return network, _seen(*found)


def _seen(product: Product, release: Release) -> m.OrderSeen:
    number = f"{PREFIX}{secrets.token_hex(4)}"
    return m.OrderSeen(
        external_id=number,
        placed_at=datetime.now(UTC),
        currency=release.currency or "EUR",
        pieces=tuple(_piece(number, place, product, release) for place in range(1, PIECES + 1)),
        billing=_CUSTOMER,
        shipping=_CUSTOMER,
        country="DE",
        sold_by=SOLD_BY,
        number=number,
    )


def _piece(number: str, place: int, product: Product, release: Release) -> m.PieceSeen:
    told: dict[str, Any] = {"sku": product.sku, "gtin": product.gtin, "title": product.title}
    return m.PieceSeen(
        external_id=f"{number}-{place}",
        group="1",
        unit_price=release.price or 0,
        shipping_price=0,
        state=m.PieceState.TO_SHIP,
        raw_state="trial",
        vat_percent=release.vat_percent,
        ship_by=None,
        product_external_id=product.external_id,
        **told,
    )
