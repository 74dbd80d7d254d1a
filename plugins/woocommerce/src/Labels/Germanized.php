<?php

/**
 * Germanized Shipments up to 4.2, from before it became Shiptastic.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class Germanized extends Shipments
{
    public function name(): string
    {
        return 'Germanized Shipments';
    }

    public function isInstalled(): bool
    {
        return function_exists('wc_gzd_get_shipment');
    }

    protected function prefix(): string
    {
        return 'woocommerce_gzd_';
    }

    protected function package(): string
    {
        return '\Vendidero\Germanized\Shipments\Package';
    }

    protected function refusal(): string
    {
        return GermanizedRefusal::class;
    }
}
