"""eMAG's Marketplace API v4.4.9 through the Door: one method per verb of the bridge.

What may go wrong: an answer of 200 that is none (every answer is judged by its `isError`, and offers one by one), lists that shift while they are
read, and deeds whose answer got lost. What can be read back afterwards:

- accept, ship, cancel of an order: yes, by the order's status. A part of a line: eMAG only counts, so the bridge keeps which pieces it asked for.
- an AWB: the first one finalizes the order, so an order that is not finalized has none; what was booked is kept besides.
- refund: yes, `read_refunded` counts what is left of the line. accept_return: yes, the return's status.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from app import messages as m
from app.errors import Invalid, Refused, ShopbridgeError, Unauthorised, Unavailable, Unknown
from app.marketplaces.emag import translate as t
from app.rules import vat

if TYPE_CHECKING:
    from app.outbound import Answer, Door

PAGE: Final = 100  # default and most rows of a list (FACTS 2)
BATCH: Final = 50  # most entities of one save
EANS: Final = 100  # most EANs of one question
PASSES: Final = 3  # how often a list of several pages is read until it brings nothing new
TOLD: Final = frozenset({400, 401, 403, 404})  # bodies with a reason; the Door hands them to us
# Times have no zone, so every window reaches further back than any zone could be wrong by (FACTS 2: at least 3 hours).
OVERLAP: Final = timedelta(hours=3)
LONGEST_WINDOW: Final = timedelta(days=28)  # one month at most between modifiedAfter and modifiedBefore
RETURNS_BACK: Final = timedelta(days=90)  # returns are filtered by their beginning, and change for weeks
DAY: Final = 86_400.0
MONTH: Final = 30 * DAY
KNOWN_FOR: Final = 3 * MONTH  # longer than any order is open

_GONE: Final = frozenset({m.PieceState.CANCELLED, m.PieceState.RETURNED})


class EmagClient:
    """One seller account on one platform. `settings` as loaded by EmagSettings, and `egress_addresses`: where our calls come from."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._platform = t.PLATFORMS[settings["platform"]]
        login = f"{settings['username']}:{settings['password']}".encode()
        self._authorization = f"Basic {base64.b64encode(login).decode()}"
        self._zone = ZoneInfo(settings.get("time_zone") or "Europe/Bucharest")
        self._first_id: int = settings.get("first_offer_id") or 1
        self._settings = settings
        self._addresses: Sequence[str] = settings.get("egress_addresses") or ()

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        lane: str,
        *,
        data: object = None,
        params: Sequence[tuple[str, str]] = (),
        deed: bool = False,
        expect: tuple[int, ...] = (),
    ) -> Answer:
        """One call. A 4xx becomes Refused or Unauthorised with eMAG's own sentence, unless its status is in `expect`."""
        headers = {"Accept": "application/json", "Authorization": self._authorization}
        raw = None
        if data is not None:
            headers["Content-Type"] = "application/json"
            raw = t.body(data)
        answer = self._door.call(
            operation,
            method,
            path,
            params=params,
            headers=headers,
            body=raw,
            deed=deed,
            expect=TOLD,
            lane=lane,
        )
        if answer.status in TOLD and answer.status not in expect:
            raise t.refusal(answer.status, t.said(_json_or_none(answer)), operation, self._addresses)
        return answer

    def _ask(
        self,
        operation: str,
        path: str,
        data: object = None,
        lane: str = "rest",
        *,
        method: str = "POST",
        params: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """The `results` of a question. What is no answer of eMAG's (a maintenance page) is Unavailable, isError is Refused."""
        told = self._told(operation, method, path, lane, data, params)
        if told.failed:
            raise t.refusal(200, told.text, operation)
        return told.results

    def _told(
        self,
        operation: str,
        method: str,
        path: str,
        lane: str,
        data: object,
        params: Sequence[tuple[str, str]] = (),
    ) -> t.Told:
        answer = self._call(operation, method, path, lane, data=data, params=params)
        told = t.envelope(_json_or_none(answer))
        if told is None:
            raise Unavailable("partner.unreadable", operation=operation, partner=t.NAME)
        return told

    def _do(self, operation: str, path: str, data: object, lane: str) -> t.Told:
        """A deed. An answer without isError says nothing about what became of it."""
        told = t.envelope(_json_or_none(self._call(operation, "POST", path, lane, data=data, deed=True)))
        if told is None:
            raise Unknown("outcome.unknown", operation=operation, why="not_json")
        return told

    def _pages(
        self, operation: str, path: str, asked: Mapping[str, object], lane: str, name: str, passes: int = 1
    ) -> Iterator[list[t.Json]]:
        """All rows of a list, each version of a row once. `name` is the row's id.

        Rows that leave the list while it is read move the others up, across the border of a page: a list of several pages is read again until a
        whole pass brings nothing new.
        """
        known: set[tuple[str, str, str]] = set()
        for _ in range(passes):
            fresh = 0
            for page in count(1):
                rows = t.rows(
                    self._ask(operation, path, {**asked, "currentPage": page, "itemsPerPage": PAGE}, lane)
                )
                keys = [_version(row, name) for row in rows]
                new = [row for place, row in enumerate(rows) if keys[place] not in {*known, *keys[:place]}]
                known.update(keys)
                fresh += len(new)
                if new:
                    yield new
                if len(rows) < PAGE:
                    break
            if page == 1 or not fresh:
                return

    def _keep(self, name: str, value: object, seconds: float = MONTH) -> None:
        self._door.kept.keep(name, value, seconds)

    def _kept(self, name: str) -> Any:
        return self._door.kept.peek(name)

    # --- the connection -------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether user, password and our address are accepted, and what the platform offers (I1). Raises Unavailable only."""
        facts: dict[str, object] = {"country": self._platform.country, "currency": self._platform.currency}
        if self._addresses:
            facts["egress_addresses"] = list(self._addresses)
        try:
            terms = self._terms(fresh=True)
            facts["vat_percent"] = sorted(terms.vat, key=Decimal)
            facts["handling_days"] = list(terms.handling)
            self._ask("orders_allowed", "/order/read", _first_row(status=[t.NEW]), "orders")
            if self._books:
                facts["courier_accounts"] = self._courier_accounts()
        except Refused as error:
            return m.ConnectionCheck(False, t.told(error), facts)
        why = self._rates_exist(terms)
        return m.ConnectionCheck(why is None, why, facts)

    def _courier_accounts(self) -> list[dict[str, object]]:
        found = t.rows(self._ask("courier_accounts", "/courier_accounts/read", {}))
        accounts = [{name: row.get(name) for name in ("account_id", "courier_account_type")} for row in found]
        wanted = self._settings.get("courier_account_id")
        if wanted is not None and wanted not in [t.number(each["account_id"]) for each in accounts]:
            raise Refused("emag.courier_account_unknown", marketplace=t.NAME, account=wanted)
        return accounts

    def _rates_exist(self, terms: t.Terms) -> m.Reason | None:
        wanted = [*(terms.rates or {}).values(), *([terms.default_rate] if terms.default_rate else [])]
        for each in wanted:
            fraction = vat.rate(each)
            if fraction is None or vat.percent(fraction) not in terms.vat:
                params: dict[str, object] = {
                    "marketplace": t.NAME,
                    "percent": each,
                    "available": ", ".join(sorted(terms.vat, key=Decimal)),
                }
                return m.Reason("emag.vat_unknown", params)
        return None

    def _terms(self, *, fresh: bool = False) -> t.Terms:
        """What the platform allows (read once a day, FACTS 3) and what the merchant set."""
        if fresh:
            for name in ("vat", "handling"):
                self._door.kept.forget(name)
        settings = self._settings
        return t.Terms(
            currency=self._platform.currency,
            vat=self._door.kept.get("vat", lambda: (t.vat_ids(self._ask("vat", "/vat/read", {})), DAY)),
            handling=self._door.kept.get(
                "handling",
                lambda: (t.handling_days(self._ask("handling_times", "/handling_time/read", {})), DAY),
            ),
            spans=(settings.get("price_below_percent", 50), settings.get("price_above_percent", 100)),
            rates=settings.get("vat_rates"),
            default_rate=settings.get("default_vat_percent"),
            follow=settings.get("price_bounds", "follow") == "follow",
            first_id=self._first_id,
            categories=settings.get("categories"),
            characteristics=settings.get("characteristics"),
            language=settings.get("source_language"),
        )

    # --- orders ----------------------------------------------------------------------------------------------------------

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """Orders that nobody has acknowledged yet, however old; in the first look (`since` None) also those that are to be shipped.

        What others acknowledged or paid later comes with `orders_changed`.
        """
        wanted = [t.NEW] if since is not None else [t.NEW, t.IN_PROGRESS, t.PREPARED]
        return self._orders("orders_to_ship", [{"status": wanted}])

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Orders with any change since `since`, and three hours before: their times have no zone."""
        return self._orders("orders_changed", list(self._windows(since - OVERLAP)))

    def _windows(self, start: datetime) -> Iterator[dict[str, object]]:
        """Filters that reach from `start` until now in steps that eMAG takes."""
        while datetime.now(UTC) - start > LONGEST_WINDOW:
            end = start + LONGEST_WINDOW
            yield {"modifiedAfter": t.stamp(start, self._zone), "modifiedBefore": t.stamp(end, self._zone)}
            start = end - OVERLAP
        yield {"modifiedAfter": t.stamp(start, self._zone)}

    def _orders(self, operation: str, filters: Sequence[Mapping[str, object]]) -> Iterator[list[m.OrderSeen]]:
        """Unreadable orders are left out and told at the end of the sweep, so that one of them never blocks another (C10)."""
        unreadable: list[Invalid] = []
        for each in filters:
            asked = {**each, "type": t.SELLER_SHIPS}
            for rows in self._pages(operation, "/order/read", asked, "orders", "id", PASSES):
                read = [self._readable(row, unreadable) for row in rows if t.ours(row)]
                if page := [order for order in read if order is not None]:
                    yield page
        if unreadable:
            raise unreadable[0]

    def _readable(self, row: t.Json, unreadable: list[Invalid]) -> m.OrderSeen | None:
        try:
            return self._looked_at(row)
        except Invalid as error:
            unreadable.append(error)
            return None

    def _looked_at(self, data: t.Json, *, sure: bool = False) -> m.OrderSeen:
        """The order, and its quantities are written down: whoever lowers one by hand later leaves no other trace (C6).

        What nobody here asked for is believed only when a second reading says the same: a list may be older than the last look.
        """
        known = self._known(data)
        if t.status_of(data) not in t.OPEN:
            return self._seen(data, known)
        now = t.after_look(data, known)
        if not sure and any(now[each].surprises(was) for each, was in known.items()):
            again = self._order("order_again", str(data.get("id")))
            if again is None:
                raise Invalid("data.missing", field=f"order.{data.get('id')}")
            return self._looked_at(again, sure=True)
        seen = self._seen(data, now)
        if now != known:
            units = {each: {"of": line.of, "gone": line.out[: line.shown]} for each, line in now.items()}
            self._keep(f"units/{data['id']}", units, KNOWN_FOR)
        return seen

    def _seen(self, data: t.Json, known: Mapping[str, t.Taken]) -> m.OrderSeen:
        return t.order(data, self._platform, self._zone, self._first_id, known)

    def _known(self, data: t.Json) -> dict[str, t.Taken]:
        """Line id -> what is known of its units: what looks have shown, and after that what we asked to take out."""
        looks: dict[str, Any] = self._kept(f"units/{data.get('id')}") or {}
        asked: dict[str, Any] = self._kept(f"taken/{data.get('id')}") or {}
        found = {}
        for each in dict.fromkeys([*looks, *asked]):
            shown = looks.get(each, {"of": 0, "gone": []})
            deed = asked.get(each, {"of": 0, "out": []})
            more = [place for place in deed["out"] if place not in shown["gone"]]
            found[each] = t.Taken(max(shown["of"], deed["of"]), (*shown["gone"], *more), len(shown["gone"]))
        return found

    def _order(self, operation: str, order_id: str) -> t.Json | None:
        if not order_id.isdigit():
            raise Invalid("data.invalid", field="order_id")
        asked = {"id": int(order_id), "currentPage": 1, "itemsPerPage": PAGE}
        rows = t.rows(self._ask(operation, "/order/read", asked, "orders"))
        return next((row for row in rows if t.number(row.get("id")) == int(order_id)), None)

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The pieces as they are now; those of an order that eMAG does not show are left out."""
        found: list[m.PieceSeen] = []
        for order_id, pieces in _by_order(piece_ids).items():
            data = self._order("order", order_id)
            if data is not None:
                found += self._pieces(data, pieces)
        return found

    def _pieces(self, data: t.Json, pieces: Sequence[str]) -> list[m.PieceSeen]:
        known = self._known(data)
        seen = self._seen(data, known)
        return [t.piece(data, each, seen, known.get(t.parts(each)[1])) for each in pieces]

    def accept_order(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> m.OrderAnswer:
        """Acknowledge, then read again: eMAG's staff may edit an order until then (FACTS 5). Nothing can be refused here.

        What was taken out of the order before is answered as cancelled. A repeat is answered `already`.
        """
        if not order_id.isdigit():
            raise Invalid("data.invalid", field="order_id")
        told = self._do("acknowledge", f"/order/acknowledge/{order_id}", None, "orders")
        data = self._order("order_after", order_id)
        if data is None or (told.failed and t.status_of(data) == t.NEW):
            raise t.refusal(200, told.text, "acknowledge")
        seen = self._looked_at(data)
        found = self._pieces(data, accepted)
        answers = [m.PieceAnswer(each.external_id, True, told.failed, each.state) for each in found]
        why = t.deed_refused("emag.not_refusable", "")
        return m.OrderAnswer((*answers, *(m.PieceAnswer(each, False, reason=why) for each in refused)), seen)

    # --- shipping --------------------------------------------------------------------------------------------------------

    @property
    def _books(self) -> bool:
        return bool(self._settings.get("shipping_mode") == "emag")

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """The whole order leaves. Without a number, and where the merchant ships with eMAG's couriers, an AWB is booked and its number answered;
        else the order is finalized: eMAG has no field for a foreign number (FACTS 6), so a further parcel cannot be told either.
        """
        if shipment.further_parcel:
            return [m.PieceAnswer(each, ok=True, already=True) for each in shipment.pieces]
        book = self._books and not shipment.tracking_number
        found = [
            self._ship(order_id, pieces, book=book) for order_id, pieces in _by_order(shipment.pieces).items()
        ]
        return [answer for answers in found for answer in answers]

    def _ship(self, order_id: str, pieces: Sequence[str], *, book: bool) -> list[m.PieceAnswer]:
        data = self._order("order_before", order_id)
        if data is None:
            return _refused(pieces, t.deed_refused("partner.not_found", f"order {order_id}"))
        status = t.status_of(data)
        if status in {t.FINALIZED, t.RETURNED}:
            tracking = self._booked(order_id) if book else None
            return self._left(data, pieces, already=True, tracking=tracking)
        if status == t.NEW:
            return _refused(pieces, t.deed_refused("emag.not_acknowledged", ""))
        if status == t.CANCELLED:
            return _refused(pieces, _not_now(data), m.PieceState.CANCELLED)
        try:
            tracking = None
            if book:
                tracking = self._book(data)
            else:
                self._finalize(data)
        except Unauthorised:
            raise
        except Refused as error:
            return self._settled(order_id, pieces, error, {m.PieceState.SHIPPED, m.PieceState.RETURNED})
        return self._left(data, pieces, already=False, tracking=tracking)

    def _left(
        self, before: t.Json, pieces: Sequence[str], *, already: bool, tracking: str | None
    ) -> list[m.PieceAnswer]:
        """The order has left; a piece that was taken out of it before has not."""
        answers = []
        for each in self._pieces(before, pieces):
            if each.state is m.PieceState.CANCELLED:
                why = m.Reason("emag.taken_out", {"marketplace": t.NAME, "order": str(before.get("id"))})
                answers += _refused([each.external_id], why, each.state)
            else:
                state = each.state if already else m.PieceState.SHIPPED
                answers.append(
                    m.PieceAnswer(each.external_id, True, already, state, tracking_number=tracking)
                )
        return answers

    def _finalize(self, data: t.Json) -> None:
        """Own courier: status 4 with everything that was read. Raises Refused with eMAG's sentence."""
        told = self._do("finalize", "/order/save", t.saved(data, status=t.FINALIZED), "orders")
        if told.failed:
            raise _not_allowed("deed.not_allowed", told.text)

    def _book(self, data: t.Json) -> str | None:
        """One AWB per order with a courier of eMAG's. awb/save is not idempotent, so what was booked is kept and never booked again (FACTS 8)."""
        account = t.courier_account(data, self._settings.get("courier_account_id"))
        weight = t.decimal(self._settings.get("parcel_weight"))
        parcel = t.parcel_body(data, self._sender(), account, weight)
        made = self._door.kept.get(f"parcel/{data['id']}", lambda: (self._reserve(parcel), MONTH))
        return self._parcel_number(str(data["id"]), made)

    def _reserve(self, parcel: Mapping[str, object]) -> int | None:
        told = self._do("book_parcel", "/awb/save", parcel, "rest")
        if told.failed:
            raise _not_allowed("deed.not_allowed", told.text)
        results = told.results if isinstance(told.results, Mapping) else {}
        return t.number(results.get("reservation_id"))

    def _booked(self, order_id: str) -> str | None:
        """The number of an AWB that an earlier try booked."""
        return self._parcel_number(order_id, self._kept(f"parcel/{order_id}"))

    def _parcel_number(self, order_id: str, reservation: int | None) -> str | None:
        """By the reservation, else by the order (a filter that is not documented). None while nobody can say: the parcel is booked all the same,
        and the seller portal shows its number.
        """
        asked = {"reservation_id": reservation} if reservation else {"order_id": int(order_id)}
        try:
            return t.tracking_number(self._ask("parcel", "/awb/read", asked), order_id)
        except Unauthorised:
            raise
        except (Refused, Unavailable):
            return None

    def _sender(self) -> t.Sender:
        told = self._settings
        return t.Sender(
            name=told.get("sender_name") or "",
            contact=told.get("sender_contact") or told.get("sender_name") or "",
            phone=told.get("sender_phone") or "",
            street=told.get("sender_street") or "",
            locality_id=told.get("sender_locality_id") or 0,
            postcode=told.get("sender_postcode") or "",
        )

    def _settled(
        self, order_id: str, pieces: Sequence[str], error: Refused, done: set[m.PieceState]
    ) -> list[m.PieceAnswer]:
        """A refused deed is no failure when the order already is where it should be: the order's own word counts."""
        try:
            data = self._order("order_after", order_id)
            found = self._pieces(data, pieces) if data is not None else []
        except (Unavailable, Invalid):
            found = []
        states = {each.external_id: each.state for each in found}
        return [
            m.PieceAnswer(each, True, already=True, state=states[each])
            if states.get(each) in done
            else m.PieceAnswer(each, False, state=states.get(each), reason=t.told(error))
            for each in pieces
        ]

    # --- cancelling ------------------------------------------------------------------------------------------------------

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """Everything that is left of an order: status 0 with a reason. A part of it: lower quantities, never for orders paid by card (FACTS 0.7)."""
        code = t.cancel_reason(reason)
        found = [self._cancel(order_id, pieces, code) for order_id, pieces in _by_order(piece_ids).items()]
        return [answer for answers in found for answer in answers]

    def _cancel(self, order_id: str, pieces: Sequence[str], code: int) -> list[m.PieceAnswer]:
        data = self._order("order_before", order_id)
        if data is not None and t.status_of(data) == t.NEW:
            # The only way out of status 1 leads through the acknowledgement (FACTS 0.6).
            self._do("acknowledge", f"/order/acknowledge/{order_id}", None, "orders")
            data = self._order("order_before", order_id)
        if data is None:
            return _refused(pieces, t.deed_refused("partner.not_found", f"order {order_id}"))
        self._looked_at(
            data, sure=True
        )  # a quantity that somebody raised since the last look is no unit of ours
        now = {each.external_id: each.state for each in self._pieces(data, pieces)}
        still = [each for each in pieces if now[each] not in _GONE]
        answers = [
            m.PieceAnswer(each, True, already=True, state=now[each]) for each in pieces if each not in still
        ]
        if not still:
            return answers
        try:
            self._take_out(data, still, code)
        except Unauthorised:
            raise
        except Refused as error:
            return [*answers, *self._settled(order_id, still, error, {m.PieceState.CANCELLED})]
        return [*answers, *(m.PieceAnswer(each, True, state=m.PieceState.CANCELLED) for each in still)]

    def _take_out(self, data: t.Json, pieces: Sequence[str], code: int) -> None:
        """Raises Refused with the reason when eMAG does not let it happen."""
        if len(pieces) >= sum(map(t.quantity, t.lines(data))):
            change = t.saved(data, status=t.CANCELLED, reason_cancellation=code)
        elif t.number(data.get("payment_mode_id")) == t.CARD:
            raise _not_allowed("emag.card_no_partial", "")
        elif t.status_of(data) not in {t.IN_PROGRESS, t.PREPARED}:
            raise _not_allowed("cancel.not_allowed", f"status {t.status_of(data)}")
        else:
            change = t.reduced(data, self._less(data, pieces))
        told = self._do("cancel", "/order/save", change, "orders")
        if told.failed:
            raise _not_allowed("cancel.not_allowed", told.text)
        # Carried out, so these units stay gone: what comes back before the next look is new ones.
        self._looked_at(change[0], sure=True)

    def _less(self, data: t.Json, pieces: Sequence[str]) -> dict[str, int]:
        """Line id -> what is to be left of it. Written down before it is asked for: eMAG only counts, and a repeat must know its own pieces."""
        left: dict[str, int] = {}
        known, asked = self._known(data), dict(self._kept(f"taken/{data['id']}") or {})
        for line_id in dict.fromkeys(t.parts(each)[1] for each in pieces):
            line = t.line_of(data, line_id)
            here = t.quantity(line) if line is not None else 0
            places = [t.parts(each)[2] for each in pieces if t.parts(each)[1] == line_id]
            taken = known.get(line_id) or t.Taken(max(here, *places))
            asked[line_id] = {"of": taken.of, "out": [*taken.gone(here), *places]}
            left[line_id] = max(0, here - len(places))
        self._keep(f"taken/{data['id']}", asked)
        return left

    # --- money and goods back ----------------------------------------------------------------------------------------------

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        """One whole unit goes back: a storno with one less, or status 5 for the last one. eMAG has no refund by amount: another amount than the
        unit's is refused with what to do. Which unit it was is not told, so the caller reads `read_refunded` before and after.
        """
        if isinstance(amount, bool) or amount < 1:
            raise Refused("refund.amount_invalid", amount=amount)
        order_id, line_id, _ = t.parts(piece_id)
        data = self._order("order_refund", order_id)
        line = t.line_of(data, line_id) if data is not None else None
        if data is None or line is None:
            return m.PieceAnswer(
                piece_id, False, reason=t.deed_refused("partner.not_found", f"order {order_id}")
            )
        if t.status_of(data) in {t.CANCELLED, t.RETURNED} or not t.quantity(line):
            return m.PieceAnswer(piece_id, True, already=True)
        (seen,) = self._pieces(data, [piece_id])
        money: dict[str, object] = {
            "amount": amount,
            "currency": self._platform.currency,
            "marketplace": t.NAME,
        }
        if t.status_of(data) != t.FINALIZED:
            return m.PieceAnswer(piece_id, False, reason=m.Reason("refund.before_shipping", money))
        if amount not in {seen.unit_price, seen.unit_price + seen.shipping_price}:
            return m.PieceAnswer(piece_id, False, reason=m.Reason("emag.refund_whole_units", money))
        return self._storno(data, piece_id)

    def _storno(self, data: t.Json, piece_id: str) -> m.PieceAnswer:
        last = sum(map(t.quantity, t.lines(data))) == 1
        if last:
            change = t.saved(data, status=t.RETURNED)
        else:
            change = t.reduced(data, self._less(data, [piece_id]), status=t.FINALIZED, is_storno=True)
        told = self._do("storno", "/order/save", change, "orders")
        if told.failed:
            return m.PieceAnswer(piece_id, False, reason=t.deed_refused("deed.not_allowed", told.text))
        return m.PieceAnswer(piece_id, True, state=m.PieceState.RETURNED)

    def read_refunded(self, piece_id: str) -> int:
        """Minor units of the piece's line that went back so far, with VAT and before vouchers.

        Where the order does not tell how many were ordered at first, it is counted from an unknown start: then only a difference between two looks
        means something (negative numbers are possible).
        """
        order_id, line_id, _ = t.parts(piece_id)
        data = self._order("order_refund", order_id)
        line = t.line_of(data, line_id) if data is not None else None
        if data is None or line is None:
            raise Unknown("outcome.unknown", operation="read_refunded", why="order_missing")
        return t.refunded(data, line)

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]:
        """Returns that began in the 90 days before `since`, or later: there is no filter by change (FACTS 7)."""
        asked = {"date_start": t.stamp(since - RETURNS_BACK, self._zone)}
        unreadable: list[Invalid] = []
        for rows in self._pages("returns", "/rma/read", asked, "rest", "emag_id", PASSES):
            page = []
            for row in rows:
                try:
                    page.append(t.return_seen(row, self._places(row)))
                except Invalid as error:
                    unreadable.append(error)
            if page := [each for each in page if each.pieces]:
                yield page
        if unreadable:
            raise unreadable[0]

    def _places(self, rma: t.Json) -> dict[str, str]:
        """Piece of the return -> piece of the order. It never changes, so it is kept; making it needs the order and all its returns."""

        def make() -> tuple[dict[str, str], float]:
            order_id = t.rma_order(rma)
            data = self._order("order_of_return", order_id)
            if data is None:
                return {}, 0.0
            asked = {"order_id": int(order_id)}
            pages = self._pages("returns_of_order", "/rma/read", asked, "rest", "emag_id")
            others = [each for page in pages for each in page if t.rma_order(each) == order_id]
            return t.return_places(data, [rma, *others], self._known(data)), MONTH

        found: dict[str, str] = self._door.kept.get(f"places/{t.rma_id(rma)}", make)
        return found

    def _rma(self, operation: str, rma_id: str) -> t.Json | None:
        asked = {"emag_id": int(rma_id), "currentPage": 1, "itemsPerPage": PAGE}
        rows = t.rows(self._ask(operation, "/rma/read", asked))
        return next((row for row in rows if t.rma_id(row) == rma_id), None)

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer:
        """Take the return to "finalized" step by step; eMAG moves the money then (FACTS 7).

        A return is finalized as a whole: of several units the first ones are answered `pending` (nobody is paid, `reason` says how many are
        missing), the last one finalizes it. An exchange or a voucher pays nobody, so it is refused. Repeating is harmless.
        """
        rma_id, _, _ = t.parts(return_piece_id)
        data = self._rma("rma_before", rma_id)
        if data is None:
            return m.PieceAnswer(return_piece_id, False, reason=t.deed_refused("partner.not_found", rma_id))
        if not t.pays_back(data):
            why = m.Reason("emag.return_pays_nobody", {"marketplace": t.NAME, "return_id": rma_id})
            return m.PieceAnswer(return_piece_id, False, reason=why)
        status = t.number(data.get("request_status"))
        if status == t.RETURN_DONE:
            return m.PieceAnswer(return_piece_id, True, already=True)
        if status not in t.RETURN_STEPS:
            return m.PieceAnswer(
                return_piece_id, False, reason=t.deed_refused("return.wrong_status", str(status))
            )
        every, accepted = self._accepted_units(data, return_piece_id)
        if every - accepted:
            counts = {"accepted": len(every & accepted), "units": len(every)}
            why = m.Reason("emag.return_whole", {"marketplace": t.NAME, "return_id": rma_id, **counts})
            return m.PieceAnswer(return_piece_id, True, pending=True, reason=why)
        return self._finish_return(data, return_piece_id)

    def _accepted_units(self, rma: t.Json, return_piece_id: str) -> tuple[set[str], set[str]]:
        """All units of a return, and those that were accepted so far, with this one."""
        rma_id = t.rma_id(rma)
        every = {t.piece_id(rma_id, line_id, place) for line_id, _, place in t.rma_units(rma)}
        accepted = {*(self._kept(f"accepted/{rma_id}") or []), return_piece_id}
        if len(every) > 1:
            self._keep(f"accepted/{rma_id}", sorted(accepted), 3 * MONTH)
        return every, accepted

    def _finish_return(self, rma: t.Json, return_piece_id: str) -> m.PieceAnswer:
        return self._move_return(rma, return_piece_id, "accept_return", t.RETURN_STEPS, t.RETURN_DONE)

    def _move_return(
        self, rma: t.Json, return_piece_id: str, operation: str, steps: Mapping[int, int], end: int
    ) -> m.PieceAnswer:
        """One step after another until there is none; whether a step that was refused is there already shows in the return itself."""
        status = t.number(rma.get("request_status"))
        while status is not None and status in steps:
            status = steps[status]
            told = self._do(operation, "/rma/save", [{**rma, "request_status": status}], "rest")
            if told.failed:
                now = self._rma("rma_after", t.rma_id(rma)) or {}
                if t.number(now.get("request_status")) == end:
                    return m.PieceAnswer(return_piece_id, True, already=True)
                return m.PieceAnswer(
                    return_piece_id, False, reason=t.deed_refused("deed.not_allowed", told.text)
                )
        return m.PieceAnswer(return_piece_id, True)

    def reject_return(self, return_piece_ids: Sequence[str], reason: str, note: str) -> list[m.PieceAnswer]:
        """Take a return to "refused", which eMAG allows only of one that is marked as received (FACTS 7): before that it is marked so.

        eMAG has no place for the note, and its list of reasons is not public.
        """
        first = return_piece_ids[0]
        rma_id, _, _ = t.parts(first)
        data = self._rma("rma_before", rma_id)
        if data is None:
            told = m.PieceAnswer(first, False, reason=t.deed_refused("partner.not_found", rma_id))
        else:
            told = self._reject(data, first)
        return [replace(told, external_id=each) for each in return_piece_ids]

    def _reject(self, rma: t.Json, return_piece_id: str) -> m.PieceAnswer:
        status = t.number(rma.get("request_status"))
        if status == t.RETURN_REFUSED:
            return m.PieceAnswer(return_piece_id, True, already=True)
        if status not in t.RETURN_STEPS:
            why = t.deed_refused("return.wrong_status", str(status))
            return m.PieceAnswer(return_piece_id, False, reason=why)
        steps = {**t.RETURN_STEPS, t.RETURN_RECEIVED: t.RETURN_REFUSED}
        return self._move_return(rma, return_piece_id, "reject_return", steps, t.RETURN_REFUSED)

    # --- offers --------------------------------------------------------------------------------------------------------------

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """Make eMAG show these, at most 50, each SKU once. Known offers go in one call with only what differs; new ones are attached to the product
        of their EAN in another. When the partner fails in the middle, what was done is answered and the rest says `retry`; when nothing was done
        yet the error is raised. Saving is idempotent by the offer's number, so nothing here needs reading back.
        """
        push = _Push(self, self._terms(), offers)
        try:
            push.run()
        except Unavailable as error:
            if not push.anything_done:
                raise
            push.later(error)
        return push.answers()

    def find_products(self, eans: Sequence[str]) -> dict[str, t.Found]:
        found: dict[str, t.Found] = {}
        for start in range(0, len(eans), EANS):
            params = [("eans[]", each) for each in eans[start : start + EANS]]
            found |= t.found_products(
                self._ask(
                    "find_by_eans", "/documentation/find_by_eans", None, "eans", method="GET", params=params
                )
            )
        return found

    def offer(self, offer_id: int) -> t.Json | None:
        asked = {"id": offer_id, "currentPage": 1, "itemsPerPage": PAGE}
        rows = t.rows(self._ask("offer", "/product_offer/read", asked))
        return next((row for row in rows if t.number(row.get("id")) == offer_id), None)

    def patch_stock(self, offer_id: int, stock: int) -> str | None:
        """None when the stock is set, else eMAG's sentence. A single change needs no list (FACTS 4.2)."""
        answer = self._call(
            "set_stock", "PATCH", f"/offer_stock/{offer_id}", "rest", data={"stock": stock}, expect=(400, 404)
        )
        return None if answer.status < 300 else t.said(_json_or_none(answer)) or f"status {answer.status}"

    def save(self, operation: str, path: str, bodies: Sequence[Mapping[str, object]]) -> t.Told:
        return self._told(operation, "POST", path, "rest", list(bodies))

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now, all offers from our first number on. eMAG strips blanks, commas and semicolons from a SKU: asked for by SKU, ours is answered."""
        terms = self._terms()
        wanted = None if skus is None else {t.part_number(sku): sku for sku in skus}
        for rows in self._pages("offers", "/product_offer/read", {}, "rest", "id"):
            ours = [row for row in rows if (t.number(row.get("id")) or 0) >= self._first_id]
            page = [t.shown(row, terms) for row in ours]
            if wanted is not None:
                page = [t.renamed(each, wanted[each.sku]) for each in page if each.sku in wanted]
            if page:
                yield page


class _Push:
    """One push of offers: each offer gets exactly one answer, whatever calls it took."""

    def __init__(self, client: EmagClient, terms: t.Terms, offers: Sequence[m.OfferWanted]) -> None:
        self._client, self._terms = client, terms
        self._offers = {offer.sku: offer for offer in offers}
        self._by_id = {terms.offer_id(offer): offer for offer in offers}
        self._answers: dict[str, m.OfferAnswer] = {}
        self.anything_done = False

    def run(self) -> None:
        for offer in self._offers.values():
            if why := t.objection(offer, self._terms):
                self._refuse(offer, why)
            elif not offer.external_ref and not offer.on:
                # What was never there is off already.
                self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, m.OfferState.OFF)
        self._update([offer for offer in self._open() if offer.external_ref])
        self._begin(self._open())

    def _open(self) -> list[m.OfferWanted]:
        return [offer for sku, offer in self._offers.items() if sku not in self._answers]

    # Offers that eMAG has: only what differs is sent.

    def _update(self, offers: Sequence[m.OfferWanted]) -> None:
        bodies = {}
        for offer in offers:
            change = t.changes(offer, self._terms)
            if len(change) == 1:
                self._took(offer)
            else:
                bodies[self._terms.offer_id(offer)] = change
        if len(bodies) == 1 and t.only_stock(next(iter(bodies.values()))):
            ((offer_id, _),) = bodies.items()
            message = self._client.patch_stock(offer_id, t.stock_of(self._by_id[offer_id]))
            self._saved(offer_id, message is not None, message or "")
        elif bodies:
            self._save_changes(bodies)

    def _save_changes(self, bodies: Mapping[int, Mapping[str, object]]) -> None:
        told = self._client.save("save_offers", "/offer/save", list(bodies.values()))
        results = t.save_results(told)
        if told.failed and not results and len(bodies) > 1:
            for half in _halves(bodies):
                self._save_changes(half)
            return
        for offer_id in bodies:
            if told.failed and offer_id not in results:
                self._saved(offer_id, True, told.text)
            elif offer_id in results:
                self._saved(offer_id, *results[offer_id])
            else:
                self._unanswered(self._by_id[offer_id])

    def _saved(self, offer_id: int, failed: bool, message: str) -> None:
        offer = self._by_id[offer_id]
        if not failed:
            self._took(offer)
        elif not t.vanished(message):
            why, later = t.offer_reason(message, offer.sku)
            self._refuse(offer, why, m.OfferState.WAITING if later else m.OfferState.REFUSED, retry=later)

    # Offers that eMAG does not have: attached to the product of their EAN, or with a product of their own.

    def _begin(self, offers: Sequence[m.OfferWanted]) -> None:
        """New ones, and those that vanished at eMAG."""
        for offer in offers:
            if not offer.on:
                self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, m.OfferState.OFF)
            elif not offer.gtin:
                self._refuse(
                    offer, m.Reason("product.gtin_missing", {"sku": offer.sku, "title": offer.title})
                )
        offers = [offer for offer in offers if offer.sku not in self._answers]
        if not offers:
            return
        found = self._client.find_products([*dict.fromkeys(t.ean(offer.gtin or "") for offer in offers)])
        bodies, again = {}, {}
        for offer in offers:
            offer_id = self._terms.offer_id(offer)
            own = self._client.offer(offer_id)
            if own is not None and t.same_product(own, offer):
                again[offer_id] = t.changes(t.unknown(offer), self._terms)
            elif own is not None:
                self._refuse(offer, m.Reason("emag.number_taken", {"sku": offer.sku, "number": offer_id}))
            elif isinstance(
                body := self._first(offer, found.get(t.ean(offer.gtin or ""), t.Found())), m.Reason
            ):
                needs = body.code in {"product.unknown_gtin", "product.data_missing"}
                self._refuse(offer, body, m.OfferState.NEEDS_PRODUCT if needs else m.OfferState.REFUSED)
            else:
                bodies[offer_id] = body
        if again:
            self._save_changes(again)
        if bodies:
            self._save_products(bodies)

    def _first(self, offer: m.OfferWanted, found: t.Found) -> dict[str, object] | m.Reason:
        told: dict[str, object] = {"sku": offer.sku, "gtin": offer.gtin, "marketplace": t.NAME}
        if found.offered:
            return m.Reason("emag.offer_elsewhere", told)
        if found.known and not found.allowed:
            return m.Reason("emag.not_allowed_to_offer", told)
        return (
            t.attach_body(offer, self._terms, found.key)
            if found.known
            else t.product_body(offer, self._terms)
        )

    def _save_products(self, bodies: Mapping[int, Mapping[str, object]]) -> None:
        told = self._client.save("save_products", "/product_offer/save", list(bodies.values()))
        if told.failed and "input vars" in told.text and len(bodies) > 1:
            for half in _halves(bodies):
                self._save_products(half)
            return
        results = t.save_results(told)
        for offer_id, body in bodies.items():
            failed, message = results.get(offer_id, (told.failed, t.about(told.messages, offer_id)))
            self._placed(self._by_id[offer_id], offer_id, failed, message, created="category_id" in body)

    def _placed(
        self, offer: m.OfferWanted, offer_id: int, failed: bool, message: str, *, created: bool
    ) -> None:
        """An error in the documentation does not mean that the offer was not saved (FACTS 0.2): the offer itself tells."""
        if failed and self._client.offer(offer_id) is None:
            why, later = t.offer_reason(message, offer.sku)
            return self._refuse(
                offer, why, m.OfferState.WAITING if later else m.OfferState.REFUSED, retry=later
            )
        shown = t.done(offer, offer_id)
        reason = m.Reason("product.data_processing", {"gtin": offer.gtin}) if created else shown.reason
        if failed:
            reason = m.Reason(
                "emag.saved_with_remarks", {"sku": offer.sku, "marketplace": t.NAME, "message": message}
            )
        state = m.OfferState.WAITING if created or failed else shown.state or m.OfferState.ON_SALE
        self.anything_done = True
        self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, state, shown, reason)
        return None

    # Answers.

    def _took(self, offer: m.OfferWanted) -> None:
        self.anything_done = True
        shown = t.done(offer, self._terms.offer_id(offer))
        state = shown.state or m.OfferState.ON_SALE
        self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, state, shown, shown.reason)

    def _refuse(
        self,
        offer: m.OfferWanted,
        why: m.Reason,
        state: m.OfferState = m.OfferState.REFUSED,
        *,
        retry: bool = False,
    ) -> None:
        self._answers[offer.sku] = m.OfferAnswer(offer.sku, False, state, None, why, retry)

    def _unanswered(self, offer: m.OfferWanted) -> None:
        why = m.Reason("partner.answer_missing", {"sku": offer.sku, "partner": t.NAME})
        self._refuse(offer, why, m.OfferState.WAITING, retry=True)

    def later(self, error: ShopbridgeError) -> None:
        """The partner failed in the middle: whoever has no answer yet comes back later."""
        for offer in self._open():
            self._refuse(offer, t.told(error), m.OfferState.WAITING, retry=True)

    def answers(self) -> list[m.OfferAnswer]:
        for offer in self._open():
            self._unanswered(offer)
        return [self._answers[sku] for sku in self._offers]


def _halves(bodies: Mapping[int, Mapping[str, object]]) -> list[dict[int, Mapping[str, object]]]:
    ids = list(bodies)
    cuts = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    return [{offer_id: bodies[offer_id] for offer_id in cut} for cut in cuts]


def _by_order(piece_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in piece_ids:
        found.setdefault(t.parts(each)[0], []).append(each)
    return found


def _refused(pieces: Sequence[str], why: m.Reason, state: m.PieceState | None = None) -> list[m.PieceAnswer]:
    return [m.PieceAnswer(each, ok=False, state=state, reason=why) for each in pieces]


def _not_now(data: t.Json) -> m.Reason:
    return t.deed_refused("deed.not_allowed", f"status {t.status_of(data)}")


def _not_allowed(code: str, message: str) -> Refused:
    return Refused(code, **t.deed_refused(code, message).params)


def _first_row(**asked: object) -> dict[str, object]:
    return {**asked, "type": t.SELLER_SHIPS, "currentPage": 1, "itemsPerPage": 1}


def _version(row: t.Json, name: str) -> tuple[str, str, str]:
    """What tells one state of a row from another; rows without an id are never the same."""
    status = row.get("request_status", row.get("status"))
    return str(row.get(name, id(row))), str(row.get("modified")), str(status)


def _json_or_none(answer: Answer) -> Any:
    try:
        return answer.json()
    except Invalid:
        return None
