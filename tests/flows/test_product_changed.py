"""Messages about one product that come in the wrong order."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import accounts
from app import messages as m
from app.flows import product_changed
from app.models import Connection, Product


@pytest.fixture
def shop(session: Session) -> Connection:
    account = accounts.create_account(session, "Anna's Teeladen")
    connection, _, _ = accounts.connect_standard(session, account, "Teeladen")
    session.commit()
    return connection


def seen(stock: int = 5) -> m.ProductSeen:
    return m.ProductSeen(
        external_id="17",
        parent_external_id=None,
        kind="simple",
        published=True,
        title="Assam",
        sku="TEE-001",
        gtin="4006381333931",
        price=790,
        currency="EUR",
        stock=stock,
        in_stock=True,
        handling_days=None,
    )


def known(session: Session) -> Product:
    session.commit()
    session.expire_all()
    return session.scalars(select(Product)).one()


def test_a_deletion_that_overtakes_the_product_itself_stays_a_deletion(
    session: Session, shop: Connection
) -> None:
    product_changed.removed(session, shop, [(2, "17")])
    product_changed.receive(session, shop, [(1, seen())])
    product = known(session)
    assert (product.deleted, product.stock, product.in_stock) == (True, 0, False)


def test_a_product_that_is_made_again_after_its_deletion_is_back(session: Session, shop: Connection) -> None:
    product_changed.receive(session, shop, [(1, seen())])
    product_changed.removed(session, shop, [(2, "17")])
    product_changed.receive(session, shop, [(3, seen(stock=4))])
    product = known(session)
    assert (product.deleted, product.stock, product.kind, product.title) == (False, 4, "simple", "Assam")


def test_a_late_deletion_does_not_take_down_what_is_newer(session: Session, shop: Connection) -> None:
    product_changed.receive(session, shop, [(3, seen())])
    assert product_changed.removed(session, shop, [(2, "17")]) == []
    assert not known(session).deleted


def test_the_stock_of_a_deleted_product_is_not_taken_from_an_older_message(
    session: Session, shop: Connection
) -> None:
    product_changed.removed(session, shop, [(5, "17")])
    product_changed.receive_stock(
        session,
        shop,
        [(4, m.StockSeen(external_id="17", sku="TEE-001", stock=9, in_stock=True, order_external_id=None))],
    )
    assert known(session).stock == 0
