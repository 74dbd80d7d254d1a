import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from api_world import THEN, Api, World, a_command, an_event, an_offer, an_order
from bridge import rings
from flask import Flask
from senders_of_tests import rows
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.models import Account, ApiToken, Connection, Event, Offer, Product


def codes(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]["code"]


# --- events --------------------------------------------------------------------------------------------


def test_events_are_listed_newest_first_without_bodies(api: Api, annas: World, session: Session) -> None:
    an_event(session, annas.shop, number=2)
    session.commit()
    answer = api.get("/events").get_json()
    assert [each["sequence"] for each in answer["data"]] == [2, 1]
    assert (answer["has_more"], answer["next"]) == (False, None)
    shown = answer["data"][1]
    assert shown["id"] == f"evt_{annas.event.id}"
    assert shown["connection"] == annas.shop.key
    assert shown["happened_at"] == "2026-11-20T12:00:00Z"
    assert shown["reason"]["code"] == "field.missing"
    assert "data.id" in shown["reason"]["message"]
    assert "body" not in shown


def test_pages_do_not_shift_while_new_events_come(api: Api, annas: World, session: Session) -> None:
    for number in range(2, 8):
        an_event(session, annas.shop, number=number)
    session.commit()
    seen, cursor = [], ""
    while True:
        answer = api.get(f"/events?limit=3{cursor}").get_json()
        seen += [each["sequence"] for each in answer["data"]]
        an_event(session, annas.shop, number=100 + len(seen))
        session.commit()
        if not answer["has_more"]:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=refused", [1]),
        ("state=done", [3, 2]),
        ("reason=field.missing", [1]),
        ("type=stock.changed", [3]),
        ("subject=order/1042", [2, 1]),
        ("since=2026-11-10T00:00:00Z", [3, 2]),
        ("until=2026-11-10T00:00:00%2B01:00", [1]),
        ("connection={shop}", [3, 2, 1]),
        ("connection={marketplace}", []),
    ],
)
def test_events_are_filtered(
    api: Api, annas: World, session: Session, query: str, expected: list[int]
) -> None:
    annas.event.received_at = datetime(2026, 11, 1, tzinfo=UTC)
    an_event(session, annas.shop, number=2)
    an_event(session, annas.shop, number=3, type="stock.changed", subject="product/17")
    session.commit()
    answer = api.get("/events?" + query.format(shop=annas.shop.key, marketplace=annas.marketplace.key))
    assert [each["sequence"] for each in answer.get_json()["data"]] == expected


def test_one_event_shows_its_body_to_its_owner_only(api: Api, operator: Api, annas: World) -> None:
    path = f"/events/evt_{annas.event.id}"
    assert api.get(path).get_json()["body"]["data"]["mail"] == "mia@canary.example"
    answer = operator.get(path)
    assert (answer.status_code, answer.get_json()["body"]) == (200, None)


def test_an_emptied_body_is_null(api: Api, annas: World, session: Session) -> None:
    annas.event.body = None
    session.commit()
    assert api.get(f"/events/evt_{annas.event.id}").get_json()["body"] is None


def test_one_event_is_replayed(api: Api, annas: World, session: Session, redis_url: str) -> None:
    answer = api.post("/events/replay", {"ids": [f"evt_{annas.event.id}"]})
    assert answer.get_json() == {"replayed": 1}
    session.expire_all()
    assert (annas.event.state, annas.event.attempts) == ("due", 0)
    assert rings(redis_url, "in") == 1


def test_all_events_blocked_by_one_reason_are_replayed(api: Api, annas: World, session: Session) -> None:
    an_event(session, annas.shop, number=2, state="dead", reason="field.missing")
    an_event(session, annas.shop, number=3, state="refused", reason="subject.wrong")
    session.commit()
    assert api.post("/events/replay", {"reason": "field.missing"}).get_json() == {"replayed": 2}
    session.expire_all()
    states = session.execute(select(Event.sequence, Event.state).order_by(Event.sequence)).all()
    assert states == [(1, "due"), (2, "due"), (3, "refused")]


