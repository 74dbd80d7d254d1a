"""The public contract as marshmallow schemas: every event type and command of docs/protocol.md, and our own format.

tests/docs/test_protocol.py holds this module and the page together; app/shops/openapi.py draws docs/openapi-events.yaml
from it. Unknown fields are ignored everywhere, so that a newer plugin can say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from app.shops.envelope import MAX_INTEGER
from app.shops.reading import MAX_ID, MAX_TITLE, Amount, Count, Currency, Flag, Moment, Percent, ShopId, Text


def _says(meaning: str) -> dict[str, str]:
    """The line of documentation that OpenAPI shows beside a field."""
    return {"description": meaning}


class Lenient(Schema):
    """Unknown fields are ignored: whoever sends more is newer, not wrong."""

    class Meta:
        unknown = EXCLUDE


class Sequence(Count):
    """A number drawn from the shop's database; it grows with every event (I13)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(highest=MAX_INTEGER, **kwargs)


# --- our own format for suppliers and custom shops (docs/suppliers.md) ----------------------------


class ProductData(Lenient):
    """`product.changed`: one sellable thing. A variation is a product of its own with `parent_id`."""

    id = ShopId(required=True, metadata=_says("Your id of the product. It never changes."))
    parent_id = ShopId(
        load_default=None, allow_none=True, metadata=_says("The parent's id, for a variation.")
    )
    kind = Text(
        20,
        load_default="simple",
        metadata=_says("simple, variation or variable (a parent: not sellable itself). Others are not sold."),
    )
    active = Flag(
        load_default=True,
        metadata=_says("False takes the product from sale without deleting it."),
    )
    title = Text(MAX_TITLE, required=True, metadata=_says("Shown to buyers."))
    sku = Text(MAX_ID, load_default=None, allow_none=True, metadata=_says("Your article number."))
    gtin = Text(
        64,
        load_default=None,
        allow_none=True,
        metadata=_says(
            "GTIN-8, -12, -13 or -14 with check digit. Nothing is released (K1) or matched (I9) without."
        ),
    )
    price = Amount(load_default=None, allow_none=True, metadata=_says("Price to consumers, gross."))
    currency = Currency(load_default=None, allow_none=True, metadata=_says("ISO 4217. Needed with a price."))
    stock = Count(
        lowest=-(2**31),
        load_default=None,
        allow_none=True,
        metadata=_says("Absolute stock, never a difference. null: you do not count this one."),
    )
    in_stock = Flag(
        load_default=None,
        allow_none=True,
        metadata=_says("Only read while stock is null."),
    )
    handling_days = Count(
        load_default=None, allow_none=True, metadata=_says("Working days until it leaves you.")
    )
    images = fields.List(
        Text(2_000), load_default=list, metadata=_says("https addresses, the best one first.")
    )
    attributes = fields.Dict(
        keys=Text(190),
        values=Text(2_000),
        load_default=dict,
        metadata=_says('For example {"Sorte": "Assam"}.'),
    )
    description = Text(
        60_000,
        load_default=None,
        allow_none=True,
        metadata=_says(
            "For marketplaces where the product is created. HTML or text; of HTML only paragraphs, lists, bold and italic are kept."
        ),
    )
    short_description = Text(
        60_000, load_default=None, allow_none=True, metadata=_says("Used where there is no description.")
    )
    weight = Text(
        64, load_default=None, allow_none=True, metadata=_says("As text, in the unit of your shop.")
    )
    categories = fields.List(
        Text(190), load_default=list, metadata=_says("Names of your own categories, the closest one first.")
    )
    dealer_price = Amount(
        load_default=None,
        allow_none=True,
        metadata=_says("What retailers pay (K1); net or gross as your option dealer_prices says."),
    )
    vat_percent = Percent(
        load_default=None, allow_none=True, metadata=_says("VAT of this product, in percent.")
    )
    brand = Text(190, load_default=None, allow_none=True, metadata=_says("The maker's name."))
    network_category = Text(
        64,
        load_default=None,
        allow_none=True,
        metadata=_says("A key of the network's categories. Nothing is released without (K1)."),
    )


