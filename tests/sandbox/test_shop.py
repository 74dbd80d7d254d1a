"""The simulated shop end to end: real HTTP both ways, against a tiny bridge that checks signatures and keeps what arrives."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from werkzeug.serving import make_server

from app.sandbox.shop import create_app
from app.sandbox.shop_outbox import NoAnswer, digest, send
from app.shops import envelope, schemas, signing
from app.shops.plugin_client import command_body
from app.shops.reading import read
from app.shops.woocommerce import translate

TEA = {
    "name": "Assam Hathikuli, 100 g",
    "sku": "TEE-001",
    "gtin": "4006381333931",
    "price": "7.90",
    "stock": 5,
}


@dataclass
class Bridge:
    """What the bridge of this test knows. `answers` are statuses to give before the usual one."""

    url: str = ""
    event_secret: str = field(default_factory=signing.new_secret)
    command_secret: str = field(default_factory=signing.new_secret)
    answers: list[int] = field(default_factory=list)
    arrived: list[tuple[str, envelope.Envelope]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if path == "/plugin/connect":
                return self._connect(json.loads(raw))
            if self.answers:
                return self.answers.pop(0), {}
            try:
                signed = signing.verify([self.event_secret], headers, raw, datetime.now(UTC))
            except signing.SignatureInvalid as error:
                self.refused.append(error.problem)
                return 401, {}
            known = any(signed.id == message for message, _ in self.arrived)
            self.arrived.append((signed.id, envelope.parse(raw)))
            return (200 if known else 202), {}

    def _connect(self, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        schemas.ConnectRequest().load(wanted)
        if wanted["code"] != "7KQ2M-PX9TD":
            return 422, {"error": {"code": "pairing.code_invalid"}}
        told = {
            "connection_key": "cn_1",
            "webhook_url": f"{self.url}/webhooks/cn_1",
            "status_url": f"{self.url}/plugin/status",
            "event_secret": self.event_secret,
            "command_secret": self.command_secret,
            "state": "pending",
            "server_time": 1,
        }
        schemas.ConnectAnswer().load(told)
        return 201, told

    def events(self, kind: str) -> list[envelope.Envelope]:
        with self.lock:
            return [event for _, event in self.arrived if event.type == kind]


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    known = Bridge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            self.tell(*known.post(self.path, dict(self.headers), raw))

        def do_GET(self) -> None:
            signing.verify([known.event_secret], dict(self.headers), b"", datetime.now(UTC))
            self.tell(200, {"state": "active", "key": self.headers["shopbridge-connection"]})

        def tell(self, status: int, body: dict[str, Any]) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    yield known
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Hand:
    """The hand of merchant, customer and bridge at the shop, over HTTP."""

    url: str
    bridge: Bridge
    commands: int = 0

    def do(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/_control{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: Any = None) -> Any:
        return self.do("POST", path, body or {})

    def books(self) -> Any:
        return self.do("GET", "/books")

    def settle(self) -> None:
        assert self.post("/drain", {"timeout": 18})["drained"] is True

    def command(
        self, kind: str, data: Mapping[str, Any], *, message_id: str | None = None, secret: str | None = None
    ) -> tuple[int, Any]:
        self.commands += 1
        message_id = message_id or f"cmd_{self.commands:04d}"
        body = command_body(message_id, kind, data, datetime.now(UTC))
        headers = signing.sign([secret or self.bridge.command_secret], message_id, body, datetime.now(UTC))
        status, raw = send("POST", f"{self.url}/wp-json/shopbridge/v1/commands", body, headers, timeout=10)
        told = json.loads(raw)
        if status == 200:
            read(schemas.ANSWERS[kind], told["data"], "answer.data")
        return status, told


@pytest.fixture
def shop(bridge: Bridge) -> Iterator[Hand]:
    app = create_app(seed=7, time_scale=0.0001)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hand = Hand(f"http://127.0.0.1:{server.server_port}", bridge)
    yield hand
    app.extensions["shop"].outbox.stop()
    app.extensions["faults"].clear()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def paired(shop: Hand) -> Hand:
    assert shop.post("/pair", {"bridge": shop.bridge.url, "code": "7KQ2M-PX9TD"})["status"] == 201
    shop.post("/products", TEA)
    shop.settle()
    return shop


def draft(key: str = "ord_88", quantity: int = 2, **line: Any) -> dict[str, Any]:
    nobody = dict.fromkeys(["first_name", "last_name", "address_1", "postcode", "city"], "x") | {
        "country": "DE"
    }
    one = {
        "key": "ln_77",
        "product_id": None,
        "sku": "TEE-001",
        "gtin": None,
        "name": "Assam",
        "tax_rate": "19",
    }
    return {
        "key": key,
        "source": {"marketplace": "kaufland", "name": "Kaufland.de", "order_id": "M7X2K9P"},
        "status": "processing",
        "currency": "EUR",
        "placed_at": "2026-11-21T13:47:00Z",
        "ship_by": None,
        "billing": nobody,
        "shipping": nobody,
        "lines": [one | {"quantity": quantity, "unit_price": "7.90"} | line],
        "shipping_total": "0.00",
        "total": "15.80",
        "note": "Kaufland.de order M7X2K9P",
    }


def test_a_wrong_pairing_code_is_told_and_leaves_the_shop_alone(shop: Hand) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        shop.post("/pair", {"bridge": shop.bridge.url, "code": "WRONG"})
    with caught.value as answer:
        assert json.loads(answer.read())["answer"]["error"]["code"] == "pairing.code_invalid"
    assert shop.do("GET", "/status")["paired"] is False


def test_pairing_reports_the_plugin_first_and_the_products_next(paired: Hand) -> None:
    kinds = [event.type for _, event in paired.bridge.arrived]
    assert kinds == ["plugin.installed", "product.changed"]
    seen = translate.product(paired.bridge.events("product.changed")[0].data)
    assert (seen.sku, seen.gtin, seen.price, seen.stock) == ("TEE-001", "4006381333931", 790, 5)
    assert paired.do("GET", "/status")["bridge"] == {"state": "active", "key": "cn_1"}


def test_a_customer_buys_and_the_stock_says_that_it_contains_the_order(paired: Hand) -> None:
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001", "quantity": 2}]})
    paired.settle()
    placed = translate.order(paired.bridge.events("order.placed")[0].data)
    stock = paired.bridge.events("stock.changed")[-1]
    assert (placed.key, placed.total, placed.lines[0].quantity) == (None, 1580, 2)
    assert placed.stock_sequence is not None
    assert stock.sequence >= placed.stock_sequence  # I13
    assert stock.data["stock_quantity"] == 3
    assert stock.data["order_id"] == order["id"]


def test_the_shop_does_not_sell_what_it_does_not_have(paired: Hand) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        paired.post("/buy", {"lines": [{"sku": "TEE-001", "quantity": 6}]})
    caught.value.close()
    assert paired.books()["stock"] == {"TEE-001": 5}


def test_an_order_is_created_exactly_once_however_often_the_command_comes(paired: Hand) -> None:
    answers = [paired.command("order.create", draft()) for _ in range(5)]
    assert [status for status, _ in answers] == [200] * 5
    assert [told["result"] for _, told in answers] == ["done"] + ["already"] * 4
    assert len({json.dumps(told["data"]) for _, told in answers}) == 1
    assert paired.books()["orders_by_key"] == {"ord_88": 1}
    assert paired.books()["stock"] == {"TEE-001": 3}


def test_twenty_at_once_make_one_order(paired: Hand) -> None:
    told: list[str] = []

    def order(number: int) -> None:
        told.append(
            paired.command("order.create", draft(), message_id=f"cmd_at_once_{number:02d}")[1]["result"]
        )

    threads = [threading.Thread(target=order, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["already"] * 19 + ["done"]
    assert paired.books()["orders_by_key"] == {"ord_88": 1}


def test_an_unknown_product_never_refuses_the_order_and_stock_may_fall_below_zero(paired: Hand) -> None:
    _, told = paired.command("order.create", draft(sku="NOBODY-KNOWS"))
    assert told["data"]["lines"][0]["product_found"] is False
    _, told = paired.command("order.create", draft("ord_89", quantity=9))
    assert told["data"]["lines"][0]["product_found"] is True
    assert paired.books()["stock"] == {"TEE-001": -4}


def test_an_answer_lost_after_the_effect_is_healed_by_repeating(paired: Hand) -> None:
    paired.post("/faults", {"kind": "reset", "path": "commands", "effect": True})
    with pytest.raises(NoAnswer):
        paired.command("order.create", draft(), message_id="cmd_lost")
    status, told = paired.command("order.create", draft(), message_id="cmd_lost")
    assert (status, told["result"]) == (200, "already")
    assert paired.books()["orders_by_key"] == {"ord_88": 1}


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_the_command_route_misbehaves_as_ordered(paired: Hand, status: int) -> None:
    paired.post("/faults", {"kind": "status", "path": "commands", "status": status, "retry_after": 1})
    assert paired.command("order.create", draft())[0] == status
    assert paired.books()["orders_by_key"] == {}


def test_commands_with_a_wrong_signature_are_not_obeyed(paired: Hand) -> None:
    status, told = paired.command("order.create", draft(), secret=signing.new_secret())
    assert (status, told["error"]["code"]) == (401, "signature.invalid")
    assert paired.books()["orders_by_key"] == {}


def test_every_command_of_the_protocol_is_obeyed_and_safe_to_repeat(paired: Hand) -> None:
    created = paired.command("order.create", draft())[1]["data"]
    order, line = created["order_id"], created["lines"][0]["id"]
    part = [{"id": line, "quantity": 1}]
    commands: dict[str, dict[str, Any]] = {
        "ping": {"challenge": "abc"},
        "order.create": draft(),
        "order.note": {"order_id": order, "note": "hello", "key": "n1"},
        "order.label_sender": {"order_id": order, "address": {"company": "Bücher Boldt"}},
        "order.timeline": {
            "order_id": order,
            "entries": [{"at": "2026-11-21T14:00:00Z", "text": "placed"}],
            "next": "",
        },
        "order.cancel": {"order_id": order, "key": "c1", "lines": part, "reason": "buyer_cancelled"},
        "order.stop_shipping": {"order_id": order, "key": "s1", "reason": "buyer_cancelled"},
        "order.tracking": {
            "order_id": order,
            "key": "t1",
            "number": "00340434161094015902",
            "carrier": "DHL",
        },
        "order.status": {"order_id": order, "status": "completed", "note": "packed"},
        "order.refund": {"order_id": order, "key": "r1", "amount": "1.00", "lines": [], "reason": "damaged"},
        "product.upsert": {
            "key": "p1",
            "name": "Darjeeling",
            "sku": "TEE-002",
            "price": "9.90",
            "stock_quantity": 4,
        },
        "product.release": {"products": [{"product_id": "11", "state": "released", "reasons": []}]},
        "stock.set": {"product_id": "11", "stock_quantity": 8, "key": "st1"},
        "events.resend": {"ranges": [[1, 2]], "all_products": False},
        "secret.rotate": {
            "event_secret": paired.bridge.event_secret,
            "command_secret": paired.bridge.command_secret,
        },
    }
    assert set(commands) == set(schemas.COMMANDS)
    for kind, data in commands.items():
        first, second = paired.command(kind, data), paired.command(kind, data)
        assert (first[0], second[0]) == (200, 200), (kind, first, second)
        if kind not in {"ping", "product.upsert", "events.resend"}:
            assert second[1]["result"] == "already", kind
    books = paired.books()
    told = next(each for each in books["orders"] if str(each["id"]) == order)
    assert [refund["amount"] for refund in told["shopbridge"]["refunds"]] == ["7.90", "1.00"]
    assert all(refund["by_bridge"] for refund in told["shopbridge"]["refunds"])
    assert (len(told["shopbridge"]["tracking"]), told["status"], told["stop"]) == (
        1,
        "completed",
        "buyer_cancelled",
    )
    assert books["stock"] == {"TEE-001": 8, "TEE-002": 4}
    assert sum(note["note"] == "hello" for note in told["notes"]) == 1


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        ("order.note", {"order_id": "99", "note": "x", "key": "k"}, "order.not_found"),
        ("order.status", {"order_id": "ORDER", "status": "moon"}, "status.unknown"),
        (
            "order.refund",
            {"order_id": "ORDER", "key": "k", "amount": "99.00", "reason": "x"},
            "amount.too_high",
        ),
        (
            "order.cancel",
            {"order_id": "ORDER", "key": "k", "lines": [{"id": "5", "quantity": 1}], "reason": "x"},
            "line.not_found",
        ),
        ("stock.set", {"product_id": "99", "stock_quantity": 1, "key": "k"}, "product.not_found"),
        ("stock.set", {"product_id": "11", "stock_quantity": 1.5, "key": "k"}, "data.invalid"),
        ("order.note", {"note": "x", "key": "k"}, "data.invalid"),
        ("moon.land", {}, "command.unknown"),
    ],
)
def test_refusals_have_the_codes_of_the_protocol(
    paired: Hand, kind: str, data: dict[str, Any], code: str
) -> None:
    order = paired.command("order.create", draft())[1]["data"]["order_id"]
    status, told = paired.command(
        kind, {name: order if value == "ORDER" else value for name, value in data.items()}
    )
    assert (status, told["result"], told["error"]["code"]) == (422, "refused", code)
    assert code in schemas.REFUSALS


def test_what_is_left_is_cancelled_and_told(paired: Hand) -> None:
    """`at_most`: two of three were taken back before, so one is; a repeat says the same, another key finds nothing."""
    wanted = draft()
    wanted["lines"][0]["quantity"] = 3
    answer = paired.command("order.create", wanted)[1]["data"]
    order, line = answer["order_id"], answer["lines"][0]["id"]
    cancel = {"order_id": order, "lines": [{"id": line, "quantity": 2}], "reason": "out_of_stock"}
    assert paired.command("order.cancel", cancel | {"key": "c1"})[1]["data"]["lines"] == cancel["lines"]
    refused = paired.command("order.cancel", cancel | {"key": "c2"})[1]
    assert refused["error"]["code"] == "order.not_cancellable"
    for result in ("done", "already"):
        told = paired.command("order.cancel", cancel | {"key": "c2", "at_most": True})[1]
        assert (told["result"], told["data"]["lines"]) == (result, [{"id": line, "quantity": 1}])
    told = paired.command("order.cancel", cancel | {"key": "c3", "at_most": True})[1]
    assert (told["result"], told["data"]["lines"]) == ("already", [])


def test_a_shipped_order_cannot_be_cancelled_but_a_waiting_one_goes_back_into_stock(paired: Hand) -> None:
    shipped = paired.command("order.create", draft("ord_1"))[1]["data"]["order_id"]
    waiting = paired.command("order.create", draft("ord_2"))[1]["data"]["order_id"]
    paired.post(f"/orders/{shipped}/complete", {"tracking": {"number": "H1", "carrier": "Hermes"}})
    cancel = {"key": "c", "lines": None, "reason": "buyer_cancelled", "restock": True}
    assert (
        paired.command("order.cancel", cancel | {"order_id": shipped})[1]["error"]["code"]
        == "order.not_cancellable"
    )
    assert paired.command("order.cancel", cancel | {"order_id": waiting})[1]["data"]["status"] == "cancelled"
    assert paired.command("order.stop_shipping", {"order_id": shipped, "key": "s", "reason": "x"})[1]["data"][
        "already_shipped"
    ]
    assert paired.books()["stock"] == {"TEE-001": 3}


def test_completing_with_a_number_tells_shipment_and_transition(paired: Hand) -> None:
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001"}]})
    paired.post(
        f"/orders/{order['id']}/complete", {"tracking": {"number": "00340434161094015902", "carrier": "DHL"}}
    )
    paired.settle()
    seen = translate.order(paired.bridge.events("order.changed")[-1].data)
    assert seen.transitions == (("processing", "completed"),)
    assert (
        translate.order(paired.bridge.events("shipment.changed")[-1].data).tracking[0].carrier_name == "DHL"
    )


def test_coalescing_keeps_the_transitions(paired: Hand) -> None:
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001"}]})
    paired.settle()
    paired.post("/delivery", {"offline": True})
    for status in ("on-hold", "processing", "completed"):
        paired.post(f"/orders/{order['id']}/status", {"status": status})
    paired.post("/delivery", {"offline": False})
    paired.settle()
    changed = paired.bridge.events("order.changed")
    assert len(changed) == 1
    assert translate.order(changed[0].data).transitions == (
        ("processing", "on-hold"),
        ("on-hold", "processing"),
        ("processing", "completed"),
    )


def test_a_refund_by_line_a_partial_amount_and_the_rest_by_status(paired: Hand) -> None:
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001", "quantity": 3}]})
    line = order["line_items"][0]["id"]
    paired.post(
        f"/orders/{order['id']}/refund",
        {"lines": [{"id": line, "quantity": 1}], "restock": True, "reason": "damaged"},
    )
    paired.post(f"/orders/{order['id']}/refund", {"amount": "2.00"})
    paired.post(f"/orders/{order['id']}/status", {"status": "refunded"})
    paired.settle()
    seen = translate.order(paired.bridge.events("order.refunded")[-1].data)
    assert [refund.amount for refund in seen.refunds] == [790, 200, 1380]  # K8: the status made the last one
    assert seen.refunds[0].lines == ((str(line), 1, 790),)
    assert not any(refund.by_bridge for refund in seen.refunds)
    assert paired.books()["stock"] == {"TEE-001": 3}


def test_trash_and_force_delete_are_both_reported(paired: Hand) -> None:
    tea = paired.books()["products"][0]["id"]
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001"}]})
    paired.post(f"/orders/{order['id']}/trash")
    paired.do("DELETE", f"/products/{tea}?force=1")
    paired.settle()
    assert [dict(event.data) for event in paired.bridge.events("product.deleted")] == [
        {"id": tea, "force": True}
    ]
    assert [dict(event.data) for event in paired.bridge.events("order.deleted")] == [
        {"id": order["id"], "force": False}
    ]


def test_a_bridge_that_stumbles_gets_everything_in_the_end_once(paired: Hand) -> None:
    paired.bridge.answers += [500, 503, 429, 302]
    for stock in range(10):
        paired.do("PATCH", "/products/11", {"stock": stock})
        if stock == 4:
            paired.settle()
            paired.post("/delivery", {"lost_on_the_way": 1, "answer_lost": 1, "duplicate": 1})
    paired.settle()
    books = paired.books()
    assert {event["state"] for event in books["events"]} == {"sent"}
    ids = [message for message, _ in paired.bridge.arrived]
    assert {event["id"] for event in books["events"]} == set(ids)
    assert len(ids) > len(set(ids))  # duplicates arrived, with the same id
    assert paired.bridge.events("stock.changed")[-1].data["stock_quantity"] == 9


def test_what_was_tried_is_never_replaced_so_that_the_manifest_counts_it(paired: Hand) -> None:
    paired.post("/delivery", {"answer_lost": 1})
    paired.do("PATCH", "/products/11", {"stock": 1})
    paired.do("PATCH", "/products/11", {"stock": 2})
    paired.settle()
    told = paired.post("/manifest")
    paired.settle()
    arrived = {message for message, event in paired.bridge.arrived if event.type != "manifest.daily"}
    assert told["count"] == len(arrived)
    assert told["ids_digest"] == digest(arrived)


def test_events_of_one_subject_arrive_in_the_order_of_their_sequence(paired: Hand) -> None:
    paired.bridge.answers += [500, 500]
    order = paired.post("/buy", {"lines": [{"sku": "TEE-001"}]})
    paired.post(f"/orders/{order['id']}/complete", {"tracking": {"number": "H1"}})
    paired.settle()
    sequences = [
        event.sequence for _, event in paired.bridge.arrived if event.subject == f"order/{order['id']}"
    ]
    assert len(sequences) == 3
    assert sequences == sorted(sequences)


def test_on_request_they_arrive_the_wrong_way_round(paired: Hand) -> None:
    paired.post("/delivery", {"offline": True})
    paired.do("PATCH", "/products/11", {"stock": 3})
    paired.post("/delivery", {"offline": False, "reorder": 1})
    paired.settle()
    sequences = [event.sequence for _, event in paired.bridge.arrived if event.subject == "product/11"]
    assert len(sequences) == 3
    assert sequences != sorted(sequences)


def test_a_message_that_is_wrong_for_ever_is_parked_and_blocks_nobody(paired: Hand) -> None:
    paired.bridge.answers.append(422)
    paired.post("/products", TEA | {"sku": "TEE-002"})
    paired.settle()
    paired.post("/products", TEA | {"sku": "TEE-003"})
    paired.settle()
    states = {event["subject"]: event["state"] for event in paired.books()["events"]}
    assert sorted(states.values()) == ["parked", "sent", "sent", "sent"]


def test_a_wrong_signature_stops_the_sending_and_keeps_everything(paired: Hand) -> None:
    right, paired.bridge.event_secret = paired.bridge.event_secret, signing.new_secret()
    paired.post("/products", TEA | {"sku": "TEE-002"})
    deadline = time.monotonic() + 30
    while not paired.bridge.refused and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    # Its five minutes of rest are 30 ms here, so a second try may come before we look.
    assert set(paired.bridge.refused) == {"no signature matches"}
    paired.bridge.event_secret = right
    paired.settle()
    assert {event["state"] for event in paired.books()["events"]} == {"sent"}


def shop_at(bridge: Bridge, *, time_scale: float) -> Any:
    """Another shop, connected, that delivers only when it is told to."""
    state = create_app(seed=7, time_scale=time_scale, deliver=False).extensions["shop"]
    state.connect(
        {
            "connection_key": "cn_1",
            "webhook_url": f"{bridge.url}/webhooks/cn_1",
            "status_url": "",
            "event_secret": bridge.event_secret,
            "command_secret": bridge.command_secret,
        }
    )
    return state


def test_after_a_wrong_signature_everything_rests(paired: Hand) -> None:
    state = shop_at(paired.bridge, time_scale=1.0)
    paired.bridge.event_secret = signing.new_secret()
    state.add_product(TEA)
    for _ in range(3):
        state.outbox.deliver_due()
    assert paired.bridge.refused == ["no signature matches"]
    assert state.outbox.counts() == {"waiting": 2}


def test_after_ten_tries_an_event_is_dead_and_resend_brings_it_back(paired: Hand) -> None:
    # 75 hours shrink to less than five minutes here; the plan is walked by hand.
    state = shop_at(paired.bridge, time_scale=0.0)
    paired.bridge.answers += [500] * 10
    assert state.outbox.drain(10)
    dead = state.outbox.listed()[0]
    assert (dead["state"], dead["attempts"]) == ("dead", 10)
    assert state.outbox.resend([[1, 5]]) == 1
    assert state.outbox.drain(10)
    assert state.outbox.counts() == {"sent": 1}


def test_410_means_never_again(paired: Hand) -> None:
    paired.bridge.answers.append(410)
    paired.post("/products", TEA | {"sku": "TEE-002"})
    deadline = time.monotonic() + 30
    while not (answers := paired.books()["events"][-1]["answers"]) and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    assert paired.post("/drain", {"timeout": 0.3})["drained"] is False
    assert answers == paired.books()["events"][-1]["answers"] == [410]


def test_the_manifest_counts_what_was_sent(paired: Hand) -> None:
    told = paired.post("/manifest", {"day": "2026-11-21"})
    paired.settle()
    arrived = [(message, event) for message, event in paired.bridge.arrived if event.type != "manifest.daily"]
    assert told["count"] == len(arrived) == 2
    assert (told["first_sequence"], told["last_sequence"]) == (
        arrived[0][1].sequence,
        arrived[-1][1].sequence,
    )
    assert told["ids_digest"] == digest(message for message, _ in arrived)
    assert told["by_type"] == {"plugin.installed": 1, "product.changed": 1}
    assert read(schemas.MANIFEST, dict(paired.bridge.events("manifest.daily")[0].data))


def test_after_a_rotation_both_pairs_work(paired: Hand) -> None:
    new = {"event_secret": signing.new_secret(), "command_secret": signing.new_secret()}
    assert paired.command("secret.rotate", new)[0] == 200
    assert paired.command("ping", {"challenge": "old"})[0] == 200
    assert paired.command("ping", {"challenge": "new"}, secret=new["command_secret"])[0] == 200
    paired.post("/products", TEA | {"sku": "TEE-002"})
    paired.settle()
    paired.bridge.event_secret = new["event_secret"]
    paired.post("/products", TEA | {"sku": "TEE-003"})
    paired.settle()
    assert paired.bridge.refused == []


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids(seed: int) -> list[str]:
        shop = create_app(seed=seed, deliver=False).extensions["shop"]
        shop.add_product(TEA)
        shop.buy({"lines": [{"sku": "TEE-001"}]})
        return [event["id"] for event in shop.outbox.listed()]

    assert ids(7) == ids(7)
    assert ids(7) != ids(8)


def test_a_label_of_a_retailers_order_is_refused_until_his_address_came(paired: Hand) -> None:
    source = {"marketplace": "dropshipping", "name": "Bücher Boldt", "order_id": "88"}
    order = paired.command("order.create", draft() | {"source": source})[1]["data"]["order_id"]
    with pytest.raises(urllib.error.HTTPError) as refusal:
        paired.post(f"/orders/{order}/label", {})
    assert json.loads(refusal.value.read())["code"] == "label.sender_unknown"
    paired.command("order.label_sender", {"order_id": order, "address": {"company": "Bücher Boldt"}})
    paired.post(f"/orders/{order}/label", {})
    told = next(each for each in paired.books()["orders"] if str(each["id"]) == order)
    assert [label["sender"]["company"] for label in told["labels"]] == ["Bücher Boldt"]


def test_what_is_released_stands_beside_the_product_and_unknown_ones_are_named(paired: Hand) -> None:
    missing = {"code": "release.gtin_missing", "text": "no GTIN", "field": "gtin"}
    told = {
        "products": [
            {"product_id": "11", "state": "not_released", "reasons": [missing]},
            {"product_id": "99", "state": "released", "reasons": []},
        ]
    }
    answer = paired.command("product.release", told)[1]
    assert (answer["result"], answer["data"]) == ("done", {"known": 1, "unknown": ["99"]})
    assert paired.books()["products"][0]["release"]["reasons"] == [missing]


def test_an_upsert_finds_by_key_then_gtin_and_leaves_what_it_does_not_name(paired: Hand) -> None:
    wanted = {
        "key": "p1",
        "name": "Darjeeling",
        "gtin": "4012345678901",
        "price": "9.90",
        "stock_quantity": 4,
        "images": ["https://tee.example/a.jpg"],
        "brand": "Hathikuli",
        "category": "Tee",
        "managed": True,
    }
    made = paired.command("product.upsert", wanted)[1]["data"]
    assert made["created"] is True
    assert (
        paired.command("product.upsert", {"key": "p1", "name": "Darjeeling 2"})[1]["data"]["created"] is False
    )
    second = {"key": "p2", "name": "X", "gtin": "4012345678901", "managed": True}
    assert paired.command("product.upsert", second)[1]["error"]["code"] == "product.gtin_taken"
    gone = {"key": "p1", "name": "Darjeeling 2", "managed": False, "stock_quantity": 4}
    assert paired.command("product.upsert", gone)[1]["data"]["product_id"] == made["product_id"]
    taken_over = paired.command("product.upsert", second)[1]["data"]
    assert taken_over["product_id"] == made["product_id"]
    unknown = paired.command("product.upsert", {"key": "p3", "name": "X", "managed": False})[1]
    assert unknown["error"]["code"] == "product.not_found"
    product = next(each for each in paired.books()["products"] if str(each["id"]) == made["product_id"])
    assert (product["price"], product["stock_quantity"], product["category"]) == ("9.90", 4, "Tee")
    assert [image["src"] for image in product["images"]] == ["https://tee.example/a.jpg"]
    assert (product["key"], product["managed"], product["shopbridge"]["brand"]) == ("p2", True, "Hathikuli")


def test_the_simulated_shop_speaks_to_nobody_else() -> None:
    for url in ("https://bridge.example/webhooks/x", "http://10.0.0.1/", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="on this machine"):
            send("POST", url, b"", {})
