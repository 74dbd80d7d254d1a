<?php

/**
 * What the merchant chose on the settings page.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

final class Choices
{
    public const OPTION = 'shopbridge_settings';
    public const GTIN_FIELD = 'global_unique_id';

    /** Where the GTIN of a product is: WooCommerce's own field, or the name of a meta key (older EAN plugins). */
    public function gtinSource(): string
    {
        $source = (string) ($this->read()['gtin_source'] ?? '');
        return $source === '' ? self::GTIN_FIELD : $source;
    }

    public function removeData(): bool
    {
        return ($this->read()['remove_data'] ?? '') === 'yes';
    }

    public function remember(string $gtinSource, bool $removeData): void
    {
        update_option(
            self::OPTION,
            array(
                'gtin_source' => $gtinSource === '' ? self::GTIN_FIELD : $gtinSource,
                'remove_data' => $removeData ? 'yes' : 'no',
            ),
            true
        );
    }

    /**
     * @return array<string, string>
     */
    private function read(): array
    {
        $all = get_option(self::OPTION, array());
        return is_array($all) ? $all : array();
    }
}
