"""The Octopia Seller API v2 through the Door: one method per verb of the bridge.

What may go wrong: a token that ends or is revoked (asked for anew once), lists without a total whose pages shift, packages that are taken and
rejected later, and deeds whose answer got lost (a 502 says nothing). None of the deeds is idempotent, so every one of them first reads the order
and does nothing that is done already. What can be read back afterwards:

- accept, ship: yes, by the order's status. cancel: yes, by the line's status or by the list of requests, before Octopia has decided.
- refund of a whole line: yes, in the same places. A gesture: yes, by the list of gestures, for the whole order (`read_refunded`).
- packages of offers carry absolute values: a repeat is harmless. A product sheet that is sent twice costs a place of the quota.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from app import messages as m
from app.errors import Invalid, Refused, Unauthorised, Unavailable, Unknown
from app.marketplaces.cdiscount import translate as t
from app.rules.tracking import marketplace_code, tracking_url

if TYPE_CHECKING:
    from app.kept import Made
    from app.outbound import Answer, Door

PAGE: Final = 100  # largest pageSize (FACTS 1)
LEAF: Final = 1000  # largest limit of a list that is turned by cursors
BATCH: Final = 1000  # offers of one push: one package for each kind
OFFERS_AT_ONCE: Final = 100  # most offers of one call (FACTS 3)
REFERENCES: Final = 100  # so many SKUs are asked for in one call
PASSES: Final = 3  # how often a list is read until its rows are all there
OVERLAP: Final = timedelta(minutes=15)
REREAD: Final = timedelta(days=2)
DAY: Final = 86_400.0
RESULTS_KEPT: Final = 3 * DAY
REMEMBERED: Final = 30 * DAY
TOKEN_SHARE: Final = 0.9  # of its life, then a token is renewed (FACTS 1)
STILL: Final = 30  # seconds between looks at a package
STILL_SHEET: Final = 300  # and at a product sheet
# Answers that carry a reason; the Door hands them to us instead of judging them.
TOLD: Final = frozenset({400, 401, 403, 404, 409, 410, 422})

_AUTH_PATH: Final = "/auth/realms/maas/protocol/openid-connect/token"
_SENT: Final = frozenset({m.PieceState.SHIPPED, m.PieceState.DELIVERED, m.PieceState.RETURNED})
_OVER: Final = frozenset({m.PieceState.CANCELLED, m.PieceState.RETURNED})

Query = Sequence[tuple[str, str]]


class CdiscountClient:
    """One seller. `settings` as loaded by CdiscountSettings."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._settings = settings
        # Whoever has the same client id and secret gets the same token; the name tells neither, and an id alone finds nothing.
        client = f"{settings['client_id']}\n{settings['client_secret']}".encode()
        self._token_name = f"token:{blake2b(client, digest_size=16).hexdigest()}"
        self.mapping = t.SheetMap(
            settings.get("categories") or {},
            {**t.DEFAULT_TEXTS, **(settings.get("product_texts") or {})},
            settings.get("product_properties") or {},
        )

    # --- speaking -----------------------------------------------------------------------------------------------------

    def _token(self) -> str:
        return str(self._door.shared.get(self._token_name, self._new_token))

    def _new_token(self) -> Made:
        """A new access token, kept for all workers and all sellers of this client: it may have 500 in an hour, the only published quota (FACTS 1)."""
        form = {"grant_type": "client_credentials"}
        form |= {name: self._settings[name] for name in ("client_id", "client_secret")}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        answer = self._door.call(
            "token",
            "POST",
            _AUTH_PATH,
            headers=headers,
            body=urlencode(form).encode(),
            expect=TOLD,
            host="auth",
            lane="tokens",
            whose=self._token_name,
        )
        body = _json_or_none(answer)
        if answer.status in TOLD:
            raise t.token_refusal(answer.status, body)
        token = body.get("access_token") if isinstance(body, Mapping) else None
        if not isinstance(token, str) or not token:
            raise Unavailable("partner.unreadable", operation="token", partner=t.NAME)
        seconds = body.get("expires_in")
        return token, (seconds if isinstance(seconds, int) else 600) * TOKEN_SHARE

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Query = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        deed: bool = False,
        expect: tuple[int, ...] = (),
        lane: str | None = None,
    ) -> Answer:
        """One call. A 4xx becomes Refused or Unauthorised with Octopia's own reason, unless its status is in `expect`."""
        how: dict[str, Any] = {"params": params, "deed": deed, "lane": lane}
        how["body"] = None if body is None else t.encoded(body)
        answer = self._authorised(operation, method, path, dict(headers or {}), how)
        if answer.status in TOLD and answer.status not in expect:
            raise t.refusal(answer.status, _json_or_none(answer), operation)
        if deed and answer.body.strip() and _json_or_none(answer) is None:
            # A maintenance page with status 200: nobody knows what became of the deed.
            raise Unknown("outcome.unknown", operation=operation, why="not_json")
        return answer

    def _authorised(
        self, operation: str, method: str, path: str, headers: dict[str, str], how: dict[str, Any]
    ) -> Answer:
        """A token may be revoked before it ends: after a 401 it is asked for anew, once. Nothing has happened then."""
        headers |= {"Accept": "application/json", "SellerId": self._settings["seller_id"]}
        if how["body"] is not None:
            headers["Content-Type"] = "application/json"
        for last in (False, True):
            token = self._token()
            headers["Authorization"] = f"Bearer {token}"
            answer = self._door.call(operation, method, path, headers=headers, expect=TOLD, **how)
            if answer.status != 401 or last:
                break
            if self._door.shared.peek(self._token_name) == token:  # nobody has renewed it meanwhile
                self._door.shared.forget(self._token_name)
        return answer

    def get(self, operation: str, path: str, params: Query = (), expect: tuple[int, ...] = ()) -> Any:
        """The JSON of a read; None for a status in `expect`. An answer that is no JSON (a maintenance page) is Unavailable."""
        answer = self._call(operation, "GET", path, params=params, expect=expect)
        return None if answer.status in TOLD else _json(answer, operation)

    def leaves(self, operation: str, path: str, params: Query, expect: tuple[int, ...] = ()) -> Iterator[Any]:
        """All pages of a list that is turned by cursors; a cursor that was there already ends it. Nothing for a status in `expect`."""
        asked: set[str] = set()
        cursor: str | None = ""
        while cursor is not None and cursor not in asked:
            asked.add(cursor)
            query = [*params, ("limit", str(LEAF)), *([("cursor", cursor)] if cursor else [])]
            answer = self._call(operation, "GET", path, params=query, expect=expect)
            if answer.status in TOLD:
                return
            yield _json(answer, operation)
            cursor = _next_cursor(answer)

    # --- the connection -------------------------------------------------------------------------------------------------

    def check(self) -> m.ConnectionCheck:
        """Whether the credentials work for this seller, and whether offers can be sent (I1, I10). Raises Unavailable only."""
        facts: dict[str, object] = {"currency": t.CURRENCY, "handling_cap": self._cap}
        try:
            seller = self.get("sellers", "/sellers")
            facts["seller"] = _seller_name(seller)
            self._door.kept.forget("delivery_modes")
            listed = self._listed_modes()
        except Refused as error:
            return m.ConnectionCheck(False, t.told(error), facts)
        facts["delivery_modes"] = listed
        why = t.mode_trouble(listed, self._modes(listed))
        return m.ConnectionCheck(why is None, why, facts)

    @property
    def _cap(self) -> int:
        return int(self._settings.get("handling_cap") or t.MOST_DAYS)

    def _listed_modes(self) -> list[str]:
        """The account's delivery modes, read once a day. The endpoint may go (trap 7): then there are none, until the merchant types them in."""
        if by_hand := self._settings.get("delivery_modes"):
            return list(by_hand)
        return list(self._door.kept.get("delivery_modes", self._read_modes))

    def _read_modes(self) -> Made:
        body = self.get("delivery_modes", "/sellers/delivery-modes", expect=(404, 410))
        found = [] if body is None else t.delivery_modes(body)
        return found, DAY if found else 0.0

    def _modes(self, listed: Sequence[str]) -> dict[str, tuple[int, int]]:
        s = self._settings
        return t.priced_modes(listed, s.get("delivery_costs") or {}, s.get("additional_costs") or {})

    def terms(self) -> t.Terms | m.Reason:
        """What counts for all offers, or why none can be sent now."""
        s, listed = self._settings, self._listed_modes()
        modes = self._modes(listed)
        if why := t.mode_trouble(listed, modes):
            return why
        return t.Terms(
            modes,
            self._cap,
            s.get("vat_rates") or {},
            s.get("default_vat_percent"),
            t.minor(s.get("ecotax") or "0", "ecotax"),
            s.get("ecotax_field"),
        )

    # --- orders ----------------------------------------------------------------------------------------------------------

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """Orders that wait for acceptance or for their parcel. In the first look (`since` None) all of them, then those that changed since
        `since`, minus 15 minutes: an order gets its address by a change (FACTS 2).
        """
        newer = [] if since is None else [("updatedAtMin", t.stamp(since - OVERLAP))]
        return self._orders("orders_to_ship", [[("status", status), *newer] for status in t.OPEN])

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Orders of any status that changed since `since`, minus 15 minutes; once a day those of the last two days (FACTS 2)."""
        reread: list[datetime] = []

        def made() -> Made:
            reread.append(datetime.now(UTC) - REREAD)
            return True, DAY

        self._door.kept.get("reread", made)
        start = min([since - OVERLAP, *reread])
        return self._orders("orders_changed", [[("updatedAtMin", t.stamp(start))]])

    def _orders(self, operation: str, filters: Sequence[Query]) -> Iterator[list[m.OrderSeen]]:
        """Unreadable orders are left out and told at the end of the sweep, so that one of them never blocks another (C10)."""
        unreadable: list[Invalid] = []
        for each in filters:
            for found in self._pages(operation, each):
                read = [self._readable(row, unreadable) for row in found]
                if page := [order for order in read if order is not None]:
                    yield page
        if unreadable:
            raise unreadable[0]

    def _pages(self, operation: str, wanted: Query) -> Iterator[list[t.Json]]:
        """All rows of the list of orders, each version of an order once.

        The list has no total and no order that can be relied on, so rows may move across the border of a page, or a page may come in part. The
        list is counted beside; where rows are missing, and where there are several pages, it is read again, at most three times in all.
        """
        known: set[tuple[str, str]] = set()
        query = [("salesChannelId", t.CHANNEL), ("supplyMode", t.SELLER), *wanted]
        for _ in range(PASSES):
            fresh, pages, here = 0, 0, set[str]()
            while True:
                pages += 1
                page = [("pageIndex", str(pages)), ("pageSize", str(PAGE))]
                found = t.rows(self.get(operation, "/orders", [*query, *page]))
                versions = {(_id(row), str(row.get("updatedAt"))): row for row in found}
                new = [row for version, row in versions.items() if version not in known]
                known.update(versions)
                here.update(order for order, _ in versions)
                fresh += len(new)
                if new:
                    yield new
                if len(found) < PAGE:
                    break
            if not here or not fresh:
                return
            if pages == 1 and self._counted(query) <= len(here):
                return

    def _counted(self, query: Query) -> int:
        """How many orders the list has; 0 when Octopia does not say."""
        told = self.get("orders_count", "/orders/count", query, expect=(400, 404))
        return told if isinstance(told, int) and not isinstance(told, bool) else 0

    @staticmethod
    def _readable(row: t.Json, unreadable: list[Invalid]) -> m.OrderSeen | None:
        try:
            return t.order(row)
        except Invalid as error:
            unreadable.append(error)
            return None

    def _order(self, operation: str, order_id: str) -> t.Json | None:
        body = self.get(operation, f"/orders/{_quoted(order_id)}", expect=(404,))
        return None if body is None else t.row(body)

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The pieces as they are now, one call per order; one that Octopia does not know is left out."""
        found: list[m.PieceSeen] = []
        for order_id, pieces in t.by_order(piece_ids).items():
            data = self._order("order", order_id)
            seen = t.order(data) if data is not None else None
            found += [each for each in seen.pieces if each.external_id in pieces] if seen else []
        return found

    def accept_order(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> m.OrderAnswer:
        """Accept the order, or refuse it: there is nothing in between (FACTS 2). One that is answered already is left as it is."""
        data = self._order("order_to_accept", order_id)
        pieces = [*accepted, *refused]
        if data is None:
            return m.OrderAnswer(_all(pieces, m.PieceAnswer("", False, reason=_not_found())))
        if t.status_of(data) != t.WAITING:
            return self._answered_before(data, accepted, refused)
        try:
            self._answer_order(order_id, accept=not refused)
        except Unauthorised:
            raise
        except Refused as error:
            return self._answered_before(self._order("order", order_id) or data, accepted, refused, error)
        state = m.PieceState.CANCELLED if refused else None
        return m.OrderAnswer(_all(pieces, m.PieceAnswer("", True, state=state)))

    def _answer_order(self, order_id: str, *, accept: bool) -> None:
        word = "Accepted" if accept else "Refused"
        path = f"/orders/{_quoted(order_id)}/approval-status"
        self._call("accept_order", "POST", path, body={"approval_status": word}, deed=True)

    @staticmethod
    def _answered_before(
        data: t.Json, accepted: Sequence[str], refused: Sequence[str], error: Refused | None = None
    ) -> m.OrderAnswer:
        """What became of an order that does not wait any more; `seen` carries the truth when it is cancelled meanwhile."""
        pieces = [*accepted, *refused]
        if t.status_of(data) == t.WAITING and error is not None:
            return m.OrderAnswer(_all(pieces, m.PieceAnswer("", False, reason=t.told(error))))
        seen = t.order(data)
        gone = seen is not None and all(each.state is m.PieceState.CANCELLED for each in seen.pieces)
        if refused and not gone:
            params: dict[str, object] = {"marketplace": t.NAME, "status": t.status_of(data)}
            why = m.Reason("cdiscount.accepted_already", params)
            return m.OrderAnswer(_all(pieces, m.PieceAnswer("", False, reason=why)), seen)
        return m.OrderAnswer(_all(pieces, m.PieceAnswer("", True, already=True)), seen)

    # --- parcels ------------------------------------------------------------------------------------------------------------

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]:
        """One parcel for the whole order (trap 8). Without a tracking number nothing is sent: Octopia would refuse it (C3). A further parcel is
        not told, there is no place for it. Raises Unknown when the answer got lost: then `read_pieces`.
        """
        if shipment.further_parcel:
            return [m.PieceAnswer(piece, ok=True, already=True) for piece in shipment.pieces]
        if not shipment.tracking_number:
            why = m.Reason("ship.tracking_required", {"marketplace": t.NAME, "partner": t.NAME})
            return [m.PieceAnswer(piece, ok=False, reason=why) for piece in shipment.pieces]
        answers: dict[str, m.PieceAnswer] = {}
        for order_id, pieces in t.by_order(shipment.pieces).items():
            answers |= self._ship(order_id, pieces, shipment)
        return [answers[piece] for piece in shipment.pieces]

    def _ship(self, order_id: str, pieces: list[str], shipment: m.ShipmentWanted) -> dict[str, m.PieceAnswer]:
        states = self._states("order_to_ship", order_id)
        if all(states.get(piece) in _SENT for piece in pieces):
            return {piece: m.PieceAnswer(piece, True, already=True, state=states[piece]) for piece in pieces}
        label = self._label(shipment)
        if label is None:
            told: dict[str, object] = {"marketplace": t.NAME}
            told["carrier"] = shipment.carrier_name or shipment.carrier
            why = m.Reason("ship.carrier_not_accepted", told)
            return {piece: m.PieceAnswer(piece, ok=False, reason=why) for piece in pieces}
        number = str(shipment.tracking_number)
        body = t.shipment_body(number, label, tracking_url(shipment.carrier, number))
        try:
            self._call("ship", "POST", f"/orders/{_quoted(order_id)}/shipments", body=body, deed=True)
        except Unauthorised:
            raise
        except Refused as error:
            return self._not_shipped(order_id, pieces, error)
        return {piece: m.PieceAnswer(piece, ok=True, state=m.PieceState.SHIPPED) for piece in pieces}

    def _not_shipped(self, order_id: str, pieces: list[str], error: Refused) -> dict[str, m.PieceAnswer]:
        """A refused parcel is no failure when the order has left already: the order's own word counts."""
        states = self._states("order", order_id)
        return {
            piece: m.PieceAnswer(piece, ok=True, already=True, state=states[piece])
            if states.get(piece) in _SENT
            else m.PieceAnswer(piece, ok=False, state=states.get(piece), reason=t.told(error))
            for piece in pieces
        }

    def _states(self, operation: str, order_id: str) -> dict[str, m.PieceState]:
        data = self._order(operation, order_id)
        seen = t.order(data) if data is not None else None
        return {each.external_id: each.state for each in seen.pieces} if seen else {}

    def _label(self, shipment: m.ShipmentWanted) -> str | None:
        """The carrier's name must be one of their list, which is read once a day (FACTS 2)."""
        known = self._door.kept.get("carriers", lambda: (t.labels(self.get("carriers", "/carriers")), DAY))
        wanted = marketplace_code("cdiscount", shipment.carrier)
        return t.carrier_label(wanted, shipment.carrier_name, known)

    # --- cancelling and refunding ---------------------------------------------------------------------------------------------

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """Ask for whole lines, or the whole order, to be cancelled; an order that waits for acceptance is refused. Octopia knows no part of a
        line. Taken is not done: a later look at the order shows it (FACTS 2).
        """
        if reason not in t.CANCEL_REASONS:
            raise Refused("cancel.reason_unknown", reason=reason)
        answers: dict[str, m.PieceAnswer] = {}
        for order_id, pieces in t.by_order(piece_ids).items():
            answers |= self._cancel(order_id, pieces, reason)
        return [answers[piece] for piece in piece_ids]

    def _cancel(self, order_id: str, pieces: list[str], reason: str) -> dict[str, m.PieceAnswer]:
        data = self._order("order_to_cancel", order_id)
        if data is None:
            return {piece: m.PieceAnswer(piece, False, reason=_not_found()) for piece in pieces}
        lines = {t.line_id(line): line for line in t.seller_lines(data)}
        asked = self._asked_for(order_id)
        answers: dict[str, m.PieceAnswer] = {}
        wanted: dict[str, list[str]] = {}
        for piece in pieces:
            line_id = t.ids(piece)[1]
            line = lines.get(line_id)
            if line is None:
                answers[piece] = m.PieceAnswer(piece, False, reason=_not_found())
            elif (before := _cancelled_before(data, line, piece, asked)) is not None:
                answers[piece] = before
            else:
                wanted.setdefault(line_id, []).append(piece)
        for line_id in [each for each in wanted if len(set(wanted[each])) < t.quantity(lines[each])]:
            count = t.quantity(lines[line_id])
            params = {"marketplace": t.NAME, "quantity": count, "pieces": len(wanted[line_id])}
            why = m.Reason("cdiscount.cancel_whole_lines", params)
            answers |= {piece: m.PieceAnswer(piece, False, reason=why) for piece in wanted.pop(line_id)}
        if wanted:
            rest = [
                each
                for each, line in lines.items()
                if each not in wanted and t.line_state(data, line) is not m.PieceState.CANCELLED
            ]
            mine = [piece for each in wanted.values() for piece in each]
            chosen = (
                None
                if not rest and len(lines) == len(t.objects(data.get("lines")))
                else [lines[e] for e in wanted]
            )
            answers |= self._ask_to_cancel(data, chosen, mine, reason)
        return answers

    def _asked_for(self, order_id: str) -> set[str]:
        """Lines whose cancellation is asked for already; "*" is all of them."""
        query = [("orderSellerId", order_id)]
        body = self.get("cancellation_requests", "/order-cancellation-requests", query, expect=(404,))
        return set() if body is None else t.requested_lines(body)

    def _ask_to_cancel(
        self, data: t.Json, lines: list[t.Json] | None, pieces: list[str], reason: str
    ) -> dict[str, m.PieceAnswer]:
        """`lines` None: the whole order."""
        try:
            if t.status_of(data) == t.WAITING and lines is None:
                self._answer_order(t.order_id(data), accept=False)
                state = m.PieceState.CANCELLED
                return {piece: m.PieceAnswer(piece, ok=True, state=state) for piece in pieces}
            code = self._code(t.status_of(data), reason)
            self._request("cancel", data, lines, code, shipping=True)
        except Unauthorised:
            raise
        except Refused as error:
            return {piece: m.PieceAnswer(piece, ok=False, reason=t.told(error)) for piece in pieces}
        return {piece: m.PieceAnswer(piece, ok=True, pending=True) for piece in pieces}

    def _request(
        self, operation: str, data: t.Json, lines: list[t.Json] | None, code: str, *, shipping: bool
    ) -> None:
        if lines is None:
            path, body = "/order-cancellation-requests", t.cancel_body(data, code, shipping=shipping)
        else:
            path = "/order-partial-cancellation-requests"
            body = t.cancel_lines_body(data, lines, code, shipping=shipping)
        self._call(operation, "POST", path, body=body, deed=True)

    def _code(self, status: str, reason: str) -> str:
        """Their code for our reason: which ones there are depends on the order's status. Raises Refused naming them when none fits."""
        query = [("salesChannel", t.CHANNEL), ("userType", t.SELLER), ("orderStatus", status)]
        codes = self._door.kept.get(
            f"reasons:{status}",
            lambda: (t.reason_codes(self.get("reasons", "/cancellation-reasons", query)), DAY),
        )
        code = t.reason_code(reason, codes, self._settings.get("cancel_codes") or {})
        if code is None:
            raise Refused(
                "cdiscount.no_reason_code", marketplace=t.NAME, reason=reason, available=", ".join(codes)
            )
        return code

    def refund(self, piece_id: str, amount: int, reason: str, together: Sequence[str] = ()) -> m.PieceAnswer:
        """Give the buyer `amount` cents, for this piece or for all pieces that are given back `together`. All of a line at once is cancelled after
        shipping, which pays all of it; everything else is a commercial gesture, up to what Octopia allows (FACTS 2). Both can be read back
        (`read_refunded`); both are only taken at first.
        """
        if isinstance(amount, bool) or amount < 1:
            raise Refused("refund.amount_invalid", amount=amount)
        if reason not in t.GESTURES:
            raise Refused("refund.reason_unknown", reason=reason)
        order_id, line_id, _ = t.ids(piece_id)
        data = self._order("order_to_refund", order_id)
        line = next((each for each in t.seller_lines(data or {}) if t.line_id(each) == line_id), None)
        if data is None or line is None:
            return m.PieceAnswer(piece_id, ok=False, reason=_not_found())
        state = t.line_state(data, line)
        params: dict[str, object] = {"marketplace": t.NAME, "amount": amount, "currency": t.CURRENCY}
        if state not in _SENT:
            return m.PieceAnswer(
                piece_id, False, state=state, reason=m.Reason("refund.before_shipping", params)
            )
        if state is m.PieceState.RETURNED:
            return m.PieceAnswer(
                piece_id, False, state=state, reason=m.Reason("refund.more_than_paid", params)
            )
        try:
            return self._pay_back(data, line, {piece_id, *together}, piece_id, amount, reason)
        except Unauthorised:
            raise
        except Refused as error:
            return m.PieceAnswer(piece_id, ok=False, reason=t.told(error))

    def _pay_back(
        self, data: t.Json, line: t.Json, pieces: set[str], piece_id: str, amount: int, reason: str
    ) -> m.PieceAnswer:
        order_id, (unit, shipping) = t.order_id(data), t.line_amounts(line)
        goods = unit * t.quantity(line)
        whole = pieces == {each.external_id for each in t.pieces_of(data, line)}
        if whole and reason != "postage" and amount in {goods, goods + shipping}:
            code = self._code(t.status_of(data), reason)
            self._request("refund", data, [line], code, shipping=amount == goods + shipping)
            return m.PieceAnswer(piece_id, ok=True, pending=True)
        allowed = self._allowed(order_id)
        if amount > allowed:
            params = {
                "marketplace": t.NAME,
                "amount": amount,
                "allowed": f"{t.money(allowed)} {t.CURRENCY}",
                "currency": t.CURRENCY,
            }
            return m.PieceAnswer(piece_id, ok=False, reason=m.Reason("cdiscount.gesture_too_high", params))
        body = t.gesture_body(order_id, amount, reason)
        self._call("refund", "POST", "/order-commercial-gesture-requests", body=body, deed=True)
        return m.PieceAnswer(piece_id, ok=True, pending=True)

    def _allowed(self, order_id: str) -> int:
        path = f"/orders/{_quoted(order_id)}/commercial-gestures-available-amounts"
        body = t.row(self.get("gesture_limit", path))
        return t.minor(body.get("allowableAmount"), "allowableAmount")

    def read_refunded(self, piece_id: str) -> int:
        """Cents given back on the whole order, also what is only taken: gestures, and lines cancelled or asked to be cancelled."""
        return sum(self._given_back(piece_id))

    def read_undecided(self, piece_id: str) -> int:
        """Cents of the whole order that are only asked for: lines that are not cancelled yet, gestures that nobody has accepted."""
        return self._given_back(piece_id)[1]

    def _given_back(self, piece_id: str) -> tuple[int, int]:
        """(decided, asked for) in cents."""
        order_id = t.ids(piece_id)[0]
        data = self._order("order", order_id)
        if data is None:
            return 0, 0
        asked = self._asked_for(order_id)
        done = waits = 0
        for line in t.seller_lines(data):
            if t.line_state(data, line) in _OVER:
                done += t.line_total(line)
            elif _is_asked_for(line, asked):
                waits += t.line_total(line)
        query = [("orderId", order_id)]
        for body in self.leaves("gestures", "/order-commercial-gesture-requests", query, expect=(404,)):
            given, open_ones = t.gestures(body, order_id)
            done, waits = done + given, waits + open_ones
        return done, waits

    # --- returns -------------------------------------------------------------------------------------------------------------

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]:
        """Lines that were cancelled after they had left, of orders that changed since then: the only sign of money that went back."""
        unreadable: list[Invalid] = []
        for found in self._pages("returns_changed", [("updatedAtMin", t.stamp(since - OVERLAP))]):
            page: list[m.ReturnSeen] = []
            for row in found:
                try:
                    page += t.given_back(row)
                except Invalid as error:
                    unreadable.append(error)
            if page:
                yield page
        if unreadable:
            raise unreadable[0]

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer:
        """There are no returns of goods that the seller ships (Capabilities.returns); whoever asks all the same gets the reason."""
        why = m.Reason("refund.not_supported", {"marketplace": t.NAME})
        return m.PieceAnswer(return_piece_id, ok=False, reason=why)

    # --- offers --------------------------------------------------------------------------------------------------------------

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """Hand over at most 1000 offers: one package for those of which only price and stock differ, one for the others (trap 3). An answer's
        `task` is its package. Values are absolute and a package counts only when it is Ready, so a push that fails can be repeated; when
        something was taken before it failed, that is answered and the rest says `retry`.
        """
        push = _Push(self, offers)
        try:
            push.run()
        except Unavailable as error:
            if not push.anything_done:
                raise
            push.later(error)
        return push.answers()

    def knows_product(self, gtin: str) -> bool:
        """Whether the catalogue has this GTIN; a yes is kept for a day."""

        def made() -> Made:
            query = [("gtin", gtin), ("limit", "1")]
            body = self.get("product", "/products", query, expect=(404,))
            known = body is not None and any(str(each.get("gtin") or gtin) == gtin for each in t.rows(body))
            return known, DAY if known else 0.0

        return bool(self._door.kept.get(f"gtin:{gtin}", made))

    def send_sheet(self, sheet: Mapping[str, object]) -> str:
        """Send one product sheet and answer its package. One for each call, so that the lane counts sheets as Octopia does (trap 9)."""
        headers = {"Accept-Language": "fr-FR"}
        body = {"products": [sheet]}
        answer = self._call(
            "product_sheet", "POST", "/products-integration", body=body, headers=headers, lane="products"
        )
        package = str(t.row(_json(answer, "product_sheet")).get("packageId") or "")
        if not package:
            raise Unavailable("partner.unreadable", operation="product_sheet", partner=t.NAME)
        return package

    def send_package(
        self, kind: str, bodies: Mapping[str, Mapping[str, object]]
    ) -> tuple[str, dict[str, m.Reason]]:
        """Hand over one package: its id ("" when nothing of it was taken), and why not, by SKU."""
        headers = {"salesChannelId": t.CHANNEL}
        made = self._call("package", "POST", "/offer-packages", body={"packageType": kind}, headers=headers)
        package = _last_segment(made)
        if not package:
            raise Unavailable("partner.unreadable", operation="package", partner=t.NAME)
        refused: dict[str, m.Reason] = {}
        skus = list(bodies)
        for start in range(0, len(skus), OFFERS_AT_ONCE):
            chunk = {sku: bodies[sku] for sku in skus[start : start + OFFERS_AT_ONCE]}
            refused |= self._fill(package, chunk)
        if len(refused) == len(bodies):
            return "", refused
        self._make_ready(package)
        return package, refused

    def _fill(self, package: str, chunk: Mapping[str, Mapping[str, object]]) -> dict[str, m.Reason]:
        """Put offers into a package. A call that is refused is halved until the offer is found."""
        path = f"/offer-packages/{_quoted(package)}/offer-requests"
        answer = self._call("offers", "POST", path, body=list(chunk.values()), expect=(400, 422))
        if answer.status not in TOLD:
            return {}
        skus = list(chunk)
        if len(skus) == 1:
            why = t.reason(answer.status, _json_or_none(answer))
            return {skus[0]: m.Reason("offer.refused", {**why.params, "sku": skus[0]})}
        halves = skus[: len(skus) // 2], skus[len(skus) // 2 :]
        return {
            sku: why
            for half in halves
            for sku, why in self._fill(package, {each: chunk[each] for each in half}).items()
        }

    def _make_ready(self, package: str) -> None:
        self._call("package_ready", "PATCH", f"/offer-packages/{_quoted(package)}", body={"state": "Ready"})

    def remember(self, package: str, offers: Mapping[str, Mapping[str, object]]) -> None:
        """What a package says, until its results are gone: Octopia's own answer names only references."""
        self._door.kept.keep(f"package:{package}", dict(offers), RESULTS_KEPT)

    def remembered(self, package: str) -> dict[str, dict[str, Any]]:
        found = self._door.kept.peek(f"package:{package}") or {}
        return found if isinstance(found, dict) else {}

    def stands(self, sku: str, mark: str) -> None:
        """Remember how this offer was last sent whole: Octopia does not show all of it."""
        self._door.kept.keep(f"upserted:{sku}", mark, REMEMBERED)

    def standing_of(self, sku: str) -> str | None:
        found = self._door.kept.peek(f"upserted:{sku}")
        return found if isinstance(found, str) else None

    def read_tasks(self, tasks: Sequence[str]) -> list[m.TaskSeen]:
        """How far packages and product sheets are. Integrated is not yet visible: what counts is what GET /offers shows afterwards."""
        return [self._task(task) for task in dict.fromkeys(tasks)]

    def _task(self, task: str) -> m.TaskSeen:
        kind, _, rest = task.partition(":")
        if kind == "sheet":
            return self._sheet(task, *rest.partition(":")[::2])
        data = self.get("package_state", f"/offer-packages/{_quoted(rest)}", expect=(404,)) if rest else None
        if data is None:
            return m.TaskSeen(task, done=True)
        state = str(t.row(data).get("state") or "")
        if state == "Rejected":
            return m.TaskSeen(task, True, tuple(self._rejected(rest, t.row(data))))
        if state == "Integrated":
            return m.TaskSeen(task, True, tuple(self._integrated(rest)))
        if state == "WaitingForCompletion":
            self._make_ready(rest)  # the word that it is complete got lost
        return m.TaskSeen(task, done=False, again_in=STILL)

    def _sheet(self, task: str, package: str, sku: str) -> m.TaskSeen:
        query = [("packageId", package)]
        body = self.get("sheet_report", "/products-integration-reports", query, expect=(404,))
        if body is None:
            return m.TaskSeen(task, done=True)
        answer = t.sheet_answer(body, package, sku)
        if answer is None:
            return m.TaskSeen(task, done=False, again_in=STILL_SHEET)
        return m.TaskSeen(task, True, (answer,), STILL_SHEET)

    def _rejected(self, package: str, data: t.Json) -> Iterator[m.OfferAnswer]:
        """A package that is rejected whole; why stands in `result` (FACTS 3)."""
        params: dict[str, object] = {"marketplace": t.NAME, "message": str(data.get("result") or "")[:200]}
        for sku in self.remembered(package):
            why = m.Reason("offer.batch_refused", {**params, "sku": sku})
            yield m.OfferAnswer(sku, False, m.OfferState.REFUSED, reason=why)

    def _integrated(self, package: str) -> Iterator[m.OfferAnswer]:
        path = f"/offer-packages/{_quoted(package)}/offer-requests-results"
        found = [row for body in self.leaves("results", path, [], expect=(404,)) for row in t.rows(body)]
        verdicts, sent = t.results(found), self.remembered(package)
        well = [sku for sku, (integrated, _, _) in verdicts.items() if integrated]
        seen = {each.sku: each for page in self.read_offers(well) for each in page} if well else {}
        for sku, (integrated, code, message) in verdicts.items():
            if not integrated:
                yield t.rejection(sku, code, message)
                continue
            yield _listed(sku, seen.get(sku), sent.get(sku))

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now, with what the channel says of offers that are not visible."""
        wanted = None if skus is None else list(dict.fromkeys(skus))
        chunks = (
            [None]
            if wanted is None
            else [wanted[i : i + REFERENCES] for i in range(0, len(wanted), REFERENCES)]
        )
        for chunk in chunks:
            query = [("salesChannelId", t.CHANNEL), ("expand", "salesChannelFeedback")]
            query += [("sellerExternalReferences", sku) for sku in chunk or ()]
            for body in self.leaves("offers_shown", "/offers", query):
                found = [t.shown(row) for row in t.rows(body)]
                page = [each for each in found if each is not None and (chunk is None or each.sku in chunk)]
                if page:
                    yield page


class _Push:
    """One push of offers: sorted into those that are refused here, those without a product, updates and upserts."""

    def __init__(self, client: CdiscountClient, offers: Sequence[m.OfferWanted]) -> None:
        self._client = client
        self._offers = offers
        self._answers: dict[str, m.OfferAnswer] = {}

    def run(self) -> None:
        self._refuse_doubles()
        terms = self._client.terms() if self._open() else None
        if isinstance(terms, m.Reason):
            # An old stock must not stay on sale only because of a missing mode: price and stock need none.
            self._send({"Update": self._updates()})
            for offer in self._open():
                self._answer(offer, m.OfferState.REFUSED, terms)
        elif terms is not None:
            self._push(terms)

    @property
    def anything_done(self) -> bool:
        return any(each.task for each in self._answers.values())

    def later(self, error: Unavailable) -> None:
        """Octopia failed in the middle: whoever has no answer yet comes back later."""
        for offer in self._open():
            self._answer(offer, m.OfferState.WAITING, t.told(error), retry=True)

    def answers(self) -> list[m.OfferAnswer]:
        return [self._answers[sku] for sku in dict.fromkeys(offer.sku for offer in self._offers)]

    def _open(self) -> list[m.OfferWanted]:
        return [offer for offer in self._offers if offer.sku not in self._answers]

    def _answer(
        self, offer: m.OfferWanted, state: m.OfferState, why: m.Reason, *, retry: bool = False
    ) -> None:
        shown = m.OfferShown(offer.sku, offer.external_ref) if offer.external_ref else None
        self._answers[offer.sku] = m.OfferAnswer(offer.sku, False, state, shown, why, retry=retry)

    def _refuse_doubles(self) -> None:
        """A reference that is twice in a package rejects both (trap 4)."""
        counts: dict[str, int] = {}
        for offer in self._offers:
            counts[offer.sku] = counts.get(offer.sku, 0) + 1
        for offer in self._offers:
            if counts[offer.sku] > 1:
                why = m.Reason("product.sku_duplicate", {"sku": offer.sku, "marketplace": t.NAME})
                self._answer(offer, m.OfferState.REFUSED, why)

    def _push(self, terms: t.Terms) -> None:
        updates = self._updates(terms)
        for offer in self._open():
            if why := t.objection(offer, terms):
                self._object(offer, why, updates)
        for offer in self._open():
            if offer.external_ref is None:
                self._look_for_product(offer)
        upserts = {offer.sku: offer for offer in self._open() if offer.sku not in updates}
        bodies = {sku: t.upsert_body(offer, terms) for sku, offer in upserts.items()}
        self._send({"Update": updates, "Upsert": bodies})
        for sku, offer in upserts.items():
            if self._answers[sku].ok:
                self._client.stands(sku, t.standing(offer, terms))

    def _updates(self, terms: t.Terms | None = None) -> dict[str, dict[str, object]]:
        """Offers of which only price or stock differ from what is confirmed. Without terms nothing else can be sent anyway."""
        found: dict[str, dict[str, object]] = {}
        for offer in self._open():
            body = t.update_body(offer) if offer.external_ref else None
            if body is not None and (terms is None or self._same_otherwise(offer, terms)):
                found[offer.sku] = body
        return found

    def _same_otherwise(self, offer: m.OfferWanted, terms: t.Terms) -> bool:
        """Whether delivery, taxes and preparation time are as they were sent; where nobody remembers, what the marketplace confirmed counts."""
        if t.objection(offer, terms):
            return True  # it is only taken down, or kept as it is
        before = self._client.standing_of(offer.sku)
        if before is not None:
            return before == t.standing(offer, terms)
        return offer.was is not None and offer.was.handling_days == offer.handling_days

    def _object(self, offer: m.OfferWanted, why: m.Reason, updates: dict[str, dict[str, object]]) -> None:
        """What cannot be offered any more is taken off sale all the same, where it is on sale."""
        if offer.sku in updates and offer.price >= 1 and offer.currency == t.CURRENCY:
            return
        updates.pop(offer.sku, None)
        self._answer(offer, m.OfferState.REFUSED, why)

    def _look_for_product(self, offer: m.OfferWanted) -> None:
        """An offer needs a product of the catalogue; an unknown one is described there, where the merchant has said how."""
        gtin = t.ean(offer.gtin or "") or ""
        if self._client.knows_product(gtin):
            return None
        if not self._client.mapping.categories or not offer.on:
            why = m.Reason("product.unknown_gtin", {"sku": offer.sku, "gtin": gtin, "marketplace": t.NAME})
            return self._answer(offer, m.OfferState.NEEDS_PRODUCT, why)
        sheet = t.sheet(offer, self._client.mapping)
        if isinstance(sheet, m.Reason):
            return self._answer(offer, m.OfferState.NEEDS_PRODUCT, sheet)
        return self._describe(offer, sheet)

    def _describe(self, offer: m.OfferWanted, sheet: Mapping[str, object]) -> None:
        try:
            package = self._client.send_sheet(sheet)
        except Unauthorised:
            raise
        except Refused as error:
            return self._answer(offer, m.OfferState.NEEDS_PRODUCT, t.told(error))
        except Unavailable as error:
            if not error.only_its_turn:
                raise
            why = m.Reason("cdiscount.product_quota", {"sku": offer.sku, "marketplace": t.NAME})
            return self._answer(offer, m.OfferState.WAITING, why, retry=True)
        task = f"sheet:{package}:{offer.sku}"
        self._answers[offer.sku] = m.OfferAnswer(offer.sku, True, m.OfferState.WAITING, task=task)
        return None

    def _send(self, packages: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
        offers = {offer.sku: offer for offer in self._open()}
        for kind, bodies in packages.items():
            if not bodies:
                continue
            package, refused = self._client.send_package(kind, bodies)
            sent = {sku: t.shown_as_sent(offers[sku]) for sku in bodies if sku not in refused}
            if package:
                self._client.remember(package, sent)
            for sku in bodies:
                if sku in refused:
                    self._answer(offers[sku], m.OfferState.REFUSED, refused[sku])
                else:
                    self._answers[sku] = self._taken(offers[sku], package)

    @staticmethod
    def _taken(offer: m.OfferWanted, package: str) -> m.OfferAnswer:
        shown = m.OfferShown(offer.sku, offer.external_ref) if offer.external_ref else None
        return m.OfferAnswer(offer.sku, True, m.OfferState.WAITING, shown, task=f"offers:{package}")


def _listed(sku: str, seen: m.OfferShown | None, sent: Mapping[str, Any] | None) -> m.OfferAnswer:
    """An integrated offer: its values are those that were sent, its state is what is shown. Not shown yet is only waiting."""
    state = seen.state if seen and seen.state else m.OfferState.WAITING
    why = seen.reason if seen else m.Reason("offer.in_process")
    if sent is None:
        return m.OfferAnswer(sku, True, state, seen or m.OfferShown(sku, sku), why)
    shown = m.OfferShown(
        sku,
        sku,
        price=sent["price"],
        stock=sent["stock"],
        handling_days=sent["handling_days"],
        on=sent["on"],
        shipping_group=sent["shipping_group"],
        raw_state=seen.raw_state if seen else None,
        state=state,
        reason=why,
    )
    return m.OfferAnswer(sku, True, state, shown, why)


def _cancelled_before(data: t.Json, line: t.Json, piece: str, asked: set[str]) -> m.PieceAnswer | None:
    """The answer for a piece whose line is cancelled, is asked to be, or has left; None for one that is still to be asked for."""
    state = t.line_state(data, line)
    if state is m.PieceState.CANCELLED:
        return m.PieceAnswer(piece, ok=True, already=True, state=state)
    if state in _SENT:
        why = m.Reason("cancel.not_possible", {"marketplace": t.NAME, "message": str(line.get("status"))})
        return m.PieceAnswer(piece, ok=False, state=state, reason=why)
    if _is_asked_for(line, asked):
        return m.PieceAnswer(piece, ok=True, already=True, pending=True)
    return None


def _is_asked_for(line: t.Json, asked: set[str]) -> bool:
    """A line that somebody wants cancelled."""
    return line.get("status") == "CancelRequest" or bool(asked & {"*", t.line_id(line)})


def _all(pieces: Iterable[str], like: m.PieceAnswer) -> tuple[m.PieceAnswer, ...]:
    """The same answer for each of these pieces."""
    return tuple(
        m.PieceAnswer(piece, like.ok, already=like.already, state=like.state, reason=like.reason)
        for piece in pieces
    )


def _not_found() -> m.Reason:
    return m.Reason("partner.not_found", {"partner": t.NAME, "marketplace": t.NAME})


def _seller_name(body: object) -> str:
    """What the seller is called; the answer is not documented."""
    found = t.objects(body.get("items")) if isinstance(body, Mapping) and "items" in body else [body]
    first = found[0] if found and isinstance(found[0], Mapping) else {}
    return next((str(first[name]) for name in ("shopName", "name", "login", "id") if first.get(name)), "")


def _id(row: t.Json) -> str:
    return str(row.get("orderId", ""))


def _header(answer: Answer, name: str) -> str:
    return next((value for key, value in answer.headers.items() if key.lower() == name), "")


def _next_cursor(answer: Answer) -> str | None:
    """The cursor of the next page in the header Link; None at the end."""
    for each in _header(answer, "link").split(","):
        target, _, rest = each.partition(";")
        if 'rel="next"' in rest.replace(" ", ""):
            found = parse_qs(urlsplit(target.strip().strip("<>")).query).get("cursor")
            return found[0] if found else None
    return None


def _last_segment(answer: Answer) -> str:
    """The id of a new package: the last part of Content-Location; the body is empty (FACTS 3)."""
    where = _header(answer, "content-location") or _header(answer, "location")
    return where.partition("?")[0].rstrip("/").rpartition("/")[2]


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