def test_a_range_is_replayed_and_done_ones_only_when_asked(api: Api, annas: World, session: Session) -> None:
    an_event(session, annas.shop, number=2, state="done")
    session.commit()
    span = {"connection": annas.shop.key, "since": "2020-01-01T00:00:00Z"}
    assert api.post("/events/replay", span).get_json() == {"replayed": 1}
    assert api.post("/events/replay", {**span, "done_too": True}).get_json() == {"replayed": 1}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["evt_1"], "reason": "x"}, "ids"),
        ({"connection": "cn_x"}, "ids"),
        ({"since": "2026-01-01T00:00:00Z"}, "connection"),
        ({"ids": "evt_1"}, "ids"),
        ({"ids": [1]}, "ids.0"),
        ({"reason": 5}, "reason"),
        ({"reason": "a\u202eb"}, "reason"),
        ({"reason": "x", "everything": True}, "everything"),
        ({"reason": "x", "done_too": "yes"}, "done_too"),
        ({"connection": "x", "since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"connection": "x", "since": "2026-01-01T00:00:00"}, "since"),
    ],
)
def test_a_replay_must_say_what(api: Api, annas: World, session: Session, body: dict, param: str) -> None:
    answer = api.post("/events/replay", body)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "argument.invalid", param)
    session.expire_all()
    assert annas.event.state == "refused"


def test_an_unknown_connection_or_id_is_400(api: Api, annas: World, chais: World) -> None:
    for key in ("cn_nobody", chais.shop.key):
        assert codes(api.get(f"/events?connection={key}")) == (400, "connection.unknown")
    assert codes(api.post("/events/replay", {"ids": ["evt_x"]})) == (400, "id.invalid")
    assert codes(api.get("/events?cursor=ord_1")) == (400, "id.invalid")


# --- commands, attempts, dead letters ------------------------------------------------------------------


def test_commands_are_listed_without_payload(api: Api, annas: World) -> None:
    answer = api.get(
        f"/commands?state=dead&kind=ship&order=ord_{annas.order.id}&connection={annas.marketplace.key}"
    )
    (shown,) = answer.get_json()["data"]
    assert (shown["id"], shown["order"], shown["state"]) == (
        f"cmd_{annas.command.id}",
        f"ord_{annas.order.id}",
        "dead",
    )
    assert "canary" not in answer.get_data(as_text=True)


def test_stuck_commands_are_delivered_again(api: Api, annas: World, session: Session, redis_url: str) -> None:
    a_command(session, annas.marketplace, annas.order, state="done", key="k2")
    session.commit()
    assert api.post("/commands/replay", {"reason": "retry.exhausted"}).get_json() == {"replayed": 1}
    session.expire_all()
    assert annas.command.state == "due"
    assert rings(redis_url, "out") == 1
    assert api.post("/commands/replay", {"ids": [f"cmd_{annas.command.id}"]}).get_json() == {"replayed": 0}


def test_attempts_tell_what_was_said(api: Api, annas: World) -> None:
    answer = api.get(f"/attempts?command=cmd_{annas.command.id}&outcome=unavailable").get_json()
    assert [(each["operation"], each["status"]) for each in answer["data"]] == [("ship", 500)]


