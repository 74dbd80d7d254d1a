"""The bridge's own nouns. Every provider's `translate.py` turns the partner's JSON into these and back; rules and flows know nothing else.

Frozen, pure, no defaults that hide a decision. Amounts are integer minor units (cents) of `currency` (ISO 4217); times are aware UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class PieceState(StrEnum):
    """What one physical piece of an order is, in our words. The partner's own word is kept beside it."""

    ANNOUNCED = "announced"  # the marketplace knows it, we may not ship yet (unpaid, address withheld)
    TO_SHIP = "to_ship"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    UNCLEAR = "unclear"  # a status we have never seen: the order still lands, a case is opened


class OfferState(StrEnum):
    """What a merchant reads beside an offer (I9)."""

    WAITING = "waiting"
    ON_SALE = "on_sale"
    OFF = "off"
    NEEDS_PRODUCT = "needs_product"
    NEEDS_VARIATION = "needs_variation"
    REFUSED = "refused"
    CHANGED_ELSEWHERE = "changed_elsewhere"


class ReturnState(StrEnum):
    """Life of a return as the marketplace tells it, in our words."""

    ANNOUNCED = "announced"
    ARRIVED = "arrived"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CLOSED = "closed"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Reason:
    """Why something is as it is: a code of app.rules.reasons and what fills its sentence."""

    code: str
    params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """A postal address as a label needs it. `extra` carries what only some carriers read (Packstation, post number)."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address_1: str = ""
    address_2: str = ""
    postcode: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""
    extra: dict[str, str] = field(default_factory=dict)


# --- seen at a marketplace -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PieceSeen:
    """One physical piece of a marketplace order, as the marketplace shows it now (Kaufland: one order unit)."""

    external_id: str
    group: str  # pieces of one shop line share it (same offer, same price)
    sku: str | None
    gtin: str | None
    title: str
    unit_price: int
    shipping_price: int
    state: PieceState
    raw_state: str
    vat_percent: str | None = None  # decimal text, "19"
    ship_by: datetime | None = None
    updated_at: datetime | None = None
    reason: str | None = None  # the partner's word for why it was cancelled
    product_external_id: str | None = None  # our shop's own id of the product, where the source knows it
    offer_number: int | None = None  # our number of the offer (OfferWanted.number), where orders name that
    cancel_asked: bool = False  # the buyer asks to cancel it, and the marketplace has not decided yet


@dataclass(frozen=True)
class OrderSeen:
    """One marketplace order with the pieces seen in this look. Later looks may bring more pieces or fewer addresses."""

    external_id: str
    placed_at: datetime
    currency: str
    pieces: tuple[PieceSeen, ...]
    billing: Address | None
    shipping: Address | None
    country: str | None = None  # the marketplace's own storefront or channel, e.g. "de"
    invoice_by_marketplace: bool = False
    sold_by: str | None = (
        None  # who sold it where that is not the source itself: the retailer of a network order
    )
    number: str | None = None  # what the seller calls the order
    awaits_acceptance: bool = False  # the seller must accept (or acknowledge) it before anything else happens


@dataclass(frozen=True)
class ReturnPieceSeen:
    """One piece on its way back."""

    external_id: str
    piece_external_id: str
    state: ReturnState
    raw_state: str
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class ReturnSeen:
    """A return as the marketplace shows it."""

    external_id: str
    pieces: tuple[ReturnPieceSeen, ...]
    tracking_number: str | None = None
    carrier: str | None = None


# --- offers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProductData:
    """What the shop knows of a product, for marketplaces that want product data (O5). `fields` is the flat table that a merchant's mapping
    picks from: "title", "brand", "description", "short_description", "category", "weight", "attribute:<name>", "gtin", "sku". `parent`
    groups variations. `categories`: every name that a merchant may map, the closest first.
    """

    fields: dict[str, str]
    images: tuple[str, ...] = ()
    parent: str | None = None
    categories: tuple[str, ...] = ()

    def mapped_category(self, mapping: Mapping[str, T]) -> T | None:
        """What the merchant mapped one of its categories to; else what "*" stands for."""
        named = (*self.categories, self.fields.get("category", ""), "*")
        return next((mapping[each] for each in named if each in mapping), None)


@dataclass(frozen=True)
class OfferShown:
    """What the marketplace shows now, read back from it. None = the marketplace did not say."""

    sku: str
    external_ref: str | None
    price: int | None = None
    stock: int | None = None
    handling_days: int | None = None
    on: bool | None = None
    shipping_group: str | None = None
    raw_state: str | None = None
    state: OfferState | None = None
    reason: Reason | None = None
    gtin: str | None = None


@dataclass(frozen=True)
class OfferWanted:
    """What a marketplace should show for one SKU. `external_ref` is the marketplace's id of the offer, None before it exists.

    `was` is what the marketplace has confirmed, None when it confirmed nothing yet: who has one call for stock and another for prices sends
    only what differs. `number` is ours, unique for one connection and never used twice (Capabilities.numbers_offers).
    """

    sku: str
    gtin: str | None
    title: str
    price: int
    currency: str
    stock: int
    handling_days: int
    on: bool
    external_ref: str | None = None
    shipping_group: str | None = None
    condition: str = "new"
    country: str | None = None
    vat_percent: str | None = None  # decimal text, "19"
    number: int | None = None
    product: ProductData | None = None  # only where Capabilities.creates_products
    was: OfferShown | None = None


@dataclass(frozen=True)
class OfferAnswer:
    """The marketplace's answer to one OfferWanted of a batch."""

    sku: str
    ok: bool
    state: OfferState
    shown: OfferShown | None = None
    reason: Reason | None = None
    retry: bool = False  # not refused, only not now
    task: str | None = None  # taken for processing under this id: `read_tasks` says later what became of it


