"""Commands to any shop that speaks docs/protocol.md section 4: one signed POST each, answered with what is true afterwards.

Every command may be repeated with the same id, so an answer that is missing or makes no sense is Unavailable: the queue sends
the same command again, and the shop answers `already`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app import messages as m
from app.errors import Invalid, Refused, Unavailable
from app.shops import schemas, signing
from app.shops.envelope import parse_object
from app.shops.reading import amount_text, read, status_of

if TYPE_CHECKING:
    from app.outbound import Answer, Door

# A firewall, a redirect, a plugin that is switched off or not yet updated: whatever it says, nothing was done.
_NOT_THE_PLUGIN = frozenset(range(300, 500)) - {401, 422, 429}


class PluginClient:
    """The verbs of app.registry.ShopClient. Raises Refused, Unauthorised, Unavailable and Invalid; nothing else.

    `settings["command"]` holds the command secrets, newest first, as texts or as {"secret": ...} (connection.secrets). While one is
    being rotated the command carries a signature of each.
    """

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        self._door = door
        self._secrets = [
            entry if isinstance(entry, str) else entry["secret"] for entry in settings.get("command", ())
        ]
        self._new_order_status = settings.get("new_order_status", "processing")

    def ping(self, command_id: str) -> Mapping[str, Any]:
        """Asks the shop to prove that it knows the secret. Raises Invalid when it answers with another challenge."""
        challenge = signing.new_secret().removeprefix(signing.PREFIX)
        data = self.send(command_id, "ping", {"challenge": challenge})
        if data["challenge"] != challenge:
            raise Invalid("field.invalid", field="data.challenge", expected="the challenge we sent")
        return data

    def send(self, command_id: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """One command; answers the `data` of the shop's answer, checked. `result` tells done from already."""
        answered, _ = self._sent(command_id, kind, data)
        return answered

    def create_order(self, command_id: str, draft: m.OrderDraft) -> m.ShopOrderTruth:
        """Writes the order exactly once by `draft.key` (C1)."""
        data, result = self._sent(
            command_id, "order.create", draft_data(draft, "on-hold" if draft.hold else self._new_order_status)
        )
        return m.ShopOrderTruth(
            external_id=str(data["order_id"]),
            number=str(data["number"]),
            status=status_of(data["status"]),
            stock_sequence=data["stock_sequence"],
            lines={line["key"]: str(line["id"]) for line in data["lines"]},
            lines_without_product=tuple(line["key"] for line in data["lines"] if not line["product_found"]),
            already=result == "already",
        )

    def cancel_order(
        self,
        command_id: str,
        order_id: str,
        key: str,
        lines: Sequence[tuple[str, int]] | None,
        reason: str,
        *,
        at_most: bool = False,
    ) -> m.ShopOrderTruth:
        """Cancels the order (`lines` None) or (line id, quantity) of it, back into stock (C6).

        More than is left is refused whole; with `at_most` the shop cancels what is left and says what that was (`cancelled_lines`).
        """
        wanted = {
            "order_id": order_id,
            "key": key,
            "lines": _parts(lines),
            "reason": reason,
            "restock": True,
        }
        data, result = self._sent(
            command_id, "order.cancel", {**wanted, "at_most": True} if at_most else wanted
        )
        return _truth(data, result)

    def refund_order(
        self,
        command_id: str,
        order_id: str,
        key: str,
        amount: int,
        lines: Sequence[tuple[str, int, int]],
        reason: str,
        restock: bool,
        currency: str = "EUR",
    ) -> m.ShopOrderTruth:
        """Writes a refund object without moving money (C7). `amount` and the third of each line in minor units."""
        parts = [
            {"id": line, "quantity": quantity, "amount": amount_text(part, currency)}
            for line, quantity, part in lines
        ]
        data, result = self._sent(
            command_id,
            "order.refund",
            {
                "order_id": order_id,
                "key": key,
                "amount": amount_text(amount, currency),
                "lines": parts,
                "reason": reason,
                "restock": restock,
            },
        )
        return _truth(data, result)

    def stop_shipping(self, command_id: str, order_id: str, key: str, reason: str) -> m.ShopOrderTruth:
        """Flags the order so that nothing is printed any more; `already_shipped` says when that came too late (C6)."""
        data, result = self._sent(
            command_id,
            "order.stop_shipping",
            {"order_id": order_id, "key": key, "reason": reason, "lines": None},
        )
        return _truth(data, result)

    def _sent(self, command_id: str, kind: str, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """(data, result) of the answer. The text is made once: a retry inside the door must send the same bytes."""
        answer = self._door.call(
            kind,
            "POST",
            "",
            headers={"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"},
            body=command_body(command_id, kind, data, datetime.now(UTC)),
            sign=lambda _method, _url, body: signing.sign(self._secrets, command_id, body, datetime.now(UTC)),
            expect=_NOT_THE_PLUGIN | {422},
        )
        if answer.status in _NOT_THE_PLUGIN:
            raise Unavailable("shop.plugin_not_answering", status=answer.status)
        return _understood(command_id, kind, answer)


def command_body(command_id: str, kind: str, data: Mapping[str, Any], now: datetime) -> bytes:
    """The bytes of one command."""
    command = {"id": command_id, "type": kind, "timestamp": _time(now), "data": data}
    return json.dumps(command, ensure_ascii=False, separators=(",", ":")).encode()


def draft_data(draft: m.OrderDraft, status: str) -> dict[str, Any]:
    """The `data` of order.create. Amounts become texts, times UTC with Z."""
    return {
        "key": draft.key,
        "source": {
            "marketplace": draft.marketplace,
            "name": draft.marketplace_name,
            "order_id": draft.marketplace_order_id,
        },
        "status": status,
        "currency": draft.currency,
        "placed_at": _time(draft.placed_at),
        "ship_by": None if draft.ship_by is None else _time(draft.ship_by),
        "billing": _address(draft.billing) | {"email": draft.billing.email},
        "shipping": _address(draft.shipping),
        "lines": [_line(line, draft.currency) for line in draft.lines],
        "shipping_total": amount_text(draft.shipping_total, draft.currency),
        "total": amount_text(draft.total, draft.currency),
        "note": draft.note,
    }


def _line(line: m.OrderLineDraft, currency: str) -> dict[str, Any]:
    return {
        "key": line.key,
        "product_id": line.product_external_id,
        "sku": line.sku,
        "gtin": line.gtin,
        "name": line.title,
        "quantity": line.quantity,
        "unit_price": amount_text(line.unit_price, currency),
        "tax_rate": line.vat_percent,
    }


def _address(address: m.Address) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "address_1": address.address_1,
        "address_2": address.address_2,
        "postcode": address.postcode,
        "city": address.city,
        "state": address.state,
        "country": address.country,
        "phone": address.phone,
    }
    return parts | {"extra": dict(address.extra)} if address.extra else parts


