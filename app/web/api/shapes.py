"""What the API answers, for the OpenAPI document and for the answers themselves. Times are text in UTC with Z, amounts minor units."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields


def moment(meaning: str = "") -> fields.String:
    """A time as text."""
    return fields.String(allow_none=True, metadata={"format": "date-time", "description": meaning})


def money(meaning: str = "Minor units (cents) of `currency`.") -> fields.Integer:
    """An amount of money."""
    return fields.Integer(allow_none=True, metadata={"description": meaning})


def word(meaning: str = "") -> fields.String:
    """A text that may be missing."""
    return fields.String(allow_none=True, metadata={"description": meaning})


class Error(Schema):
    """What went wrong."""

    type = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; docs/reasons.md lists them."})
    message = fields.String(required=True, metadata={"description": "For people."})
    param = word("The field or parameter that is wrong.")


class ErrorAnswer(Schema):
    """The one shape of every error."""

    error = fields.Nested(Error, required=True)


class Told(Schema):
    """A reason: its code, its sentence in the account's language, and what to do."""

    code = fields.String()
    message = fields.String()
    next_step = word()
    who = word("Who must act: merchant, operator, marketplace or nobody.")


class EventShown(Schema):
    """One message of a shop."""

    id = fields.String()
    connection = word("Key of the connection.")
    delivery_id = fields.String()
    type = fields.String()
    subject = fields.String()
    sequence = fields.Integer()
    happened_at = moment()
    received_at = moment()
    state = fields.String(metadata={"description": "due, leased, done, superseded, refused or dead"})
    attempts = fields.Integer()
    next_attempt_at = moment()
    done_at = moment()
    reason = fields.Nested(Told, allow_none=True)


class EventWithBody(EventShown):
    """With what the shop sent; null after 14 days and for operators."""

    body = fields.Raw(allow_none=True)


class CommandShown(Schema):
    """One deed at a partner."""

    id = fields.String()
    connection = word()
    kind = fields.String()
    subject = fields.String()
    order = word("Id of the order.")
    state = fields.String(metadata={"description": "due, leased, done, refused or dead"})
    attempts = fields.Integer()
    in_doubt = fields.Boolean(
        metadata={"description": "An earlier try may have had its effect; it is read back first."}
    )
    next_attempt_at = moment()
    created_at = moment()
    done_at = moment()
    reason = fields.Nested(Told, allow_none=True)


class AttemptShown(Schema):
    """One call to a partner, without secrets and personal data."""

    id = fields.String()
    connection = word()
    command = word()
    operation = fields.String()
    method = fields.String()
    url = fields.String()
    started_at = moment()
    duration_ms = fields.Integer()
    outcome = fields.String()
    status = fields.Integer(allow_none=True)
    excerpt = fields.String()
    error = word()


class DeadShown(Schema):
    """Something that waits for a person: an event (in) or a command (out)."""

    id = fields.String()
    direction = fields.String(metadata={"description": "in or out"})
    connection = word()
    type = fields.String()
    subject = fields.String()
    state = fields.String(metadata={"description": "refused or dead"})
    at = moment()
    reason = fields.Nested(Told, allow_none=True)


class Replayed(Schema):
    """How many were made due again."""

    replayed = fields.Integer()


class PieceShown(Schema):
    """One physical piece."""

    id = fields.String()
    external_id = fields.String()
    state = fields.String()
    raw_state = fields.String()
    price = money()
    shipping_price = money()
    refunded = money()
    ship_by = moment()
    shipment = word()


class LineShown(Schema):
    """Pieces of the same offer at the same price."""

    id = fields.String()
    sku = word()
    gtin = word()
    title = fields.String()
    quantity = fields.Integer()
    states = fields.List(
        fields.String(), metadata={"description": "Of each piece, also of those that suppliers ship."}
    )
    unit_price = money()
    vat_percent = word()
    shop_line_id = word()
    product = word()
    pieces = fields.List(fields.Nested(PieceShown))


class ShipmentShown(Schema):
    """One parcel."""

    id = fields.String()
    tracking_number = word("null: shipped without one.")
    carrier = word()
    carrier_name = word()
    carrier_source = fields.String()
    pieces = fields.List(fields.String())
    created_at = moment()
    confirmed_at = moment()


class RefundShown(Schema):
    """One refund."""

    id = fields.String()
    origin = fields.String()
    external_id = fields.String()
    amount = money()
    currency = fields.String()
    unassigned = money("Part that could not be assigned to a piece.")
    created_at = moment()


class ReturnShown(Schema):
    """One piece on its way back."""

    id = fields.String()
    external_id = fields.String()
    piece = fields.String()
    state = fields.String()
    raw_state = fields.String()
    reason = word()
    tracking_number = word()
    carrier = word()
    updated_at = moment()


class TimelineShown(Schema):
    """One line of the story."""

    at = moment()
    code = fields.String()
    message = fields.String()
    event = word()
    command = word()


class PartParcelShown(Schema):
    """A supplier's parcel as his retailer knows it."""

    tracking_number = word("null: shipped without one.")
    carrier_name = word()
    created_at = moment()


