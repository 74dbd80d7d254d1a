"""Orders in lists: what a shop sold itself shows what its suppliers make of it; the command line and the JSON API tell the same (I12, K6)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from network_world import Listed, Network

from app import accounts, cli, logs, overview
from app.config import SETTINGS
from app.extensions import db
from app.models import Order

TEE, SECOND = "4006381333931", "4012345678901"
DHL = {"number": "00340434161094015902", "carrier": "DHL"}

Told = Callable[..., Any]


@pytest.fixture
def run(network: Network, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Runs one command against the bridge of the story; its JSON, or its text with `as_text`."""
    config = network.bridge.config
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "SHOPBRIDGE_DATA"):
        monkeypatch.setenv(name, str(config[name]))
    monkeypatch.setenv("SHOPBRIDGE_MASTER_KEYS", ",".join(config["SHOPBRIDGE_MASTER_KEYS"]))
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)

    def run_it(*arguments: str, as_text: bool = False) -> Any:
        db.session.commit()
        result = CliRunner().invoke(cli.main, [*arguments, *([] if as_text else ["--json"])])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout if as_text else json.loads(result.stdout)

    return run_it


def listed(network: Network) -> Listed:
    return network.listing(network.boldt, network.product(network.anna, "TEE-001", TEE))


def seen(network: Network) -> overview.Overview:
    """The retailer's order as the lists have it."""
    network.session.rollback()
    order = network.session.get_one(Order, network.trade().retail_order_id)
    return overview.of(network.session, [order])[order.id]


def test_what_a_shop_sold_itself_has_the_pieces_amount_and_state_of_its_parts(network: Network) -> None:
    network.boldt.buys((listed(network), 2))
    network.work()
    found = seen(network)
    assert (found.state, found.pieces, found.total, found.currency) == ("in_shop", 2, 1230, "EUR")
    (part,) = found.parts
    assert (part.supplier, part.state, part.pieces, part.total, part.parcels) == (
        "Anna's Teeladen",
        "accepted",
        2,
        1230,
        (),
    )
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    found = seen(network)
    assert (found.state, found.parts[0].state) == ("shipped", "shipped")
    assert [(each.number, each.carrier) for each in found.parts[0].parcels] == [(DHL["number"], "DHL")]


def test_a_supplier_who_cancels_makes_the_order_cancelled(network: Network) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    network.anna.does("cancel", network.anna.child().id)
    network.work()
    found = seen(network)
    assert (found.state, found.pieces, found.parts[0].state) == ("cancelled", 1, "cancelled")


def test_own_goods_in_the_same_order_keep_it_open_until_the_shop_completes_it(network: Network) -> None:
    own = {"name": "Buch", "sku": "BUCH-1", "price": "20.00", "stock": 5}
    network.boldt.shop.add_product(own)
    network.boldt.buys((listed(network), 1), ("BUCH-1", 1))
    network.work()
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert seen(network).state == "part_shipped"
    number = int(network.session.get_one(Order, network.trade().retail_order_id).shop_order_id)
    network.boldt.does("complete", number)
    network.work()
    assert seen(network).state == "shipped"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("processing", "in_shop"),
        ("completed", "shipped"),
        ("cancelled", "cancelled"),
        ("failed", "cancelled"),
    ],
)
def test_without_any_part_the_shops_word_counts_and_no_amount_is_told(
    network: Network, word: str, state: str
) -> None:
    network.boldt.buys((listed(network), 1))
    network.work()
    row = network.session.get_one(Order, network.trade().retail_order_id)
    lonely = Order(
        account_id=row.account_id, connection_id=row.connection_id, external_id="77", key="shop:77", currency="EUR",
        placed_at=row.placed_at, shop_id=row.shop_id, shop_order_id="77", shop_number="77", shop_status=word,
    )  # fmt: skip
    network.session.add(lonely)
    network.session.flush()
    found = overview.of(network.session, [row, lonely])[lonely.id]
    assert (found.state, found.pieces, found.total, found.parts) == (state, 0, None, ())


def test_a_marketplaces_order_keeps_its_own_amount_and_shows_the_parts(network: Network) -> None:
    network.sell_at_kaufland(network.boldt)
    product = network.product(network.anna, "TEE-001", TEE)
    made = network.listing(network.boldt, product, at_kaufland=True)
    network.work()
    network.kaufland_orders((made.sku, 2, 1290))
    network.work()
    found = seen(network)
    assert (found.pieces, found.state, [part.total for part in found.parts]) == (2, "in_shop", [1230])
    assert found.total is not None
    assert found.total >= 2580


def test_the_command_line_lists_it_and_finds_it_open_until_it_has_left(network: Network, run: Told) -> None:
    network.boldt.buys((listed(network), 2))
    network.work()
    retail = network.trade().retail_order_id
    rows = {row["id"]: row for row in run("orders", "--account", "Bücher Boldt", "--open")}
    row = rows[f"ord_{retail}"]
    assert (row["pieces"], row["total"], row["state"], row["account"]) == (2, 1230, "in_shop", "Bücher Boldt")
    assert row["suppliers"] == "Anna's Teeladen: accepted"
    assert run("orders", "--account", "Doras Drogerie") == []
    text = run("orders", as_text=True)
    assert "Bücher" in text
    assert "Dropshipping" in text
    network.anna.does("complete", network.anna.child().id, tracking=DHL)
    network.work()
    assert f"ord_{retail}" not in {row["id"] for row in run("orders", "--open")}
    assert f"ord_{retail}" in {row["id"] for row in run("orders", "--closed")}
    told = run("order", f"ord_{retail}")
    assert [(line["pieces"], line["states"]) for line in told["lines"]] == [(2, ["shipped", "shipped"])]
    shown = run("order", f"ord_{retail}", as_text=True)
    assert "2 x " in shown
    assert (
        f"Anna's Teeladen (trd_{network.trade().id}): 2 pieces, shipped, 12.30 EUR, parcel DHL {DHL['number']}"
        in shown
    )


def test_the_api_tells_the_same(network: Network) -> None:
    network.boldt.buys((listed(network), 2))
    network.work()
    token = accounts.make_token(network.session, network.boldt.account, "ERP")
    network.session.commit()
    retail, trade = network.trade().retail_order_id, network.trade()
    ask = network.bridge.test_client().get
    headers = {"Authorization": f"Bearer {token}"}
    (row,) = ask("/api/v1/orders?open=true", headers=headers).get_json()["data"]
    assert (row["id"], row["pieces"], row["total"], row["state"]) == (f"ord_{retail}", 2, 1230, "in_shop")
    (part,) = row["parts"]
    assert (part["trade"], part["supplier_name"], part["total"], part["parcels"]) == (
        f"trd_{trade.id}",
        "Anna's Teeladen",
        1230,
        [],
    )
    whole = ask(f"/api/v1/orders/ord_{retail}", headers=headers).get_json()
    assert [(line["quantity"], line["states"], line["pieces"]) for line in whole["lines"]] == [
        (2, ["to_ship", "to_ship"], [])
    ]
    assert ask("/api/v1/orders?open=false", headers=headers).get_json()["data"] == []
