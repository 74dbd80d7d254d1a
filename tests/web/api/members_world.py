"""The network around one account: it supplies Boldt and retails for Dora, with one of everything."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from app import accounts
from app.flows import network_members as members
from app.models import Account, Connection, Listing, Order, Partnership, Product, Release, Trade, TradeLine

NOW = datetime(2026, 11, 21, 14, 2, tzinfo=UTC)
ADDRESS = {"address_1": "Teeweg 1", "postcode": "20095", "city": "Hamburg", "country": "DE"}
BANK = {"iban": "DE89370400440532013000", "holder": "Anna"}
OTHER_BANK = {"iban": "AT611904300234573201", "holder": "Anna"}


@dataclass
class Network:
    """`boldt` buys from the account, `dora` sells to it; `new` is a supplier nobody has asked yet."""

    boldt: Account
    dora: Account
    new: Account
    partnership: Partnership
    trade: Trade
    retail: Order
    child: Order
    listing: Listing
    release: Release


def profile(company: str, *, supplier: bool = True, retailer: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "supplier": supplier,
        "retailer": retailer,
        "address": {**ADDRESS, "company": company},
        "vat_id": "DE136695976",
        "bank": BANK,
        **more,
    }


def member(session: Session, account: Account, company: str, **more: Any) -> Account:
    """An approved member."""
    members.save_profile(session, account, profile(company, **more), now=NOW)
    members.approve(session, account.id, now=NOW)
    return account


def goods(session: Session, shop: Connection, title: str, external_id: str = "77", **more: Any) -> Product:
    """A released product."""
    values = {
        "sku": f"SKU-{external_id}",
        "gtin": "4006381333931",
        "price": 1290,
        "currency": "EUR",
        "stock": 5,
        **more,
    }
    made = Product(
        account_id=shop.account_id,
        connection_id=shop.id,
        external_id=external_id,
        title=title,
        extra={},
        **values,
    )
    session.add(made)
    session.flush()
    released(session, made)
    return made


def released(session: Session, product: Product, *, reasons: tuple[str, ...] = ()) -> Release:
    made = Release(
        product_id=product.id,
        account_id=product.account_id,
        state="not_released" if reasons else "released",
        reasons=[{"code": code, "params": {}} for code in reasons],
        category=None if reasons else "tea",
        price=None if reasons else 420,
        currency="EUR",
        vat_percent="7",
        told=True,
    )
    session.add(made)
    session.flush()
    return made


def network_of(session: Session, account: Account, shop: Connection, product: Product) -> Network:
    member(session, account, f"{account.name} e.K.")
    members.set_groups(session, account.id, [(f"Gold of {account.name}", 500)])
    boldt, dora, new = (
        member(
            session,
            accounts.create_account(session, f"{name} {account.name}"),
            f"{name} {account.name} KG",
            accepts_partners=True,
        )
        for name in ("Boldt", "Dora", "Emil")
    )
    pair = members.ask(session, boldt.id, account.id)
    members.act(session, account.id, pair.id, "accept")
    release = released(session, product)
    theirs, _, _ = accounts.connect_standard(session, dora, "Doraladen")
    dealing = members.ask(session, account.id, dora.id)
    listing = Listing(
        account_id=account.id,
        partnership_id=dealing.id,
        product_id=goods(session, theirs, "Darjeeling").id,
        shop_id=shop.id,
        key=f"network:{account.id}",
        stale=False,
    )
    session.add(listing)
    buchladen, _, _ = accounts.connect_standard(session, boldt, "Buchladen")
    trade, retail, child = a_trade(session, pair, buchladen, shop, product)
    # A changed bank account is what an operator can say yes to at any time.
    members.save_profile(session, account, {"bank": OTHER_BANK}, now=NOW)
    session.commit()
    return Network(boldt, dora, new, pair, trade, retail, child, listing, release)


def a_trade(
    session: Session,
    pair: Partnership,
    retail_shop: Connection,
    supply_shop: Connection,
    product: Product,
    **more: Any,
) -> tuple[Trade, Order, Order]:
    """A native order of the retailer's shop and the supplier's child order, one line of two pieces."""
    number = f"{pair.id}-{product.id}"
    source = members.ensure_network_connection(session, session.get_one(Account, pair.supplier_id))
    buyer = {
        "shipping": {
            "first_name": "Mia",
            "last_name": "Canarybuyer",
            **ADDRESS,
            "email": "mia@canary.example",
        }
    }
    retail = Order(
        account_id=pair.retailer_id, connection_id=retail_shop.id, external_id=f"9-{number}", key=f"shop:9-{number}", currency="EUR",
        placed_at=NOW, buyer=buyer, shop_id=retail_shop.id, shop_order_id=f"9-{number}", shop_number="9001", shop_status="processing",
    )  # fmt: skip
    child = Order(
        account_id=pair.supplier_id, connection_id=source.id, external_id=f"c-{number}", key=f"dropshipping:{number}", currency="EUR",
        placed_at=NOW, buyer=buyer, shop_id=supply_shop.id, shop_order_id=f"4-{number}", shop_number="4001", shop_status="processing",
    )  # fmt: skip
    session.add_all([retail, child])
    session.flush()
    trade = Trade(
        key=f"dropshipping:{number}", partnership_id=pair.id, retailer_id=pair.retailer_id, supplier_id=pair.supplier_id,
        retail_order_id=retail.id, order_id=child.id, state="held", currency="EUR", goods=840, shipping=490, total=1330,
    )  # fmt: skip
    session.add(trade)
    session.flush()
    line = {
        "shop_line_id": "311",
        "sku": product.sku,
        "gtin": product.gtin,
        "title": product.title,
        "quantity": 2,
        "unit_price": 420,
    }
    session.add(TradeLine(trade_id=trade.id, product_id=product.id, **{**line, **more}))
    session.flush()
    return trade, retail, child
