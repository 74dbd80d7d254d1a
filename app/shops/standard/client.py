"""Commands to a supplier system or a custom shop: our public protocol as it is, or, for a system without an address, answered here.

A system without a command URL pulls instead (docs/decisions/0011): what a command would tell it, it reads and does through the supplier API, so
writing the order down is all there is to do. What only a called system can do (a product in a retailer's shop) is refused, never swallowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app import messages as m
from app.errors import Refused
from app.shops.plugin_client import PluginClient, draft_data
from app.shops.reading import status_of
from app.shops.standard.settings import FETCH_HOURS

if TYPE_CHECKING:
    from app.outbound import Door

# What the supplier API shows anyway: the status, the sender address, the story of an order, and which products are released.
_SHOWN = frozenset({"order.status", "order.note", "order.label_sender", "order.timeline", "product.release"})


class StandardClient(PluginClient):
    """A supplier endpoint that follows docs/suppliers.md, or nobody at the other end: then `answers_here`."""

    def __init__(self, door: Door, settings: Mapping[str, Any]) -> None:
        super().__init__(door, settings)
        self.answers_here = not door.base_url
        self._fetch_hours = int(settings.get("fetch_hours") or FETCH_HOURS)

    def send(self, command_id: str, kind: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """As PluginClient. Raises Refused("shop.no_command_url") for what nobody could do here."""
        if not self.answers_here:
            return super().send(command_id, kind, data)
        if kind not in _SHOWN:
            raise Refused("shop.no_command_url", kind=kind)
        return dict(data)

    def create_order(self, command_id: str, draft: m.OrderDraft) -> m.ShopOrderTruth:
        """Without an address: the order waits here under our own key, its lines under theirs, until it is fetched."""
        if not self.answers_here:
            return super().create_order(command_id, draft)
        wanted = draft_data(draft, "on-hold" if draft.hold else self._new_order_status)
        return m.ShopOrderTruth(
            external_id=draft.key,
            number=draft.marketplace_order_id,
            status=status_of(wanted["status"]),
            lines={line.key: line.key for line in draft.lines},
            lines_without_product=tuple(line.key for line in draft.lines if not line.product_external_id),
            fetch_hours=self._fetch_hours,
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
        """Without an address: the API shows what is left of the order."""
        if not self.answers_here:
            return super().cancel_order(command_id, order_id, key, lines, reason, at_most=at_most)
        return m.ShopOrderTruth(order_id, status=m.ShopStatus.CANCELLED if lines is None else None)

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
        """Without an address: the API shows the refund."""
        if not self.answers_here:
            return super().refund_order(command_id, order_id, key, amount, lines, reason, restock, currency)
        return m.ShopOrderTruth(order_id, refund_external_id=key)

    def stop_shipping(self, command_id: str, order_id: str, key: str, reason: str) -> m.ShopOrderTruth:
        """Without an address: the API says "stopped" and takes no parcel any more. What has left, it knows already."""
        if not self.answers_here:
            return super().stop_shipping(command_id, order_id, key, reason)
        return m.ShopOrderTruth(order_id)