def _parts(lines: Sequence[tuple[str, int]] | None) -> list[dict[str, Any]] | None:
    return None if lines is None else [{"id": line, "quantity": quantity} for line, quantity in lines]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_ANSWER = schemas.AnswerEnvelope()


def _understood(command_id: str, kind: str, answer: Answer) -> tuple[Mapping[str, Any], str]:
    """(data, result) of a 200 or 422. Raises Refused with the shop's code, or Invalid naming what is not as agreed."""
    # As strict as for an event: what is kept of an answer must fit the database too.
    told = read(_ANSWER, parse_object(answer.body), "answer")
    if told["id"] != command_id:
        raise Invalid("field.invalid", field="answer.id", expected="the id of the command")
    refused = told["result"] == "refused"
    if refused != (answer.status == 422):
        raise Invalid(
            "field.invalid", field="answer.result", expected="refused with 422, done or already with 200"
        )
    if refused:
        raise _refusal(told["error"])
    data: dict[str, Any] = told["data"]
    read(schemas.ANSWERS[kind], data, "answer.data")
    return data, told["result"]


def _refusal(error: Mapping[str, Any] | None) -> Refused:
    """The shop's code as one of our reasons (`order.not_found` -> `shop.order_not_found`); others stay a param."""
    if error is None:
        return Invalid("field.missing", field="answer.error", expected="why the shop refuses")
    code = error["code"] if error["code"] in schemas.REFUSALS else "refused"
    return Refused(
        f"shop.{code.replace('.', '_')}",
        shop_code=error["code"],
        message=error["message"][:500],
        field=error["field"],
        who="merchant",
    )


def _truth(data: Mapping[str, Any], result: str) -> m.ShopOrderTruth:
    status, refund, lines = data.get("status"), data.get("refund_id"), data.get("lines")
    return m.ShopOrderTruth(
        external_id=str(data["order_id"]),
        status=None if status is None else status_of(status),
        stock_sequence=data.get("stock_sequence"),
        already=result == "already",
        already_shipped=data.get("already_shipped", False),
        refund_external_id=None if refund is None else str(refund),
        cancelled_lines=None
        if lines is None
        else tuple((str(line["id"]), int(line["quantity"])) for line in lines),
    )
