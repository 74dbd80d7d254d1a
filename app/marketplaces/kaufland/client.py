"""Kaufland's Seller API v2 through the Door: one method per verb of the bridge.

What may go wrong: a signature over another URL than the one sent (so it is made by the Door's `sign`, over the prepared request), pages
that shift while they are read, and deeds whose answer got lost. What can be read back afterwards:

- ship, cancel: yes, by `read_pieces` (the unit's status).
- accept_return: yes; a second accept is refused by Kaufland and then read as "already".
- refund: NO. No field of an order unit, a ticket or a return shows a refund; only a CSV report of bookings, made later and
  asynchronously, lists it. `read_pieces` proves nothing here: after Unknown the flow opens a case instead of repeating.
- a further parcel (`POST /shipments`): no; repeating it at worst shows the buyer the same number twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.kaufland import translate as t
from app.rules.tracking import marketplace_code

if TYPE_CHECKING:
    from app.outbound import Answer, Door

PAGE: Final = 100  # largest `limit` of the lists we read (section 3)
BATCH: Final = 150  # largest bulk request (section 6)
CLOCK_SKEW: Final = 300  # seconds Kaufland tolerates (section 2)
# Answers that carry an ErrorResponse with a reason; the Door hands them to us instead of judging them.
TOLD: Final = frozenset({400, 401, 403, 404, 409, 422, 423})

_SENT: Final = frozenset({m.PieceState.SHIPPED, m.PieceState.DELIVERED, m.PieceState.RETURNED})
_CANCELLED: Final = frozenset({m.PieceState.CANCELLED})


def signature(secret_key: str, method: str, url: str, body: bytes, timestamp: int) -> str:
    """Lower-case hex HMAC-SHA256 over method, full URL, body and timestamp, one per line. The secret is text, not hex (section 2)."""
    head = f"{method.upper()}\n{url}\n".encode()
    return hmac.new(secret_key.encode(), head + body + f"\n{timestamp}".encode(), hashlib.sha256).hexdigest()


# What became of one unit in an update: the unit as it is now, refused, or not now.
UnitResult: TypeAlias = t.Json | Refused | Unavailable


class KauflandClient:
    """One seller account. `settings` as loaded by KauflandSettings; `clock` gives Unix seconds."""

    def __init__(
        self, door: Door, settings: Mapping[str, Any], clock: Callable[[], float] = time.time
    ) -> None:
        self._door = door
        self._client_key: str = settings["client_key"]
        self._secret_key: str = settings["secret_key"]
        self._storefronts: list[str] = list(settings.get("storefronts") or ["de"])
        self._groups: Mapping[str, int] = settings.get("shipping_groups") or {}
        self._locale: str = settings.get("locale") or "de-DE"
        self._clock = clock

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _sign(self, method: str, url: str, body: bytes) -> dict[str, str]:
        now = int(self._clock())
        return {
            "Shop-Client-Key": self._client_key,
            "Shop-Timestamp": str(now),
            "Shop-Signature": signature(self._secret_key, method, url, body, now),
        }

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        deed: bool = False,
        expect: tuple[int, ...] = (),
    ) -> Answer:
        """One call. A 4xx becomes Refused or Unauthorised with Kaufland's own reason, unless its status is in `expect`."""
        headers = {"Accept": "application/json"}
        raw = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        answer = self._door.call(
            operation,
            method,
            path,
            params=params,
            headers=headers,
            body=raw,
            sign=self._sign,
            deed=deed,
            expect=TOLD,
        )
        if answer.status in TOLD and answer.status not in expect:
            raise self._refusal(answer, operation)
        if deed and answer.body.strip() and _json_or_none(answer) is None:
            # A maintenance page with status 200: deeds are answered 204 or with JSON, so nobody knows what became of this one.
            raise Unknown("outcome.unknown", operation=operation, why="not_json")
        return answer

    def _refusal(self, answer: Answer, operation: str) -> Refused:
        error = t.refusal(answer.status, _json_or_none(answer), operation)
        skew = self._skew(answer)
        if error.code == "signature.refused" and skew is not None and abs(skew) > CLOCK_SKEW:
            return Unauthorised("signature.clock", seconds=skew, **error.params)
        return error

    def _skew(self, answer: Answer) -> int | None:
        """By how many seconds our clock is ahead of theirs, by the Date header; None when there is none."""
        dates = [value for name, value in answer.headers.items() if name.lower() == "date"]
        try:
            return round(self._clock() - parsedate_to_datetime(dates[0]).timestamp()) if dates else None
        except ValueError:
            return None

    def _get(
        self, operation: str, path: str, params: Sequence[tuple[str, str]] = (), expect: tuple[int, ...] = ()
    ) -> Any:
        """The JSON of a read; None for a status in `expect`. An answer that is no JSON (a maintenance page) is Unavailable."""
        answer = self._call(operation, "GET", path, params=params, expect=expect)
        return None if answer.status in TOLD else _json(answer, operation)

    def _pages(self, operation: str, path: str, params: Sequence[tuple[str, str]]) -> Iterator[list[t.Json]]:
        """All pages of a list. Lists are sorted newest first, so rows move while we read: a caller must bear seeing one twice.

        Steps by the rows that really came, so a short page loses nothing; when rows left the list meanwhile the others moved up, and as many are
        read again. Raises Unavailable when a page is empty although more is announced.
        """
        offset, before = 0, None
        while True:
            body = self._get(operation, path, [*params, ("limit", str(PAGE)), ("offset", str(offset))])
            rows, total = t.rows(body), t.total(body)
            yield rows
            left = before - total if before is not None and total is not None else 0
            before = total
            if left > 0:
                offset = max(0, offset - left)
                continue
            offset += len(rows)
            if (total is None and len(rows) < PAGE) or (total is not None and offset >= total):
                return
            if not rows:
                raise Unavailable("partner.page_missing", operation=operation, partner=t.NAME)

    # --- the connection -------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether the keys work, and for which storefronts (I1). Raises Unavailable only: everything else is a reason."""
        facts: dict[str, object] = {}
        try:
            self._get("ping", "/status/ping")
            opened = t.words(self._get("storefronts", "/info/storefront"))
            facts["storefronts"] = opened
            if closed := [each for each in self._storefronts if each not in opened]:
                params: dict[str, object] = {"country": ", ".join(closed), "available": ", ".join(opened)}
                return m.ConnectionCheck(False, m.Reason("storefront.not_configured", params), facts)
            facts["shipping_groups"] = {each: self._shipping_groups(each) for each in self._storefronts}
        except Refused as error:
            return m.ConnectionCheck(False, t.told(error), facts)
        return self._groups_exist(facts)

    def _shipping_groups(self, storefront: str) -> list[dict[str, object]]:
        body = self._get("shipping_groups", "/shipping-groups", [("storefront", storefront), ("limit", "30")])
        names = ("id_shipping_group", "name", "is_default")
        return [{name: row.get(name) for name in names} for row in t.rows(body)]

    def _groups_exist(self, facts: dict[str, Any]) -> m.ConnectionCheck:
        for storefront, wanted in self._groups.items():
            known = [group["id_shipping_group"] for group in facts["shipping_groups"].get(storefront, [])]
            if storefront in self._storefronts and wanted not in known:
                params: dict[str, object] = {"storefront": storefront, "group": wanted}
                return m.ConnectionCheck(False, m.Reason("shipping_group.unknown", params), facts)
        return m.ConnectionCheck(True, None, facts)

    # --- orders ----------------------------------------------------------------------------------------------------------

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """Orders with units to be sent, placed since `since` (None: all).

        A unit is born without an address and gets this status some 15 minutes later: the caller looks back further than its last look. One that
        was paid later still is found by `orders_changed`. There is no acknowledge call: "imported" is our own state.
        """
        params = [("status", "need_to_be_sent"), ("sort", "ts_created:desc")]
        if since is not None:
            params.append(("ts_created_from_iso", t.stamp(since)))
        return self._orders("orders_to_ship", params)

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Orders with a unit that changed in any way since `since`; also those that became due for shipping."""
        params = [("sort", "ts_updated:desc"), ("ts_updated_from_iso", t.stamp(since))]
        return self._orders("orders_changed", params)

    def _orders(self, operation: str, params: list[tuple[str, str]]) -> Iterator[list[m.OrderSeen]]:
        """Unreadable orders are left out and told at the end of the sweep, so that one of them never blocks another (C10)."""
        unreadable: list[Invalid] = []
        known: set[str] = set()
        for storefront in self._storefronts:
            for rows in self._pages(operation, "/order-units", [("storefront", storefront), *params]):
                fresh = _by_order(rows, known, unreadable)
                page = [order for units in fresh if (order := self._order(units, known, unreadable))]
                if page:
                    yield page
        if unreadable:
            raise unreadable[0]

    def _order(self, units: list[t.Json], known: set[str], unreadable: list[Invalid]) -> m.OrderSeen | None:
        try:
            seen = t.order(units)
            if any(piece.state is m.PieceState.TO_SHIP for piece in seen.pieces):
                seen = self._whole_order(seen, units)
        except Invalid as error:
            unreadable.append(error)
            return None
        known.update(piece.external_id for piece in seen.pieces)
        return seen

    def _whole_order(self, seen: m.OrderSeen, units: list[t.Json]) -> m.OrderSeen:
        """The list has no pickup location and perhaps not all units: an order that must be shipped is read in full."""
        body = self._get(
            "order", f"/orders/{_quoted(seen.external_id)}", [("embedded", "delivery")], expect=(404,)
        )
        if body is None:
            return seen
        data = t.row(body)
        return t.order(t.objects(data.get("order_units")) or units, data.get("delivery"))

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The units as they are now; one that Kaufland does not know is left out."""
        found = [self._unit(piece_id) for piece_id in piece_ids]
        return [piece for piece in found if piece is not None]

    def _unit(self, piece_id: str) -> m.PieceSeen | None:
        body = self._get("order_unit", f"/order-units/{_quoted(piece_id)}", expect=(404,))
        return None if body is None else t.piece(t.row(body))

    # --- deeds -------------------------------------------------------------------------------------------------------------

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """One call per unit, even in one parcel. Raises Unknown at the first unit whose answer got lost: then `read_pieces`."""
        code = marketplace_code("kaufland", shipment.carrier)
        if shipment.further_parcel:
            return [
                self._add_parcel(piece_id, shipment.tracking_number, code) for piece_id in shipment.pieces
            ]
        body = t.send_body(shipment.tracking_number, code)
        return [self._send(piece_id, body) for piece_id in shipment.pieces]

    def _send(self, piece_id: str, body: dict[str, str]) -> m.PieceAnswer:
        try:
            self._call("send", "PATCH", f"/order-units/{_quoted(piece_id)}/send", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            if _names_carrier(error) and body["carrier_code"] != t.OTHER_CARRIER:
                return self._send(piece_id, {**body, "carrier_code": t.OTHER_CARRIER})
            return self._settled(piece_id, error, _SENT)
        return m.PieceAnswer(piece_id, ok=True, state=m.PieceState.SHIPPED)

    def _add_parcel(self, piece_id: str, number: str | None, code: str | None) -> m.PieceAnswer:
        if not number:
            return m.PieceAnswer(
                piece_id, ok=False, reason=m.Reason("shipment.tracking_missing", {"piece": piece_id})
            )
        body = t.further_parcel_body(piece_id, number, code)
        try:
            self._call("add_shipment", "POST", "/shipments", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            if _names_carrier(error) and code not in {None, t.OTHER_CARRIER}:
                return self._add_parcel(piece_id, number, t.OTHER_CARRIER)
            if error.code == "deed.already_done":
                return m.PieceAnswer(piece_id, ok=True, already=True)
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(piece_id, ok=True)

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """Kaufland refunds the buyer by itself. Refused for an unknown reason: the reason decides about a fee (section 4)."""
        body = t.cancel_body(reason)
        return [self._cancel(piece_id, body) for piece_id in piece_ids]

    def _cancel(self, piece_id: str, body: dict[str, str]) -> m.PieceAnswer:
        try:
            self._call("cancel", "PATCH", f"/order-units/{_quoted(piece_id)}/cancel", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._settled(piece_id, error, _CANCELLED)
        return m.PieceAnswer(piece_id, ok=True, state=m.PieceState.CANCELLED)

    def _settled(self, piece_id: str, error: Refused, done: frozenset[m.PieceState]) -> m.PieceAnswer:
        """A refused deed is no failure when the unit already is where it should be: the unit's own word counts."""
        try:
            piece = self._unit(piece_id)
        except (Unavailable, Unknown, Invalid):
            piece = None
        state = piece.state if piece else None
        if state in done:
            return m.PieceAnswer(piece_id, ok=True, already=True, state=state)
        return m.PieceAnswer(piece_id, ok=False, state=state, reason=t.told(error))

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        """Give the buyer `amount` minor units. A refund cannot be read back (see the top): after Unknown a person must look."""
        body = t.refund_body(amount, reason)
        try:
            self._call("refund", "PATCH", f"/order-units/{_quoted(piece_id)}/refund", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(piece_id, ok=True)

    # --- returns -------------------------------------------------------------------------------------------------------------

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]:
        """Returns that changed since `since`, then those with a unit that arrived and waits for our word: after three working
        days Kaufland accepts it by itself (section 5), and a unit's change does not always touch its return.
        """
        known: set[str] = set()
        changed = [("ts_updated_from_iso", t.stamp(since)), ("sort", "ts_updated:desc")]
        waiting = [("status", "return_arrived"), ("sort", "ts_created:desc")]
        for operation, path, params in (
            ("returns", "/returns", changed),
            ("return_units", "/return-units", waiting),
        ):
            for storefront in self._storefronts:
                for rows in self._pages(operation, path, [("storefront", storefront), *params]):
                    ids = [each for row in rows if (each := str(row.get("id_return", "")))]
                    new = [each for each in dict.fromkeys(ids) if each not in known]
                    known.update(new)
                    if page := [found for each in new if (found := self._return(each))]:
                        yield page

    def _return(self, return_id: str) -> m.ReturnSeen | None:
        body = self._get(
            "return", f"/returns/{_quoted(return_id)}", [("embedded", "return_units")], expect=(404,)
        )
        return None if body is None else t.return_seen(t.row(body))

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer:
        """The buyer's refund starts with this. Repeating is harmless: what was accepted before is answered as `already`."""
        try:
            self._call(
                "accept_return", "PATCH", f"/return-units/{_quoted(return_piece_id)}/accept", deed=True
            )
        except Unauthorised:
            raise
        except Refused as error:
            body = self._get("return_unit", f"/return-units/{_quoted(return_piece_id)}", expect=(404,))
            if body is not None and t.return_piece(t.row(body)).state in {
                m.ReturnState.ACCEPTED,
                m.ReturnState.CLOSED,
            }:
                return m.PieceAnswer(return_piece_id, ok=True, already=True)
            return m.PieceAnswer(return_piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(return_piece_id, ok=True)

    def reject_return(self, return_piece_ids: Sequence[str], reason: str, note: str) -> list[m.PieceAnswer]:
        """Reject pieces that have arrived. Kaufland opens a ticket with the message, which the buyer reads (FACTS 5, the vendor's schema)."""
        german, english = t.REJECTIONS[reason]
        mine = set(self._storefronts)
        said = [*([german] if mine & t.GERMAN else []), *([english] if mine - t.GERMAN else [])]
        message = " ".join(filter(None, (" / ".join(said), note)))
        return [self._reject(each, message) for each in return_piece_ids]

    def _reject(self, piece_id: str, message: str) -> m.PieceAnswer:
        path = f"/return-units/{_quoted(piece_id)}"
        try:
            self._call("reject_return", "PATCH", f"{path}/reject", body={"message": message}, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            body = self._get("return_unit", path, expect=(404,))
            if body is not None and t.return_piece(t.row(body)).state is m.ReturnState.REJECTED:
                return m.PieceAnswer(piece_id, ok=True, already=True)
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(piece_id, ok=True)

    # --- offers --------------------------------------------------------------------------------------------------------------

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """Make Kaufland show these, at most 150, each SKU once. Known units go in one bulk call per storefront, unknown ones are found by
        `id_offer` or created. When the partner fails in the middle, what was done is answered and the rest says `retry`; when nothing
        was done yet the error is raised.
        """
        push = _Push(self, offers)
        try:
            push.run()
        except Unavailable as error:
            if not push.anything_done:
                raise
            push.later(error)
        return push.answers()

    def storefronts_of(self, offer: m.OfferWanted) -> list[str]:
        return [offer.country] if offer.country else self._storefronts

    def group_of(self, offer: m.OfferWanted, storefront: str) -> int | None:
        wanted = offer.shipping_group
        return int(wanted) if wanted and wanted.isdigit() else self._groups.get(storefront)

    def find_unit(self, sku: str, storefront: str) -> t.Json | None:
        params = [("storefront", storefront), ("id_offer", sku), ("limit", str(PAGE))]
        found = t.rows(self._get("find_unit", "/units", params))
        return next((row for row in found if row.get("id_offer") == sku), None)

    def missing_product(self, gtin: str, storefront: str) -> m.Reason | None:
        """None when Kaufland has a product under this EAN, else why not, from the state of our product data."""
        known = self._get(
            "product", f"/products/ean/{_quoted(t.ean(gtin))}", [("storefront", storefront)], expect=(404,)
        )
        return None if known is not None else self.product_data(gtin)

    def product_data(self, gtin: str) -> m.Reason:
        body = self._get(
            "product_data_status",
            f"/product-data/status/{_quoted(t.ean(gtin))}",
            [("locale", self._locale)],
            expect=(400, 404),
        )
        return t.product_reason(gtin, None if body is None else t.row(body))

    def create_unit(self, offer: m.OfferWanted, storefront: str) -> t.Json:
        """The new unit: GET /units shows it minutes later, so its id is kept from this answer (section 6)."""
        body = t.create_body(offer, self.group_of(offer, storefront))
        answer = self._call(
            "create_unit", "POST", "/units", params=[("storefront", storefront)], body=body, deed=True
        )
        return t.row(_json(answer, "create_unit"))

    def patch_unit(self, unit_id: int, storefront: str, body: Mapping[str, object]) -> t.Json:
        params = [("storefront", storefront)]
        return t.row(
            _json(
                self._call("update_unit", "PATCH", f"/units/{unit_id}", params=params, body=body),
                "update_unit",
            )
        )

    def patch_units(
        self, storefront: str, bodies: Mapping[int, Mapping[str, object]]
    ) -> dict[int, UnitResult]:
        """Update units of one storefront: the unit, or why it was not updated, by id.

        Kaufland rejects a whole group for one bad row now and then: a rejected group is halved until the row is found.
        """
        if len(bodies) == 1:
            ((unit_id, body),) = bodies.items()
            try:
                return {unit_id: self.patch_unit(unit_id, storefront, body)}
            except Unauthorised:
                raise
            except Refused as error:
                return {unit_id: error}
        batch = [{"id_unit": unit_id, "unit_data": body} for unit_id, body in bodies.items()]
        answer = self._call(
            "update_units",
            "POST",
            "/units/bulk",
            params=[("storefront", storefront)],
            body=batch,
            expect=(400,),
        )
        if answer.status == 400:
            ids = list(bodies)
            halves = ids[: len(ids) // 2], ids[len(ids) // 2 :]
            return {
                k: v
                for half in halves
                for k, v in self.patch_units(storefront, {i: bodies[i] for i in half}).items()
            }
        return {
            unit_id: _bulk_result(code, entry)
            for unit_id, code, entry in t.bulk_answers(_json(answer, "update_units"))
            if unit_id in bodies
        }

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now. With several storefronts a SKU comes once for each, always with the whole `external_ref`; units without a SKU of
        ours are left out. New units may be missing for some minutes (section 6).
        """
        ids: dict[str, dict[str, int]] = {}
        if len(self._storefronts) > 1:
            for storefront, unit in self._units(skus):
                ids.setdefault(unit.sku, {}).update(t.refs(unit.external_ref, [storefront]))
        page: list[m.OfferShown] = []
        for storefront, unit in self._units(skus):
            known = ids.get(unit.sku, {}) | t.refs(unit.external_ref, [storefront])
            page.append(
                replace(unit, external_ref=t.ref(known), shipping_group=self._foreign_group(unit, storefront))
            )
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def _units(self, skus: Sequence[str] | None) -> Iterator[tuple[str, m.OfferShown]]:
        for storefront in self._storefronts:
            for wanted in [[]] if skus is None else [[("id_offer", sku)] for sku in dict.fromkeys(skus)]:
                query = [("storefront", storefront), ("embedded", "products"), *wanted]
                for rows in self._pages("units", "/units", query):
                    yield from ((storefront, t.shown(row, storefront)) for row in rows if row.get("id_offer"))

    def _foreign_group(self, unit: m.OfferShown, storefront: str) -> str | None:
        """The shipping group where it is another than the merchant's; whoever has named none has no opinion about it."""
        ours = self._groups.get(storefront)
        return None if ours is None or unit.shipping_group == str(ours) else unit.shipping_group


class _Push:
    """One push of offers: each offer collects what its storefronts answered. Needed because answers come per unit, not per offer."""

    def __init__(self, client: KauflandClient, offers: Sequence[m.OfferWanted]) -> None:
        self._client = client
        self._offers = {offer.sku: offer for offer in offers}
        self._ids = {
            offer.sku: t.refs(offer.external_ref, client.storefronts_of(offer))
            for offer in self._offers.values()
        }
        self._shown: dict[str, list[m.OfferShown]] = {sku: [] for sku in self._offers}
        self._wrong: dict[str, m.Reason] = {}
        self._states: dict[str, m.OfferState] = {}
        self._notes: dict[str, m.Reason] = {}
        self._retry: set[str] = set()

    @property
    def anything_done(self) -> bool:
        return any(self._shown.values())

    def run(self) -> None:
        for offer in self._offers.values():
            if objection := t.objection(offer, self._client.storefronts_of(offer)):
                self._refuse(offer.sku, objection)
        for offer in self._open():
            self._reach(offer)
        storefronts = dict.fromkeys(
            each for offer in self._open() for each in self._client.storefronts_of(offer)
        )
        for storefront in storefronts:
            self._update(storefront)
        self._explain_incomplete()

    def _open(self) -> list[m.OfferWanted]:
        return [offer for sku, offer in self._offers.items() if sku not in self._wrong]

    def _refuse(
        self, sku: str, why: m.Reason, state: m.OfferState = m.OfferState.REFUSED, *, retry: bool = False
    ) -> None:
        self._wrong[sku] = why
        self._states[sku] = state
        if retry:
            self._retry.add(sku)

    # An offer must have a unit on each of its storefronts before it can be updated.

    def _reach(self, offer: m.OfferWanted) -> None:
        for storefront in self._client.storefronts_of(offer):
            if storefront not in self._ids[offer.sku] and offer.sku not in self._wrong:
                self._reach_one(offer, storefront)

    def _reach_one(self, offer: m.OfferWanted, storefront: str) -> None:
        try:
            self._find_or_create(offer, storefront)
        except Unauthorised:
            raise
        except Refused as error:
            self._refuse(offer.sku, t.told(error))
        except Unknown as error:
            # The next push looks the unit up by its id_offer before it creates one.
            self._refuse(offer.sku, t.told(error), m.OfferState.WAITING, retry=True)

    def _find_or_create(self, offer: m.OfferWanted, storefront: str) -> None:
        known = self._client.find_unit(offer.sku, storefront)
        if known is not None:
            self._ids[offer.sku].update(t.refs(t.shown(known, storefront).external_ref, [storefront]))
        elif offer.on:
            self._create(offer, storefront)

    def _create(self, offer: m.OfferWanted, storefront: str) -> None:
        if not offer.gtin:
            return self._refuse(offer.sku, m.Reason("product.gtin_missing", {"sku": offer.sku}))
        if why := self._client.missing_product(offer.gtin, storefront):
            return self._refuse(offer.sku, why, m.OfferState.NEEDS_PRODUCT)
        try:
            made = t.shown(self._client.create_unit(offer, storefront), storefront)
        except Refused as error:
            if error.code != "offer.already_exists":
                raise
            # Made a moment ago and not yet to be found, or under an EAN of its own: the next look decides.
            return self._refuse(offer.sku, t.told(error), m.OfferState.WAITING, retry=True)
        self._ids[offer.sku].update(t.refs(made.external_ref, [storefront]))
        self._shown[offer.sku].append(made)
        return None

    # Updates: one bulk call per storefront; the stock travels with the first one only.

    def _update(self, storefront: str) -> None:
        units: dict[int, m.OfferWanted] = {}
        for offer in self._open():
            made = {each.external_ref for each in self._shown[offer.sku]}
            unit_id = self._ids[offer.sku].get(storefront)
            if unit_id is not None and t.ref({storefront: unit_id}) not in made:
                units[unit_id] = offer
        ids = list(units)
        for start in range(0, len(ids), BATCH):
            batch = {i: self._body(units[i], storefront) for i in ids[start : start + BATCH]}
            for unit_id, result in self._client.patch_units(storefront, batch).items():
                self._note(units.pop(unit_id), storefront, unit_id, result)
        for offer in units.values():
            self._refuse(
                offer.sku,
                m.Reason("partner.answer_missing", {"sku": offer.sku, "partner": t.NAME}),
                m.OfferState.WAITING,
                retry=True,
            )

    def _body(self, offer: m.OfferWanted, storefront: str) -> dict[str, object]:
        first = next(each for each in self._client.storefronts_of(offer) if each in self._ids[offer.sku])
        return t.patch_body(offer, self._client.group_of(offer, storefront), with_stock=storefront == first)

    def _note(self, offer: m.OfferWanted, storefront: str, unit_id: int, result: UnitResult) -> None:
        if isinstance(result, Unavailable):
            self._refuse(offer.sku, t.told(result), m.OfferState.WAITING, retry=True)
        elif isinstance(result, Refused) and result.params.get("status") == 404:
            self._replace(offer, storefront)
        elif isinstance(result, Refused):
            self._refuse(offer.sku, t.told(result))
            self._save_stock(offer, storefront, unit_id)
        else:
            self._keep(offer, t.shown(result, storefront))

    def _replace(self, offer: m.OfferWanted, storefront: str) -> None:
        """Somebody deleted the unit at Kaufland: find or make another. One that was only found is updated by the next push."""
        self._ids[offer.sku].pop(storefront)
        made = len(self._shown[offer.sku])
        self._reach_one(offer, storefront)
        if offer.on and offer.sku not in self._wrong and len(self._shown[offer.sku]) == made:
            self._refuse(
                offer.sku, m.Reason("offer.gone", {"sku": offer.sku}), m.OfferState.WAITING, retry=True
            )

    def _save_stock(self, offer: m.OfferWanted, storefront: str, unit_id: int) -> None:
        """A refused price must not keep an old stock on sale: stock and switch are sent alone."""
        body = self._body(offer, storefront)
        alone: dict[str, object] = {name: body[name] for name in ("status", "amount") if name in body}
        result = self._client.patch_units(storefront, {unit_id: alone})[unit_id]
        if not isinstance(result, Refused | Unavailable):
            self._shown[offer.sku].append(t.shown(result, storefront))

    def _keep(self, offer: m.OfferWanted, shown: m.OfferShown) -> None:
        self._shown[offer.sku].append(shown)
        if shown.sku and shown.sku != offer.sku:
            # id_offer cannot be changed: orders would come back under the old SKU.
            self._refuse(offer.sku, m.Reason("offer.sku_changed", {"sku": offer.sku, "shown": shown.sku}))

    def _explain_incomplete(self) -> None:
        for offer in self._open():
            if offer.gtin and any(
                each.state is m.OfferState.NEEDS_PRODUCT for each in self._shown[offer.sku]
            ):
                self._notes[offer.sku] = self._client.product_data(offer.gtin)

    # Answers.

    def later(self, error: Unavailable) -> None:
        """The partner failed in the middle: whoever has no full answer yet comes back later."""
        for sku, offer in self._offers.items():
            complete = len(self._shown[sku]) == len(self._client.storefronts_of(offer))
            if sku not in self._wrong and not complete:
                self._refuse(sku, t.told(error), m.OfferState.WAITING, retry=True)

    def answers(self) -> list[m.OfferAnswer]:
        return [self._answer(offer) for offer in self._offers.values()]

    def _answer(self, offer: m.OfferWanted) -> m.OfferAnswer:
        sku, ref = offer.sku, t.ref(self._ids[offer.sku])
        shown = t.as_one(offer, ref, self._shown[sku])
        if sku in self._wrong:
            return m.OfferAnswer(
                sku, False, self._states[sku], shown, self._wrong[sku], retry=sku in self._retry
            )
        return m.OfferAnswer(
            sku, True, (shown and shown.state) or m.OfferState.OFF, shown, self._notes.get(sku)
        )


def _by_order(rows: list[t.Json], known: set[str], unreadable: list[Invalid]) -> list[list[t.Json]]:
    """Units grouped by order, those of earlier pages left out."""
    grouped: dict[str, list[t.Json]] = {}
    for row in rows:
        try:
            unit_id = t.unit_id(row)
        except Invalid as error:
            unreadable.append(error)
            continue
        if unit_id not in known:
            known.add(unit_id)
            grouped.setdefault(str(row.get("id_order", "")), []).append(row)
    return list(grouped.values())


def _bulk_result(code: int, entry: t.Json) -> UnitResult:
    """The unit of one entry of a 207 answer, or the error to note."""
    unit = entry.get("unit")
    if code < 300 and isinstance(unit, Mapping):
        return unit
    if code >= 500 or code == 429:
        return Unavailable("partner.unavailable", status=code, partner=t.NAME)
    return t.refusal(code, {"type": "/problems/validation-error", **entry}, "update_units")


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")


def _names_carrier(error: Refused) -> bool:
    return "carrier_code" in str(error.params.get("field", ""))


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
