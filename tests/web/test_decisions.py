"""The page of decisions in a merchant's shop, and the same deeds by API: what waits is shown, decided once, and nobody sees or decides another's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from market_world import Market, market
from senders_of_tests import Shop, new_id
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app import accounts, jobs, registry
from app.errors import Refused
from app.extensions import db
from app.flows import return_rejected
from app.models import Command, Connection, Order, OrderPiece, Return, Timeline
from app.sandbox import simulators
from app.sandbox.faults import Fault
from app.shops import signing
from app.web import answers, decisions
from app.web.api import decisions as decisions_by_api

CAN = {key: registry.provider(key).can(simulator.settings) for key, simulator in simulators().items()}
REJECTING = sorted(key for key, can in CAN.items() if can.return_rejections)
WHOLE = next(key for key in REJECTING if CAN[key].returns_whole)
PIECES = next(key for key in REJECTING if not CAN[key].returns_whole)
ASKING = sorted(key for key, can in CAN.items() if can.acceptance not in {"none", "notice"})
Start = Callable[..., Market]


@pytest.fixture
def start(app: Flask) -> Iterator[Start]:
    """A merchant at one marketplace, by its key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(market(app, simulators()[key]))


def ask(at: Market, app: Flask, route: str, told: Any = None, **changed: Any) -> TestResponse:
    """A question as the shop's plugin signs it."""
    link = at.shop.link
    body = json.dumps({} if told is None else told).encode()
    headers = signing.sign(changed.get("secrets", link.event_secrets), new_id(), body, datetime.now(UTC))
    key = db.session.get_one(Connection, at.shop_connection).key
    headers |= {"shopbridge-connection": key, "Content-Type": "application/json"}
    answer = app.test_client().post(f"/plugin/orders/{route}", data=body, headers=headers)
    db.session.rollback()
    return answer


def good(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return dict(answer.get_json())


def code(answer: TestResponse, status: int = 422) -> str:
    assert answer.status_code == status, answer.get_data(as_text=True)
    return str(answer.get_json()["error"]["code"])


def back(at: Market, *lines: tuple[str, int]) -> Any:
    """An order whose pieces have all come back, as the shop knows it."""
    order = at.buy(*(lines or (("TEE-001", 1),)))
    at.work()
    sold = at.orders_in_shop()[-1]
    at.ship(sold)
    at.work()
    at.control("return", {"pieces": order["pieces"]})
    at.work()
    return sold


def states() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Return.state).order_by(Return.id)))


def told() -> list[str]:
    return list(db.session.scalars(select(Timeline.code).order_by(Timeline.id)))


# --- returns ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", REJECTING)
def test_a_return_is_shown_rejected_and_gone_from_the_page(start: Start, app: Flask, key: str) -> None:
    at = start(key)
    sold = back(at, ("TEE-001", 2))
    shown = good(ask(at, app, "waiting"))
    assert (shown["orders"], shown["more"]) == ([], False)
    pieces = [piece for each in shown["returns"] for piece in each["pieces"]]
    assert [piece["sku"] for piece in pieces] == ["TEE-001", "TEE-001"]
    for each in shown["returns"]:
        assert (each["shop_order_id"], each["whole"]) == (str(sold.id), CAN[key].returns_whole)
        assert {reason["code"] for reason in each["rejections"]} == set(CAN[key].return_rejections)
        wanted = {
            "order": each["order"],
            "pieces": [piece["id"] for piece in each["pieces"]],
            "reason": "damaged",
            "note": "Der Karton war leer.",
        }
        assert good(ask(at, app, "reject-return", wanted))["pieces"] == len(each["pieces"])
    assert good(ask(at, app, "waiting"))["returns"] == []
    assert code(ask(at, app, "reject-return", wanted)) == "return.none_waits"
    at.work()
    assert states() == ["rejected", "rejected"]
    assert (at.cases(), told().count("return.rejected")) == ([], 2)
    assert good(ask(at, app, "waiting"))["returns"] == []


def test_one_of_two_pieces_is_rejected_and_the_other_still_waits(start: Start, app: Flask) -> None:
    at = start(PIECES)
    back(at, ("TEE-001", 2))
    first, second = [
        (each["order"], piece["id"])
        for each in good(ask(at, app, "waiting"))["returns"]
        for piece in each["pieces"]
    ]
    wanted = {"order": first[0], "pieces": [first[1]], "reason": "damaged"}
    assert good(ask(at, app, "reject-return", wanted))["pieces"] == 1
    at.work()
    assert sorted(states()) == ["arrived", "rejected"]
    left = good(ask(at, app, "waiting"))["returns"]
    assert [piece["id"] for each in left for piece in each["pieces"]] == [second[1]]


