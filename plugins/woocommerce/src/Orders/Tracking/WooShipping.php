<?php

/**
 * WooCommerce Shipping: purchased labels in one order meta.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class WooShipping implements TrackingReader
{
    public function isInstalled(): bool
    {
        return defined('WCSHIPPING_VERSION');
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach (Entries::of($order->get_meta('wcshipping_labels')) as $label) {
            // A refunded label is a parcel that never left.
            if (empty($label['refund'])) {
                $parcels[] = new Parcel($label['tracking'] ?? '', $label['carrier_id'] ?? null);
            }
        }
        return $parcels;
    }
}
