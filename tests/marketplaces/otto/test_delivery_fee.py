"""A piece that bears a delivery fee, as forwarder goods do, is refunded in full in the shop: the buyer must get the price of the goods (C7)."""

from __future__ import annotations

from flask import Flask
from market_world import market
from sqlalchemy import text

from app.extensions import db
from app.sandbox.faults import Fault
from app.sandbox.otto import SIMULATOR


def test_a_full_refund_with_a_delivery_fee_pays_the_goods_and_makes_the_fee_a_case(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1), fee=2995)
        at.work()
        (sold,) = at.orders_in_shop()
        assert sold.total == 790 + 2995
        at.ship(sold)
        at.work()
        at.in_shop("refund", sold.id, reason="Paket verloren")
        at.work()
        assert [each["refunded"] for each in at.pieces(order).values()] == [790]
        assert at.cases() == ["refund.shipping_with_return"]
        told = "SELECT params ->> 'amount' FROM case_ WHERE state = 'open'"
        assert db.session.execute(text(told)).scalars().all() == ["2995"]
        confirmed = "SELECT params ->> 'amount' FROM timeline WHERE code = 'refund.confirmed'"
        assert db.session.execute(text(confirmed)).scalars().all() == ["790"]


def test_a_delivery_fee_that_is_refunded_after_the_goods_is_a_case(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1), fee=2995)
        at.work()
        (sold,) = at.orders_in_shop()
        at.ship(sold)
        at.work()
        goods = [{"id": str(sold.lines[0].id), "quantity": 1}]
        at.in_shop("refund", sold.id, lines=goods, amount="7.90", reason="Paket verloren")
        at.work()
        at.in_shop("refund", sold.id, amount="29.95", reason="Frachtkosten")
        at.work()
        assert [each["refunded"] for each in at.pieces(order).values()] == [790]
        assert at.cases() == ["refund.shipping_with_return"]
        told = "SELECT params ->> 'amount' FROM case_ WHERE state = 'open'"
        assert db.session.execute(text(told)).scalars().all() == ["2995"]


def test_a_delivery_fee_that_is_refunded_with_an_open_return_is_a_case(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1), fee=2995)
        at.work()
        (sold,) = at.orders_in_shop()
        at.ship(sold)
        at.work()
        at.control("return", {"pieces": order["pieces"]})
        at.work()
        at.in_shop("refund", sold.id, reason="Retoure")
        at.work()
        assert len(at.deeds("accept_return")) == 1
        assert at.cases() == ["refund.shipping_with_return"]


def test_a_delivery_fee_that_is_refunded_before_the_acceptance_has_left_is_a_case(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1), fee=2995)
        at.work()
        (sold,) = at.orders_in_shop()
        at.ship(sold)
        at.work()
        at.control("return", {"pieces": order["pieces"]})
        at.work()
        goods = [{"id": str(sold.lines[0].id), "quantity": 1}]
        at.in_shop("refund", sold.id, lines=goods, amount="7.90", reason="Retoure")
        at.in_shop("refund", sold.id, amount="29.95", reason="Frachtkosten")
        at.work()
        assert at.cases() == ["refund.shipping_with_return"]


def test_a_delivery_fee_stays_a_case_when_otto_accepts_by_itself_what_it_had_refused(app: Flask) -> None:
    with market(app, SIMULATOR) as at:
        order = at.buy(("TEE-001", 1), fee=2995)
        at.work()
        (sold,) = at.orders_in_shop()
        at.ship(sold)
        at.work()
        at.control("return", {"pieces": order["pieces"]})
        at.work()
        at.faults.add(Fault("status", path="/v3/returns/acceptance", status=422, count=-1))
        at.in_shop("refund", sold.id, reason="Retoure")
        at.work()
        assert len(at.cases()) == 2
        at.control("returns/accept", {"pieces": order["pieces"]})
        at.work()
        assert at.cases() == ["refund.shipping_with_return"]
