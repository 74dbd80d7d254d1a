<?php

/**
 * WooCommerce Shipment Tracking and AST (zorem): both keep a list in the same order meta.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class ShipmentTracking implements TrackingReader
{
    public function isInstalled(): bool
    {
        // Shiptastic defines the function too, and writes the same meta.
        return function_exists('wc_st_add_tracking_number') || function_exists('ast_insert_tracking_number');
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach (Entries::of($order->get_meta('_wc_shipment_tracking_items')) as $item) {
            $carrier = $item['custom_tracking_provider'] ?? '';
            $parcels[] = new Parcel(
                $item['tracking_number'] ?? '',
                $carrier === '' ? ($item['tracking_provider'] ?? null) : $carrier,
                $item['custom_tracking_link'] ?? null,
                $item['date_shipped'] ?? null
            );
        }
        return $parcels;
    }
}