def test_a_part_of_a_return_that_is_decided_as_a_whole_is_refused_in_words(start: Start, app: Flask) -> None:
    at = start(WHOLE)
    back(at, ("TEE-001", 2))
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "damaged"}
    assert code(ask(at, app, "reject-return", wanted)) == "return.only_whole"
    assert db.session.scalars(select(Command).where(Command.kind == "reject_return")).all() == []
    assert [len(each["pieces"]) for each in good(ask(at, app, "waiting"))["returns"]] == [2]
    one = db.session.scalars(select(Return).limit(1)).one()
    one.state = "closed"
    db.session.commit()
    assert good(ask(at, app, "waiting"))["returns"] == []


@pytest.mark.parametrize("key", [PIECES, WHOLE])
def test_what_the_shop_has_refunded_is_not_shown_and_not_rejected(start: Start, app: Flask, key: str) -> None:
    at = start(key)
    sold = back(at)
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    line = {"id": str(sold.lines[0].id), "quantity": 1}
    at.in_shop("refund", sold.id, reason="Retoure", lines=[line])
    at.shop.outbox.deliver_due()
    jobs.drain_inbox(at.shop_connection)
    assert good(ask(at, app, "waiting"))["returns"] == []
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "damaged"}
    assert code(ask(at, app, "reject-return", wanted)) == "return.refunded_before"
    at.work()
    assert at.deeds("reject_return") == []


def test_nothing_is_rejected_when_a_piece_that_is_named_does_not_wait(start: Start, app: Flask) -> None:
    at = start(PIECES)
    back(at, ("TEE-001", 2))
    shown = good(ask(at, app, "waiting"))["returns"]
    pieces = [piece["id"] for each in shown for piece in each["pieces"]]
    wanted = {"order": shown[0]["order"], "pieces": [*pieces, "ret_999"], "reason": "damaged"}
    assert code(ask(at, app, "reject-return", wanted)) == "return.some_do_not_wait"
    order = db.session.scalars(select(Order)).one()
    with pytest.raises(Refused) as refused:
        return_rejected.by_hand(db.session(), order, "damaged", only=["TEE-001", "TYPO"])
    assert (refused.value.code, refused.value.params["missing"]) == ("return.some_do_not_wait", "TYPO")
    assert db.session.scalars(select(Command).where(Command.kind == "reject_return")).all() == []


def test_why_a_rejection_was_refused_and_what_was_given_back_before_is_shown(
    start: Start, app: Flask
) -> None:
    at = start(PIECES)
    back(at)
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    assert (shown["problem"], shown["note_for"]) == (None, CAN[PIECES].rejection_note)
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "damaged"}
    good(ask(at, app, "reject-return", wanted))
    at.faults.add(Fault("status", status=400, path="(reject|rejection|compliance|rma/save)$", count=9))
    jobs.drain_outbox(at.market_connection)
    db.session.execute(update(OrderPiece).values(refunded=300))
    db.session.commit()
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    assert shown["problem"]
    assert (shown["pieces"][0]["refunded"], shown["currency"]) == ("3.00", "EUR")
    at.faults.clear()
    good(ask(at, app, "reject-return", wanted))
    at.work()
    assert (states(), at.cases()) == (["rejected"], [])


def returns(at: Market, count: int, pieces: int, state: str = "arrived") -> None:
    """So many returns of so many pieces each, as rows."""
    order = db.session.scalars(select(Order)).first()
    assert order is not None
    piece = order.pieces[0].id
    place = len(db.session.scalars(select(Return.id)).all())
    for number in range(place, place + count):
        for part in range(pieces):
            names = {"external_id": f"x{number}-{part}", "return_external_id": f"X{number}"}
            rows = {"order_id": order.id, "connection_id": order.connection_id, "piece_id": piece}
            db.session.add(Return(**names, **rows, state=state, raw_state="x"))
    db.session.commit()


