"""OTTO Market's interfaces through the Door: one method per verb of the bridge.

What may go wrong: an access token that ends or is revoked (asked for anew once), pages that shift while they are read, deeds whose answer got
lost, and processes of which "taken" says nothing. What can be read back afterwards:

- ship, cancel: yes, by `read_pieces` (the item's status). A cancellation is only taken at first; a later look shows it.
- accept_return, and a refund of a whole item, which is the same call: yes, the item is RETURNED then.
- refund of a part: yes, by `read_refunded` (GET /v1/price-reductions).
- a further parcel: a repeat is answered DUPLICATE_TRACKING_KEY and read as done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.otto import translate as t
from app.rules.tracking import marketplace_code

if TYPE_CHECKING:
    from app.kept import Made
    from app.outbound import Answer, Door

ORDERS_PAGE: Final = 128  # Largest `limit` of each list (FACTS 4 to 7).
RETURNS_PAGE: Final = 50
SHIPMENTS_PAGE: Final = 100
STATUS_PAGE: Final = 1000
PRICES_PAGE: Final = 100
QUANTITIES_PAGE: Final = 200
BRANDS_PAGE: Final = 1000
QUANTITIES: Final = 200  # Largest writes.
PRODUCTS: Final = 500
FEW: Final = 10  # So many SKUs are asked for one by one; for more the whole list is cheaper.
CANCELLED_AT_ONCE: Final = 50  # Their ids stand in the path, which must not become too long.
RENEWED_EARLY: Final = 60  # seconds (FACTS 2)
A_DAY: Final = 86_400.0
AFTER_CREATION: Final = 120  # seconds between looks whether a new product has its `moin`
# Answers that carry a reason; the Door hands them to us instead of judging them.
TOLD: Final = frozenset({400, 401, 403, 404, 409, 412, 413, 422, 424})

_SENT: Final = frozenset({m.PieceState.SHIPPED, m.PieceState.DELIVERED, m.PieceState.RETURNED})
_DUPLICATE: Final = "DUPLICATE_TRACKING_KEY"
_INCLUDED: Final = "POSITION_ITEM_INCLUDED_IN_OTHER_SHIPMENT"
_CHANGED: Final = ("SENT", "RETURNED", "CANCELLED_BY_PARTNER", "CANCELLED_BY_MARKETPLACE")
_LEGACY_CLIENT: Final = "token-otto-api"

Query = Sequence[tuple[str, str]]


class OttoClient:
    """One seller account. `settings` as loaded by OttoSettings; `clock` gives Unix seconds."""

    def __init__(
        self, door: Door, settings: Mapping[str, Any], clock: Callable[[], float] = time.time
    ) -> None:
        self._door = door
        self._settings = settings
        self._transport: int = settings.get("transport_days") or 2
        self.live: bool = bool(settings.get("live"))
        self._clock = clock

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _token(self) -> str:
        return str(self._door.kept.get("token", self._new_token))

    def _new_token(self) -> Made:
        """A new access token and for how long it counts, kept for all workers (FACTS 2)."""
        if self._settings["kind"] == "legacy":
            return self._legacy_token()
        body = self._grant(
            "/oauth2/token",
            grant_type="client_credentials",
            scope=" ".join(t.SCOPES),
            client_id=self._settings["client_id"],
            client_secret=self._settings["client_secret"],
        )
        return _access(body)

    def _legacy_token(self) -> Made:
        """By the refresh token where there is one. It works once, so it is forgotten before it is used."""
        kept = self._door.kept
        refresh = kept.peek("refresh_token")
        kept.forget("refresh_token")
        body = self._refreshed(refresh) if refresh else None
        if body is None:
            names = {name: self._settings[name] for name in ("username", "password")}
            body = self._grant("/v1/token", grant_type="password", client_id=_LEGACY_CLIENT, **names)
        if again := t.text(body, "refresh_token"):
            kept.keep("refresh_token", again, _seconds(body, "refresh_expires_in", 7200))
        return _access(body)

    def _refreshed(self, refresh: str) -> t.Json | None:
        try:
            return self._grant(
                "/v1/token", grant_type="refresh_token", client_id=_LEGACY_CLIENT, refresh_token=refresh
            )
        except Unauthorised:
            return None

    def _grant(self, path: str, **form: str) -> t.Json:
        """One OAuth grant. Raises Unauthorised with a plain reason, Unavailable when the answer is no token."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        raw = urlencode(form).encode()
        answer = self._door.call("token", "POST", path, headers=headers, body=raw, expect=TOLD)
        body = _json_or_none(answer)
        if answer.status in TOLD:
            raise t.token_refusal(answer.status, body, self._settings["kind"])
        if not isinstance(body, Mapping) or not t.text(body, "access_token"):
            raise Unavailable("partner.unreadable", operation="token", partner=t.NAME)
        return body

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Query = (),
        body: object = None,
        deed: bool = False,
        expect: tuple[int, ...] = (),
        lane: str | None = None,
    ) -> Answer:
        """One call. A 4xx becomes Refused or Unauthorised with OTTO's own reason, unless its status is in `expect`."""
        how: dict[str, Any] = {"params": params, "deed": deed, "lane": lane}
        how["body"] = None if body is None else t.encoded(body)
        answer = self._authorised(operation, method, path, how)
        if answer.status in TOLD and answer.status not in expect:
            error = t.refusal(answer.status, _json_or_none(answer), path)
            error.params = {**error.params, "operation": operation}
            raise error
        if deed and answer.body.strip() and _json_or_none(answer) is None:
            # A maintenance page with status 200: nobody knows what became of the deed.
            raise Unknown("outcome.unknown", operation=operation, why="not_json")
        return answer

    def _authorised(self, operation: str, method: str, path: str, how: dict[str, Any]) -> Answer:
        """A token may be revoked before it ends: after a 401 it is asked for anew, once. Nothing has happened then."""
        for last in (False, True):
            headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token()}"}
            if how["body"] is not None:
                headers["Content-Type"] = "application/json"
                headers["X-Request-Timestamp"] = t.stamp(self._now())
            answer = self._door.call(operation, method, path, headers=headers, expect=TOLD, **how)
            if answer.status != 401 or last:
                break
            self._door.kept.forget("token")
        return answer

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def get(
        self,
        operation: str,
        path: str,
        params: Query = (),
        expect: tuple[int, ...] = (),
    ) -> Any:
        """The JSON of a read; None for a status in `expect`. An answer that is no JSON (a maintenance page) is Unavailable."""
        lane = "products" if path.startswith("/v5/products") else None
        answer = self._call(operation, "GET", path, params=params, expect=expect, lane=lane)
        return None if answer.status in TOLD else _json(answer, operation)

    def pages(self, operation: str, path: str, params: Query) -> Iterator[Any]:
        """All pages of a list, by the link `next`. A link to a page that was there already ends it: OTTO has been seen to loop (FACTS 3)."""
        asked: set[tuple[tuple[str, str], ...]] = set()
        query: Query | None = params
        while query is not None and tuple(query) not in asked:
            asked.add(tuple(query))
            body = self.get(operation, path, query)
            yield body
            query = t.next_query(body)

    # --- the connection -------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether the credentials work for every interface, and how far the account is on its way to go-live (I1, O2, O3).

        Raises Unavailable only: everything else is a reason.
        """
        facts: dict[str, object] = {}
        try:
            why = self._checked(facts)
        except Refused as error:
            return m.ConnectionCheck(False, t.told(error), facts)
        return m.ConnectionCheck(why is None, why, facts)

    def _checked(self, facts: dict[str, object]) -> m.Reason | None:
        orders = _orders_of(self.get("orders", "/v4/orders", [("limit", "1")]))
        since = ("datefrom", t.stamp(self._now()))
        self.get("return_shipments", "/v1/return-shipments", [since, ("limit", "1")])
        self.get("returns", "/v3/returns", [("status", "ANNOUNCED"), ("limit", "1"), ("page", "1")])
        self.get("price_reductions", "/v1/price-reductions", [("page", "1"), ("limit", "1")])
        found = [each for page in self._status_pages() for each in page]
        stock = t.quantities(self.get("quantities", "/v1/availability/quantities", [("limit", "200")]))
        seen = t.evidence(found, sum(count > 0 for count in stock.values()), len(orders))
        seller = self._settings.get("seller_name") or "unser Konto"
        number = t.text(orders[0], "orderNumber") if orders else None
        facts["offers"] = dict(seen.by_status)
        facts["released"] = not t.not_released(seen)
        facts["golive"] = t.checklist(seen, self._settings.get("golive_ticks") or (), live=self.live)
        facts["support_text"] = t.support_text(seller, number or None)
        return self._profile_trouble(facts)

    def _profile_trouble(self, facts: dict[str, object]) -> m.Reason | None:
        profiles = self._profiles()
        facts["shipping_profiles"] = profiles
        wanted = self._settings.get("shipping_group")
        if wanted and wanted not in [each["id"] for each in profiles]:
            return m.Reason("otto.profile_unknown", {"partner": t.NAME, "profile": wanted})
        if self.profile(None) is None:
            return m.Reason("otto.profile_missing", {"partner": t.NAME})
        return None

    def _profiles(self) -> list[dict[str, object]]:
        names = {
            "id": "shippingProfileId",
            "name": "shippingProfileName",
            "type": "deliveryType",
            "transport": "transportTime",
        }
        return [
            {ours: row.get(theirs) for ours, theirs in names.items()}
            for body in self.pages("shipping_profiles", "/v1/shipping-profiles", [])
            for row in t.rows(body, "results")
        ]

    def profile(self, wanted: str | None, delivery: str | None = None) -> str | None:
        """The shipping profile of an offer: its own, the connection's, or the only one for this kind of delivery (`delivery`: the product's,
        where it is another than the connection's).
        """
        usual, mine = self._settings["delivery_type"], self._settings.get("shipping_group")
        delivery = delivery or usual
        chosen = wanted or mine
        if chosen and (delivery == usual or chosen != mine):
            return str(chosen)
        known = self._door.kept.get("profiles", lambda: (self._profiles(), 3600.0))
        fitting = [str(each["id"]) for each in known if each["type"] == delivery]
        return fitting[0] if len(fitting) == 1 else None

    # --- orders ----------------------------------------------------------------------------------------------------------

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """All open work, and what is announced, so that stock is reserved for it. `since` is not needed: what is shipped or cancelled leaves
        this list by itself (FACTS 4). AT_LEAST_ONE, or an order of which one item is announced would hide the others.
        """
        return self._orders("orders_to_ship", ("PROCESSABLE", "ANNOUNCED"), ())

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Orders that changed since then and have an item that was sent, came back or was cancelled."""
        return self._orders("orders_changed", _CHANGED, (("fromDate", t.stamp(since)),))

    def _orders(self, operation: str, states: Sequence[str], more: Query) -> Iterator[list[m.OrderSeen]]:
        """Unreadable orders are left out and told at the end of the sweep, so that one of them never blocks another (C10)."""
        query = [("fulfillmentStatus", each) for each in states] + [
            ("mode", "AT_LEAST_ONE"),
            ("limit", str(ORDERS_PAGE)),
        ]
        unreadable: list[Invalid] = []
        known: set[str] = set()
        for body in self.pages(operation, "/v4/orders", [*query, *more]):
            found = _orders_of(body)
            page = [order for row in found if (order := self._order(row, known, unreadable))]
            if page:
                yield page
            if not found:
                break
        if unreadable:
            raise unreadable[0]

    def _order(self, row: t.Json, known: set[str], unreadable: list[Invalid]) -> m.OrderSeen | None:
        try:
            seen = t.order(row, self._transport)
        except Invalid as error:
            unreadable.append(error)
            return None
        if seen.external_id in known:
            return None
        known.add(seen.external_id)
        return seen

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The items as they are now, one call per order; one that OTTO does not know is left out."""
        found: list[m.PieceSeen] = []
        for order_id, pieces in t.by_order(piece_ids).items():
            body = self._read_order("order", order_id)
            if body is not None:
                order = t.order(body, self._transport)
                found += [each for each in order.pieces if each.external_id in pieces]
        return found

    def _read_order(self, operation: str, order_id: str) -> t.Json | None:
        body = self.get(operation, f"/v4/orders/{_quoted(order_id)}", expect=(404,))
        return None if body is None else t.row(body)

    def _item(self, operation: str, piece: str) -> t.Json | None:
        return _item_of(self._read_order(operation, t.ids(piece)[0]), piece)

    def _states(self, pieces: Sequence[str]) -> dict[str, m.PieceState]:
        """The states of these; nothing where OTTO's answer cannot be read, because this only explains a refusal."""
        try:
            return {each.external_id: each.state for each in self.read_pieces(pieces)}
        except Invalid:
            return {}

    # --- parcels ------------------------------------------------------------------------------------------------------------

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """One call for the whole parcel (FACTS 5). Without a tracking number, or for parcels without that of the return, nothing is sent: OTTO
        would refuse it and not pay. Raises Unknown when the answer got lost: then `read_pieces`.
        """
        parcel = self._parcel(shipment)
        if isinstance(parcel, m.Reason):
            return [m.PieceAnswer(piece, ok=False, reason=parcel) for piece in shipment.pieces]
        if shipment.further_parcel:
            return self._further(parcel, shipment.pieces)
        answers = self._send(parcel, list(shipment.pieces))
        return [answers[piece] for piece in shipment.pieces]

    def _parcel(self, shipment: m.ShipmentWanted) -> t.Parcel | m.Reason:
        """The parcel as OTTO wants to know it, or why it cannot be reported."""
        told: dict[str, object] = {"marketplace": t.NAME, "partner": t.NAME}
        if not shipment.tracking_number:
            return m.Reason("ship.tracking_required", told)
        code = marketplace_code("otto", shipment.carrier)
        if code is None:
            return m.Reason(
                "ship.carrier_not_accepted", told | {"carrier": shipment.carrier_name or shipment.carrier}
            )
        back = self._return_key(shipment)
        if isinstance(back, m.Reason):
            return back
        s = self._settings
        return t.Parcel(
            code,
            shipment.tracking_number,
            self._now(),
            s["ship_from_city"],
            s["ship_from_zip"],
            s.get("ship_from_country") or "DE",
            back,
            s.get("return_address_carrier_id"),
        )

    def _return_key(self, shipment: m.ShipmentWanted) -> tuple[str, str] | m.Reason | None:
        """Carrier and number of the return label; None where forwarders need none (FACTS 5): a forwarder connection, or a forwarder's name."""
        told: dict[str, object] = {"marketplace": t.NAME, "partner": t.NAME}
        if not shipment.return_tracking_number:
            return (
                m.Reason("ship.return_tracking_required", told)
                if self._settings["delivery_type"] == "PARCEL" and shipment.carrier in t.PARCEL_CARRIERS
                else None
            )
        code = (
            marketplace_code("otto", shipment.return_carrier)
            if shipment.return_carrier
            else self._settings["return_carrier"]
        )
        if code not in t.RETURN_CARRIERS:
            return m.Reason("otto.return_carrier", told | {"carrier": shipment.return_carrier})
        return str(code), shipment.return_tracking_number

    def _send(self, parcel: t.Parcel, pieces: list[str]) -> dict[str, m.PieceAnswer]:
        try:
            self._call("ship", "POST", "/v1/shipments", body=t.shipment_body(parcel, pieces), deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._settled(parcel, pieces, error)
        return {piece: m.PieceAnswer(piece, ok=True, state=m.PieceState.SHIPPED) for piece in pieces}

    def _settled(self, parcel: t.Parcel, pieces: list[str], error: Refused) -> dict[str, m.PieceAnswer]:
        """A refused parcel: what is reported already is done, the rest is sent without it, or into the parcel of the same number."""
        states = self._states(pieces) if error.params.get("status") == 409 else {}
        answers = {
            piece: m.PieceAnswer(piece, ok=True, already=True, state=states[piece])
            for piece in pieces
            if states.get(piece) in _SENT
        }
        rest = [piece for piece in pieces if piece not in answers]
        if rest and t.problem(error) == _DUPLICATE:
            return answers | self._append(parcel, rest, error)
        if rest and answers and t.problem(error) == _INCLUDED:
            return answers | self._send(parcel, rest)
        return answers | {
            piece: m.PieceAnswer(piece, ok=False, state=states.get(piece), reason=t.told(error))
            for piece in rest
        }

    def _append(self, parcel: t.Parcel, pieces: list[str], error: Refused) -> dict[str, m.PieceAnswer]:
        """The number is known. Where it is the parcel of the same order, forgotten items are added to it; another order's number is a mistake
        that a person must see.
        """
        path = f"/v1/shipments/carriers/{_quoted(parcel.carrier)}/trackingnumbers/{_quoted(parcel.number)}"
        body = self.get("shipment", path, expect=(404,))
        inside = (
            [t.text(each, "salesOrderId") for each in t.objects(t.row(body).get("positionItems"))]
            if body
            else []
        )
        foreign = [piece for piece in pieces if t.ids(piece)[0] not in inside]
        # A number that no parcel has is the other one that must be unique: that of the return label.
        number = parcel.number if inside or parcel.return_key is None else parcel.return_key[1]
        told = dict(error.params) | {"number": number, "order": inside[0] if inside else None}
        answers = {
            piece: m.PieceAnswer(piece, ok=False, reason=m.Reason("ship.tracking_used", told))
            for piece in foreign
        }
        mine = [piece for piece in pieces if piece not in answers]
        return answers | (self._add(path, parcel, mine) if mine else {})

    def _add(self, path: str, parcel: t.Parcel, pieces: list[str]) -> dict[str, m.PieceAnswer]:
        try:
            self._call("append", "POST", f"{path}/positionitems", body=t.contents(parcel, pieces), deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            why = t.told(error)
            return {piece: m.PieceAnswer(piece, ok=False, reason=why) for piece in pieces}
        return {piece: m.PieceAnswer(piece, ok=True, state=m.PieceState.SHIPPED) for piece in pieces}

    def _further(self, parcel: t.Parcel, pieces: Sequence[str]) -> list[m.PieceAnswer]:
        """One more parcel of items that are sent already. The same number once more is no second parcel."""
        body = [t.shipment_body(parcel, pieces)]
        try:
            self._call("further_parcel", "POST", "/v1/multiparcel-shipments", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            if t.problem(error) == _DUPLICATE:
                return [m.PieceAnswer(piece, ok=True, already=True) for piece in pieces]
            why = (
                m.Reason("otto.further_parcel", dict(error.params))
                if t.problem(error) == _INCLUDED
                else t.told(error)
            )
            return [m.PieceAnswer(piece, ok=False, reason=why) for piece in pieces]
        return [m.PieceAnswer(piece, ok=True) for piece in pieces]

    # --- cancelling and refunding ---------------------------------------------------------------------------------------------

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """OTTO wants no reason and refunds the buyer itself (FACTS 4). Taken is not done: a later look at the order shows it."""
        if reason not in t.CANCEL_REASONS:
            raise Refused("cancel.reason_unknown", reason=reason)
        answers: dict[str, m.PieceAnswer] = {}
        for pieces in t.by_order(piece_ids).values():
            for start in range(0, len(pieces), CANCELLED_AT_ONCE):
                answers |= self._cancel(pieces[start : start + CANCELLED_AT_ONCE])
        return [answers[piece] for piece in piece_ids]

    def _cancel(self, pieces: list[str]) -> dict[str, m.PieceAnswer]:
        order_id = t.ids(pieces[0])[0]
        items = ",".join(_quoted(t.ids(piece)[1]) for piece in pieces)
        path = f"/v4/orders/{_quoted(order_id)}/positionItems/{items}/cancellation"
        try:
            self._call("cancel", "POST", path, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._not_cancelled(pieces, error)
        return {piece: m.PieceAnswer(piece, ok=True, pending=True) for piece in pieces}

    def _not_cancelled(self, pieces: list[str], error: Refused) -> dict[str, m.PieceAnswer]:
        """One item in another state and OTTO changes none of them: those that may be cancelled are asked for once more."""
        states = self._states(pieces)
        why = (
            m.Reason("cancel.not_possible", dict(error.params))
            if error.code == "deed.not_allowed"
            else t.told(error)
        )
        answers: dict[str, m.PieceAnswer] = {}
        for piece in pieces:
            state = states.get(piece)
            if state is m.PieceState.CANCELLED:
                answers[piece] = m.PieceAnswer(piece, ok=True, already=True, state=state)
            else:
                answers[piece] = m.PieceAnswer(piece, ok=False, state=state, reason=why)
        open_ones = [piece for piece in pieces if states.get(piece) is m.PieceState.TO_SHIP]
        if error.code == "deed.not_allowed" and open_ones and len(open_ones) < len(pieces):
            answers |= self._cancel(open_ones)
        return answers

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        """Give the buyer `amount` minor units: a part as a price reduction, all that is left by accepting the item back (FACTS 6). Both can be
        read back (`read_refunded`). A reduction is only taken at first.

        What is more than the price of the item, up to the delivery fee that stands with it, is answered as `short`: nothing pays a fee back by
        itself, and whether OTTO does so with the item is not documented.
        """
        if isinstance(amount, bool) or amount < 1:
            raise Refused("refund.amount_invalid", amount=amount)
        if reason not in t.ACCEPT_REASONS:
            raise Refused("refund.reason_unknown", reason=reason)
        order = self._read_order("refund_item", t.ids(piece_id)[0])
        item = _item_of(order, piece_id)
        if order is None or item is None:
            return m.PieceAnswer(
                piece_id, ok=False, reason=m.Reason("partner.not_found", {"partner": t.NAME})
            )
        left = t.paid(item) - self._reduced("refund_so_far", piece_id)
        fee = t.fee_of(order, piece_id)
        if why := _no_refund(item, amount, left, fee, alone=reason == "postage"):
            return m.PieceAnswer(piece_id, ok=False, reason=why)
        if amount < left or reason == "postage":
            return self._reduce(piece_id, amount)
        body = t.acceptance_body(piece_id, t.ACCEPT_REASONS[reason], None)
        answer = self._accept("refund", piece_id, body)
        if answer.ok and amount > left:
            rest = {"marketplace": t.NAME, "amount": amount - left, "currency": t.CURRENCY}
            return replace(answer, short=amount - left, reason=m.Reason("refund.shipping_with_return", rest))
        return answer

    def _reduce(self, piece_id: str, amount: int) -> m.PieceAnswer:
        try:
            self._call(
                "refund", "POST", "/v1/price-reductions", body=t.reduction_body(piece_id, amount), deed=True
            )
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))
        return m.PieceAnswer(piece_id, ok=True, pending=True)

    def _reduced(self, operation: str, piece_id: str, *but: str) -> int:
        params = [("positionItemId", t.ids(piece_id)[1]), ("page", "1"), ("limit", "128")]
        body = self.get(operation, "/v1/price-reductions", params, expect=(404,))
        return 0 if body is None else t.reduced(body, *but)

    def read_refunded(self, piece_id: str) -> int:
        """Minor units refunded of this item: its price when it came back, else its price reductions, also those still on their way."""
        item = self._item("order", piece_id)
        if (
            item is not None
            and t.PIECE_STATES.get(t.text(item, "fulfillmentStatus")) is m.PieceState.RETURNED
        ):
            return t.paid(item)
        return self._reduced("price_reductions", piece_id)

    def read_undecided(self, piece_id: str) -> int:
        """Minor units of price reductions that OTTO has taken and neither processed nor rejected (FACTS 6)."""
        return self._reduced("price_reductions", piece_id, "PROCESSED")

    # --- returns -------------------------------------------------------------------------------------------------------------

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]:
        """Returned items that changed since then, then those whose parcel has arrived and wait for the seller's word. The list of returns has no
        filter by date and comes newest first: it is read until a whole page is older.
        """
        unreadable: list[Invalid] = []
        for status in t.RETURN_STATES:
            for rows in self._return_pages(status, since):
                if page := _readable(rows, unreadable):
                    yield page
        yield from self._arrivals(since, unreadable)
        if unreadable:
            raise unreadable[0]

    def _return_pages(self, status: str, since: datetime) -> Iterator[list[t.Json]]:
        query = [("status", status), ("limit", str(RETURNS_PAGE)), ("page", "1")]
        for body in self.pages("returns", "/v3/returns", query):
            rows = t.rows(body, "positionItems")
            fresh = [row for row in rows if (at := t.changed_at(row)) is None or at >= since]
            if fresh:
                yield fresh
            if not fresh:
                return

    def _arrivals(self, since: datetime, unreadable: list[Invalid]) -> Iterator[list[m.ReturnSeen]]:
        """A parcel's arrival says nothing about acceptance, so an item that is refunded already is left out."""
        query = [("datefrom", t.stamp(since)), ("limit", str(SHIPMENTS_PAGE))]
        for body in self.pages("return_shipments", "/v1/return-shipments", query):
            arrived: list[m.ReturnSeen] = []
            for row in t.rows(body, "resources"):
                try:
                    arrived += t.arrived(row)
                except Invalid as error:
                    unreadable.append(error)
            states = self._states([each.external_id for each in arrived])
            page = [each for each in arrived if states.get(each.external_id) is not m.PieceState.RETURNED]
            if page:
                yield page

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer:
        """The buyer's refund starts with this, OTTO pays it. Repeating is harmless: what was accepted before is answered as `already`."""
        body = t.acceptance_body(
            return_piece_id, "RETURN_RECEIVED", self._settings.get("return_condition") or "A"
        )
        return self._accept("accept_return", return_piece_id, body)

    def _accept(self, operation: str, piece: str, body: dict[str, object]) -> m.PieceAnswer:
        try:
            answer = self._call(operation, "POST", "/v3/returns/acceptance", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._accepted_before(piece, error)
        if answer.status == 207 and not _confirms(answer, piece):
            return self._accepted_before(piece, t.refusal(422, _json_or_none(answer), "/v3/returns"))
        return m.PieceAnswer(piece, ok=True, state=m.PieceState.RETURNED)

    def _accepted_before(self, piece: str, error: Refused) -> m.PieceAnswer:
        state = self._states([piece]).get(piece)
        if state is m.PieceState.RETURNED:
            return m.PieceAnswer(piece, ok=True, already=True, state=state)
        return m.PieceAnswer(piece, ok=False, state=state, reason=t.told(error))

    def reject_return(self, return_piece_ids: Sequence[str], reason: str, note: str) -> list[m.PieceAnswer]:
        """Reject returned items; they may be accepted later. OTTO has words (t.REJECTIONS) and no place for a note (FACTS 6)."""
        return [self._reject(each, reason) for each in return_piece_ids]

    def _reject(self, piece: str, reason: str) -> m.PieceAnswer:
        """What OTTO does with a second rejection is not documented, so it is looked first whether there is one."""
        if self._is_rejected(piece):
            return m.PieceAnswer(piece, ok=True, already=True)
        condition = t.CONDITION_OF.get(reason) or self._settings.get("return_condition") or "A"
        body = t.acceptance_body(piece, reason, condition)
        try:
            answer = self._call("reject_return", "POST", "/v3/returns/rejection", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece, ok=False, reason=t.told(error))
        if answer.status == 207 and not _confirms(answer, piece):
            why = t.reason(422, _json_or_none(answer), "/v3/returns")
            return m.PieceAnswer(piece, ok=False, reason=why)
        return m.PieceAnswer(piece, ok=True)

    def _is_rejected(self, piece: str) -> bool:
        """Rejected returns come newest first: the first page has those of the last try."""
        query = [("status", "REJECTED"), ("limit", str(RETURNS_PAGE)), ("page", "1")]
        body = self.get("rejected_returns", "/v3/returns", query)
        return any(t.text(row, "positionItemId") == t.ids(piece)[1] for row in t.rows(body, "positionItems"))

    # --- offers --------------------------------------------------------------------------------------------------------------

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """Make OTTO show these, at most 200, each SKU once (FACTS 7). Stock goes out at once and is confirmed at once; prices, switches and
        product data are taken as a process, whose id is the answer's `task`. A SKU without a `moin` is created first and gets its stock later.

        When OTTO fails in the middle, what was done is answered and the rest says `retry`; when nothing was done yet the error is raised.
        """
        push = _Push(self, offers, self._settings)
        try:
            push.run()
        except Unavailable as error:
            if not push.anything_done:
                raise
            push.later(error)
        return push.answers()

    def objection(self, offer: m.OfferWanted) -> m.Reason | None:
        return t.objection(offer, self._transport)

    def statuses(self, skus: Sequence[str]) -> dict[str, t.Status]:
        """marketplace-status by SKU; a SKU that OTTO does not know is missing. Few are asked for one by one, else the whole list is read."""
        if len(skus) > FEW:
            wanted = set(skus)
            return {each.sku: each for page in self._status_pages() for each in page if each.sku in wanted}
        found: dict[str, t.Status] = {}
        for sku in skus:
            body = self.get(
                "marketplace_status", "/v5/products/marketplace-status", [("sku", sku)], expect=(404,)
            )
            found |= {
                each.sku: each for each in (t.statuses(body) if body is not None else []) if each.sku == sku
            }
        return found

    def _status_pages(self) -> Iterator[list[t.Status]]:
        query = [("page", "0"), ("limit", str(STATUS_PAGE))]
        for body in self.pages("marketplace_status", "/v5/products/marketplace-status", query):
            yield t.statuses(body)

    def write_rows(
        self, operation: str, path: str, bodies: Mapping[str, Mapping[str, object]]
    ) -> dict[str, m.Reason | None]:
        """Write rows of the availability interface, at most 200: why not, by SKU; None where it was taken. A 2xx may hide refused rows, so only
        the rows that come back count then. A batch that is refused as a whole (400) is halved until the row is found.
        """
        answer = self._call(operation, "POST", path, body=list(bodies.values()), expect=(400, 422))
        if answer.status in {200, 202}:
            return dict.fromkeys(bodies)
        body = _json_or_none(answer)
        if answer.status == 400 and len(bodies) > 1:
            skus = list(bodies)
            halves = skus[: len(skus) // 2], skus[len(skus) // 2 :]
            return {
                k: v
                for half in halves
                for k, v in self.write_rows(operation, path, {s: bodies[s] for s in half}).items()
            }
        taken = (
            {t.text(each, "sku") for each in t.objects(body.get("results"))}
            if isinstance(body, Mapping)
            else set()
        )
        why = t.reason(answer.status, body, path)
        return {sku: None if sku in taken else why for sku in bodies}

    def start(self, operation: str, path: str, body: object, lane: str | None = None) -> t.Process | Refused:
        """Hand something over as a process; the refusal where OTTO takes nothing of it."""
        try:
            answer = self._call(operation, "POST", path, body=body, lane=lane)
        except Unauthorised:
            raise
        except Refused as error:
            return error
        return t.process(_json(answer, operation))

    def brand_id(self, name: str) -> str | None:
        """The id of a usable brand, by its name; the list is read once a day. A missing brand is made in OTTO Partner Connect by hand."""
        known = self._door.kept.get("brands", lambda: (self._brands(), A_DAY))
        return dict(known).get(name.strip().casefold())

    def _brands(self) -> dict[str, str]:
        query = [("page", "0"), ("limit", str(BRANDS_PAGE))]
        return {
            k: v
            for body in self.pages("brands", "/v5/products/brands", query)
            for k, v in t.brands(body).items()
        }

    def category(self, name: str) -> t.Category | None:
        """What OTTO demands in this category; None when there is none of this name. Read once a day."""

        def made() -> Made:
            found = t.category(self.get("category", "/v5/products/categories", [("category", name)]), name)
            return (list(found.mandatory) if found else None), A_DAY

        mandatory = self._door.kept.get(f"category:{name}", made)
        return None if mandatory is None else t.Category(name, tuple(mandatory))

    def read_tasks(self, tasks: Sequence[str]) -> list[m.TaskSeen]:
        """How far these processes are. "unchanged" only says that OTTO has thrown identical data away: what counts is the marketplace status."""
        return [self._task(task) for task in dict.fromkeys(tasks)]

    def _task(self, task: str) -> m.TaskSeen:
        parts = [_Part.read(each) for each in task.split("+")]
        wait = [seconds for part in parts if (seconds := self._still(part)) is not None]
        if None in parts or any(seconds < 0 for seconds in wait):
            return m.TaskSeen(task, done=True)
        if wait:
            return m.TaskSeen(task, done=False, again_in=max(wait))
        results = _Results([part for part in parts if part is not None], self.get)
        found = self.statuses(results.to_look_up)
        return m.TaskSeen(task, True, tuple(results.answers(found, live=self.live)), AFTER_CREATION)

    def _still(self, part: _Part | None) -> int | None:
        """Seconds until this process should be asked again, None when it is done, -1 when OTTO does not know it any more.

        OTTO wants nobody to ask before `pingAfter`.
        """
        if part is None or part.kind == "moin":
            return None
        if (left := part.ping_after - self._clock()) > 0:
            return max(1, min(600, round(left)))
        body = self.get("process", f"/v5/products/update-tasks/{_quoted(part.id)}", expect=(404,))
        if body is None:
            return -1
        seen = t.process(body)
        if seen.done:
            return None
        left = seen.ping_after.timestamp() - self._clock() if seen.ping_after else 30
        return max(1, min(600, round(left)))

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now, put together from marketplace status, quantities, prices and delivery information."""
        if skus is not None and len(skus) <= FEW:
            page = [shown for sku in dict.fromkeys(skus) if (shown := self._one_offer(sku))]
            if page:
                yield page
            return
        wanted = None if skus is None else set(skus)
        stock = self._listed("quantities", "/v1/availability/quantities", QUANTITIES_PAGE, t.quantities)
        prices = self._listed("prices", "/v5/products/prices", PRICES_PAGE, t.prices, [("page", "0")])
        delivery = self._listed(
            "delivery", "/v1/availability/product-delivery-information", QUANTITIES_PAGE, t.deliveries
        )
        known: set[str] = set()
        for found in self._status_pages():
            rows = [
                each for each in found if each.sku not in known and (wanted is None or each.sku in wanted)
            ]
            known.update(each.sku for each in rows)
            page = [
                t.shown(
                    each, stock.get(each.sku), prices.get(each.sku), delivery.get(each.sku), live=self.live
                )
                for each in rows
            ]
            if page:
                yield page

    def _listed(
        self,
        operation: str,
        path: str,
        limit: int,
        read: Callable[[object], dict[str, Any]],
        more: Query = (),
    ) -> dict[str, Any]:
        pages = self.pages(operation, path, [*more, ("limit", str(limit))])
        return {sku: value for body in pages for sku, value in read(body).items()}

    def _one_offer(self, sku: str) -> m.OfferShown | None:
        found = self.statuses([sku]).get(sku)
        if found is None:
            return None
        price = t.prices(self.get("prices", "/v5/products/prices", [("sku", sku)])).get(sku)
        stock, delivery = None, None
        # A SKU with one of these cannot stand in a path, and these lists have no filter (FACTS 3): the hourly look at everything shows it.
        if "/" not in sku and "." not in sku:
            one = self.get("quantity", f"/v1/availability/quantities/{_quoted(sku)}", expect=(404,))
            stock = None if one is None else t.quantities({"resources": {"variations": [one]}}).get(sku)
            one = self.get(
                "delivery", f"/v1/availability/product-delivery-information/{_quoted(sku)}", expect=(404,)
            )
            delivery = None if one is None else t.deliveries({"results": [one]}).get(sku)
        return t.shown(found, stock, price, delivery, live=self.live)


class _Part:
    """One process inside a task: `<kind>:<id>@<Unix milliseconds of pingAfter>`. Kinds: new, products, prices, active, moin."""

    def __init__(self, kind: str, identity: str, ping_after: float) -> None:
        self.kind, self.id, self.ping_after = kind, identity, ping_after

    @classmethod
    def read(cls, text: str) -> _Part | None:
        """None for text that is none of ours."""
        kind, colon, rest = text.partition(":")
        identity, _, told = rest.partition("@")
        return (
            cls(kind, identity, int(told) / 1000 if told.isdigit() else 0.0) if colon and identity else None
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}@{math.ceil(self.ping_after * 1000)}"


class _Results:
    """What the processes of one task say about each SKU."""

    def __init__(self, parts: Sequence[_Part], get: Callable[..., Any]) -> None:
        self._failed: dict[str, m.Reason] = {}
        self._unchanged: set[str] = set()
        self._taken: dict[str, _Part] = {}
        for part in parts:
            self._read(part, get)

    def _read(self, part: _Part, get: Callable[..., Any]) -> None:
        for list_name in ("failed", "succeeded", "unchanged"):
            path = f"/v5/products/update-tasks/{_quoted(part.id)}/{list_name}"
            body = get(f"process_{list_name}", path, expect=(404,))
            for sku, why in t.variations(body).items() if body is not None else ():
                if list_name == "failed":
                    self._failed[sku] = why or m.Reason("product.data_refused", {"partner": t.NAME})
                    continue
                if list_name == "unchanged":
                    self._unchanged.add(sku)
                # The part that makes the product decides what comes next.
                self._taken[sku] = part if part.kind in {"new", "moin"} else self._taken.get(sku, part)

    @property
    def to_look_up(self) -> list[str]:
        return [sku for sku in self._taken if sku not in self._failed]

    def answers(self, found: Mapping[str, t.Status], *, live: bool) -> Iterator[m.OfferAnswer]:
        for sku, why in self._failed.items():
            yield m.OfferAnswer(sku, False, m.OfferState.REFUSED, reason=why)
        for sku in self.to_look_up:
            part = self._taken[sku]
            status = found.get(sku)
            if part.kind in {"new", "moin"}:
                yield self._of_new(sku, part, status, live=live)
            else:
                yield self._of_known(sku, status, live=live)

    def _of_new(self, sku: str, part: _Part, status: t.Status | None, *, live: bool) -> m.OfferAnswer:
        """A new product is there once it has a `moin`: only then stock and delivery are sent, by the next push."""
        state, why = t.verdict(status, None, live=live) if status else (m.OfferState.WAITING, None)
        if state is m.OfferState.REFUSED:
            return m.OfferAnswer(sku, False, state, reason=why)
        if status is not None and status.moin:
            reason = m.Reason("otto.product_created", {"sku": sku, "partner": t.NAME})
            return m.OfferAnswer(sku, False, m.OfferState.WAITING, reason=reason, retry=True)
        if status is None and sku in self._unchanged:
            reason = m.Reason("otto.unchanged", {"sku": sku, "partner": t.NAME})
            return m.OfferAnswer(sku, False, m.OfferState.REFUSED, reason=reason)
        processing = m.Reason("product.data_processing", {"sku": sku, "partner": t.NAME})
        return m.OfferAnswer(
            sku, True, m.OfferState.WAITING, reason=processing, task=str(_Part("moin", part.id, 0))
        )

    @staticmethod
    def _of_known(sku: str, status: t.Status | None, *, live: bool) -> m.OfferAnswer:
        if status is None:
            return m.OfferAnswer(sku, True, m.OfferState.WAITING)
        state, why = t.verdict(status, None, live=live)
        return m.OfferAnswer(sku, state is not m.OfferState.REFUSED, state, reason=why)


class _Push:
    """One push of offers: each offer collects what the several calls said of it."""

    def __init__(
        self, client: OttoClient, offers: Sequence[m.OfferWanted], settings: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._settings = settings
        self._offers = {offer.sku: offer for offer in offers}
        self._found: dict[str, t.Status] = {}
        self._gone: set[str] = set()  # had a `moin`, and OTTO does not know them any more
        self._wrong: dict[str, m.OfferAnswer] = {}
        self._tasks: dict[str, list[str]] = {}
        self._profiles: dict[str, str] = {}  # shipping profiles that were sent
        self._finished: set[str] = set()  # which steps went through
        self.anything_done = False

    def run(self) -> None:
        for offer in self._offers.values():
            if why := self._client.objection(offer) or self._strange_delivery(offer):
                self._refuse(offer.sku, why)
        self._look()
        self._stock()
        for offer in self._open():
            if self._is_new(offer):
                self._wait_if_pending(offer)
        self._delivery()
        self._prices()
        self._switch_on()
        self._products()
        self._finished = set(self._offers)

    def _open(self) -> list[m.OfferWanted]:
        return [offer for sku, offer in self._offers.items() if sku not in self._wrong]

    def _refuse(
        self, sku: str, why: m.Reason, state: m.OfferState = m.OfferState.REFUSED, *, retry: bool = False
    ) -> None:
        ref = self._ref(sku)
        shown = m.OfferShown(sku, ref) if ref else None
        self._wrong.setdefault(sku, m.OfferAnswer(sku, False, state, shown, why, retry=retry))

    # What OTTO has.

    def _look(self) -> None:
        """Where nothing is confirmed, OTTO is asked what it has: stock goes only to a SKU with a `moin`."""
        unknown = [
            sku
            for sku, each in self._offers.items()
            if each.was is None or not each.was.raw_state or not each.external_ref
        ]
        self._found = self._client.statuses(unknown)
        # A list that is read in pages may miss a row that moves meanwhile; what was there before is asked for by itself before it counts as gone.
        lost = [sku for sku in unknown if self._offers[sku].external_ref and sku not in self._found]
        for start in range(0, len(lost), FEW):
            self._found |= self._client.statuses(lost[start : start + FEW])
        self._gone = {sku for sku in lost if sku not in self._found}

    def _ref(self, sku: str) -> str | None:
        found = self._found.get(sku)
        if found and found.moin:
            return found.moin
        return None if sku in self._gone else self._offers[sku].external_ref

    def _is_new(self, offer: m.OfferWanted) -> bool:
        return self._ref(offer.sku) is None

    def _wait_if_pending(self, offer: m.OfferWanted) -> None:
        found = self._found.get(offer.sku)
        if found is not None and found.raw == "PENDING":
            why = m.Reason("product.data_processing", {"sku": offer.sku, "partner": t.NAME})
            self._refuse(offer.sku, why, m.OfferState.WAITING, retry=True)

    # Rows that are confirmed at once.

    def _stock(self) -> None:
        """First of all, and also for an offer with something wrong: an old stock must not stay on sale."""
        rows = {}
        for sku, offer in self._offers.items():
            row = t.quantity_row(offer)
            if not self._is_new(offer) and (offer.was is None or offer.was.stock != row["quantity"]):
                rows[sku] = row
        self._write("quantities", "/v1/availability/quantities", rows)

    def _delivery(self) -> None:
        rows = {}
        for offer in self._open():
            if self._is_new(offer) or not _delivery_differs(offer, self._group(offer)):
                continue
            profile = self._client.profile(offer.shipping_group, self._delivery_type(offer))
            if profile is None:
                self._refuse(
                    offer.sku, m.Reason("otto.profile_missing", {"partner": t.NAME, "sku": offer.sku})
                )
            else:
                rows[offer.sku] = t.delivery_row(offer, profile)
                self._profiles[offer.sku] = profile
        self._write("delivery", "/v1/availability/product-delivery-information", rows)

    def _write(self, operation: str, path: str, rows: Mapping[str, Mapping[str, object]]) -> None:
        skus = list(rows)
        for start in range(0, len(skus), QUANTITIES):
            batch = {sku: rows[sku] for sku in skus[start : start + QUANTITIES]}
            for sku, why in self._client.write_rows(operation, path, batch).items():
                if why is not None:
                    self._refuse(sku, m.Reason("offer.refused", {**why.params, "sku": sku}))
            self.anything_done = True

    # Processes.

    def _prices(self) -> None:
        rows = {
            offer.sku: t.price_row(offer)
            for offer in self._open()
            if not self._is_new(offer)
            and not self._sends_product(offer)
            and (offer.was is None or offer.was.price != offer.price)
        }
        self._start("prices", "/v5/products/prices", rows, list)

    def _switch_on(self) -> None:
        """Off is stock 0, which is cheaper; on is only told where a switch at OTTO keeps an offer from being sold (O4)."""
        rows = {
            offer.sku: {"sku": offer.sku, "active": True}
            for offer in self._open()
            if not self._is_new(offer) and offer.on and self._is_on(offer) is False
        }
        try:
            self._start(
                "active",
                "/v5/products/active-status",
                rows,
                lambda each: {"status": list(each)},
                lane="active",
            )
        except Unavailable as error:
            # The switches of a day are used up: that must not keep stock and prices waiting. The hourly look finds the offer inactive and asks again.
            if not error.only_its_turn:
                raise

    def _is_on(self, offer: m.OfferWanted) -> bool | None:
        found = self._found.get(offer.sku)
        if found is not None:
            return t.is_on(found, offer.stock, live=self._client.live)
        return offer.was.on if offer.was else None

    def _products(self) -> None:
        new: dict[str, dict[str, object]] = {}
        known: dict[str, dict[str, object]] = {}
        for offer in self._open():
            if self._sends_product(offer) and (body := self._product(offer)) is not None:
                (new if self._is_new(offer) else known)[offer.sku] = body
        self._start("new", "/v5/products", new, list)
        self._start("products", "/v5/products", known, list)

    def _sends_product(self, offer: m.OfferWanted) -> bool:
        """A product that OTTO lacks or has refused; with `overwrite_products` also when nothing is confirmed or no value differs, because
        then it is the product's data that changed.
        """
        if self._is_new(offer):
            return offer.on
        found = self._found.get(offer.sku)
        if found is not None and t.verdict(found, None, live=self._client.live)[0] is m.OfferState.REFUSED:
            return True
        return bool(self._settings.get("overwrite_products")) and (
            offer.was is None or not _differs(offer, self._group(offer))
        )

    def _values(self, offer: m.OfferWanted) -> dict[str, str]:
        s = self._settings
        mapping, categories = s.get("product_mapping") or t.DEFAULT_MAPPING, s.get("categories") or {}
        return t.mapped(mapping, categories, offer.product, offer.title)

    def _delivery_type(self, offer: m.OfferWanted) -> str | None:
        """The product's own kind of delivery; None where the merchant maps none, and the connection's counts."""
        if "delivery_type" not in (self._settings.get("product_mapping") or ()):
            return None
        return self._values(offer).get("delivery_type")

    def _group(self, offer: m.OfferWanted) -> str | None:
        """The shipping profile that is wanted by name, or because of the product's own kind of delivery; None: whichever fits."""
        delivery = self._delivery_type(offer)
        return self._client.profile(offer.shipping_group, delivery) if delivery else offer.shipping_group

    def _strange_delivery(self, offer: m.OfferWanted) -> m.Reason | None:
        told = self._delivery_type(offer)
        if told is None or told in t.DELIVERY_TYPES:
            return None
        available = ", ".join(t.DELIVERY_TYPES)
        return m.Reason("otto.delivery_type", {"sku": offer.sku, "value": told, "available": available})

    def _product(self, offer: m.OfferWanted) -> dict[str, object] | None:
        """The product's data, or None and why not. A product that OTTO has already stays on sale although our data has gaps."""
        client, s = self._client, self._settings
        values = self._values(offer)
        contact = t.contact(values, s)
        known = client.category(values["category"]) if "category" in values else None
        brand = values.get("brand_id") or (client.brand_id(values["brand"]) if "brand" in values else None)
        why = self._product_trouble(offer, values, known, brand, contact)
        if why is None and brand is not None:
            return t.product_body(offer, values, brand, contact)
        if why is not None and self._is_new(offer):
            self._refuse(offer.sku, why, m.OfferState.NEEDS_PRODUCT)
        return None

    @staticmethod
    def _product_trouble(
        offer: m.OfferWanted,
        values: Mapping[str, str],
        known: t.Category | None,
        brand: str | None,
        contact: t.Contact,
    ) -> m.Reason | None:
        told: dict[str, object] = {"sku": offer.sku, "gtin": offer.gtin, "partner": t.NAME}
        if "category" in values and known is None:
            return m.Reason("otto.category_unknown", told | {"category": values["category"]})
        if "brand" in values and brand is None:
            return m.Reason("otto.brand_unknown", told | {"brand": values["brand"]})
        if lacking := t.missing(offer, values, known, brand, contact):
            return m.Reason("product.data_missing", told | {"fields": ", ".join(lacking)})
        return t.product_objection(offer, values)

    def _start(
        self,
        kind: str,
        path: str,
        rows: Mapping[str, Mapping[str, object]],
        shape: Callable[[Iterable[object]], object],
        lane: str | None = None,
    ) -> None:
        skus = list(rows)
        for start in range(0, len(skus), PRODUCTS):
            batch = skus[start : start + PRODUCTS]
            self._hand_over(kind, path, {sku: rows[sku] for sku in batch}, shape, lane)

    def _hand_over(
        self,
        kind: str,
        path: str,
        rows: Mapping[str, Mapping[str, object]],
        shape: Callable[[Iterable[object]], object],
        lane: str | None,
    ) -> None:
        """One process. When OTTO refuses all of it, it is halved until the row is found."""
        result = self._client.start(kind, path, shape(rows.values()), lane)
        if isinstance(result, t.Process):
            self.anything_done = True
            part = _Part(kind, result.id, result.ping_after.timestamp() if result.ping_after else 0)
            for sku in rows:
                self._tasks.setdefault(sku, []).append(str(part))
        elif result.params.get("status") == 400 and len(rows) > 1:
            skus = list(rows)
            for half in (skus[: len(skus) // 2], skus[len(skus) // 2 :]):
                self._hand_over(kind, path, {sku: rows[sku] for sku in half}, shape, lane)
        else:
            for sku in rows:
                self._refuse(sku, t.told(result))

    # Answers.

    def later(self, error: Unavailable) -> None:
        """OTTO failed in the middle: whoever is not finished comes back later."""
        for offer in self._open():
            if offer.sku not in self._finished:
                self._refuse(offer.sku, t.told(error), m.OfferState.WAITING, retry=True)

    def answers(self) -> list[m.OfferAnswer]:
        return [self._wrong.get(sku) or self._answer(offer) for sku, offer in self._offers.items()]

    def _answer(self, offer: m.OfferWanted) -> m.OfferAnswer:
        sku, ref = offer.sku, self._ref(offer.sku)
        if tasks := self._tasks.get(sku):
            shown = m.OfferShown(sku, ref) if ref else None
            return m.OfferAnswer(sku, True, m.OfferState.WAITING, shown, task="+".join(tasks))
        if ref is None:
            return m.OfferAnswer(sku, True, m.OfferState.OFF)
        raw = offer.was.raw_state if offer.was and offer.was.raw_state else ""
        found = self._found.get(sku) or t.Status(sku, raw, ref, "", None)
        stock = int(str(t.quantity_row(offer)["quantity"]))
        state, why = (
            t.verdict(found, stock, live=self._client.live) if found.raw else (m.OfferState.WAITING, None)
        )
        shown = m.OfferShown(
            sku,
            ref,
            price=offer.price,
            stock=stock,
            handling_days=offer.handling_days,
            on=offer.on,
            shipping_group=self._profiles.get(sku)
            or (offer.was and offer.was.shipping_group)
            or offer.shipping_group,
            raw_state=found.raw or None,
            state=state,
            reason=why,
        )
        return m.OfferAnswer(sku, state is not m.OfferState.REFUSED, state, shown, why)


def _delivery_differs(offer: m.OfferWanted, group: str | None) -> bool:
    was = offer.was
    if was is None or was.handling_days != offer.handling_days:
        return True
    return group is not None and was.shipping_group != group


def _differs(offer: m.OfferWanted, group: str | None) -> bool:
    """Whether a value of the offer itself differs from what is confirmed."""
    was = offer.was
    if was is None:
        return True
    stock = t.quantity_row(offer)["quantity"]
    return (
        was.price != offer.price or was.stock != stock or was.on is False or _delivery_differs(offer, group)
    )


def _item_of(order: t.Json | None, piece: str) -> t.Json | None:
    items = t.rows(order, "positionItems") if order is not None else []
    return next((each for each in items if t.text(each, "positionItemId") == t.ids(piece)[1]), None)


def _no_refund(item: t.Json, amount: int, left: int, fee: int, *, alone: bool) -> m.Reason | None:
    """Why this much cannot be given back for this item. `fee`: what may be asked for beyond its price when all of it goes back, so not when only
    shipping is meant (`alone`).
    """
    told: dict[str, object] = {
        "partner": t.NAME,
        "marketplace": t.NAME,
        "amount": amount,
        "currency": t.CURRENCY,
    }
    state = t.PIECE_STATES.get(t.text(item, "fulfillmentStatus"), m.PieceState.UNCLEAR)
    if state in {m.PieceState.ANNOUNCED, m.PieceState.TO_SHIP}:
        return m.Reason("refund.before_shipping", told)
    if state is m.PieceState.RETURNED and amount <= fee:
        return m.Reason("refund.shipping_with_return", told)
    if state in {m.PieceState.RETURNED, m.PieceState.CANCELLED}:
        return m.Reason("refund.more_than_paid", told)
    if amount > left + (0 if alone else fee) or (amount > left and not left):
        return m.Reason("refund.more_than_paid", told | {"amount": amount - left})
    return None


def _orders_of(body: object) -> list[t.Json]:
    """A list without orders may lack the field altogether: the vendor's description does not require it."""
    if isinstance(body, Mapping) and "resources" not in body and "links" in body:
        return []
    return t.rows(body, "resources")


def _readable(rows: Sequence[t.Json], unreadable: list[Invalid]) -> list[m.ReturnSeen]:
    found: list[m.ReturnSeen] = []
    for row in rows:
        try:
            found.append(t.returned(row))
        except Invalid as error:
            unreadable.append(error)
    return found


def _confirms(answer: Answer, piece: str) -> bool:
    """Whether a 207 names this item among the results."""
    body = _json_or_none(answer)
    results = t.objects(body.get("results")) if isinstance(body, Mapping) else []
    return t.ids(piece)[1] in [t.text(each, "positionItemId") for each in results]


def _access(body: t.Json) -> Made:
    return t.text(body, "access_token"), _seconds(body, "expires_in", 1800)


def _seconds(body: t.Json, name: str, otherwise: int) -> float:
    told = body.get(name)
    seconds = told if isinstance(told, int) and not isinstance(told, bool) else otherwise
    return float(max(0, seconds - RENEWED_EARLY))


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