def test_dead_letters_of_both_directions_are_one_list(api: Api, annas: World, session: Session) -> None:
    for number in range(2, 5):
        an_event(session, annas.shop, number=number, state="dead", reason="job.crashed")
        a_command(
            session, annas.marketplace, None, state="refused", reason="partner.refused", key=f"k{number}"
        )
    an_event(session, annas.shop, number=9, state="done")
    session.execute(text("UPDATE event SET received_at = '2026-11-20T12:00:00Z'"))
    session.execute(text("UPDATE command SET created_at = '2026-11-20T12:00:00Z'"))
    session.commit()
    seen, cursor = [], ""
    while True:
        answer = api.get(f"/dead?limit=3{cursor}").get_json()
        seen += [each["id"] for each in answer["data"]]
        if not answer["has_more"]:
            break
        cursor = f"&cursor={answer['next']}"
    assert len(seen) == len(set(seen)) == 8, "also when everything happened at the same moment"
    assert {each[:3] for each in seen} == {"evt", "cmd"}
    assert [
        each["direction"] for each in api.get("/dead?direction=out&reason=retry.exhausted").get_json()["data"]
    ] == ["out"]
    assert codes(api.get("/dead?cursor=evt_999999")) == (400, "id.invalid")


# --- orders --------------------------------------------------------------------------------------------


def test_orders_of_all_marketplaces_are_in_one_list(api: Api, annas: World, session: Session) -> None:
    an_order(session, annas.account, annas.shop, annas.marketplace, annas.product, "Z2")
    session.commit()
    answer = api.get("/orders?open=true&shop_number=1042").get_json()
    assert [each["external_id"] for each in answer["data"]] == ["Z2", "M7X2K9P"]
    shown = answer["data"][1]
    assert (shown["state"], shown["total"], shown["currency"]) == ("in_shop", 790 * 2 + 100, "EUR")
    assert (shown["marketplace"], shown["connection"]) == ("Kaufland.de", annas.marketplace.key)
    assert api.get("/orders?open=false").get_json()["data"] == []
    session.execute(
        text("UPDATE order_piece SET state = 'shipped' WHERE order_id = :id"), {"id": annas.order.id}
    )
    session.commit()
    assert [each["id"] for each in api.get("/orders?open=false").get_json()["data"]] == [
        f"ord_{annas.order.id}"
    ]
    assert api.get("/orders?since=2026-12-01T00:00:00Z").get_json()["data"] == []


def test_one_order_shows_everything_that_happened(api: Api, annas: World) -> None:
    order = api.get(f"/orders/ord_{annas.order.id}").get_json()
    assert order["buyer"]["billing"]["last_name"] == "Canarybuyer"
    (line,) = order["lines"]
    assert (line["quantity"], line["unit_price"], len(line["pieces"])) == (2, 790, 2)
    assert order["shipments"][0]["tracking_number"] is None
    assert order["shipments"][0]["pieces"] == [line["pieces"][0]["id"]]
    assert (order["refunds"][0]["amount"], order["returns"][0]["state"]) == (100, "announced")
    assert order["cases"][0]["code"] == "ship.deadline_near"
    assert order["timeline"][0]["code"] == "ship.waiting_for_tracking"
    assert "Sendungsnummer" in order["timeline"][0]["message"]
    assert order["next"]["code"] == "retry.exhausted", "the stuck command is why it is not shipped"
    assert order["next"]["who"] == "operator"


def test_an_operator_sees_no_buyer(operator: Api, annas: World) -> None:
    answer = operator.get(f"/orders/ord_{annas.order.id}")
    assert (answer.status_code, answer.get_json()["buyer"]) == (200, None)
    assert "canary" not in answer.get_data(as_text=True).lower()


def test_a_story_word_without_a_sentence_is_no_error(api: Api, annas: World, session: Session) -> None:
    session.execute(text("UPDATE timeline SET code = 'order.sang_a_song', params = '{\"loud\": true}'"))
    session.commit()
    (line,) = api.get(f"/orders/ord_{annas.order.id}").get_json()["timeline"]
    assert line["message"] == "order sang a song (loud: True)"


def test_what_comes_next_knows_a_paused_connection(api: Api, annas: World, session: Session) -> None:
    session.execute(text("DELETE FROM command"))
    annas.marketplace.state, annas.marketplace.reason_code = "needs_attention", "credentials.refused"
    annas.marketplace.reason_params = {"partner": "Kaufland.de"}
    session.commit()
    assert api.get(f"/orders/ord_{annas.order.id}").get_json()["next"]["code"] == "credentials.refused"
    annas.marketplace.state, annas.marketplace.reason_code = "active", None
    session.commit()
    answer = api.get(f"/orders/ord_{annas.order.id}").get_json()["next"]
    assert answer["code"] == "next.complete_in_shop"
    assert "Shop" in answer["message"]


