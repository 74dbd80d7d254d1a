<?php

/**
 * GLS Shipping for WooCommerce: a list of codes, or one code of its older versions.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class Gls implements TrackingReader
{
    public function isInstalled(): bool
    {
        return class_exists('GLS_Shipping_For_Woo', false);
    }

    public function parcels(\WC_Order $order): array
    {
        $codes = $order->get_meta('_gls_tracking_codes');
        $codes = is_array($codes) && $codes !== array() ? $codes : array($order->get_meta('_gls_tracking_code'));
        $parcels = array();
        foreach ($codes as $code) {
            $parcels[] = new Parcel($code, 'GLS');
        }
        return $parcels;
    }
}
