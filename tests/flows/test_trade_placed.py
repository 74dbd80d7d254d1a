"""A retailer sells, and each supplier gets his part (K6)."""

from network_world import Network

TEE = "4006381333931"


def test_a_paid_order_becomes_a_child_order_in_the_suppliers_shop(network: Network) -> None:
    product = network.product(network.anna, "TEE-001", TEE, stock=10, dealer=420)
    tee = network.listing(network.boldt, product)
    number = network.boldt.buys((tee, 2))
    network.work()
    child = network.anna.child()
    assert child.source["marketplace"] == "dropshipping"
    assert child.source["name"] == "Bücher Boldt"
    assert child.notes[0]["note"] == f"Bücher Boldt dropshipping order {number}"
    assert [(line.sku, line.quantity, line.unit) for line in child.lines] == [("TEE-001", 2, 420)]
    assert child.shipping == 390
    assert network.trade().total == 1230
    assert network.trade().state == "accepted"
    assert network.cases() == []
