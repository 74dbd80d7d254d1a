<?php

/**
 * Facts of the shop as a whole: currency, country, language, versions.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Plugin;

class ShopFacts
{
    /**
     * @return array{currency: string, country: string, locale: string, timezone: string}
     */
    public function settings(): array
    {
        return array(
            'currency' => (string) get_woocommerce_currency(),
            // The option is "DE" or "DE:DE-BE".
            'country' => explode(':', (string) get_option('woocommerce_default_country', ''))[0],
            'locale' => (string) get_locale(),
            'timezone' => self::timezone(),
        );
    }

    /**
     * @return array{plugin_version: string, platform: string, platform_version: string}
     */
    public function plugin(): array
    {
        return array('plugin_version' => Plugin::VERSION, 'platform' => 'woocommerce', 'platform_version' => self::wooVersion());
    }

    public function name(): string
    {
        return html_entity_decode((string) get_bloginfo('name'), ENT_QUOTES, 'UTF-8');
    }

    public static function wooVersion(): string
    {
        return defined('WC_VERSION') ? (string) WC_VERSION : '';
    }

    /** A shop set to "UTC+2" has no time zone name; the offset is told instead. */
    private static function timezone(): string
    {
        return (string) wp_timezone_string();
    }
}