@pytest.mark.parametrize("key", [PIECES, WHOLE])
def test_no_return_is_cut_in_two_and_what_has_arrived_comes_first(
    start: Start, app: Flask, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    at = start(key)
    at.buy(("TEE-001", 1))
    at.work()
    if not CAN[key].tells_arrival:
        returns(at, 1, 2, state="announced")
    returns(at, 3, 30)
    monkeypatch.setattr(decisions, "MOST", 2)
    shown = good(ask(at, app, "waiting"))
    assert [len(each["pieces"]) for each in shown["returns"]] == [30, 30]
    assert ([each["arrived"] for each in shown["returns"]], shown["more"]) == ([True, True], True)
    monkeypatch.setattr(decisions, "MOST", 9)
    shown = good(ask(at, app, "waiting"))
    assert [each["arrived"] for each in shown["returns"][:3]] == [True] * 3
    assert (len(shown["returns"]), shown["more"]) == (3 if CAN[key].tells_arrival else 4, False)


def test_a_reason_that_the_marketplace_does_not_know_is_named_with_those_it_does(
    start: Start, app: Flask
) -> None:
    at = start(WHOLE)
    back(at)
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "bad_mood"}
    answer = ask(at, app, "reject-return", wanted)
    assert code(answer) == "return.reject_reason"
    assert "damaged" in answer.get_json()["error"]["message"]


# --- orders -----------------------------------------------------------------------------------------------------------------


def by_hand(at: Market) -> dict[str, Any]:
    """An order that waits for the merchant's answer."""
    found = db.session.get_one(Connection, at.market_connection)
    found.settings = {**found.settings, "accept_orders": "by_hand"}
    db.session.commit()
    order = at.buy(("TEE-001", 2))
    at.work(rounds=3)
    assert at.cases() == ["order.awaits_acceptance"]
    return order


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("key", ASKING)
def test_an_order_is_answered_once_and_gone_from_the_page(
    start: Start, app: Flask, key: str, accept: bool
) -> None:
    at = start(key)
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    assert (shown["lines"][0]["sku"], shown["lines"][0]["quantity"]) == ("TEE-001", 2)
    assert (shown["total"], shown["currency"]) == ("15.80", shown["currency"])
    assert "annehmen" in shown["reason"]
    wanted = {"order": shown["id"], "accept": accept}
    assert good(ask(at, app, "answer", wanted))["answer"] == ("accepted" if accept else "refused")
    assert code(ask(at, app, "answer", {**wanted, "accept": not accept})) == "order.nothing_waits"
    at.work()
    assert (good(ask(at, app, "waiting"))["orders"], at.cases()) == ([], [])
    assert len(at.orders_in_shop()) == accept
    pieces = {piece["state"] for order in at.state()["orders"] for piece in order["pieces"]}
    assert pieces == ({"to_ship"} if accept else {"cancelled"})


@pytest.mark.parametrize("key", ASKING)
def test_an_answer_on_its_way_does_not_wait_any_more_and_one_that_was_not_taken_can_be_given_anew(
    start: Start, app: Flask, key: str
) -> None:
    at = start(key)
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    wanted = {"order": shown["id"], "pieces": shown["pieces"]}
    good(ask(at, app, "answer", {**wanted, "accept": True}))
    assert good(ask(at, app, "waiting"))["orders"] == []
    at.faults.add(Fault("status", status=400, path="(accept|approval-status)$", count=9))
    jobs.drain_outbox(at.market_connection)
    db.session.rollback()
    (again,) = good(ask(at, app, "waiting"))["orders"]
    assert again["pieces"] == shown["pieces"]
    at.faults.clear()
    good(ask(at, app, "answer", {**wanted, "accept": False}))
    assert good(ask(at, app, "waiting"))["orders"] == []
    at.work()
    assert {piece["state"] for order in at.state()["orders"] for piece in order["pieces"]} == {"cancelled"}
    assert (at.orders_in_shop(), at.cases()) == ([], [])


@pytest.mark.parametrize("key", ASKING)
def test_a_refusal_after_an_acceptance_that_had_arrived_unnoticed_cancels_nothing_and_says_so(
    start: Start, app: Flask, key: str
) -> None:
    at = start(key)
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    wanted = {"order": shown["id"], "pieces": shown["pieces"]}
    good(ask(at, app, "answer", {**wanted, "accept": True}))
    at.faults.add(Fault("reset", path="(accept|approval-status)$", effect=True, count=1))
    jobs.drain_outbox(at.market_connection)
    (command,) = db.session.scalars(select(Command).where(Command.kind == "accept_order"))
    assert command.in_doubt
    command.state, command.lease_until, command.lease_token = (
        "dead",
        None,
        None,
    )  # nobody could be asked again
    db.session.commit()
    good(ask(at, app, "answer", {**wanted, "accept": False}))
    jobs.drain_outbox(at.market_connection)
    db.session.rollback()
    assert at.cases()
    at.work()
    pieces = {piece["state"] for order in at.state()["orders"] for piece in order["pieces"]}
    assert (pieces, len(at.orders_in_shop())) == ({"to_ship"}, 1)
    assert set(db.session.scalars(select(OrderPiece.state))) == {"to_ship"}