# --- offers --------------------------------------------------------------------------------------------


def test_offers_are_listed_with_state_and_reason(api: Api, annas: World, session: Session) -> None:
    annas.offer.state, annas.offer.reason_code = "needs_product", "product.unknown_gtin"
    annas.offer.reason_params = {"gtin": "4006381333931"}
    session.commit()
    path = f"/offers?state=needs_product&reason=product.unknown_gtin&sku=TEE-001&gtin=4006381333931&connection={annas.marketplace.key}"
    (shown,) = api.get(path).get_json()["data"]
    assert (shown["id"], shown["sku"], shown["waiting"]) == (f"off_{annas.offer.id}", "TEE-001", False)
    assert "4006381333931" in shown["reason"]["message"]
    assert api.get("/offers?sku=TEE-002").get_json()["data"] == []


def test_an_offer_is_switched_off_and_leaves_at_once(
    api: Api, annas: World, session: Session, redis_url: str
) -> None:
    answer = api.patch(f"/offers/off_{annas.offer.id}", {"on": False})
    assert (answer.status_code, answer.get_json()["on"], answer.get_json()["waiting"]) == (200, False, True)
    session.expire_all()
    assert (annas.offer.on, annas.offer.stale) == (False, True)
    assert rings(redis_url, "out") == 1


def test_values_are_replaced_and_given_back(api: Api, annas: World) -> None:
    path = f"/offers/off_{annas.offer.id}"
    assert api.patch(path, {"overrides": {"price": 999, "stock": 3}}).get_json()["overrides"] == {
        "price": 999,
        "stock": 3,
    }
    assert api.patch(path, {"overrides": {"price": None, "handling_days": 2}}).get_json()["overrides"] == {
        "stock": 3,
        "handling_days": 2,
    }
    assert api.get(path).get_json()["overrides"] == {"stock": 3, "handling_days": 2}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "on"),
        ({"on": "no"}, "on"),
        ({"on": 0}, "on"),
        ({"overrides": {"price": 9.99}}, "overrides.price"),
        ({"overrides": {"price": "999"}}, "overrides.price"),
        ({"overrides": {"price": 0}}, "overrides.price"),
        ({"overrides": {"price": True}}, "overrides.price"),
        ({"overrides": {"stock": -1}}, "overrides.stock"),
        ({"overrides": {"handling_days": 101}}, "overrides.handling_days"),
        ({"overrides": {"colour": "red"}}, "overrides.colour"),
        ({"overrides": []}, "overrides"),
        ({"account_id": 2, "on": True}, "account_id"),
        ({"state": "on_sale", "on": True}, "state"),
        ({"confirmed_revision": 9, "on": True}, "confirmed_revision"),
    ],
)
def test_nothing_else_can_be_changed(
    api: Api, annas: World, session: Session, body: dict, param: str
) -> None:
    answer = api.patch(f"/offers/off_{annas.offer.id}", body)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (422, param)
    session.expire_all()
    assert (annas.offer.on, annas.offer.overrides, annas.offer.stale) == (True, {}, False)


# --- connections ---------------------------------------------------------------------------------------


def test_connections_show_no_secret(api: Api, annas: World) -> None:
    answer = api.get("/connections")
    assert [each["role"] for each in answer.get_json()["data"]] == ["marketplace", "shop"]
    shown = answer.get_data(as_text=True)
    assert "b" * 64 not in shown
    assert "whsec_" not in shown
    first = api.get("/connections?limit=1").get_json()
    assert first["has_more"] is True
    assert [each["id"] for each in api.get(f"/connections?cursor={first['next']}").get_json()["data"]] == [
        annas.shop.key
    ]