@dataclass(frozen=True)
class TaskSeen:
    """How far a marketplace has come with what it took for processing (OfferAnswer.task).

    `done`: `answers` hold one answer for each offer of the task that it says anything about. Else ask again after `again_in` seconds.
    """

    task: str
    done: bool
    answers: tuple[OfferAnswer, ...] = ()
    again_in: int = 30


# --- deeds at a marketplace -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShipmentWanted:
    """Pieces that left in one parcel. `tracking_number` None = ship without tracking, where the marketplace allows it (C3)."""

    pieces: tuple[str, ...]  # the marketplace's piece ids
    tracking_number: str | None
    carrier: str | None  # our carrier key (app/rules/carriers.json), None when nobody knows
    carrier_name: str | None  # as the shop called it
    further_parcel: bool = False  # the pieces are already marked as sent, this is one more parcel
    return_tracking_number: str | None = None  # of the label for a return, where Capabilities.return_tracking
    return_carrier: str | None = None  # our carrier key


@dataclass(frozen=True)
class PieceAnswer:
    """What became of one piece in a deed. `state` is the truth after it, where the marketplace says."""

    external_id: str
    ok: bool
    already: bool = False
    state: PieceState | None = None
    reason: Reason | None = None
    pending: bool = False  # taken, not done: a later look at the order shows what became of it
    tracking_number: str | None = None  # where the marketplace itself books the parcel
    short: int = 0  # minor units of a refund that did not go with it although it is done; `reason` says why


@dataclass(frozen=True)
class OrderAnswer:
    """What became of accepting an order: piece by piece, and the order as it is now where the marketplace shows it at once."""

    pieces: tuple[PieceAnswer, ...]
    seen: OrderSeen | None = None


@dataclass(frozen=True)
class ConnectionCheck:
    """The answer to "do these credentials work, and for what?" (I1). `facts` are shown to the merchant."""

    ok: bool
    reason: Reason | None = None
    facts: dict[str, object] = field(default_factory=dict)


# --- seen in a shop --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProductSeen:
    """A product or variation as the shop shows it. `stock` None = the shop does not count this one."""

    external_id: str
    parent_external_id: str | None
    kind: str  # simple, variation, variable (a parent: not sellable), other
    published: bool
    title: str
    sku: str | None
    gtin: str | None
    price: int | None
    currency: str | None
    stock: int | None
    in_stock: bool
    handling_days: int | None = None
    images: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    dealer_price: int | None = (
        None  # for retailers (K1); net or gross as the shop's option `dealer_prices` says
    )
    vat_percent: str | None = None  # decimal text, "19"
    brand: str | None = None
    description: str = ""  # plain tags at most (app.rules.product_text)
    short_description: str = ""
    weight: str | None = None  # in the shop's own unit, as it writes it
    categories: tuple[str, ...] = ()  # names of the shop's own categories
    network_category: str | None = None  # the product's own, else the one its shop category is mapped to (K1)
    zero_rated: bool = False  # 0 % is the rate of these goods, in a shop that charges VAT for others


@dataclass(frozen=True)
class StockSeen:
    """The stock of one product as the shop counts it; absolute (I13)."""

    external_id: str
    sku: str | None
    stock: int | None
    in_stock: bool
    order_external_id: str | None = None


