<?php

/**
 * Shiptastic, and Germanized Shipments before it: shipments in their own tables, returns among them.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class Shiptastic implements TrackingReader
{
    /** @var string the function that lists the shipments of an order */
    private $lister;

    public function __construct(string $lister)
    {
        $this->lister = $lister;
    }

    public function isInstalled(): bool
    {
        return function_exists($this->lister);
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach ($this->isInstalled() ? (array) call_user_func($this->lister, $order) : array() as $shipment) {
            if (!is_object($shipment) || !is_callable(array($shipment, 'get_tracking_id'))) {
                continue;
            }
            $parcel = new Parcel(
                $shipment->get_tracking_id(),
                is_callable(array($shipment, 'get_shipping_provider')) ? $shipment->get_shipping_provider() : null,
                is_callable(array($shipment, 'get_tracking_url')) ? $shipment->get_tracking_url() : null,
                is_callable(array($shipment, 'get_date_sent')) ? $shipment->get_date_sent() : null,
                self::lines($shipment)
            );
            $parcel->returning = is_callable(array($shipment, 'get_type')) && $shipment->get_type() === 'return';
            $parcels[] = $parcel;
        }
        return $parcels;
    }

    /**
     * @return array<int, array{id: int, quantity: int}>|null
     */
    private static function lines(object $shipment): ?array
    {
        $lines = array();
        foreach (is_callable(array($shipment, 'get_items')) ? $shipment->get_items() : array() as $item) {
            if (is_object($item) && is_callable(array($item, 'get_order_item_id')) && (int) $item->get_order_item_id() > 0) {
                $lines[] = array('id' => (int) $item->get_order_item_id(), 'quantity' => (int) $item->get_quantity());
            }
        }
        return $lines === array() ? null : $lines;
    }
}