def test_switching_sync_off_warns_how_many_stay_on_sale(
    api: Api, annas: World, session: Session, redis_url: str
) -> None:
    answer = api.post(f"/connections/{annas.marketplace.key}/sync", {"on": False}).get_json()
    assert (answer["sync"], answer["offers_on_sale"]) == (False, 1)
    assert answer["warning"].startswith("1 Angebote bleiben im Verkauf")
    session.expire_all()
    assert (annas.marketplace.sync, annas.offer.stale) == (False, False)
    answer = api.post(f"/connections/{annas.marketplace.key}/sync", {"on": True}).get_json()
    assert answer["warning"] is None
    session.expire_all()
    assert (annas.marketplace.sync, annas.offer.stale) == (True, True), "what changed meanwhile is sent"
    assert codes(api.post(f"/connections/{annas.shop.key}/sync", {"on": True})) == (
        422,
        "connection.not_a_marketplace",
    )


def test_holiday_counts_only_what_was_confirmed(api: Api, annas: World, session: Session) -> None:
    an_other = [
        Product(
            account_id=annas.account.id, connection_id=annas.shop.id, external_id=f"p{n}", title="x", extra={}
        )
        for n in range(6)
    ]
    session.add_all(an_other)
    session.flush()
    zero: dict[str, Any] = {"confirmed": {"stock": 0}, "desired": {"stock": 0}}
    an_offer(session, annas.marketplace, an_other[0], **zero)
    an_offer(session, annas.marketplace, an_other[1], **zero, stale=True)
    an_offer(session, annas.marketplace, an_other[2], **zero, confirmed_revision=2)
    an_offer(
        session,
        annas.marketplace,
        an_other[3],
        **zero,
        sent_revision=0,
        confirmed_revision=0,
        confirmed_at=None,
    )
    an_offer(
        session,
        annas.marketplace,
        an_other[4],
        **zero,
        confirmed_at=datetime(2026, 11, 20, 14, 2, tzinfo=UTC),
    )
    an_offer(session, annas.marketplace, an_other[5], confirmed={"price": 5})
    session.commit()
    status = api.get("/holiday").get_json()
    assert (status["on"], status["offers"], status["confirmed_at_zero"]) == (False, 6, 2)
    assert status["message"] == "2 von 6 Angeboten bei 0 bestätigt"
    (part,) = status["connections"]
    assert (part["connection"], part["last_confirmed_at"]) == (annas.marketplace.key, "2026-11-20T14:02:00Z")


def test_holiday_marks_every_offer_and_rings(
    api: Api, annas: World, chais: World, session: Session, redis_url: str
) -> None:
    assert api.post("/holiday", {"on": True}).get_json()["on"] is True
    session.expire_all()
    assert (annas.account.holiday, annas.offer.stale) == (True, True)
    assert (chais.account.holiday, chais.offer.stale) == (False, False)
    assert rings(redis_url, "out") == 1
    answer = api.post("/holiday", {"on": False}).get_json()
    assert (answer["on"], answer["confirmed_at_zero"]) == (False, 0)


def test_holiday_at_one_marketplace_leaves_the_others(
    api: Api, annas: World, chais: World, session: Session
) -> None:
    answer = api.post("/holiday", {"on": True, "connection": annas.marketplace.key}).get_json()
    assert (answer["on"], answer["connections"][0]["on"]) == (False, True)
    assert api.post("/holiday", {"on": True, "connection": chais.marketplace.key}).status_code == 404
    session.expire_all()
    assert chais.marketplace.holiday is False


def test_an_operator_must_name_the_account(operator: Api, annas: World, session: Session) -> None:
    assert codes(operator.get("/holiday")) == (400, "account.missing")
    assert codes(operator.post("/holiday", {"on": True})) == (400, "account.missing")
    answer = operator.post(f"/holiday?account=acc_{annas.account.id}", {"on": True})
    assert (answer.status_code, answer.get_json()["on"]) == (200, True)
    assert operator.get("/holiday?account=acc_999").status_code == 404


