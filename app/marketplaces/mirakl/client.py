"""The seller API of one Mirakl operator through the Door: one method per verb of the bridge.

What may go wrong: the pace (Mirakl limits each operation; lanes keep it, and a full lane is Unavailable), pages that shift while they are read,
imports that are taken and fail later, and deeds whose answer got lost. What can be read back afterwards:

- accept, ship, cancel: yes, by `read_pieces`; a repeat that finds the order further on is read as "already".
- refund: yes, by `read_refunded`, for the whole line.
- accept_return: yes; a repeat finds the return decided. It moves no money: that is a refund of its own.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.marketplaces.mirakl import translate as t
from app.rules.tracking import carriers, tracking_url

if TYPE_CHECKING:
    from app.outbound import Answer, Door

PAGE: Final = 100  # largest `max` and `limit` (FACTS 1)
REFERENCES: Final = 100  # most products of one P31
LOOKED_UP: Final = (
    50  # offers of one import that are looked up one by one, when only a part of it found its product
)
DAY: Final = 24 * 3600.0
REMEMBERED: Final = 7 * DAY  # what an import was told; an import that takes longer is sent again
HINTED: Final = 90 * DAY
LIST_AGAIN: Final = 60.0  # an old list counts for at least so long before a newer one is asked for
ATTRIBUTES_FOR: Final = (
    30 * DAY
)  # one category may be asked for in an hour; what changes meanwhile the operator's report tells
PRODUCTS_EVERY: Final = 15 * 60.0  # one upload of products (P41, FACTS 1)
PRODUCTS_ASKED: Final = 60  # how often an upload is asked for (P42)
PRODUCT: Final = "product"  # a task of P41, and the note of one product
# Answers that carry a reason; the Door hands them to us instead of judging them.
TOLD: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 415, 422})

_SENT: Final = frozenset({m.PieceState.SHIPPED, m.PieceState.DELIVERED, m.PieceState.RETURNED})
_CANCELLED: Final = frozenset({m.PieceState.CANCELLED})
_LINE_MISSING: Final = "ORDER_LINE_ACCEPTANCE_DECISION_MISSING"


class MiraklClient:
    """One shop at one operator. `settings` as loaded by MiraklSettings."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._key: str = settings["api_key"]
        self._settings = settings
        self._shop: list[tuple[str, str]] = (
            [("shop_id", str(settings["shop_id"]))] if settings.get("shop_id") else []
        )
        self._locale: list[tuple[str, str]] = (
            [("locale", settings["locale"])] if settings.get("locale") else []
        )
        self._parcels: bool = settings.get("multi_shipment") is True
        self._terms = t.Terms(
            currency=settings["currency"],
            gtin_type=settings.get("gtin_type") or "EAN",
            states={"new": settings.get("offer_state") or "11"},
            logistic_class=settings.get("logistic_class"),
            fields=settings.get("offer_fields") or {},
            net=settings.get("offer_prices") == "net",
            vat_percent=settings.get("default_vat_percent"),
        )
        self._categories: Mapping[str, str] = settings.get("categories") or {}
        self._mapping: Mapping[str, str] = settings.get("product_mapping") or {}

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deed: bool = False,
        expect: tuple[int, ...] = (),
        lane: str | None = None,
    ) -> Answer:
        """One call. A 4xx becomes Refused or Unauthorised with Mirakl's own reason, unless its status is in `expect`.

        The key stands alone in the header, without "Bearer" (FACTS, trap 3).
        """
        answer = self._door.call(
            operation,
            method,
            f"/api{path}",
            params=[*params, *self._shop],
            headers={"Authorization": self._key, "Accept": "application/json", **(headers or {})},
            body=_encoded(body) if body is not None else raw,
            deed=deed,
            expect=TOLD,
            lane=lane,
        )
        if answer.status in TOLD and answer.status not in expect:
            raise t.refusal(answer.status, _json_or_none(answer), operation)
        if deed and answer.body.strip() and _json_or_none(answer) is None:
            # A maintenance page with status 200: deeds are answered 204 or with JSON, so nobody knows what became of this one.
            raise Unknown("outcome.unknown", operation=operation, why="not_json")
        return answer

    def _get(
        self,
        operation: str,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        expect: tuple[int, ...] = (),
        lane: str | None = None,
    ) -> Any:
        """The JSON of a read; None for a status in `expect`. An answer that is no JSON (a maintenance page) is Unavailable."""
        answer = self._call(operation, "GET", path, params=params, expect=expect, lane=lane)
        return None if answer.status in TOLD else _json(answer, operation)

    def _pages(
        self, operation: str, path: str, name: str, params: Sequence[tuple[str, str]], lane: str | None
    ) -> Iterator[list[t.Json]]:
        """All pages of an offset list. Steps by the rows that really came, so a half page loses nothing; when rows left the list meanwhile,
        the others moved up and as many are read again. Only the first page counts for the lane: the limit is how often a list is asked for.

        Raises Unavailable when a page is empty although more is announced.
        """
        offset, before = 0, None
        while True:
            query = [*params, ("max", str(PAGE)), ("offset", str(offset))]
            body = self._get(operation, path, query, lane=lane)
            lane = None
            found, total = t.rows(body, name), t.total(body)
            yield found
            left = before - total if before is not None and total is not None else 0
            before = total
            if left > 0:
                offset = max(0, offset - left)
                continue
            offset += len(found)
            if (total is None and len(found) < PAGE) or (total is not None and offset >= total):
                return
            if not found:
                raise Unavailable("partner.page_missing", operation=operation, partner=t.NAME)

    def _leaves(
        self,
        operation: str,
        path: str,
        params: Sequence[tuple[str, str]],
        lane: str | None = None,
    ) -> Iterator[list[t.Json]]:
        """All pages of a list that is turned by tokens."""
        turn: list[tuple[str, str]] = []
        while True:
            body = self._get(operation, path, [*params, ("limit", str(PAGE)), *turn], lane=lane)
            lane = None
            yield t.rows(body, "data")
            token = t.next_page(body)
            if token is None:
                return
            turn = [("page_token", token)]

    def _kept_as(self, name: str) -> str:
        """Reference data belongs to the operator, shop and language that the settings name now."""
        named = (self._settings.get(each) for each in ("host", "shop_id", "locale"))
        return ":".join([name, *(str(each) for each in named)])

    def _reference(self, name: str, path: str, rows: str) -> list[t.Json]:
        """Data that Mirakl wants to be asked for once a day, shared by all workers. A language is part of what was asked.

        Parcels and refunds do not wait for a list that may not be asked for now: then the one we had counts a little longer.
        """
        before = f"{self._kept_as(name)}:before"

        def ask() -> tuple[list[t.Json], float]:
            try:
                body = self._get(name, path, self._locale, lane=name)
            except Unavailable as error:
                known = self._door.kept.peek(before)
                if known is None or not error.only_its_turn:
                    raise
                return known, max(error.retry_after or 0.0, LIST_AGAIN)
            found: list[t.Json] = [dict(each) for each in t.rows(body, rows)]
            self._door.kept.keep(before, found, HINTED)
            return found, DAY

        found: list[t.Json] = self._door.kept.get(self._kept_as(name), ask)
        return found

    # --- the connection -------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether the key works, and what the operator has switched on (I1). Raises Unavailable only: everything else is a reason."""
        facts: dict[str, object] = {}
        try:
            platform = t.platform(self._get("platform", "/platform/configuration", lane="platform"))
            facts |= platform.facts()
            facts |= self._account()
            facts["required_fields"] = t.required_fields(
                self._get(
                    "fields", "/additional_fields", [("entities", "OFFER"), *self._locale], lane="fields"
                )
            )
        except Refused as error:
            return m.ConnectionCheck(False, t.told(error), facts)
        if proposed := self._proposed(platform):
            facts["proposed"] = proposed
        return m.ConnectionCheck(*self._judged(facts, platform), facts)

    def _proposed(self, platform: t.Platform) -> dict[str, object]:
        """Settings that seem to fit the operator better. Whether it wants *offers* without tax is nowhere to be read: orders without tax suggest it."""
        parcels = {"multi_shipment": True} if platform.multi_shipment and not self._parcels else {}
        without_tax = platform.tax_mode == t.TAX_EXCLUDED and not self._terms.net
        return parcels | ({"offer_prices": "net"} if without_tax else {})

    def _account(self) -> dict[str, object]:
        """A01 may be asked once a day (FACTS 1), a merchant checks oftener."""
        found: dict[str, object] = self._door.kept.get(
            self._kept_as("account"),
            lambda: (t.shop_facts(self._get("account", "/account", lane="shop")), DAY),
        )
        return found

    def _judged(self, facts: Mapping[str, Any], platform: t.Platform) -> tuple[bool, m.Reason | None]:
        theirs = facts.get("currency_iso_code")
        if theirs not in {None, self._terms.currency}:
            params: dict[str, object] = {"currency": self._terms.currency, "expected": theirs}
            return False, m.Reason("mirakl.shop_currency", params)
        if self._parcels and not platform.multi_shipment:
            return False, m.Reason("mirakl.multi_shipment_off")
        missing = [each for each in facts["required_fields"] if each not in self._terms.fields]
        if missing:
            return False, m.Reason("mirakl.fields_missing", {"fields": ", ".join(missing)})
        return True, None

    # --- orders ----------------------------------------------------------------------------------------------------------

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """Orders with any change since `since`; without it all that are still open.

        Mirakl allows one look per minute (partners: one in 15), so this one look also brings what `orders_changed` would: there is no second
        poll (Provider.polls). Orders that wait for acceptance come with `awaits_acceptance`.
        """
        if since is None:
            return self._orders("orders_to_ship", [("order_state_codes", ",".join(t.OPEN_ORDERS))])
        return self._orders("orders_to_ship", [("start_update_date", t.stamp(since))])

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Orders with any change since `since`; Mirakl itself looks back a little further (OR11)."""
        return self._orders("orders_changed", [("start_update_date", t.stamp(since))])

    def _orders(self, operation: str, params: list[tuple[str, str]]) -> Iterator[list[m.OrderSeen]]:
        """Unreadable orders are left out and told at the end of the sweep, so that one of them never blocks another (C10)."""
        unreadable: list[Invalid] = []
        known: set[str] = set()
        for rows in self._pages(operation, "/orders", "orders", params, "orders"):
            by_id = {str(row.get("order_id")): row for row in rows}
            fresh = [row for order_id, row in by_id.items() if order_id not in known]
            known.update(by_id)
            sent = self._sent(fresh)
            page = [order for row in fresh if (order := self._order(row, sent, unreadable))]
            if page:
                yield page
        if unreadable:
            raise unreadable[0]

    def _order(
        self, row: t.Json, sent: Mapping[str, t.Sent], unreadable: list[Invalid]
    ) -> m.OrderSeen | None:
        try:
            return t.order(row, sent, self._hint)
        except Invalid as error:
            unreadable.append(error)
            return None

    def _sent(self, rows: Sequence[t.Json]) -> dict[str, t.Sent]:
        """What has left of orders that leave in several parcels: OR11 shows only whole lines (ST11)."""
        ids = [str(row.get("order_id")) for row in rows if t.partly_sent(row)]
        if not self._parcels or not ids:
            return {}
        query = [("order_id", each) for each in ids]
        shipments = [each for page in self._leaves("shipments", "/shipments", query) for each in page]
        return t.sent_pieces(shipments)

    def _read(self, operation: str, order_ids: Sequence[str]) -> list[t.Json]:
        """Orders by id, as they are now; one that Mirakl does not know is left out."""
        found: list[t.Json] = []
        for start in range(0, len(order_ids), PAGE):
            ids = ",".join(order_ids[start : start + PAGE])
            for page in self._pages(operation, "/orders", "orders", [("order_ids", ids)], None):
                found += page
        return found

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The pieces as they are now; one that Mirakl does not know is left out."""
        rows = self._read("order", list(t.by_line(piece_ids)))
        sent = self._sent(rows)
        seen = {piece.external_id: piece for row in rows for piece in t.order(row, sent, self._hint).pieces}
        return [seen[each] for each in piece_ids if each in seen]

    def _one(self, order_id: str) -> t.Json:
        """An order that a deed is about. Refused when Mirakl does not know it."""
        for row in self._read("deed_order", [order_id]):
            if str(row.get("order_id")) == order_id:
                return row
        raise Refused("partner.not_found", partner=t.NAME, message=order_id)

    def _hint(self, line_id: str) -> list[int]:
        """Which pieces of a line we asked to cancel: Mirakl only counts, and whoever asked for the second piece must see the second one go."""
        found: list[int] = self._door.kept.peek(f"cancelled:{line_id}") or []
        return found

    def _keep_hint(self, line_id: str, numbers: Sequence[int]) -> None:
        """Written before the call, so that it also helps when the answer gets lost."""
        known = self._hint(line_id)
        both = [*known, *(each for each in numbers if each not in known)]
        self._door.kept.keep(f"cancelled:{line_id}", both, HINTED)

    # --- deeds -------------------------------------------------------------------------------------------------------------

    def accept_order(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> m.OrderAnswer:
        """Decide about all lines that wait, in one call (OR21). A line is taken as a whole: one refused piece refuses its line.

        Where the operator wants all or nothing and both were asked for, nothing is decided and the answer says so.
        """
        if not accepted and not refused:
            return m.OrderAnswer(())
        try:
            self._decide(order_id, accepted, refused)
        except Unauthorised:
            raise
        except Refused as error:
            return m.OrderAnswer(tuple(self._found_accepted(order_id, accepted, refused, error)))
        refused_lines = {t.piece_parts(each)[1] for each in refused}
        return m.OrderAnswer(
            (
                *(_accepted(each, refused_lines) for each in accepted),
                *(m.PieceAnswer(each, ok=True, state=m.PieceState.CANCELLED) for each in refused),
            )
        )

    def _decide(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> None:
        """Mirakl wants a word about every line, also about one that the buyer has cancelled meanwhile; accepting that changes nothing."""
        path = f"/orders/{_quoted(order_id)}/accept"
        try:
            self._call("accept", "PUT", path, body=t.acceptance_body(accepted, refused), deed=True)
        except Refused as error:
            if error.params.get("problem") != _LINE_MISSING:
                raise
            row = self._one(order_id)
            seen = t.order(row, self._sent([row]), self._hint).pieces
            gone = [each.external_id for each in seen if each.state is m.PieceState.CANCELLED]
            self._call("accept", "PUT", path, body=t.acceptance_body([*accepted, *gone], refused), deed=True)

    def _found_accepted(
        self, order_id: str, accepted: Sequence[str], refused: Sequence[str], error: Refused
    ) -> list[m.PieceAnswer]:
        """Why OR21 was refused: mostly because the order is further on already, by us or by hand at the operator. What the buyer has cancelled
        meanwhile needs no answer any more; what was refused there by hand is told.
        """
        row = self._one(order_id)
        seen = {piece.external_id: piece for piece in t.order(row, self._sent([row]), self._hint).pieces}
        answers = []
        for each in [*accepted, *refused]:
            state = seen[each].state if each in seen else None
            gone = state is m.PieceState.CANCELLED
            by_buyer = gone and seen[each].raw_state != "REFUSED"
            if state is None or t.waits(row) or (gone != (each in refused) and not by_buyer):
                answers.append(m.PieceAnswer(each, ok=False, state=state, reason=t.told(error)))
            else:
                answers.append(m.PieceAnswer(each, ok=True, already=True, state=state))
        return answers

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """One parcel. With several parcels per order by ST01, else the number (OR23) and the whole order (OR24); both also without a number.

        One order has one number where it leaves as a whole, and pieces that have left get no second one: both are refused in plain words.
        """
        if shipment.further_parcel:
            why = m.Reason("mirakl.one_parcel", {"number": shipment.tracking_number})
            return [m.PieceAnswer(each, ok=False, reason=why) for each in shipment.pieces]
        by: t.Carrier | None = None
        if shipment.tracking_number or shipment.carrier or shipment.carrier_name:
            by = self._carrier(shipment)
            if by.code is None and shipment.tracking_number and not self._other_carriers():
                why = m.Reason("ship.carrier_not_accepted", {"carrier": by.name, "marketplace": t.NAME})
                return [m.PieceAnswer(each, ok=False, reason=why) for each in shipment.pieces]
        if self._parcels:
            return self._ship_parcel(shipment, by)
        orders = t.by_line(shipment.pieces)
        failed = {
            order: error for order in orders if (error := self._ship_order(order, shipment, by)) is not None
        }
        return self._shipped(shipment.pieces, failed)

    def _carrier(self, shipment: m.ShipmentWanted) -> t.Carrier:
        known = self._reference("carriers", "/shipping/carriers", "carriers")
        ours = carriers().get(shipment.carrier or "")
        name = ours.name if ours else shipment.carrier_name
        url = tracking_url(shipment.carrier, shipment.tracking_number or "")
        return t.carrier(known, shipment.carrier, name, url)

    def _other_carriers(self) -> bool:
        """Whether the operator takes carriers that are not in its list. When it cannot be asked the operator itself will refuse."""

        def ask() -> tuple[bool, float]:
            return t.platform(
                self._get("platform", "/platform/configuration", lane="platform")
            ).other_carriers, DAY

        try:
            return bool(self._door.kept.get(self._kept_as("other_carriers"), ask))
        except Unauthorised:
            raise
        except Refused:
            return True

    def _ship_order(self, order_id: str, shipment: m.ShipmentWanted, by: t.Carrier | None) -> Refused | None:
        path = f"/orders/{_quoted(order_id)}"
        try:
            if by is not None and shipment.tracking_number:
                body = t.tracking_body(by, shipment.tracking_number, "carrier_url")
                self._call("tracking", "PUT", f"{path}/tracking", body=body, deed=True)
            self._call("ship", "PUT", f"{path}/ship", deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return error
        return None

    def _ship_parcel(self, shipment: m.ShipmentWanted, by: t.Carrier | None) -> list[m.PieceAnswer]:
        tracking = (
            t.tracking_body(by, shipment.tracking_number, "tracking_url")
            if by is not None and shipment.tracking_number
            else {}
        )
        orders = t.by_line(shipment.pieces)
        body = t.shipments_body(orders, tracking)
        try:
            answer = self._call("ship_parcel", "POST", "/shipments", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._shipped(shipment.pieces, dict.fromkeys(orders, error))
        errors = t.failed_ids(_json_or_none(answer), "shipment_errors")
        failed = {
            order: Refused("deed.not_allowed", partner=t.NAME, message=errors[order])
            for order in orders
            if order in errors
        }
        return self._shipped(shipment.pieces, failed)

    def _shipped(self, pieces: Sequence[str], failed: Mapping[str, Refused]) -> list[m.PieceAnswer]:
        """Pieces of refused orders are looked up: what has left already is as good as sent now."""
        doubtful = [each for each in pieces if t.piece_parts(each)[0] in failed]
        settled = self._settled(doubtful, failed, _SENT)
        done = m.PieceState.SHIPPED
        return [settled.get(each) or m.PieceAnswer(each, ok=True, state=done) for each in pieces]

    def _settled(
        self, pieces: Sequence[str], failed: Mapping[str, Refused], wanted: frozenset[m.PieceState]
    ) -> dict[str, m.PieceAnswer]:
        """The answer for pieces whose deed was refused: fine when they are already as wanted."""
        if not pieces:
            return {}
        states = {piece.external_id: piece.state for piece in self.read_pieces(pieces)}
        return {
            each: m.PieceAnswer(each, ok=True, already=True, state=states[each])
            if states.get(each) in wanted
            else m.PieceAnswer(
                each, ok=False, state=states.get(each), reason=t.told(failed[t.piece_parts(each)[0]])
            )
            for each in pieces
        }

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """OR30, order by order. An order that waits for acceptance is refused instead (OR21), as far as that is the whole order."""
        answers: dict[str, m.PieceAnswer] = {}
        for order_id, lines in t.by_line(piece_ids).items():
            ids = [each for each in piece_ids if t.piece_parts(each)[0] == order_id]
            answers |= self._cancel_order(order_id, lines, ids, reason)
        return [answers[each] for each in piece_ids]

    def _cancel_order(
        self, order_id: str, lines: Mapping[str, Sequence[int]], ids: Sequence[str], reason: str
    ) -> dict[str, m.PieceAnswer]:
        row = self._one(order_id)
        if t.waits(row):
            return self._refuse_order(row, ids)
        known = self._reference("reasons", "/reasons", "reasons")
        code = t.reason_code(known, "CANCELATION", reason, self._settings.get("cancel_reasons") or {})
        body = t.cancel_body(row, lines, code)
        for line_id, numbers in lines.items():
            self._keep_hint(line_id, numbers)
        try:
            self._call("cancel", "PUT", "/orders/cancel", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._settled(ids, {order_id: error}, _CANCELLED)
        return {each: m.PieceAnswer(each, ok=True, state=m.PieceState.CANCELLED) for each in ids}

    def _refuse_order(self, row: t.Json, ids: Sequence[str]) -> dict[str, m.PieceAnswer]:
        every = [piece.external_id for piece in t.order(row).pieces]
        if set(every) - set(ids):
            why = m.Reason("mirakl.accept_first", {"order": t.order_id(row)})
            return {each: m.PieceAnswer(each, ok=False, reason=why) for each in ids}
        answer = self.accept_order(t.order_id(row), (), list(ids))
        return {each.external_id: each for each in answer.pieces}

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        """OR28: `amount` gross, of the goods first, then of the shipping of the piece's line. The order is read first, because Mirakl wants the
        taxes in it.
        """
        order_id, line_id, _ = t.piece_parts(piece_id)
        row = self._one(order_id)
        known = self._reference("reasons", "/reasons", "reasons")
        try:
            code = t.reason_code(known, "REFUND", reason, self._settings.get("refund_reasons") or {})
            body = t.refund_body(row, t.find_line(row, line_id), amount, reason, code)
            self._call("refund", "PUT", "/orders/refund", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(piece_id, ok=True)

    def read_refunded(self, piece_id: str) -> int:
        """Gross minor units refunded so far of the line that the piece belongs to: goods and shipping."""
        order_id, line_id, _ = t.piece_parts(piece_id)
        row = self._one(order_id)
        return sum(t.given_back(row, t.find_line(row, line_id), "refunds"))

    # --- returns -----------------------------------------------------------------------------------------------------------

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]:
        """Returns with a change since then (RT11). Unreadable ones are told at the end (C10)."""
        unreadable: list[Invalid] = []
        query = [("return_last_updated_from", t.stamp(since))]
        for rows in self._leaves("returns_changed", "/returns", query, lane="returns"):
            good = [row for row in rows if self._readable(row, unreadable)]
            numbers = self._numbers(good)
            page = [back for row in good if (back := self._return(row, numbers, unreadable))]
            if page:
                yield page
        if unreadable:
            raise unreadable[0]

    def _readable(self, row: t.Json, unreadable: list[Invalid]) -> bool:
        try:
            t.return_order(row)
            t.return_lines(row)
        except Invalid as error:
            unreadable.append(error)
            return False
        return True

    def _return(
        self, row: t.Json, numbers: Mapping[tuple[str, str], Sequence[int]], unreadable: list[Invalid]
    ) -> m.ReturnSeen | None:
        try:
            return t.return_seen(row, numbers)
        except Invalid as error:
            unreadable.append(error)
            return None

    def _numbers(self, rows: Sequence[t.Json]) -> dict[tuple[str, str], list[int]]:
        """Which pieces each return is about: for that all returns of its lines must be known, and of lines with several their quantity."""
        lines = list(dict.fromkeys(line for row in rows for line, _ in t.return_lines(row)))
        every: dict[str, t.Json] = {}
        for start in range(0, len(lines), PAGE):
            query = [("order_line_id", line) for line in lines[start : start + PAGE]]
            for page in self._leaves("returns_of_lines", "/returns", query):
                every.update((str(each.get("id")), each) for each in page)
        every.update((str(row.get("id")), row) for row in rows)
        readable = [row for row in every.values() if self._readable(row, [])]
        return t.numbers_of(readable, self._quantities(readable))

    def _quantities(self, back: Sequence[t.Json]) -> dict[str, int]:
        seen: dict[str, int] = {}
        for row in back:
            for line, _ in t.return_lines(row):
                seen[line] = seen.get(line, 0) + 1
        several = {line for line, times in seen.items() if times > 1}
        orders = {
            t.return_order(row) for row in back if any(line in several for line, _ in t.return_lines(row))
        }
        found: dict[str, int] = {}
        for order in self._read("returned_orders", sorted(orders)) if orders else []:
            for sold in t.objects(order.get("order_lines")):
                if sold.get("order_line_id") in several and isinstance(sold.get("quantity"), int):
                    found[str(sold["order_line_id"])] = sold["quantity"]
        return found

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer:
        """Agree to a return that waits for it (RT21), or say that its goods have come (RT25). A return all of whose pieces are accepted is closed.

        Mirakl itself never pays for a return: the money is a refund (OR28) of the amount that the shop gave (Capabilities.return_pays).
        """
        return_id = t.piece_parts(return_piece_id)[0]
        if return_piece_id in self._let_in_before(return_id):
            return m.PieceAnswer(return_piece_id, ok=True, already=True)
        back = self._return_now(return_id)
        refused = self._let_in(return_piece_id, str(back.get("state")))
        if refused is not None:
            return refused
        self._note_let_in(back, return_piece_id)
        return m.PieceAnswer(return_piece_id, ok=True)

    def _let_in_before(self, return_id: str) -> list[str]:
        found: list[str] = self._door.kept.peek(f"let_in:{return_id}") or []
        return found

    def _note_let_in(self, back: t.Json, return_piece_id: str) -> None:
        """When this was the last piece of a return whose goods are here: all of it is as it should be (RT26), and the return is closed (RT27).

        The return is accepted, so whatever is wrong here only leaves it open at the operator: a person may close it there.
        """
        return_id = t.piece_parts(return_piece_id)[0]
        accepted = {*self._let_in_before(return_id), return_piece_id}
        self._door.kept.keep(f"let_in:{return_id}", sorted(accepted), HINTED)
        pieces = sum(quantity for _, quantity in t.return_lines(back))
        if len(accepted) < pieces or not pieces or back.get("state") == t.WAITS:
            return
        for operation, path, body in (
            ("compliant_return", "/returns/compliance", t.compliance_body(back)),
            ("close_return", "/returns/close", {"returns": [{"id": return_id}]}),
        ):
            with suppress(ShopbridgeError):
                self._call(operation, "PUT", path, body=body)

    def _return_now(self, return_id: str) -> t.Json:
        for page in self._leaves("deed_return", "/returns", [("return_id", return_id)]):
            for row in page:
                if row.get("id") == return_id:
                    return row
        raise Refused("partner.not_found", partner=t.NAME, message=return_id)

    def _let_in(self, piece_id: str, state: str) -> m.PieceAnswer | None:
        """Mirakl decides about whole returns, so a second piece of one finds it decided. None when it is accepted."""
        return_id = t.piece_parts(piece_id)[0]
        if state == "WAITING_ACCEPTANCE":
            body: dict[str, object] = {"returns": [{"id": return_id, "accepted": True}]}
            answer = self._of_return(piece_id, "accept_return", "/returns/accept", body)
        elif state == "IN_PROGRESS":
            body = {"returns": [{"id": return_id}]}
            answer = self._of_return(piece_id, "receive_return", "/returns/receive", body)
        elif state == "RECEIVED":
            return None
        else:
            why = m.Reason("return.wrong_status", {"status": state, "marketplace": t.NAME})
            return m.PieceAnswer(piece_id, ok=False, reason=why)
        return None if answer.ok else answer

    def reject_return(self, return_piece_ids: Sequence[str], reason: str, note: str) -> list[m.PieceAnswer]:
        """Refuse a return that waits for it (RT21), or say of goods that have come what is wrong with them (RT25, RT26): then the operator decides,
        and the seller refunds nothing by himself (OR28).
        """
        first = return_piece_ids[0]
        back = self._return_now(t.piece_parts(first)[0])
        told = self._reject(first, back, reason, note)
        return [replace(told, external_id=each) for each in return_piece_ids]

    def _reject(self, piece_id: str, back: t.Json, why: str, note: str) -> m.PieceAnswer:
        state = str(back.get("state"))
        if state == "REFUSED" or t.is_judged_wrong(back):
            return m.PieceAnswer(piece_id, ok=True, already=True)
        if state == t.WAITS:
            return self._of_return(piece_id, "refuse_return", "/returns/accept", t.rejection_body(back, why))
        if state not in {"IN_PROGRESS", "RECEIVED"}:
            why_not = m.Reason("return.wrong_status", {"status": state, "marketplace": t.NAME})
            return m.PieceAnswer(piece_id, ok=False, reason=why_not)
        if state == "IN_PROGRESS":
            body = {"returns": [{"id": t.piece_parts(piece_id)[0]}]}
            answer = self._of_return(piece_id, "receive_return", "/returns/receive", body)
            if not answer.ok:
                return answer
        wrong = t.non_compliance_body(back, why, note)
        return self._of_return(piece_id, "non_compliant_return", "/returns/compliance", wrong)

    def _of_return(self, piece_id: str, operation: str, path: str, body: object) -> m.PieceAnswer:
        try:
            answer = self._call(operation, "PUT", path, body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        errors = t.failed_ids(_json_or_none(answer), "return_errors")
        message = errors.get(t.piece_parts(piece_id)[0])
        if message is not None:
            params: dict[str, object] = {"message": message, "marketplace": t.NAME}
            return m.PieceAnswer(piece_id, ok=False, reason=m.Reason("return.wrong_status", params))
        return m.PieceAnswer(piece_id, ok=True)

    def close_shop(self, since: datetime | None, until: datetime | None) -> m.Reason | None:
        """The shop's closed dates (A02, I7); None and None open it again. Only these two fields are sent.

        Raises Unavailable where Mirakl has taken its one change of the day; whoever asked comes again then.
        """
        dates = {
            "closed_from": t.stamp(since) if since else None,
            "closed_to": t.stamp(until) if until else None,
        }
        try:
            answer = self._call("close_shop", "PUT", "/account", body=dates, deed=True, lane="account")
        except Unauthorised:
            raise
        except Refused as error:
            return t.told(error)
        why = t.closed_answer(_json(answer, "close_shop"))
        if why is None:
            self._note_dates(dates)
        return why

    def _note_dates(self, dates: Mapping[str, str | None]) -> None:
        """What we were told of the shop is right again without asking for it: A01 may be asked once a day."""
        name = self._kept_as("account")
        known = self._door.kept.peek(name)
        if isinstance(known, dict):
            others = {key: value for key, value in known.items() if key not in dates}
            self._door.kept.keep(name, others | {key: value for key, value in dates.items() if value}, DAY)

    # --- offers ------------------------------------------------------------------------------------------------------------

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """What differs from what is confirmed: stock alone by STO01, price alone by PRI01, all else as whole rows by OF01, one file each.
        Products that the operator does not know follow last (P41), so that their slow pace never keeps stock and prices waiting.

        An import is only taken: each answer names its task. OF24 is never used, it resets what it is not told (FACTS, trap 1).
        """
        push = _Push(offers, self._terms)
        push.refuse_at_once()
        self._refuse_unknown(push)
        for kind, send in (
            ("STO01", self._send_stock),
            ("PRI01", self._send_prices),
            ("OF01", self._send_rows),
        ):
            wanted = push.by(kind)
            if not wanted:
                continue
            try:
                task = f"{kind}:{send(wanted)}"
            except Unauthorised:
                raise
            except Refused as error:
                push.refuse(wanted, m.Reason("offer.batch_refused", dict(error.params)))
            except Unavailable as error:
                if not push.anything_taken:
                    raise
                push.later(wanted, t.told(error))
            else:
                self._remember(task, wanted)
                push.taken(wanted, task)
        self._create_products(push)
        return push.answers()

    def _refuse_unknown(self, push: _Push) -> None:
        """New offers whose EAN the operator has no product for (P31), told at once instead of days later."""
        new = [each for each in push.by("OF01") if t.is_new(each)]
        for start in range(0, len(new), REFERENCES):
            batch = new[start : start + REFERENCES]
            known = self._known([each.gtin or "" for each in batch])
            if known is not None:
                for offer in batch:
                    if (offer.gtin or "").lstrip("0") not in known:
                        push.unknown(offer)

    def _known(self, gtins: Sequence[str]) -> set[str] | None:
        """None when the operator does not answer the question: then the import tells."""
        kind = self._terms.gtin_type
        references = ",".join(f"{kind}|{each}" for each in dict.fromkeys(gtins))
        try:
            body = self._get("known_products", "/products", [("product_references", references)])
        except Unauthorised:
            raise
        except Refused:
            return None
        return t.known_gtins(body, kind)

    def _send_stock(self, offers: Sequence[m.OfferWanted]) -> str:
        return self._import("stock", "/offers/stock/imports", t.stock_file(offers))

    def _send_prices(self, offers: Sequence[m.OfferWanted]) -> str:
        return self._import("prices", "/offers/pricing/imports", t.price_file(offers, self._terms))

    def _send_rows(self, offers: Sequence[m.OfferWanted]) -> str:
        # REPLACE would delete every offer that is not in the file (FACTS 3).
        return self._import(
            "offers", "/offers/imports", t.offer_file(offers, self._terms), ("import_mode", "NORMAL")
        )

    def _import(self, lane: str, path: str, file: bytes, *fields: tuple[str, str]) -> str:
        """The id of an import. The same file twice has the same effect, so it is no deed that must be read back."""
        raw, kind = _form(f"{lane}.csv", file, fields)
        answer = self._call(
            f"import_{lane}", "POST", path, raw=raw, headers={"Content-Type": kind}, lane=lane
        )
        return t.import_id(_json(answer, f"import_{lane}"))

    def _remember(self, task: str, offers: Sequence[m.OfferWanted]) -> None:
        """What the import was told: it answers with counts and errors, not with the offers that went well."""
        told = [t.kept_offer(each) for each in offers]
        self._door.kept.keep(f"task:{task}", told, REMEMBERED)

    def read_tasks(self, tasks: Sequence[str]) -> list[m.TaskSeen]:
        """What became of imports. One whose turn it is not yet (Mirakl allows so many looks a minute) is simply not done."""
        return [self._task(each) for each in tasks]

    def _task(self, task: str) -> m.TaskSeen:
        kind, _, number = task.partition(":")
        if kind == PRODUCT and number:
            return self._product_task(task, number)
        ways = _IMPORTS.get(kind)
        if ways is None or not number:
            return m.TaskSeen(task, True)
        try:
            return self._seen(task, ways, _quoted(number))
        except Unavailable as error:
            if not error.only_its_turn:
                raise
            return m.TaskSeen(task, False, again_in=int(error.retry_after or ways.again_in) + 1)

    def _seen(self, task: str, ways: _Ways, number: str) -> m.TaskSeen:
        path, params = ways.status(number)
        body = self._get("import_status", path, params, expect=(404,), lane=ways.lane)
        seen = None if body is None else t.import_seen(body)
        if seen is None:
            return m.TaskSeen(task, True)
        if not seen.over:
            return m.TaskSeen(task, False, again_in=ways.again_in)
        wrong = t.report(self._report(ways, number)) if seen.has_report else {}
        told = self._door.kept.peek(f"task:{task}") or []
        return m.TaskSeen(task, True, tuple(self._results(seen, told, wrong)))

    def _report(self, ways: _Ways, number: str) -> bytes:
        answer = self._call(
            "import_errors",
            "GET",
            ways.errors.replace("{id}", number),
            headers={"Accept": "*/*"},
            lane=ways.error_lane,
        )
        return answer.body

    def _results(
        self, seen: t.Import, told: Sequence[Sequence[Any]], wrong: Mapping[str, str]
    ) -> Iterator[m.OfferAnswer]:
        """One answer for each offer that the import says anything about. Nothing is said about an offer when nobody remembers what was sent."""
        known = {row[0]: row for row in told}
        for sku, message in wrong.items():
            yield _refused_by_import(sku, message)
        rest = [row for sku, row in known.items() if sku not in wrong]
        if seen.status == "FAILED":
            why = m.Reason("offer.batch_refused", {"message": seen.why or "FAILED", "marketplace": t.NAME})
            yield from (
                m.OfferAnswer(row[0], False, m.OfferState.WAITING, None, why, retry=True) for row in rest
            )
        elif seen.status != "COMPLETE" or (seen.pending and seen.pending >= len(rest)):
            yield from (_without_product(row) for row in rest)
        elif seen.pending:
            yield from self._some_pending(rest)
        else:
            yield from (_as_wanted(row) for row in rest)

    def _some_pending(self, rows: Sequence[Sequence[Any]]) -> Iterator[m.OfferAnswer]:
        """Some products are unknown and the import does not say which: the offers that are not there are theirs."""
        for row in rows[:LOOKED_UP]:
            there = any(shown.sku == row[0] for page in self.read_offers([row[0]]) for shown in page)
            yield _as_wanted(row) if there else _without_product(row)

    # --- products the operator does not know ----------------------------------------------------------------------------------

    def _create_products(self, push: _Push) -> None:
        """Upload what the operator lacks, all of a push in one file (P41), where the merchant has mapped categories.

        What was uploaded is remembered by a mark of its data: the same product goes out once, and is only asked about afterwards. Nothing
        here raises but Unauthorised: whoever cannot be uploaded now is told to come again.
        """
        sheets: dict[str, Mapping[str, str]] = {}
        asked: dict[str, _Wanted] = {}
        looked: dict[str, m.TaskSeen] = {}
        wanted = [each for each in push.unknown_ones if each.on] if self._categories else []
        # In any order: only some of the uploads that an operator is slow with can be asked about in one push, and not always the same.
        for offer in random.sample(wanted, len(wanted)):
            values = self._sheet(offer, asked)
            if isinstance(values, Unavailable):
                push.later([offer], _turn(values, offer.sku))
            elif isinstance(values, m.Reason):
                push.answer(m.OfferAnswer(offer.sku, False, m.OfferState.NEEDS_PRODUCT, None, values))
            elif (before := self._uploaded_before(offer, t.mark(offer, values), looked)) is not None:
                push.answer(before)
            else:
                sheets[offer.sku] = values
        if sheets:
            self._upload(push, [each for each in push.unknown_ones if each.sku in sheets], sheets)

    def _sheet(
        self, offer: m.OfferWanted, asked: dict[str, _Wanted]
    ) -> Mapping[str, str] | m.Reason | Unavailable:
        """The columns of a product, why it cannot have any, or that its category cannot be asked for now. `asked`: what this push knows already."""
        category = t.category_of(offer, self._categories)
        if category is None:
            own = offer.product.fields.get("category") if offer.product else None
            return m.Reason("mirakl.category_missing", {"sku": offer.sku, "category": own})
        if category not in asked:
            try:
                asked[category] = self._attributes(category)
            except Unauthorised:
                raise
            except (Unavailable, Refused, Invalid) as error:
                asked[category] = error
        known = asked[category]
        if isinstance(known, Unavailable):
            return known
        if isinstance(known, Refused | Invalid):
            return t.told(known)
        if known is None:
            return m.Reason("mirakl.category_unknown", {"sku": offer.sku, "category": category})
        return t.sheet(offer, self._mapping, category, known, self._terms.gtin_type)

    def _attributes(self, category: str) -> list[t.Attribute] | None:
        """What the operator wants to know of products in this category (PM11); None when it does not know the category.

        Only this category and what stands above it are asked for: all attributes of a big operator are more than a call may bring.
        """

        def ask() -> tuple[object, float]:
            query = [("hierarchy", category), ("max_level", "0")]
            try:
                body = self._get("attributes", "/products/attributes", query, (400, 404), lane="attributes")
            except Refused as error:
                if error.code != "answer.too_large":
                    raise
                return [], DAY  # then the operator itself says what is missing
            if body is None:
                return {"unknown": True}, DAY
            found = t.attributes(body, self._settings.get("locale"))
            return found, ATTRIBUTES_FOR if found else DAY

        found = self._door.kept.get(self._kept_as(f"attributes:{category}"), ask)
        return None if isinstance(found, dict) else t.as_attributes(found)

    def _uploaded_before(
        self, offer: m.OfferWanted, mark: str, looked: dict[str, m.TaskSeen]
    ) -> m.OfferAnswer | None:
        """The answer for a product that went out with exactly these data; None when it did not. An upload that an operator is slow with is asked
        about again here, once for each push, as long as there are answers.
        """
        known = self._door.kept.peek(self._note_of(offer.sku))
        if not isinstance(known, dict) or known.get("mark") != mark:
            return None
        verdict, task = str(known["verdict"]), str(known["task"])
        if verdict == "sent":
            if task not in looked and all(each.done for each in looked.values()):
                looked[task] = self._look_again(task)
            for answer in looked[task].answers if task in looked else ():
                if answer.sku == offer.sku:
                    return answer
        if verdict == "open":
            return m.OfferAnswer(offer.sku, True, m.OfferState.WAITING, task=task)
        return t.product_answer(offer.sku, offer.gtin, verdict, str(known["said"]))

    def _look_again(self, task: str) -> m.TaskSeen:
        """What an upload has come to since; without an answer it stays as it was."""
        try:
            return self._product_task(task, task.partition(":")[2])
        except (Unavailable, Invalid):
            return m.TaskSeen(task, False)

    def _upload(
        self, push: _Push, offers: Sequence[m.OfferWanted], sheets: Mapping[str, Mapping[str, str]]
    ) -> None:
        """P41. An upload whose answer got lost is not repeated within the pace; the same products twice are only an update."""
        if self._door.kept.peek("products:rest"):
            push.later(offers, _turn(None))
            return
        file = t.product_file([sheets[each.sku] for each in offers])
        told = [[each.sku, each.gtin, t.mark(each, sheets[each.sku])] for each in offers]
        try:
            number = self._import("products", "/products/imports", file, ("operator_format", "true"))
        except Unauthorised:
            raise
        except Refused as error:
            said = str(error.params.get("message") or "")[:200]
            self._note_products("", told, {each.sku: ("failed", said) for each in offers})
            for each in offers:
                push.answer(t.product_answer(each.sku, each.gtin, "failed", said))
        except (Unavailable, Invalid) as error:
            if error.code != "pace.wait":
                rest = getattr(error, "retry_after", None) or 0
                self._door.kept.keep("products:rest", True, max(rest, PRODUCTS_EVERY))
            push.later(offers, _turn(error))
        else:
            task = f"{PRODUCT}:{number}"
            self._door.kept.keep(self._note_of(task), told, HINTED + DAY)
            self._note_products(task, told, {each.sku: ("open", "") for each in offers})
            push.taken(offers, task)

    def _note_of(self, name: str) -> str:
        """What was uploaded belongs to the operator and shop that the settings name now."""
        return f"{PRODUCT}:{self._settings.get('host')}:{self._settings.get('shop_id')}:{name}"

    def _note_products(
        self, task: str, told: Iterable[Sequence[Any]], verdicts: Mapping[str, tuple[str, str]]
    ) -> None:
        """Remember what became of products. A file that failed as a whole is tried again the next day."""
        for sku, _, mark in told:
            verdict, said = verdicts[sku]
            note = {"mark": mark, "task": task, "verdict": verdict, "said": said}
            self._door.kept.keep(self._note_of(sku), note, DAY if verdict == "failed" else HINTED)

    def _product_task(self, task: str, number: str) -> m.TaskSeen:
        """How far an upload is (P42), and what its reports say (P47, P44). P45, the list of what was added, is not read: P31 tells it."""
        path = f"/products/imports/{_quoted(number)}"
        try:
            body = self._get("product_status", path, expect=(400, 403, 404, 410), lane="products_status")
            seen = t.ProductImport("") if body is None else t.product_import(body)
            if seen.is_open(datetime.now(UTC)):
                return m.TaskSeen(task, False, again_in=PRODUCTS_ASKED)
            told = self._door.kept.peek(self._note_of(task)) or []
            verdicts = self._product_verdicts(path, seen, told)
            here = self._here([row for row in told if verdicts[row[0]][0] != "refused"])
        except Unavailable as error:
            # Stock and prices must not rest because of this question.
            if not error.only_its_turn:
                raise
            return m.TaskSeen(task, False, again_in=int(error.retry_after or PRODUCTS_ASKED) + 1)
        mine = [row for row in told if self._is_latest(task, row)]
        self._note_products(task, mine, verdicts)
        return m.TaskSeen(task, True, tuple(_of_product(row, here, *verdicts[row[0]]) for row in told))

    def _is_latest(self, task: str, row: Sequence[Any]) -> bool:
        known = self._door.kept.peek(self._note_of(row[0]))
        return not isinstance(known, dict) or known.get("task") == task

    def _product_verdicts(
        self, path: str, seen: t.ProductImport, told: Sequence[Sequence[Any]]
    ) -> dict[str, tuple[str, str]]:
        """SKU -> verdict and what was said. Errors that cannot be told apart count for whoever the operator does not have in the end."""
        wrong: dict[str, str] = {}
        unread = False
        for name, there, must in (
            ("transformation_error_report", seen.has_first_report, seen.wrong_lines > 0),
            ("error_report", seen.has_report, seen.has_report),
        ):
            found = t.product_errors(self._product_report(f"{path}/{name}"), told) if there else {}
            unread = unread or (must and not found)
            wrong |= {sku: message for sku, message in found.items() if sku not in wrong}
        rest = "failed" if seen.failed else "unread" if unread else "done" if seen.complete else "sent"
        if not seen.status:
            rest = "unread"  # the operator has forgotten the upload, or does not tell us about it
        return {
            row[0]: ("refused", wrong[row[0]]) if row[0] in wrong else (rest, seen.why[:200]) for row in told
        }

    def _product_report(self, path: str) -> bytes:
        """A report, empty when the operator does not give it."""
        answer = self._call(
            "product_errors", "GET", path, headers={"Accept": "*/*"}, expect=(400, 403, 404, 405, 410)
        )
        return b"" if answer.status in TOLD else answer.body

    def _here(self, told: Sequence[Sequence[Any]]) -> set[str]:
        """The EANs among these that the operator has by now (P31)."""
        gtins = [str(row[1]) for row in told]
        found: set[str] = set()
        for start in range(0, len(gtins), REFERENCES):
            found |= self._known(gtins[start : start + REFERENCES]) or set()
        return found

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now, and why something is not (OF21). Sorted by title, because prices change while pages are read."""
        known: set[str] = set()
        for wanted in [[]] if skus is None else [[("sku", sku)] for sku in dict.fromkeys(skus)]:
            query = [("sort", "productTitle"), *wanted]
            for rows in self._pages("offers", "/offers", "offers", query, None):
                page = [t.shown(row, self._terms) for row in rows if row.get("shop_sku")]
                fresh = [each for each in page if each.sku not in known]
                known.update(each.sku for each in fresh)
                if fresh:
                    yield fresh


_Wanted = list[t.Attribute] | None | Unavailable | Refused | Invalid
"""What the operator wants to know in a category; None = it does not know the category. Else why it could not be asked."""


class _Ways:
    """Where one kind of import tells how far it is and what was wrong, and how often it may be asked."""

    def __init__(
        self,
        status: Callable[[str], tuple[str, list[tuple[str, str]]]],
        errors: str,
        lane: str,
        again_in: int,
    ) -> None:
        self.status = status
        self.errors = errors
        self.lane = f"{lane}_status"
        self.error_lane = f"{lane}_errors"
        self.again_in = again_in


_IMPORTS: Final = {
    "OF01": _Ways(
        lambda number: (f"/offers/imports/{number}", []),
        "/offers/imports/{id}/error_report",
        "offers",
        60,
    ),
    "STO01": _Ways(
        lambda number: (f"/offers/stock/imports/{number}/status", []),
        "/offers/stock/imports/{id}/error_report",
        "stock",
        15,
    ),
    "PRI01": _Ways(
        lambda number: ("/offers/pricing/imports", [("import_id", number)]),
        "/offers/pricing/imports/{id}/error_report",
        "prices",
        60,
    ),
}


class _Push:
    """One push of offers: which import each offer takes, and what was answered. Needed because imports are made of many offers."""

    def __init__(self, offers: Sequence[m.OfferWanted], terms: t.Terms) -> None:
        self._offers = {offer.sku: offer for offer in offers}
        self._terms = terms
        self._answers: dict[str, m.OfferAnswer] = {}
        self.unknown_ones: list[m.OfferWanted] = []

    @property
    def anything_taken(self) -> bool:
        return any(answer.task for answer in self._answers.values())

    def by(self, kind: str) -> list[m.OfferWanted]:
        """Offers without an answer that take this import."""
        return [
            each for sku, each in self._offers.items() if sku not in self._answers and t.way(each) == kind
        ]

    def refuse_at_once(self) -> None:
        for offer in self._offers.values():
            if why := t.objection(offer, self._terms):
                self.refuse([offer], why)

    def refuse(self, offers: Iterable[m.OfferWanted], why: m.Reason) -> None:
        for offer in offers:
            self._answers[offer.sku] = m.OfferAnswer(offer.sku, False, m.OfferState.REFUSED, None, why)

    def unknown(self, offer: m.OfferWanted) -> None:
        why = m.Reason("product.unknown_gtin", {"gtin": offer.gtin})
        self.unknown_ones.append(offer)
        self.answer(m.OfferAnswer(offer.sku, False, m.OfferState.NEEDS_PRODUCT, None, why))

    def answer(self, answer: m.OfferAnswer) -> None:
        self._answers[answer.sku] = answer

    def later(self, offers: Iterable[m.OfferWanted], why: m.Reason) -> None:
        for offer in offers:
            self._answers[offer.sku] = m.OfferAnswer(
                offer.sku, False, m.OfferState.WAITING, None, why, retry=True
            )

    def taken(self, offers: Iterable[m.OfferWanted], task: str) -> None:
        for offer in offers:
            self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, m.OfferState.WAITING, task=task)

    def answers(self) -> list[m.OfferAnswer]:
        return [self._answers[sku] for sku in self._offers]


def _as_wanted(row: Sequence[Any]) -> m.OfferAnswer:
    shown = t.as_told(row)
    return m.OfferAnswer(shown.sku, True, shown.state or m.OfferState.OFF, shown)


def _without_product(row: Sequence[Any]) -> m.OfferAnswer:
    why = m.Reason("product.unknown_gtin", {"gtin": row[1]})
    return m.OfferAnswer(row[0], False, m.OfferState.NEEDS_PRODUCT, None, why)


def _of_product(row: Sequence[Any], here: set[str], verdict: str, said: str) -> m.OfferAnswer:
    """What became of an uploaded product. One that the operator has by now lets its offer go out at once."""
    sku, gtin = str(row[0]), str(row[1])
    if verdict != "refused" and gtin.lstrip("0") in here:
        return m.OfferAnswer(sku, True, m.OfferState.WAITING, None, m.Reason("offer.waiting"), retry=True)
    return t.product_answer(sku, gtin, verdict, said)


def _turn(error: Unavailable | Invalid | None, sku: str | None = None) -> m.Reason:
    """Why a product was not uploaded now: mostly because it is not its turn."""
    if error is None or (isinstance(error, Unavailable) and (error.only_its_turn or error.pauses)):
        return m.Reason("mirakl.product_turn", {"sku": sku} if sku else {})
    return t.told(error)


def _refused_by_import(sku: str, message: str) -> m.OfferAnswer:
    why = m.Reason("offer.refused", {"sku": sku, "message": message, "marketplace": t.NAME})
    return m.OfferAnswer(sku, False, m.OfferState.REFUSED, None, why)


def _accepted(piece_id: str, refused_lines: set[str]) -> m.PieceAnswer:
    if t.piece_parts(piece_id)[1] in refused_lines:
        why = m.Reason("mirakl.line_refused", {"piece": piece_id})
        return m.PieceAnswer(piece_id, ok=False, state=m.PieceState.CANCELLED, reason=why)
    return m.PieceAnswer(piece_id, ok=True, state=m.PieceState.ANNOUNCED)


# A character that nobody writes marks an amount, which then stands in the JSON as a number with exactly these digits.
_MARK: Final = "\ue000"
_MARKED: Final = re.compile(r'"\\ue000(-?[0-9.]+)"')


def _encoded(body: object) -> bytes:
    def exact(value: object) -> str:
        if isinstance(value, Decimal):
            return f"{_MARK}{value}"
        raise TypeError(f"{type(value).__name__} cannot be sent")

    return _MARKED.sub(r"\1", json.dumps(body, default=exact, separators=(",", ":"))).encode()


def _form(name: str, file: bytes, fields: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
    """A multipart form with one CSV file, and its content type."""
    edge = "shopbridge-7d5a0c1e9b"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields
    ]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    raw = b"".join([*parts, head.encode(), file, f"\r\n--{edge}--\r\n".encode()])
    return raw, f"multipart/form-data; boundary={edge}"


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _json(answer: Answer, operation: str) -> Any:
    try:
        return answer.json()
    except Invalid as error:
        raise Unavailable("partner.unreadable", operation=operation, partner=t.NAME) from error


def _json_or_none(answer: Answer) -> Any:
    try:
        return answer.json()
    except Invalid:
        return None