def test_only_what_waits_is_shown_and_what_was_not_seen_is_not_answered(start: Start, app: Flask) -> None:
    at = start(ASKING[-1])
    order = by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    piece, other = db.session.scalars(select(OrderPiece).order_by(OrderPiece.id))
    assert shown["ship_by"] == answers.iso(min(piece.ship_by, other.ship_by))
    other.state = "cancelled"
    db.session.commit()
    (left,) = good(ask(at, app, "waiting"))["orders"]
    assert (left["lines"][0]["quantity"], left["total"]) == (1, "7.90")
    wanted = {"order": shown["id"], "accept": True, "pieces": shown["pieces"]}
    assert code(ask(at, app, "answer", wanted)) == "order.others_wait"
    assert code(ask(at, app, "answer", {**wanted, "pieces": ["pc_x"]})) == "field.invalid"
    assert order["order"]
    assert good(ask(at, app, "answer", {**wanted, "pieces": left["pieces"]}))["answer"] == "accepted"


def test_what_the_buyer_has_cancelled_waits_for_nobody(start: Start, app: Flask) -> None:
    at = start(ASKING[0])
    order = by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    at.control("cancel", {"order": order["order"]})
    at.work(rounds=3)
    assert good(ask(at, app, "waiting"))["orders"] == []
    assert code(ask(at, app, "answer", {"order": shown["id"], "accept": True})) == "order.nothing_waits"


def test_a_long_list_says_that_there_is_more(
    start: Start, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = start(PIECES)
    back(at, ("TEE-001", 1))
    back(at, ("TEE-002", 1))
    monkeypatch.setattr(decisions, "MOST", 1)
    shown = good(ask(at, app, "waiting"))
    assert (len(shown["returns"]), shown["more"]) == (1, True)
    monkeypatch.setattr(decisions, "MOST", 2)
    shown = good(ask(at, app, "waiting"))
    assert (len(shown["returns"]), shown["more"]) == (2, False)


# --- who may, and what is said wrongly ------------------------------------------------------------------------------------------


def test_a_stranger_sees_nothing_and_decides_nothing(start: Start, app: Flask, other_shop: Shop) -> None:
    at = start(WHOLE)
    back(at)
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    db.session.execute(
        update(Order).values(shop_id=None, shop_order_id=None)
    )  # not even what has no shop yet
    db.session.commit()
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "damaged"}
    for route, said in (("waiting", {}), ("answer", {**wanted, "accept": True}), ("reject-return", wanted)):
        body = json.dumps(said).encode()
        headers = {**other_shop.headers(body), "shopbridge-connection": other_shop.key}
        answer = app.test_client().post(f"/plugin/orders/{route}", data=body, headers=headers)
        if route == "waiting":
            assert good(answer) == {"orders": [], "returns": [], "more": False}
        else:
            assert code(answer, 404) == "order.unknown"
        assert code(ask(at, app, route, said, secrets=[other_shop.secret]), 401) == "signature.invalid"
    assert len(good(ask(at, app, "waiting"))["returns"]) == 1


def test_another_shop_of_the_same_merchant_decides_only_about_its_own(start: Start, app: Flask) -> None:
    at = start(WHOLE)
    back(at)
    (shown,) = good(ask(at, app, "waiting"))["returns"]
    second, secret, _ = accounts.connect_standard(db.session, at.account, "Zweitladen")
    db.session.commit()
    body = json.dumps({"order": shown["order"], "accept": True}).encode()
    signed = signing.sign([secret], new_id(), body, datetime.now(UTC))
    headers = {**signed, "shopbridge-connection": second.key, "Content-Type": "application/json"}
    assert code(app.test_client().post("/plugin/orders/answer", data=body, headers=headers), 404)