def test_completeness_counts_what_is_there_now(api: Api, annas: World, session: Session) -> None:
    (day,) = api.get("/completeness?day=2026-11-20").get_json()["data"]
    assert (day["sent"], day["arrived"], day["complete"], day["message"]) == (2, 1, False, "1 von 2")
    an_event(session, annas.shop, number=2)
    an_event(session, annas.shop, number=3, type="manifest.daily")
    an_event(session, annas.shop, number=11)
    session.commit()
    (day,) = api.get(f"/completeness?connection={annas.shop.key}").get_json()["data"]
    assert (day["arrived"], day["complete"], day["message"]) == (2, True, "2 von 2")


def test_large_numbers_are_readable(api: Api, annas: World, session: Session) -> None:
    session.execute(text("UPDATE manifest SET count = 1284"))
    session.execute(text("UPDATE account SET locale = 'en'"))
    session.commit()
    assert api.get("/completeness").get_json()["data"][0]["message"] == "1 of 1,284"


def test_cases_say_what_to_do(api: Api, annas: World) -> None:
    (case,) = api.get("/cases?code=ship.deadline_near").get_json()["data"]
    assert (case["order"], case["who"], case["state"]) == (f"ord_{annas.order.id}", "merchant", "open")
    assert case["next_step"]
    assert api.get("/cases?state=closed").get_json()["data"] == []


# --- the one error shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/events/evt_999999", {}, 404),
        ("GET", "/events/evt_0", {}, 404),
        ("GET", "/events/evt_-1", {}, 404),
        ("GET", "/events/evt_99999999999999999999", {}, 404),
        ("GET", "/events/evt_٤٢", {}, 404),
        ("GET", "/events/ord_1", {}, 404),
        ("GET", "/events/%00", {}, 404),
        ("DELETE", "/events", {}, 405),
        ("POST", "/events", {}, 405),
        ("POST", "/events/replay", {"data": "{", "content_type": "application/json"}, 400),
        ("POST", "/events/replay", {"data": b"\xff", "content_type": "application/json"}, 400),
        ("POST", "/events/replay", {"data": '{"a":1,"a":2}', "content_type": "application/json"}, 400),
        ("POST", "/events/replay", {"data": "[" * 100_000, "content_type": "application/json"}, 422),
        ("POST", "/events/replay", {"data": "[]", "content_type": "application/json"}, 422),
        ("POST", "/events/replay", {"data": "{}", "content_type": "text/plain"}, 415),
        ("POST", "/events/replay", {"data": {"reason": "x"}}, 415),
        ("POST", "/events/replay", {"data": b"x" * 300_000, "content_type": "application/json"}, 413),
        ("GET", "/events?limit=0", {}, 422),
        ("GET", "/events?limit=101", {}, 422),
        ("GET", "/events?limit=x", {}, 422),
        ("GET", "/events?conection=cn_x", {}, 422),
        ("GET", "/events?state=lost", {}, 422),
        ("GET", "/events?reason=%00", {}, 422),
        ("GET", "/events?reason=%ED%A0%80", {}, 200),
        ("GET", "/events?since=yesterday", {}, 422),
        ("GET", "/events?since=9999-12-31T23:59:59-14:00", {}, 422),
        ("GET", "/events?connection=" + "x" * 65, {}, 422),
        ("GET", "/events?limit=1&limit=2", {}, 200),
        ("GET", "/orders?open=maybe", {}, 422),
        ("PATCH", "/offers/off_999", {"json": {"on": True}}, 404),
        ("POST", "/connections/%00/sync", {"json": {"on": True}}, 404),
        ("POST", "/connections/cn_x/sync", {"json": {}}, 422),
    ],
)
def test_every_error_has_one_shape(
    api: Api, annas: World, method: str, path: str, options: dict, status: int
) -> None:
    answer = api.call(method, path, **options)
    assert answer.status_code == status, answer.get_data(as_text=True)
    if status >= 400:
        assert answer.content_type == "application/json"
        assert set(answer.get_json()) == {"error"}
        assert set(answer.get_json()["error"]) == {"type", "code", "message", "param"}


