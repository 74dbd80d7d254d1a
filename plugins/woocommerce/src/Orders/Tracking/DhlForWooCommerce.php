<?php

/**
 * DHL for WooCommerce: one order meta with a number or a list of numbers.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class DhlForWooCommerce implements TrackingReader
{
    public function isInstalled(): bool
    {
        return class_exists('PR_DHL_WC', false);
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach (Entries::of($order->get_meta('_pr_shipment_dhl_label_tracking')) as $label) {
            foreach ((array) ($label['tracking_number'] ?? array()) as $number) {
                $parcels[] = new Parcel($number, 'DHL', $label['tracking_url'] ?? null, $label['ship_date'] ?? null);
            }
        }
        return $parcels;
    }
}
