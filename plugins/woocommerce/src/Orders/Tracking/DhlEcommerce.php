<?php

/**
 * DHL eCommerce Benelux (dhlpwc): labels in one order meta, return labels among them.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class DhlEcommerce implements TrackingReader
{
    public function isInstalled(): bool
    {
        return class_exists('DHLPWC', false);
    }

    public function parcels(\WC_Order $order): array
    {
        $parcels = array();
        foreach (Entries::of($order->get_meta('_dhlpwc_order_labels')) as $label) {
            $parcel = new Parcel($label['tracker_code'] ?? '', 'DHL eCommerce');
            $parcel->returning = !empty($label['is_return']);
            $parcels[] = $parcel;
        }
        return $parcels;
    }
}
