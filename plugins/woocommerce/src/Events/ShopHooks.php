<?php

/**
 * Listens to the few settings of the shop that change the meaning of its numbers.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

class ShopHooks
{
    private const OPTIONS = array('woocommerce_currency', 'woocommerce_default_country', 'WPLANG', 'timezone_string', 'gmt_offset');

    /** Prices with or without tax, and where the GTIN is, change how every product reads. */
    private const PRODUCT_OPTIONS = array('woocommerce_prices_include_tax', 'woocommerce_calc_taxes');

    /** @var Collector */
    private $collector;

    public function __construct(Collector $collector)
    {
        $this->collector = $collector;
    }

    public function register(): void
    {
        add_action('updated_option', array($this, 'changed'));
        add_action('added_option', array($this, 'changed'));
    }

    /** @param mixed $option */
    public function changed($option): void
    {
        if (in_array($option, self::OPTIONS, true) || in_array($option, self::PRODUCT_OPTIONS, true)) {
            $this->collector->shop('settings.changed');
        }
    }
}