class PartShown(Schema):
    """One supplier's part of a retailer's order (K6)."""

    trade = fields.String()
    supplier = fields.String()
    supplier_name = fields.String()
    state = fields.String(metadata={"description": "Of the trade."})
    pieces = fields.Integer()
    total = money("What it costs the retailer, with shipping.")
    currency = fields.String()
    parcels = fields.List(fields.Nested(PartParcelShown))


class OrderShown(Schema):
    """One order: of a marketplace, of the network, or one that the shop sold itself."""

    id = fields.String()
    account = fields.String(metadata={"description": "Whose it is."})
    connection = word()
    marketplace = word()
    external_id = fields.String()
    parent = word()
    state = fields.String()
    pieces = fields.Integer()
    currency = fields.String()
    total = money(
        "Of an order that the shop sold itself: what its suppliers cost; null when none has a part."
    )
    parts = fields.List(fields.Nested(PartShown))
    placed_at = moment()
    ship_by = moment()
    wait_until = moment()
    stopped = fields.Boolean()
    closed_at = moment()
    shop = word()
    shop_order_id = word()
    shop_number = word()
    shop_status = word()


class CaseShown(Schema):
    """A problem somebody must look at."""

    id = fields.String()
    account = fields.String(metadata={"description": "Whose it is."})
    code = fields.String()
    message = fields.String()
    next_step = word()
    who = word()
    subject = fields.String()
    order = word()
    connection = word()
    state = fields.String()
    opened_at = moment()
    closed_at = moment()


class OrderWhole(OrderShown):
    """With everything that happened, and why it is not shipped yet (C8)."""

    buyer = fields.Raw(
        allow_none=True, metadata={"description": "Addresses; null for operators and after the purge."}
    )
    lines = fields.List(fields.Nested(LineShown))
    shipments = fields.List(fields.Nested(ShipmentShown))
    refunds = fields.List(fields.Nested(RefundShown))
    returns = fields.List(fields.Nested(ReturnShown))
    cases = fields.List(fields.Nested(CaseShown))
    timeline = fields.List(fields.Nested(TimelineShown))
    next = fields.Nested(Told, allow_none=True)


class OfferShown(Schema):
    """One product at one marketplace."""

    id = fields.String()
    connection = word()
    product = fields.String()
    sku = word()
    gtin = word()
    title = fields.String()
    on = fields.Boolean()
    overrides = fields.Raw()
    state = fields.String()
    reason = fields.Nested(Told, allow_none=True)
    desired = fields.Raw(allow_none=True)
    sent = fields.Raw(allow_none=True)
    confirmed = fields.Raw(allow_none=True)
    revision = fields.Integer()
    sent_revision = fields.Integer()
    confirmed_revision = fields.Integer()
    waiting = fields.Boolean(metadata={"description": "A change is on its way."})
    sent_at = moment()
    confirmed_at = moment()


class ConnectionShown(Schema):
    """One plugged-in partner. Secrets and secret settings are never shown."""

    id = fields.String()
    account = fields.String()
    provider = fields.String()
    role = fields.String()
    name = fields.String()
    state = fields.String()
    reason = fields.Nested(Told, allow_none=True)
    settings = fields.Raw()
    shop = word()
    sync = fields.Boolean()
    holiday = fields.Boolean()
    last_event_at = moment()
    last_ok_at = moment()
    last_error = fields.Nested(Told, allow_none=True)


class SyncAnswer(Schema):
    """What switching off the sync leaves behind (I6)."""

    sync = fields.Boolean()
    offers_on_sale = fields.Integer()
    warning = word()


class HolidayOf(Schema):
    """The holiday at one marketplace."""

    connection = fields.String()
    name = fields.String()
    on = fields.Boolean()
    sync = fields.Boolean()
    offers = fields.Integer(metadata={"description": "Offers that the marketplace knows."})
    confirmed_at_zero = fields.Integer()
    last_confirmed_at = moment()
    message = fields.String()


class HolidayAnswer(Schema):
    """Holiday mode, proven (I7)."""

    on = fields.Boolean(metadata={"description": "For the whole account."})
    offers = fields.Integer()
    confirmed_at_zero = fields.Integer()
    message = fields.String()
    connections = fields.List(fields.Nested(HolidayOf))


class DayShown(Schema):
    """What a shop says it sent on one day, and what arrived (D7)."""

    id = fields.String()
    connection = word()
    name = word()
    day = fields.String()
    sent = fields.Integer()
    arrived = fields.Integer()
    waiting_in_shop = fields.Integer()
    dead_in_shop = fields.Integer()
    complete = fields.Boolean()
    message = fields.String()


def listed(entry: type[Schema]) -> type[Schema]:
    """A page of these."""
    fields_of: dict[str, Any] = {
        "data": fields.List(fields.Nested(entry)),
        "has_more": fields.Boolean(),
        "next": word("Cursor of the next page."),
    }
    return Schema.from_dict(fields_of, name=f"{entry.__name__}List")
