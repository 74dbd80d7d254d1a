<?php

/**
 * Orders Tracking by VillaTheme: numbers at the lines of the order.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class OrdersTracking implements TrackingReader
{
    public function isInstalled(): bool
    {
        return defined('VI_WOO_ORDERS_TRACKING_VERSION') || defined('VI_WOOCOMMERCE_ORDERS_TRACKING_VERSION');
    }

    public function parcels(\WC_Order $order): array
    {
        $found = array();
        foreach ($order->get_items() as $item) {
            $entries = Entries::of($item->get_meta('_vi_wot_order_item_tracking_data'));
            // The list is a history; the last entry is the one that counts.
            $entry = end($entries);
            if ($entry !== false && !empty($entry['tracking_number'])) {
                $number = (string) $entry['tracking_number'];
                $found[$number]['entry'] = $entry;
                $found[$number]['lines'][] = array('id' => $item->get_id(), 'quantity' => (int) $item->get_quantity());
            }
        }
        $parcels = array();
        foreach ($found as $number => $one) {
            $carrier = $one['entry']['carrier_name'] ?? $one['entry']['carrier_slug'] ?? null;
            $url = $one['entry']['carrier_url'] ?? null;
            $parcels[] = new Parcel((string) $number, $carrier, $url, $one['entry']['time'] ?? null, $one['lines']);
        }
        return $parcels;
    }
}
