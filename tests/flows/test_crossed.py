"""A buyer cancels while the parcel is on its way to being told."""

from sqlalchemy import func, select
from world import World, call

from app import jobs
from app.models import OrderPiece, Reservation

DHL = {"number": "00340434161094015902", "carrier": "DHL"}


def test_a_cancellation_that_shipping_finds_out_gives_the_stock_back(world: World) -> None:
    world.product("TEE-001", "4006381333931", stock=10)
    world.work()
    placed = world.order(("TEE-001", 2, 790))
    world.work()
    (order,) = world.shop.orders.values()
    world.in_shop("complete", order.id, tracking=DHL)
    call("POST", f"{world.kaufland_url}/_control/order-units/{placed['units'][0]}/cancel", {})
    world.send_events()
    jobs.drain_inbox(world.shop_connection)
    jobs.drain_outbox(world.kaufland_connection)
    states = world.session.scalars(select(OrderPiece.state).order_by(OrderPiece.external_id)).all()
    assert states == ["cancelled", "shipped"]
    assert world.session.scalar(select(func.count()).select_from(Reservation)) == 1
