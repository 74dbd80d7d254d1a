<?php

/**
 * WooCommerce's own order fulfilments (since 10, off by default; FACTS section 4).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class Fulfillments implements TrackingReader
{
    private const STORE = '\Automattic\WooCommerce\Admin\Features\Fulfillments\DataStore\FulfillmentsDataStore';

    public function isInstalled(): bool
    {
        return get_option('woocommerce_feature_fulfillments_enabled') === 'yes' && class_exists(self::STORE);
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach ($this->isInstalled() ? $this->fulfillments($order) : array() as $one) {
            $parcels[] = new Parcel(
                $one->get_tracking_number(),
                $one->get_shipment_provider(),
                $one->get_tracking_url(),
                $one->get_date_fulfilled(),
                self::lines($one->get_items())
            );
        }
        return $parcels;
    }

    /**
     * @return object[]
     */
    private function fulfillments(\WC_Order $order): array
    {
        $class = self::STORE;
        return (new $class())->read_fulfillments(\WC_Order::class, (string) $order->get_id());
    }

    /**
     * @param array<int, array<string, mixed>> $items
     * @return array<int, array{id: int, quantity: int}>|null
     */
    private static function lines(array $items): ?array
    {
        $lines = array();
        foreach ($items as $item) {
            $lines[] = array('id' => (int) ($item['item_id'] ?? 0), 'quantity' => (int) ($item['qty'] ?? 0));
        }
        return $lines === array() ? null : $lines;
    }
}