def test_what_an_unplugged_shop_left_is_decided_in_the_shop_that_is_there_now(
    start: Start, app: Flask
) -> None:
    at = start(WHOLE)
    back(at)
    second, secret, _ = accounts.connect_standard(db.session, at.account, "Zweitladen")
    db.session.get_one(Connection, at.shop_connection).state = "removed"
    db.session.commit()
    headers = {"shopbridge-connection": second.key, "Content-Type": "application/json"}

    def there(route: str, said: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(said).encode()
        signed = signing.sign([secret], new_id(), body, datetime.now(UTC))
        return good(
            app.test_client().post(f"/plugin/orders/{route}", data=body, headers={**signed, **headers})
        )

    (shown,) = there("waiting", {})["returns"]
    assert (shown["shop_order_id"], shown["shop_number"]) == (None, None)
    wanted = {"order": shown["order"], "pieces": [shown["pieces"][0]["id"]], "reason": "damaged"}
    assert there("reject-return", wanted)["pieces"] == 1


def test_nothing_is_decided_about_a_marketplace_that_was_unplugged(start: Start, app: Flask) -> None:
    at = start(ASKING[0])
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    db.session.get_one(Connection, at.market_connection).state = "removed"
    db.session.commit()
    assert good(ask(at, app, "waiting"))["orders"] == []
    wanted = {"order": shown["id"], "accept": True}
    assert code(ask(at, app, "answer", wanted)) == "connection.removed"
    assert db.session.scalars(select(Command).where(Command.kind == "accept_order")).all() == []


ODD = (None, True, 0, 1.5, "", "x", "ord_", "ret_0x1", "ord_99999999999999999999", "\u202e", [], [None], [[]], {}, "a" * 5000)  # fmt: skip


@pytest.mark.parametrize("field", ["order", "pieces", "reason", "note", "accept"])
def test_odd_values_are_refused_and_nothing_is_written(app: Flask, shop: Shop, field: str) -> None:
    for odd in ODD:
        odd_value_is_refused(app, shop, field, odd)
    assert db.session.scalars(select(Command)).all() == []


def odd_value_is_refused(app: Flask, shop: Shop, field: str, odd: Any) -> None:
    said = {
        "order": "ord_1",
        "pieces": ["ret_1"],
        "reason": "damaged",
        "note": "",
        "accept": True,
        field: odd,
    }
    for route in ("answer", "reject-return"):
        body = json.dumps(said).encode()
        headers = {**shop.headers(body), "shopbridge-connection": shop.key}
        answer = app.test_client().post(f"/plugin/orders/{route}", data=body, headers=headers)
        assert answer.status_code in {404, 422}
        assert answer.get_json()["error"]["message"]


# --- by API -----------------------------------------------------------------------------------------------------------------


def bearer(at: Market) -> dict[str, str]:
    """The headers of the merchant's own program."""
    token = accounts.make_token(db.session, at.account, "ERP")
    db.session.commit()
    return {"Authorization": f"Bearer {token}"}


def test_a_merchants_own_program_answers_an_order_once(start: Start, app: Flask) -> None:
    at = start(ASKING[0])
    headers = {**bearer(at), "Idempotency-Key": "1"}
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    path = f"/api/v1/orders/{shown['id']}/answer"
    for replayed in (None, "true"):
        answer = app.test_client().post(path, json={"accept": True}, headers=headers)
        assert good(answer) == {"order": shown["id"], "answer": "accepted"}
        assert answer.headers.get("Idempotency-Replayed") == replayed
    headers.pop("Idempotency-Key")
    assert code(app.test_client().post(path, json={"accept": 1}, headers=headers)) == "argument.invalid"
    assert code(app.test_client().post(path, json={"accept": True}, headers=headers)) == "order.nothing_waits"


def test_the_answer_is_kept_with_the_deed_when_the_process_dies_before_it_rings(
    start: Start, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = start(ASKING[0])
    headers = {**bearer(at), "Idempotency-Key": "1"}
    by_hand(at)
    (shown,) = good(ask(at, app, "waiting"))["orders"]
    path = f"/api/v1/orders/{shown['id']}/answer"

    def dies() -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(decisions_by_api, "commit_and_ring", dies)
        with pytest.raises(SystemExit):
            app.test_client().post(path, json={"accept": True}, headers=headers)
    db.session.rollback()
    again = app.test_client().post(path, json={"accept": True}, headers=headers)
    assert good(again) == {"order": shown["id"], "answer": "accepted"}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(db.session.scalars(select(Command).where(Command.kind == "accept_order")).all()) == 1


def test_a_merchants_own_program_rejects_a_return(start: Start, app: Flask) -> None:
    at = start(PIECES)
    back(at, ("TEE-001", 1), ("TEE-002", 2))
    headers = bearer(at)
    order = good(ask(at, app, "waiting"))["returns"][0]["order"]
    path = f"/api/v1/orders/{order}/reject-return"

    def reject(**how: Any) -> TestResponse:
        said = {"reason": "damaged", "note": "leer", **how}
        return app.test_client().post(path, json=said, headers=headers)

    assert code(reject(only=["TEE-009"])) == "return.none_waits"
    assert good(reject(only=["TEE-001"])) == {"order": order, "pieces": 1}
    assert good(reject(every=True)) == {"order": order, "pieces": 2}
    at.work()
    assert states() == ["rejected"] * 3
