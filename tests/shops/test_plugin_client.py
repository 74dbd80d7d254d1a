import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import Invalid, Refused, Unavailable
from app.messages import Address, OrderDraft, OrderLineDraft, ShopStatus
from app.registry import provider
from app.shops import schemas, signing
from app.shops.plugin_client import PluginClient

NEW, OLD = signing.new_secret(), signing.new_secret()
MIA = Address(
    first_name="Mia",
    last_name="Muster",
    address_1="Beispielweg 4",
    postcode="10115",
    city="Berlin",
    country="DE",
)
DRAFT = OrderDraft(
    key="ord_88",
    marketplace="kaufland",
    marketplace_name="Kaufland.de",
    marketplace_order_id="M7X2K9P",
    currency="EUR",
    placed_at=datetime(2026, 11, 21, 13, 47, tzinfo=UTC),
    ship_by=None,
    billing=Address(email="x1@relay.example", extra={"post_number": "12345678"}),
    shipping=MIA,
    lines=(OrderLineDraft("ln_77", "17", "TEE-001", "4006381333931", "Assam", 2, 790, "19"),),
    shipping_total=0,
    total=1580,
    note="Kaufland.de order M7X2K9P",
)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeDoor:
    """Stands where app.outbound.Door stands: keeps what was sent and gives the answer that was laid out."""

    answer: Callable[[dict[str, Any]], Answer]
    sent: list[dict[str, Any]] = field(default_factory=list)

    def call(self, operation: str, method: str, path: str, **kwargs: Any) -> Answer:
        body = kwargs["body"]
        headers = {**kwargs["headers"], **kwargs["sign"](method, "https://tee.example/commands", body)}
        command = json.loads(body)
        self.sent.append({**kwargs, "path": path, "headers": headers, "command": command})
        answer = self.answer(command)
        assert 200 <= answer.status < 300 or answer.status in kwargs["expect"]
        return answer


def done(data: Mapping[str, Any], result: str = "done", **changed: Any) -> Callable[[dict[str, Any]], Answer]:
    return lambda command: Answer(
        200, json.dumps({"id": command["id"], "result": result, "data": data} | changed).encode()
    )


def client(answer: Callable[[dict[str, Any]], Answer], **settings: Any) -> tuple[PluginClient, FakeDoor]:
    door = FakeDoor(answer)
    return PluginClient(door, {"command": [{"secret": NEW, "until": None}, OLD], **settings}), door  # type: ignore[arg-type]


CREATED = {
    "order_id": 1042,
    "number": "1042",
    "status": "on-hold",
    "stock_sequence": 4701,
    "lines": [{"key": "ln_77", "id": 311, "product_found": False}],
}


def test_an_order_is_created_with_the_status_of_the_merchant_and_the_shop_says_what_is_true() -> None:
    shop, door = client(done(CREATED), new_order_status="on-hold")
    truth = shop.create_order("cmd_9001", DRAFT)
    assert (truth.external_id, truth.status, truth.stock_sequence) == ("1042", ShopStatus.ON_HOLD, 4701)
    assert (truth.lines, truth.lines_without_product, truth.already) == ({"ln_77": "311"}, ("ln_77",), False)
    sent = door.sent[0]["command"]
    assert (sent["id"], sent["type"], sent["data"]["status"]) == ("cmd_9001", "order.create", "on-hold")
    assert (sent["data"]["total"], sent["data"]["lines"][0]["unit_price"]) == ("15.80", "7.90")
    assert (sent["data"]["billing"]["email"], "email" in sent["data"]["shipping"]) == (
        "x1@relay.example",
        False,
    )
    assert sent["data"]["billing"]["extra"] == {"post_number": "12345678"}
    assert schemas.COMMANDS["order.create"].load(sent["data"])
    assert schemas.CommandEnvelope().load(sent)


def test_every_try_is_signed_anew_with_all_secrets_in_rotation() -> None:
    shop, door = client(done(CREATED))
    shop.create_order("cmd_9001", DRAFT)
    sent = door.sent[0]
    for secret in (NEW, OLD):
        assert signing.verify([secret], sent["headers"], sent["body"], datetime.now(UTC)).id == "cmd_9001"
    assert sent["path"] == ""  # the base URL of a shop is its command URL


def test_already_is_told_apart_from_done() -> None:
    shop, _ = client(done(CREATED, "already"))
    assert shop.create_order("cmd_9001", DRAFT).already is True


def test_at_most_what_is_left_is_cancelled_and_told() -> None:
    shop, door = client(
        done({"order_id": "7", "status": "processing", "lines": [{"id": 311, "quantity": 1}]})
    )
    truth = shop.cancel_order("cmd_0001", "7", "k1", [("311", 2)], "out_of_stock", at_most=True)
    assert truth.cancelled_lines == (("311", 1),)
    sent = json.loads(door.sent[0]["body"])["data"]
    assert sent["at_most"] is True
    assert schemas.COMMANDS["order.cancel"].load(sent)


def test_the_verbs_speak_the_protocol() -> None:
    shop, door = client(
        done({"order_id": "7", "status": "cancelled", "refund_id": 9, "already_shipped": True})
    )
    assert (
        shop.cancel_order("cmd_0001", "7", "k1", [("311", 1)], "buyer_cancelled").status
        is ShopStatus.CANCELLED
    )
    assert shop.cancel_order("cmd_0002", "7", "k2", None, "buyer_cancelled").external_id == "7"
    assert (
        shop.refund_order("cmd_0003", "7", "k3", 790, [("311", 1, 790)], "return", True).refund_external_id
        == "9"
    )
    assert shop.stop_shipping("cmd_0004", "7", "k4", "buyer_cancelled").already_shipped is True
    for sent in door.sent:
        schemas.COMMANDS[sent["command"]["type"]].load(sent["command"]["data"])
    assert [sent["command"]["data"].get("lines") for sent in door.sent] == [
        [{"id": "311", "quantity": 1}],
        None,
        [{"id": "311", "quantity": 1, "amount": "7.90"}],
        None,
    ]


