"""Every folder in shops/ and marketplaces/ is one provider; this module finds them and says what a provider is.

A provider is always the same four files: `__init__.py` (PROVIDER), `settings.py` (what the merchant fills in), `client.py` (remote
calls, through the Door) and `translate.py` (pure: their JSON <-> our messages). Nothing else in the project names a provider.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from app import messages as m

if TYPE_CHECKING:
    from marshmallow import Schema

    from app.outbound import Door

Role = Literal["shop", "marketplace", "network", "payment"]


PACKAGES: Mapping[Role, str] = {
    "shop": "app.shops",
    "marketplace": "app.marketplaces",
    "network": "app.networks",
    "payment": "app.payments",
}
"""Role -> the package whose folders are its providers."""


@dataclass(frozen=True)
class Capabilities:
    """What a marketplace can and cannot do. Flows read these; they never ask for a name."""

    partial_shipment: bool = False  # False: an order leaves as one, under the first parcel's number
    partial_cancel: bool = False
    refund_amounts: bool = False
    refund_readable: bool = False  # `read_refunded` is there: a refund of unknown outcome may be looked up
    refund_shown_by_piece: bool = False  # False: `read_refunded` shows a sum of the piece's line or order
    refund_lines: bool = False  # `refund` takes all pieces of a line together, and wants to: a line is paid back as a whole or only in part
    refund_decided_later: bool = False  # `read_undecided` is there: `refund` may be answered `pending`
    # `accept_order` is there: piece by piece, of the whole order only, or just as notice that the order has arrived (never refused).
    acceptance: Literal["none", "notice", "order", "pieces"] = "none"
    books_parcels: bool = (
        False  # `ship` without a number makes the marketplace book the parcel and answers the number
    )
    new_offer_batch: int = 25  # new offers in one push: each may take several calls
    takes_numbers: bool = True  # False: a parcel of the seller's own carrier is told without its number, there is no place for one (eMAG)
    return_tracking: bool = False  # a parcel without the number of its return label is refused (OTTO)
    return_tracking_carriers: frozenset[str] | None = None  # only the parcels of these carriers; None = all
    ship_without_tracking: Literal["never", "special_carrier", "yes"] = "never"
    holiday: Literal["stock_zero", "on_hold", "closed_dates"] = "stock_zero"
    price_basis: Literal["gross", "net"] = "gross"
    offer_batch: int = 1
    stock_rows: int | None = None  # offers in one call that carries stock, where fewer than offer_batch
    returns: bool = False
    return_pays: bool = (
        True  # False: accepting a return moves no money, it is refunded by its amount besides (Mirakl)
    )
    # `reject_return` is there: our reason -> theirs; empty = only in the seller portal.
    return_rejections: Mapping[str, str] = field(default_factory=dict)
    rejection_note: Literal["nobody", "marketplace", "buyer"] = (
        "nobody"  # who reads the note of `reject_return`
    )
    returns_whole: bool = False  # a return of several pieces is rejected as a whole
    tells_arrival: bool = (
        True  # False: that returned goods have come is only what the seller says there himself
    )
    cancel_reasons: Mapping[str, str] = field(default_factory=dict)  # our reason -> theirs
    creates_products: bool = False  # offers carry OfferWanted.product
    numbers_offers: bool = False  # offers carry OfferWanted.number, orders come with it
    answers_later: bool = False  # `read_tasks` is there: what is pushed is taken for processing


@dataclass(frozen=True)
class Poll:
    """Something a marketplace must be asked for regularly (D3). `every` and `floor` in seconds.

    While something comes it is asked every `floor` seconds, then slower and slower, `every` seconds at last (C1).
    """

    kind: Literal["orders", "changes", "returns", "drift"]
    every: int
    floor: int


@dataclass(frozen=True)
class Provider:
    """One partner system, as its folder describes it."""

    key: str
    name: str
    role: Role
    settings: type[Schema]
    client: type[Any]
    base_url: str | None = None
    countries: Sequence[str] = ()
    currencies: Sequence[str] = ()
    capabilities: Capabilities = Capabilities()
    pace: str | None = None  # documented rate limit, e.g. "111/second"
    polls: Sequence[Poll] = ()
    currency_of: Callable[[Mapping[str, Any]], str] | None = (
        None  # of one connection's settings; None: currencies[0]
    )
    secret_settings: Sequence[str] = ()  # names of settings that are stored encrypted and shown never
    egress: Literal["public_https", "tenant_url"] = "public_https"
    by_hand: bool = False  # payment: a person ticks off what happened, so there is nobody to ask
    knocks: bool = False  # it can call an address of ours when something is new: the connection gets a secret one (/hints)
    hosts: Mapping[str, str] = field(
        default_factory=dict
    )  # further base URLs by name, e.g. where tokens come from
    lanes: Mapping[str, str] = field(
        default_factory=dict
    )  # further paces by name, e.g. {"orders": "12/second"}
    # What depends on the settings of one connection (an operator, a country, a kind of key); None: the same for all.
    capabilities_of: Callable[[Mapping[str, Any]], Capabilities] | None = None
    polls_of: Callable[[Mapping[str, Any]], Sequence[Poll]] | None = None
    base_url_of: Callable[[Mapping[str, Any]], str] | None = None

    def address(self, settings: Mapping[str, Any]) -> str | None:
        """Where a connection with these settings is called, unless it names an address of its own (Connection.base_url)."""
        return self.base_url_of(settings) if self.base_url_of else self.base_url

    def can(self, settings: Mapping[str, Any]) -> Capabilities:
        """What a connection with these settings can do."""
        return self.capabilities_of(settings) if self.capabilities_of else self.capabilities

    def looks(self, settings: Mapping[str, Any]) -> Sequence[Poll]:
        """What a connection with these settings must be asked for."""
        return self.polls_of(settings) if self.polls_of else self.polls


class MarketplaceClient(Protocol):
    """The verbs every marketplace has. Each is a few remote calls through the Door; each raises only app.errors.

    Deeds (ship, cancel, refund, accept_return) may be repeated only after `read_pieces` has shown that they did not happen: the caller
    does that when `in_doubt`; the client raises Unknown when a call may have had its effect.
    """

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None: ...

    def check(self) -> m.ConnectionCheck: ...

    def orders_to_ship(self, since: datetime | None) -> Iterable[list[m.OrderSeen]]:
        """Pages of orders that want shipping; the same order may come on two pages."""

    def orders_changed(self, since: datetime) -> Iterable[list[m.OrderSeen]]:
        """Pages of orders with any change since then (cancelled, received, returned)."""

    def returns_changed(self, since: datetime) -> Iterable[list[m.ReturnSeen]]: ...

    def read_pieces(self, piece_ids: Sequence[str]) -> list[m.PieceSeen]:
        """The truth about these pieces now."""

    def ship(self, shipment: m.ShipmentWanted) -> list[m.PieceAnswer]: ...

    def cancel(self, piece_ids: Sequence[str], reason: str) -> list[m.PieceAnswer]:
        """`reason` is one of ours: buyer_cancelled, out_of_stock, address_undeliverable, wrong_price, wrong_data, other."""

    def refund(self, piece_id: str, amount: int, reason: str) -> m.PieceAnswer:
        """`amount` in minor units; `reason` is one of ours: return, damaged, delayed, wrong_item, incomplete, postage, other."""

    def accept_return(self, return_piece_id: str) -> m.PieceAnswer: ...

    def push_offers(self, offers: Sequence[m.OfferWanted]) -> list[m.OfferAnswer]:
        """At most capabilities.offer_batch offers; creates those without external_ref. One answer per offer."""

    def read_offers(self, skus: Sequence[str] | None) -> Iterable[list[m.OfferShown]]:
        """What is shown now: for these SKUs, or everything (None) in pages."""


class AcceptsOrders(Protocol):
    """A marketplace whose orders want an answer first (Capabilities.acceptance)."""

    def accept_order(self, order_id: str, accepted: Sequence[str], refused: Sequence[str]) -> m.OrderAnswer:
        """Accept these pieces of an order and refuse those, in one go; together they are all pieces that wait.

        Acceptance "notice" (the marketplace only wants to hear that the order has arrived): nothing is ever refused. A repeat finds the
        order answered and says `already`. Raises Unknown when the answer got lost; then it is called once more.
        """


class AnswersLater(Protocol):
    """A marketplace that takes offers for processing (Capabilities.answers_later)."""

    def read_tasks(self, tasks: Sequence[str]) -> list[m.TaskSeen]:
        """How far these tasks are; a task that the marketplace does not know any more is done, with no answers."""


class ShowsRefunds(Protocol):
    """A marketplace that shows what was refunded (Capabilities.refund_readable)."""

    def read_refunded(self, piece_id: str) -> int:
        """Minor units refunded so far, of the piece or of the smallest thing around it that the marketplace shows (line, order)."""


class RefundsLines(Protocol):
    """A marketplace that pays a line back as a whole (Capabilities.refund_lines)."""

    def refund(self, piece_id: str, amount: int, reason: str, together: Sequence[str] = ()) -> m.PieceAnswer:
        """`together`: all pieces that are given back in one go, `piece_id` among them; `amount` is for all of them."""


class DecidesRefundsLater(ShowsRefunds, Protocol):
    """A marketplace that takes refunds and may still refuse them (Capabilities.refund_decided_later)."""

    def read_undecided(self, piece_id: str) -> int:
        """Minor units of what `read_refunded` counts that are only taken so far; 0 = everything is decided."""


class RejectsReturns(Protocol):
    """A marketplace at which a return can be rejected (Capabilities.return_rejections)."""

    def reject_return(self, return_piece_ids: Sequence[str], reason: str, note: str) -> list[m.PieceAnswer]:
        """Reject these pieces of one return; all that wait of it where returns are decided as a whole. `reason`: the marketplace's word,
        `note`: what the merchant wrote, may be empty. Repeating is harmless: what was rejected before is answered as `already`.
        """


class ClosesShop(Protocol):
    """A marketplace with closed dates (Capabilities.holiday == "closed_dates"), beside the offers that go to stock 0 (I7)."""

    def close_shop(self, since: datetime | None, until: datetime | None) -> m.Reason | None:
        """Closed from then until then; None and None: open. Answers why not, where the operator has locked it."""


class ShopClient(Protocol):
    """The verbs every shop has: our commands, signed. All of them are safe to repeat with the same `command_id`."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None: ...

    def ping(self, command_id: str) -> Mapping[str, Any]: ...

    def send(self, command_id: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """One command of docs/protocol.md; answers the `data` of the shop's answer."""

    def create_order(self, command_id: str, draft: m.OrderDraft) -> m.ShopOrderTruth: ...

    def cancel_order(
        self,
        command_id: str,
        order_id: str,
        key: str,
        lines: Sequence[tuple[str, int]] | None,
        reason: str,
        *,
        at_most: bool = False,
    ) -> m.ShopOrderTruth: ...

    def refund_order(
        self,
        command_id: str,
        order_id: str,
        key: str,
        amount: int,
        lines: Sequence[tuple[str, int, int]],
        reason: str,
        restock: bool,
        currency: str,
    ) -> m.ShopOrderTruth: ...

    def stop_shipping(self, command_id: str, order_id: str, key: str, reason: str) -> m.ShopOrderTruth: ...


class PaymentClient(Protocol):
    """The verbs every payment provider has (K8, K9, K11). The bridge records and instructs; it never holds money.

    Every deed carries our `key` as idempotency key: a repeat with the same key has no second effect. Raises only app.errors; Unknown when
    the deed may have happened, then `find` is asked before anything is repeated. Amounts in minor units of `currency`.
    """

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None: ...

    def check(self) -> m.ConnectionCheck: ...

    def capture(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Take the retailer's money for one trade."""

    def refund(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Give `payment.amount` of a capture (`payment.of`) back to the retailer."""

    def payout(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Pay a supplier (`payment.account`) what was released."""

    def reverse(self, key: str, payment: m.PaymentWanted) -> m.PaymentAnswer:
        """Take `payment.amount` of a payout (`payment.of`) back from the supplier."""

    def find(
        self,
        key: str,
        *,
        kind: str | None = None,
        payment: m.PaymentWanted | None = None,
        since: datetime | None = None,
    ) -> m.PaymentAnswer | None:
        """What became of an earlier call with this key; None = the provider never saw it.

        `kind` (capture, refund, payout, reverse), the instruction itself and when it was written say where to look; without them the client
        looks wherever it can. When it cannot be sure it raises Unknown: None must mean that repeating is safe.
        """

    def movements(self, since: datetime) -> Iterable[m.PaymentAnswer]:
        """What the provider has booked since then, for the daily comparison with the ledger."""


class PaymentTranslate(Protocol):
    """What a payment provider's translate.py offers to the webhook door, for providers that send any."""

    def notice(
        self, secrets: Sequence[str], headers: Mapping[str, str], raw: bytes, now: datetime
    ) -> m.PaymentNotice | None:
        """What a signed message says; None for one that means nothing to us. `headers` have lower-case names.

        Raises Unauthorised("signature.invalid") for a message that is forged, unsigned or older than 300 seconds, Invalid for one that is
        signed and still cannot be read.
        """


class ShopTranslate(Protocol):
    """What a shop's translate.py offers. All raise Invalid naming the field."""

    def product(self, data: Mapping[str, Any]) -> m.ProductSeen: ...

    def stock(self, data: Mapping[str, Any]) -> m.StockSeen: ...

    def order(self, data: Mapping[str, Any]) -> m.ShopOrderSeen: ...


@cache
def providers() -> Mapping[str, Provider]:
    """All providers by key, in alphabetical order. A folder without PROVIDER is a defect and says so here."""
    found: dict[str, Provider] = {}
    for package_name in PACKAGES.values():
        package = importlib.import_module(package_name)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                continue
            provider = importlib.import_module(f"{package_name}.{module.name}").PROVIDER
            if provider.key in found:
                raise LookupError(f"two providers call themselves {provider.key!r}")
            found[provider.key] = provider
    return dict(sorted(found.items()))


def provider(key: str) -> Provider:
    """The provider with this key. Raises LookupError naming the ones there are."""
    try:
        return providers()[key]
    except KeyError:
        raise LookupError(f"no provider {key!r}; there are: {', '.join(providers())}") from None


def translator(key: str) -> Any:
    """The translate module of a provider."""
    return importlib.import_module(f"{type_path(key)}.translate")


def type_path(key: str) -> str:
    """Dotted path of a provider's package."""
    found = provider(key)
    return f"{PACKAGES[found.role]}.{key}"