@dataclass(frozen=True)
class TrackingSeen:
    """A parcel the shop knows. `lines` None = the whole order, else (shop line id, quantity)."""

    number: str
    carrier_name: str | None
    url: str | None = None
    shipped_at: datetime | None = None
    lines: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True)
class RefundSeen:
    """A refund object of the shop (K8). `by_bridge` = one of our own commands made it."""

    external_id: str
    amount: int
    currency: str
    reason: str
    lines: tuple[tuple[str, int, int], ...]  # (shop line id, quantity, amount)
    by_bridge: bool
    key: str | None = None
    restocked: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True)
class ShopLineSeen:
    """One line of a shop order. `key` is our line key where the bridge made the order."""

    external_id: str
    key: str | None
    product_external_id: str | None
    sku: str | None
    title: str
    quantity: int
    total: int


class ShopStatus(StrEnum):
    """Status of a shop order in our words."""

    PENDING = "pending"
    ON_HOLD = "on_hold"
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    FAILED = "failed"
    DRAFT = "draft"
    DELETED = "deleted"
    OTHER = "other"


@dataclass(frozen=True)
class ShopOrderSeen:
    """An order as the shop shows it. `key` is ours (`kaufland:M7X2K9P`) when the bridge created it, else None."""

    external_id: str
    number: str
    key: str | None
    status: ShopStatus
    raw_status: str
    currency: str
    total: int
    lines: tuple[ShopLineSeen, ...]
    tracking: tuple[TrackingSeen, ...]
    return_tracking: tuple[TrackingSeen, ...]
    refunds: tuple[RefundSeen, ...]
    stock_sequence: int | None
    transitions: tuple[tuple[str, str], ...] = ()  # raw (from, to), oldest first
    billing: Address | None = None  # None where the shop did not say
    shipping: Address | None = None
    placed_at: datetime | None = None


# --- deeds in a shop --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderLineDraft:
    """One line of an order to be created in a shop."""

    key: str
    product_external_id: str | None
    sku: str | None
    gtin: str | None
    title: str
    quantity: int
    unit_price: int
    vat_percent: str | None = None


@dataclass(frozen=True)
class OrderDraft:
    """An order to be created in a shop exactly once, by `key`."""

    key: str
    marketplace: str
    marketplace_name: str
    marketplace_order_id: str
    currency: str
    placed_at: datetime
    ship_by: datetime | None
    billing: Address
    shipping: Address
    lines: tuple[OrderLineDraft, ...]
    shipping_total: int
    total: int
    note: str
    hold: bool = False  # nobody may ship it yet: the marketplace's status of a piece is not understood


@dataclass(frozen=True)
class ShopOrderTruth:
    """What the shop says is true after a command. `lines` maps our line key to the shop's line id."""

    external_id: str
    number: str | None = None
    status: ShopStatus | None = None
    stock_sequence: int | None = None
    lines: dict[str, str] = field(default_factory=dict)
    lines_without_product: tuple[str, ...] = ()
    already: bool = False
    already_shipped: bool = False
    refund_external_id: str | None = None
    cancelled_lines: tuple[tuple[str, int], ...] | None = (
        None  # what a command with `at_most` has really taken back; None = the shop did not say
    )
    fetch_hours: int | None = (
        None  # it was brought nowhere: its system has no address and has so many hours to fetch it
    )


# --- money of the network ---------------------------------------------------------------------------------------------------


class PaymentState(StrEnum):
    """What a payment provider says about one instruction."""

    PENDING = "pending"  # accepted, not final
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class PaymentWanted:
    """One instruction to a payment provider. `of`: the provider's id of the payment that is refunded or reversed.

    `account`: the provider's id of who pays or is paid; `about` is the trade's key or the payout's, for people.
    """

    amount: int
    currency: str
    about: str
    account: str | None = None
    of: str | None = None


@dataclass(frozen=True)
class PaymentAnswer:
    """The truth about one payment at its provider. `key` is ours; `kind` capture, refund, payout or reverse."""

    key: str
    kind: str
    state: PaymentState
    amount: int
    currency: str
    external_id: str | None = None
    reason: Reason | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class PaymentNotice:
    """What a payment provider's signed message is about. It is a hint to ask, never a proof: money moves only by what `find` answers.

    `kind` is payment, dispute (money is contested), dispute_won or dispute_lost. `key` is ours where the message carries it, `external_id` the
    provider's id of the payment, `subject_id` of what happened to it (a dispute). Only disputes have an amount.
    """

    delivery_id: str
    kind: str
    key: str | None
    external_id: str | None
    at: datetime
    subject_id: str | None = None
    amount: int | None = None
    currency: str | None = None