def test_a_ping_must_come_back_with_its_challenge() -> None:
    facts = {"plugin_version": "0.1.0", "platform": "woocommerce", "platform_version": "10.9.1"}
    facts |= {"shop_url": "https://tee.example", "queue_length": 0}  # type: ignore[dict-item]

    def echo(command: dict[str, Any]) -> Answer:
        return done(facts | {"challenge": command["data"]["challenge"]})(command)

    assert client(echo)[0].ping("cmd_0001")["platform"] == "woocommerce"
    with pytest.raises(Invalid, match="challenge"):
        client(done(facts | {"challenge": "another"}))[0].ping("cmd_0001")


@pytest.mark.parametrize("code", schemas.REFUSALS)
def test_a_refusal_carries_the_shops_code_and_sentence(code: str) -> None:
    error = {"code": code, "message": "Die Bestellung gibt es nicht.", "field": "data.order_id"}
    shop, _ = client(
        lambda command: Answer(
            422, json.dumps({"id": command["id"], "result": "refused", "error": error}).encode()
        )
    )
    with pytest.raises(Refused) as caught:
        shop.send("cmd_0001", "order.note", {"order_id": "7", "note": "x", "key": "k"})
    assert caught.value.code == f"shop.{code.replace('.', '_')}"
    assert caught.value.params["message"] == "Die Bestellung gibt es nicht."
    assert not isinstance(caught.value, Invalid)


def test_a_code_that_nobody_knows_becomes_the_general_refusal() -> None:
    error = {"code": "moon.full", "message": "x" * 9_000}
    shop, _ = client(
        lambda command: Answer(
            422, json.dumps({"id": command["id"], "result": "refused", "error": error}).encode()
        )
    )
    with pytest.raises(Refused) as caught:
        shop.send("cmd_0001", "ping", {"challenge": "x"})
    assert (caught.value.code, caught.value.params["shop_code"], len(caught.value.params["message"])) == (
        "shop.refused",
        "moon.full",
        500,
    )


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (done(CREATED, id="cmd_9002"), "answer.id"),
        (done(CREATED, result="ok"), "answer.result"),
        (done(CREATED, result="refused"), "answer.result"),
        (done({}), "answer.data.order_id"),
        (
            done(CREATED | {"lines": [{"key": "ln_77", "id": None, "product_found": True}]}),
            "answer.data.lines.0.id",
        ),
        (done(CREATED | {"stock_sequence": "4701"}), "answer.data.stock_sequence"),
        (done([]), "answer.data"),  # type: ignore[arg-type]
        (lambda command: Answer(200, b""), None),
        (lambda command: Answer(200, b"<br />\n<b>Warning</b>: something in PHP"), None),
        (lambda command: Answer(200, b"[]"), None),
        (lambda command: Answer(200, b'{"id": "cmd_9001", "result": "done", "data": {"x": NaN}}'), None),
        (lambda command: Answer(200, b'{"a":' * 40 + b"1" + b"}" * 40), None),
        (lambda command: Answer(422, b'{"code": "rest_invalid_param"}'), "answer.id"),
        (
            lambda command: Answer(422, json.dumps({"id": "cmd_9001", "result": "refused"}).encode()),
            "answer.error",
        ),
        (
            lambda command: Answer(
                422, json.dumps({"id": "cmd_9001", "result": "done", "data": CREATED}).encode()
            ),
            "answer.result",
        ),
    ],
)
def test_an_answer_that_is_not_as_agreed_names_the_field(
    answer: Callable[[dict[str, Any]], Answer], field: str | None
) -> None:
    with pytest.raises(Invalid) as caught:
        client(answer)[0].create_order("cmd_9001", DRAFT)
    assert caught.value.params.get("field") == field


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 405, 410, 413, 418])
def test_whoever_is_not_the_plugin_means_later_because_nothing_was_done(status: int) -> None:
    with pytest.raises(Unavailable) as caught:
        client(lambda command: Answer(status, b"<html>"))[0].create_order("cmd_9001", DRAFT)
    assert caught.value.params["status"] == status


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_the_door_understands_is_left_to_the_door(status: int) -> None:
    shop, door = client(done(CREATED))
    shop.create_order("cmd_9001", DRAFT)
    assert status not in door.sent[0]["expect"]


def test_both_providers_use_this_client_and_have_labels_in_two_languages() -> None:
    for key in ("standard", "woocommerce"):
        found = provider(key)
        assert issubclass(found.client, PluginClient)
        settings = found.settings()
        assert settings.load({}) == {
            "default_stock": 0,
            "stock_buffer": 0,
            "new_order_status": "processing",
            "tracking_wait_hours": 3,
            "receives_orders": True,
            "dealer_prices": "net",
            "dealer_vat_percent": None,
            "locale": "de",
        } | ({"fetch_hours": 24} if key == "standard" else {})
        for name, each in settings.fields.items():
            assert set(each.metadata["label"]) == {"de", "en"}, name
            assert set(each.metadata["help"]) == {"de", "en"}, name