def test_a_500_has_the_same_shape_and_tells_nothing(
    app: Flask, api: Api, annas: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: object, **__: object) -> None:
        raise RuntimeError("canary-in-the-traceback")

    monkeypatch.setattr("app.web.api.pages.page", boom)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = api.get("/events")
    assert codes(answer) == (500, "http.500")
    assert "canary" not in answer.get_data(as_text=True)


def test_the_database_away_is_503(api: Api, annas: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("SELECT canary", {"mail": "canary"}, Exception("away"))

    monkeypatch.setattr("app.web.api.pages.page", gone)
    answer = api.get("/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "canary" not in answer.get_data(as_text=True)


# --- tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer é{token}",
        "Bearer " + "x" * 5000,
    ],
)
def test_only_a_right_token_opens(app: Flask, api: Api, header: str) -> None:
    answer = Api(app, None).get(
        "/events", headers={"Authorization": header.format(token=api.token)} if header else {}
    )
    assert codes(answer) == (401, "token.invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_a_token_nothing_is_told_about_addresses(app: Flask) -> None:
    nobody = Api(app, None)
    answers = [nobody.get(path) for path in ("/events", "/nothing", "/events/evt_1")] + [
        nobody.post("/events/replay", {"ids": 5})
    ]
    assert {codes(answer) for answer in answers} == {(401, "token.invalid")}


def test_a_token_remembers_when_it_was_used(api: Api, annas: World, session: Session) -> None:
    api.get("/events")
    first = session.scalars(select(ApiToken.last_used_at)).one()
    api.get("/events")
    session.rollback()
    assert first is not None
    assert session.scalars(select(ApiToken.last_used_at)).one() == first, "not written at every request"


def test_a_token_of_a_deleted_account_is_dead(api: Api, session: Session, anna: Account) -> None:
    session.execute(text("DELETE FROM account"))
    session.commit()
    assert api.get("/events").status_code == 401


# --- Idempotency-Key -----------------------------------------------------------------------------------


def test_a_repeated_post_does_nothing_and_answers_the_same(api: Api, annas: World, session: Session) -> None:
    body, key = {"ids": [f"evt_{annas.event.id}"]}, {"Idempotency-Key": "k-1"}
    first = api.post("/events/replay", body, headers=key)
    session.execute(text("UPDATE event SET state = 'refused'"))
    session.commit()
    again = api.post("/events/replay", body, headers=key)
    assert first.get_json() == again.get_json() == {"replayed": 1}
    assert again.headers["Idempotency-Replayed"] == "true"
    session.expire_all()
    assert annas.event.state == "refused", "the second one touched nothing"


def test_a_key_belongs_to_one_request_and_one_account(
    api: Api, chai_api: Api, annas: World, chais: World
) -> None:
    key = {"Idempotency-Key": "k-1"}
    assert api.post("/holiday", {"on": True}, headers=key).status_code == 200
    assert codes(api.post("/holiday", {"on": False}, headers=key)) == (422, "idempotency.key_reused")
    assert codes(api.post("/commands/replay", {"reason": "x"}, headers=key)) == (
        422,
        "idempotency.key_reused",
    )
    assert chai_api.post("/holiday", {"on": False}, headers=key).status_code == 200


def test_a_refused_request_may_be_mended_with_the_same_key(api: Api, annas: World, session: Session) -> None:
    key = {"Idempotency-Key": "k-1"}
    assert api.post("/connections/cn_nobody/sync", {"on": True}, headers=key).status_code == 404
    assert rows(session, "idempotency") == 0
    assert (
        api.post(f"/connections/{annas.marketplace.key}/sync", {"on": True}, headers=key).status_code == 200
    )


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb"])
def test_an_odd_key_is_400(api: Api, annas: World, key: str) -> None:
    assert codes(api.post("/holiday", {"on": True}, headers={"Idempotency-Key": key})) == (
        400,
        "idempotency.key_invalid",
    )


def test_many_at_the_same_moment_have_one_effect(api: Api, annas: World, session: Session) -> None:
    body, key = {"ids": [f"evt_{annas.event.id}"]}, {"Idempotency-Key": "race"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: api.post("/events/replay", body, headers=key), range(6)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    told = {json.dumps(answer.get_json()) for answer in answers if answer.status_code == 200}
    assert told == {'{"replayed": 1}'}
    assert rows(session, "idempotency") == 1


def test_a_key_left_behind_by_a_crash_is_free_after_a_minute(
    api: Api, annas: World, session: Session
) -> None:
    insert = "INSERT INTO idempotency (account_id, key, request_digest) VALUES (:account, 'k', 'x')"
    session.execute(text(insert), {"account": annas.account.id})
    session.commit()
    key = {"Idempotency-Key": "k"}
    assert codes(api.post("/holiday", {"on": True}, headers=key)) == (409, "idempotency.in_progress")
    session.execute(text("UPDATE idempotency SET created_at = now() - interval '2 minutes'"))
    session.commit()
    assert api.post("/holiday", {"on": True}, headers=key).status_code == 200


def test_an_operator_names_the_account_for_a_key(operator: Api, annas: World) -> None:
    body, key = {"reason": "field.missing"}, {"Idempotency-Key": "k"}
    assert codes(operator.post("/events/replay", body, headers=key)) == (400, "account.missing")
    answer = operator.post(f"/events/replay?account=acc_{annas.account.id}", body, headers=key)
    assert answer.get_json() == {"replayed": 1}


# --- the document --------------------------------------------------------------------------------------


def test_the_openapi_document_is_valid_and_complete(app: Flask) -> None:
    document = Api(app, None).get("/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.endpoint != "api-docs.openapi_json"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == routes
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                assert operation.get("summary"), (method, path)
    text_ = json.dumps(document)
    for reference in {part.split('"')[0] for part in text_.split('"$ref": "#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]
    assert document["security"] == [{"token": []}]


def test_answers_match_the_document(app: Flask, api: Api, annas: World) -> None:
    """Every field that comes back is described, so that a generated client sees all of it."""
    from jsonschema import Draft202012Validator

    document = Api(app, None).get("/openapi.json").get_json()
    paths = {
        "/events": "/events",
        "/events/{event_id}": f"/events/evt_{annas.event.id}",
        "/commands": "/commands",
        "/attempts": "/attempts",
        "/dead": "/dead",
        "/orders": "/orders",
        "/orders/{order_id}": f"/orders/ord_{annas.order.id}",
        "/offers": "/offers",
        "/offers/{offer_id}": f"/offers/off_{annas.offer.id}",
        "/connections": "/connections",
        "/holiday": "/holiday",
        "/completeness": "/completeness",
        "/cases": "/cases",
    }
    for described, asked in paths.items():
        schema = document["paths"][f"/api/v1{described}"]["get"]["responses"]["200"]["content"][
            "application/json"
        ]["schema"]
        answer = api.get(asked)
        assert answer.status_code == 200
        Draft202012Validator({**schema, "components": document["components"]}).validate(answer.get_json())


def test_times_are_as_promised() -> None:
    from app.web.answers import iso

    assert iso(THEN) == "2026-11-20T12:00:00Z"
    assert iso(THEN.replace(microsecond=120_000)) == "2026-11-20T12:00:00.120Z"
    assert iso(None) is None


def test_the_cast_is_complete(annas: World, session: Session) -> None:
    assert session.scalars(select(Offer.id)).one() == annas.offer.id
    assert session.scalars(select(Connection.id).where(Connection.role == "shop")).one() == annas.shop.id
