"""What the stories of releases and listings have in common: products with everything that K1 asks for, and what the shops show of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from network_world import Member, Network
from sqlalchemy import select
from world import call

from app import jobs
from app.flows import catalogue
from app.models import Connection, Listing, Product, Release
from app.shops.woocommerce.client import WooCommerceClient

ASSAM, DARJEELING, SENCHA = "4006381333931", "4012345678901", "4029764001807"
KEPT = {"kind": "same"}


def goods(sku: str, gtin: str | None, **more: Any) -> dict[str, Any]:
    """A product as the supplier's shop has it, complete unless `more` takes something away."""
    return {
        "name": f"Tee {sku}",
        "sku": sku,
        "gtin": gtin or "",
        "price": "7.90",
        "stock": 10,
        "dealer_price": "4.20",
        "tax_rate": "7",
        "network_category": "food.tea",
        "brand": "Hathikuli",
        "images": [f"https://tee.example/{sku.lower()}.jpg"],
    } | more


def offer(network: Network, supplier: Member, *wanted: dict[str, Any]) -> list[int]:
    """Put products into a supplier's shop; our ids of them."""
    made = call("POST", f"{supplier.shop_url}/_control/products", list(wanted))["products"]
    network.work()
    rows = network.session.execute(
        select(Product.external_id, Product.id).where(Product.connection_id == supplier.connection)
    )
    known = dict(rows.all())
    return [known[str(each["id"])] for each in made]


def change(network: Network, supplier: Member, sku: str, **values: Any) -> None:
    """The merchant edits a product in his shop."""
    number = supplier.shop.find(sku=sku).id
    call("PATCH", f"{supplier.shop_url}/_control/products/{number}", values)


def take(
    network: Network, retailer: Member, products: Sequence[int], rule: dict[str, Any] | None = None
) -> catalogue.Listed:
    """A retailer imports products, and the workers do it."""
    shop = network.session.get_one(Connection, retailer.connection)
    found = catalogue.list_products(network.session, shop, products, rule or KEPT)
    network.session.commit()
    network.work()
    return found


def in_shop(network: Network, retailer: Member, product: int) -> Any:
    """The retailer's product that stands for this one, as his shop has it."""
    found = listing(network, retailer, product).shop_product_id
    return None if found is None else retailer.shop.products[int(found)]


def listing(network: Network, retailer: Member, product: int) -> Listing:
    network.session.rollback()
    return network.session.scalars(
        select(Listing).where(Listing.shop_id == retailer.connection, Listing.product_id == product)
    ).one()


def release(network: Network, product: int) -> Release:
    network.session.rollback()
    return network.session.get_one(Release, product)


def codes(network: Network, product: int) -> list[str]:
    return [each["code"] for each in release(network, product).reasons]


def calls(member: Member, *kinds: str) -> list[str]:
    """The commands that this shop obeyed, of these kinds."""
    return [each["type"] for each in member.shop.commands if not kinds or each["type"] in kinds]


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every command that goes to a shop from now on: (type, data)."""
    sent: list[tuple[str, dict[str, Any]]] = []
    send = WooCommerceClient.send

    def noted(client: WooCommerceClient, command_id: str, kind: str, data: dict[str, Any]) -> Any:
        sent.append((kind, data))
        return send(client, command_id, kind, data)

    monkeypatch.setattr(WooCommerceClient, "send", noted)
    return sent


def one_round(network: Network, *members: Member) -> None:
    """Every lane once: what a bell does in one moment."""
    network.send_events()
    for member in members:
        jobs.drain_inbox(member.connection)
    for member in members:
        jobs.drain_outbox(member.connection)
    network.session.rollback()
