<?php

/**
 * Shiptastic for WooCommerce, version 4 and later (seen: 5.1.4).
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class Shiptastic extends Shipments
{
    public function name(): string
    {
        return 'Shiptastic';
    }

    public function isInstalled(): bool
    {
        return function_exists('wc_stc_get_shipment');
    }

    protected function prefix(): string
    {
        return 'woocommerce_shiptastic_';
    }

    protected function package(): string
    {
        return '\Vendidero\Shiptastic\Package';
    }

    protected function refusal(): string
    {
        return ShiptasticRefusal::class;
    }
}