class StockData(Lenient):
    """`stock.changed`: the absolute stock of one product."""

    id = ShopId(required=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    stock = Count(
        lowest=-(2**31), required=True, allow_none=True, metadata=_says("null: you do not count this one.")
    )
    in_stock = Flag(load_default=None, allow_none=True)
    order_id = ShopId(load_default=None, allow_none=True, metadata=_says("The order that caused the change."))


class ParcelLine(Lenient):
    """Part of a line in a parcel."""

    id = ShopId(required=True)
    quantity = Count(lowest=1, required=True)


class ParcelData(Lenient):
    """One parcel with its tracking number."""

    number = Text(100, required=True, metadata=_says("The tracking number."))
    carrier = Text(
        100,
        load_default=None,
        allow_none=True,
        metadata=_says("As you call it; null: we derive it (C4)."),
    )
    url = Text(2_000, load_default=None, allow_none=True)
    shipped_at = Moment(load_default=None, allow_none=True)
    lines = fields.List(
        fields.Nested(ParcelLine),
        load_default=None,
        allow_none=True,
        metadata=_says("null: the whole order; else what is in this parcel."),
    )


class RefundLine(Lenient):
    """What a refund says about one line."""

    id = ShopId(required=True)
    quantity = Count(required=True)
    amount = Amount(decimals=10, required=True)


class RefundData(Lenient):
    """A refund object (K8): it, not a status, moves money."""

    id = ShopId(required=True)
    amount = Amount(required=True, metadata=_says("Positive, gross."))
    currency = Currency(required=True)
    reason = Text(load_default="", allow_none=True)
    created_at = Moment(load_default=None, allow_none=True)
    by_bridge = Flag(load_default=False)
    key = Text(190, load_default=None, allow_none=True)
    restocked = Flag(load_default=False)
    lines = fields.List(
        fields.Nested(RefundLine), load_default=list, metadata=_says("Empty: an amount without lines.")
    )


class OrderLineData(Lenient):
    """One line of an order."""

    id = ShopId(required=True)
    key = Text(
        190,
        load_default=None,
        allow_none=True,
        metadata=_says("Our key of the line, as order.create gave it."),
    )
    product_id = ShopId(load_default=None, allow_none=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    title = Text(load_default="", allow_none=True)
    quantity = Count(required=True)
    total = Amount(required=True, metadata=_says("Gross, of the whole line."))


class TransitionData(Lenient):
    """One change of status."""

    from_ = Text(64, required=True, data_key="from")
    to = Text(64, required=True)
    at = Moment(load_default=None, allow_none=True)


class OrderData(Lenient):
    """`order.*` and `shipment.changed`: an order as it is now, with everything that hangs on it."""

    id = ShopId(required=True)
    number = ShopId(load_default=None, allow_none=True, metadata=_says("What people call it; else the id."))
    key = Text(
        190, load_default=None, allow_none=True, metadata=_says("Our key, when a command of ours created it.")
    )
    status = Text(
        64,
        required=True,
        metadata=_says(
            "pending, on_hold, processing, completed, cancelled, refunded, failed, draft, or your own."
        ),
    )
    currency = Currency(required=True)
    total = Amount(required=True, metadata=_says("Gross."))
    lines = fields.List(fields.Nested(OrderLineData), required=True)
    tracking = fields.List(fields.Nested(ParcelData), load_default=list)
    return_tracking = fields.List(fields.Nested(ParcelData), load_default=list)
    refunds = fields.List(fields.Nested(RefundData), load_default=list)
    transitions = fields.List(fields.Nested(TransitionData), load_default=list)
    stock_sequence = Sequence(
        load_default=None,
        allow_none=True,
        metadata=_says(
            "null until this order has reduced your stock; then a sequence drawn after it did (I13)."
        ),
    )
    billing = fields.Nested(
        "AddressData",
        load_default=None,
        allow_none=True,
        metadata=_says("Who pays. Read only when suppliers of the network have a part in the order (K6)."),
    )
    shipping = fields.Nested(
        "AddressData",
        load_default=None,
        allow_none=True,
        metadata=_says("Where it goes; null: to the billing address."),
    )
    placed_at = Moment(load_default=None, allow_none=True)


# --- events that are the same for every sender ----------------------------------------------------


class EnvelopeData(Lenient):
    """What every event body looks like. The bridge reads it with app/shops/envelope.py: faster and stricter."""

    type = Text(64, required=True)
    timestamp = Moment(required=True)
    sequence = Sequence(required=True)
    subject = Text(MAX_ID + 10, required=True)
    data = fields.Dict(required=True)


class DeletedData(Lenient):
    """`product.deleted`, `order.deleted`: only the id is left."""

    id = ShopId(required=True)
    force = Flag(load_default=False, metadata=_says("False: moved to the trash."))


class SettingsData(Lenient):
    """`settings.changed`: what the bridge must know of the shop."""

    currency = Currency(required=True)
    country = Text(2, required=True)
    locale = Text(35, required=True)
    timezone = Text(64, required=True)


class PluginData(Lenient):
    """`plugin.installed`, `plugin.removed`."""

    plugin_version = Text(64, required=True)
    platform = Text(64, required=True)
    platform_version = Text(64, required=True)


class ManifestData(Lenient):
    """`manifest.daily`: what was sent yesterday (D7)."""

    day = fields.Date(required=True)
    first_sequence = Sequence(required=True, allow_none=True)
    last_sequence = Sequence(required=True, allow_none=True)
    count = Count(required=True)
    by_type = fields.Dict(keys=Text(64), values=Count(), load_default=dict)
    ids_digest = Text(128, load_default=None, allow_none=True)
    waiting = Count(load_default=0)
    dead = Count(load_default=0)


PRODUCT, STOCK, ORDER = ProductData(), StockData(), OrderData()
DELETED, SETTINGS, PLUGIN, MANIFEST = DeletedData(), SettingsData(), PluginData(), ManifestData()

EVENTS: Mapping[str, Schema] = {
    "product.changed": PRODUCT,
    "product.deleted": DELETED,
    "stock.changed": STOCK,
    "order.placed": ORDER,
    "order.changed": ORDER,
    "order.refunded": ORDER,
    "order.deleted": DELETED,
    "shipment.changed": ORDER,
    "settings.changed": SETTINGS,
    "plugin.installed": PLUGIN,
    "plugin.removed": PLUGIN,
    "manifest.daily": MANIFEST,
}
"""Type -> schema of `data` in our own format. A plugin's shop objects are read by its translate.py instead."""

_KINDS = {"order": "order", "shipment": "order", "product": "product", "stock": "product"}

SUBJECTS: Mapping[str, str] = {name: _KINDS.get(name.partition(".")[0], "shop") for name in EVENTS}
"""Type -> the kind of subject it must carry: order, product or shop."""


# --- pairing and status ---------------------------------------------------------------------------


class ConnectRequest(Lenient):
    """What a plugin sends with its pairing code."""

    code = Text(40, required=True)
    platform = Text(64, required=True)
    platform_version = Text(64, required=True)
    plugin_version = Text(64, required=True)
    shop_name = Text(190, required=True)
    shop_url = Text(2_000, required=True)
    command_url = Text(2_000, required=True)
    currency = Currency(required=True)
    country = Text(2, required=True)
    locale = Text(35, required=True)
    timezone = Text(64, required=True)


class ConnectAnswer(Lenient):
    """What the bridge answers to a right pairing code."""

    connection_key = Text(64, required=True)
    webhook_url = Text(2_000, required=True)
    status_url = Text(2_000, required=True)
    event_secret = Text(200, required=True)
    command_secret = Text(200, required=True)
    state = fields.String(required=True, validate=validate.OneOf(["pending"]))
    server_time = Sequence(required=True)


class StatusReason(Lenient):
    """Why a connection needs attention, in the shop's language."""

    code = Text(100, required=True)
    message = Text(required=True)


class StatusAnswer(Lenient):
    """What a plugin's settings page shows."""

    state = fields.String(
        required=True, validate=validate.OneOf(["pending", "active", "paused", "needs_attention", "removed"])
    )
    reason = fields.Nested(StatusReason, required=True, allow_none=True)
    last_event_at = Moment(required=True, allow_none=True)
    events_today = Count(required=True)
    last_error = fields.Raw(required=True, allow_none=True)
    open_cases = Count(required=True)
    server_time = Sequence(required=True)


# --- commands -------------------------------------------------------------------------------------


class AddressData(Lenient):
    """A postal address. Empty text where a part is missing."""

    first_name = Text(190, load_default="")
    last_name = Text(190, load_default="")
    company = Text(190, load_default="")
    address_1 = Text(190, load_default="")
    address_2 = Text(190, load_default="")
    postcode = Text(40, load_default="")
    city = Text(190, load_default="")
    state = Text(190, load_default="")
    country = Text(2, load_default="")
    phone = Text(64, load_default="")
    email = Text(320, load_default="")
    extra = fields.Dict(keys=Text(64), values=Text(190), load_default=dict)


class SourceData(Lenient):
    """Where a marketplace order comes from."""

    marketplace = Text(64, required=True)
    name = Text(190, required=True)
    order_id = Text(190, required=True)


class DraftLine(Lenient):
    """One line of an order to be created. The amounts are gross, of one piece."""

    key = Text(190, required=True)
    product_id = ShopId(required=True, allow_none=True)
    sku = Text(MAX_ID, required=True, allow_none=True)
    gtin = Text(64, required=True, allow_none=True)
    name = Text(required=True)
    quantity = Count(lowest=1, required=True)
    unit_price = Amount(required=True)
    tax_rate = Text(10, load_default=None, allow_none=True)


class OrderCreate(Lenient):
    """`order.create`: write this order exactly once, by `key`."""

    key = Text(190, required=True)
    source = fields.Nested(SourceData, required=True)
    status = Text(64, required=True)
    currency = Currency(required=True)
    placed_at = Moment(required=True)
    ship_by = Moment(required=True, allow_none=True)
    billing = fields.Nested(AddressData, required=True)
    shipping = fields.Nested(AddressData, required=True)
    lines = fields.List(fields.Nested(DraftLine), required=True, validate=validate.Length(min=1))
    shipping_total = Amount(required=True)
    total = Amount(required=True)
    note = Text(required=True)


class OfOrder(Lenient):
    """Whatever is about one order of the shop."""

    order_id = ShopId(required=True)


class OrderStatus(OfOrder):
    """`order.status`: set this status."""

    status = Text(64, required=True)
    note = Text(load_default="", allow_none=True)


class OrderNote(OfOrder):
    """`order.note`: add this note once, by `key`."""

    note = Text(10_000, required=True)
    key = Text(190, required=True)


class OrderTracking(OfOrder):
    """`order.tracking`: a parcel; once, by its number."""

    key = Text(190, required=True)
    number = Text(100, required=True)
    carrier = Text(100, required=True, allow_none=True)
    url = Text(2_000, load_default=None, allow_none=True)
    lines = fields.List(fields.Nested(ParcelLine), load_default=None, allow_none=True)


class OrderCancel(OfOrder):
    """`order.cancel`: the whole order (`lines` null) or some pieces; once, by `key`. `at_most`: what is left of them."""

    key = Text(190, required=True)
    lines = fields.List(fields.Nested(ParcelLine), required=True, allow_none=True)
    reason = Text(required=True)
    restock = Flag(load_default=True)
    at_most = Flag(load_default=False)


class OrderRefund(OfOrder):
    """`order.refund`: a refund object without moving money; once, by `key`."""

    key = Text(190, required=True)
    amount = Amount(required=True)
    lines = fields.List(fields.Nested(RefundLine), load_default=list)
    reason = Text(required=True)
    restock = Flag(load_default=False)


class OrderStop(OfOrder):
    """`order.stop_shipping`: the buyer cancelled, nothing may leave any more."""

    key = Text(190, required=True)
    reason = Text(required=True)
    lines = fields.List(fields.Nested(ParcelLine), load_default=None, allow_none=True)


class OrderLabelSender(OfOrder):
    """`order.label_sender`: whose address stands on the label (K7)."""

    address = fields.Nested(AddressData, required=True)


class TimelineEntry(Lenient):
    """One line of the story of an order."""

    at = Moment(required=True)
    text = Text(required=True)


class OrderTimeline(OfOrder):
    """`order.timeline`: what the box on the order page shows."""

    entries = fields.List(fields.Nested(TimelineEntry), required=True)
    next = Text(load_default="", allow_none=True)


class ProductUpsert(Lenient):
    """`product.upsert`: make or update a product; found by key, then GTIN, then SKU."""

    key = Text(190, required=True)
    sku = Text(MAX_ID, load_default=None, allow_none=True)
    gtin = Text(64, load_default=None, allow_none=True)
    name = Text(MAX_TITLE, required=True)
    price = Amount(load_default=None, allow_none=True)
    stock_quantity = Count(lowest=-(2**31), load_default=None, allow_none=True)
    images = fields.List(Text(2_000), load_default=list)
    status = Text(64, load_default=None, allow_none=True)
    brand = Text(190, load_default=None, allow_none=True)
    category = Text(190, load_default=None, allow_none=True, metadata=_says("Its name."))
    tax_rate = Percent(
        load_default=None,
        allow_none=True,
        metadata=_says("VAT of the goods in percent; for the tax class of a product that is made."),
    )
    managed = Flag(
        load_default=None,
        allow_none=True,
        metadata=_says("true: the bridge keeps its stock. false: not any more; nothing is made for it."),
    )


class ReleaseReason(Lenient):
    """Why a product is not released, in the shop's language, and the field that mends it."""

    code = Text(100, required=True)
    text = Text(required=True)
    field = Text(64, required=True, allow_none=True)


class ReleaseState(Lenient):
    """Whether retailers may list one product (K1, K2)."""

    product_id = ShopId(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["released", "not_released"]))
    reasons = fields.List(fields.Nested(ReleaseReason), required=True)


class ProductRelease(Lenient):
    """`product.release`: what retailers may list, and which field of the others is missing."""

    products = fields.List(
        fields.Nested(ReleaseState), required=True, validate=validate.Length(min=1, max=100)
    )


class StockSet(Lenient):
    """`stock.set`: this is the absolute stock now."""

    product_id = ShopId(required=True)
    stock_quantity = Count(lowest=-(2**31), required=True)
    key = Text(190, required=True)


class EventsResend(Lenient):
    """`events.resend`: send again what the outbox still has of these sequences."""

    ranges = fields.List(fields.List(Sequence(), validate=validate.Length(equal=2)), load_default=list)
    all_products = Flag(load_default=False)


class SecretRotate(Lenient):
    """`secret.rotate`: a new pair; the old one stays valid for 24 hours."""

    event_secret = Text(200, required=True)
    command_secret = Text(200, required=True)


class Ping(Lenient):
    """`ping`: proves that the shop answers and knows the secret."""

    challenge = Text(190, required=True)


COMMANDS: Mapping[str, Schema] = {
    "ping": Ping(),
    "order.create": OrderCreate(),
    "order.status": OrderStatus(),
    "order.note": OrderNote(),
    "order.tracking": OrderTracking(),
    "order.cancel": OrderCancel(),
    "order.refund": OrderRefund(),
    "order.stop_shipping": OrderStop(),
    "order.label_sender": OrderLabelSender(),
    "order.timeline": OrderTimeline(),
    "product.upsert": ProductUpsert(),
    "product.release": ProductRelease(),
    "stock.set": StockSet(),
    "events.resend": EventsResend(),
    "secret.rotate": SecretRotate(),
}
"""Type -> schema of a command's `data`."""


class CommandEnvelope(Lenient):
    """One command as it leaves the bridge. The header `webhook-id` equals `id`."""

    id = Text(64, required=True)
    type = fields.String(required=True, validate=validate.OneOf(sorted(COMMANDS)))
    timestamp = Moment(required=True)
    data = fields.Dict(required=True)


# --- answers: what is true afterwards -------------------------------------------------------------


class PingAnswer(Lenient):
    """Who answered."""

    challenge = Text(190, required=True)
    plugin_version = Text(64, required=True)
    platform = Text(64, required=True)
    platform_version = Text(64, required=True)
    shop_url = Text(2_000, required=True)
    queue_length = Count(required=True)


class CreatedLine(Lenient):
    """The shop's id of our line."""

    key = Text(190, required=True)
    id = ShopId(required=True)
    product_found = Flag(required=True)


class OrderCreated(OfOrder):
    """The order as the shop wrote it, now or the first time."""

    number = ShopId(required=True)
    status = Text(64, required=True)
    stock_sequence = Sequence(required=True, allow_none=True)
    lines = fields.List(fields.Nested(CreatedLine), required=True)


class OrderStatusNow(OfOrder):
    """The status afterwards."""

    status = Text(64, required=True)


class NoteWritten(OfOrder):
    """The note's id."""

    note_id = ShopId(required=True)


class TrackingNow(OfOrder):
    """All parcels afterwards."""

    tracking = fields.List(fields.Nested(ParcelData), required=True)


class CancelledNow(OrderStatusNow):
    """The order after a cancellation; `lines`: what this command (its key) has taken back, where it named lines."""

    stock_sequence = Sequence(load_default=None, allow_none=True)
    lines = fields.List(fields.Nested(ParcelLine), load_default=None, allow_none=True)


class RefundWritten(OfOrder):
    """The refund object's id."""

    refund_id = ShopId(required=True)


class StoppedNow(OrderStatusNow):
    """Whether the stop came too late."""

    already_shipped = Flag(required=True)


class ProductWritten(Lenient):
    """The product's id, and whether it is new."""

    product_id = ShopId(required=True)
    created = Flag(required=True)
    sequence = Sequence(load_default=None, allow_none=True)


class ReleaseShown(Lenient):
    """How many of the products the shop has, and which it does not know."""

    known = Count(required=True)
    unknown_ = fields.List(ShopId(), load_default=list, data_key="unknown")


class StockNow(Lenient):
    """The stock afterwards, and the sequence it was drawn with."""

    product_id = ShopId(required=True)
    stock_quantity = Count(lowest=-(2**31), required=True)
    sequence = Sequence(required=True)


class Queued(Lenient):
    """How many events wait now because of it."""

    queued = Count(required=True)


ANSWERS: Mapping[str, Schema] = {
    "ping": PingAnswer(),
    "order.create": OrderCreated(),
    "order.status": OrderStatusNow(),
    "order.note": NoteWritten(),
    "order.tracking": TrackingNow(),
    "order.cancel": CancelledNow(),
    "order.refund": RefundWritten(),
    "order.stop_shipping": StoppedNow(),
    "order.label_sender": OfOrder(),
    "order.timeline": OfOrder(),
    "product.upsert": ProductWritten(),
    "product.release": ReleaseShown(),
    "stock.set": StockNow(),
    "events.resend": Queued(),
    "secret.rotate": Lenient(),
}
"""Type -> schema of the `data` in a shop's answer."""


class AnswerError(Lenient):
    """Why the shop refuses."""

    code = Text(100, required=True)
    message = Text(10_000, load_default="")
    field = Text(200, load_default=None, allow_none=True)


class AnswerEnvelope(Lenient):
    """An answer to a command: `done` and `already` carry `data`, `refused` carries `error`."""

    id = Text(64, required=True)
    result = fields.String(required=True, validate=validate.OneOf(["done", "already", "refused"]))
    data = fields.Dict(load_default=dict)
    error = fields.Nested(AnswerError, load_default=None, allow_none=True)


REFUSALS = (
    "order.not_found",
    "order.not_cancellable",
    "line.not_found",
    "amount.too_high",
    "product.not_found",
    "product.gtin_taken",
    "product.no_tax_class",
    "status.unknown",
    "data.invalid",
    "command.unknown",
)
"""What a shop may refuse with (protocol section 4). Our reason for `order.not_found` is `shop.order_not_found`."""
