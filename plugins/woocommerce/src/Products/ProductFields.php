<?php

/**
 * What a supplier tells of a product for the network (K1, K2): dealer price, network category, brand. Kept as meta of the product or
 * variation. Every way of editing (product page, variations, quick, bulk, CSV) writes through here.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

final class ProductFields
{
    public const DEALER_PRICE = '_shopbridge_dealer_price';
    public const CATEGORY = '_shopbridge_network_category';
    public const BRAND = '_shopbridge_brand';
    public const ALL = array(self::DEALER_PRICE, self::CATEGORY, self::BRAND);

    /** WooCommerce's own brands (9.6 and newer, or the Brands extension). */
    public const BRAND_TAXONOMY = 'product_brand';

    public static function dealerPrice(\WC_Product $product): string
    {
        return self::text($product, self::DEALER_PRICE);
    }

    public static function category(\WC_Product $product): string
    {
        return self::text($product, self::CATEGORY);
    }

    public static function brand(\WC_Product $product): string
    {
        return self::text($product, self::BRAND);
    }

    /** Sets what was typed; '' removes it. Answers '' or a sentence about what is wrong, then nothing was changed. */
    public static function setDealerPrice(\WC_Product $product, string $typed): string
    {
        $price = $typed === '' ? '' : TypedPrice::read($typed);
        if ($price === null) {
            /* translators: 1: what was typed, 2: name of the product */
            $text = __('"%1$s" is no dealer price for "%2$s": it is an amount from 0 on with at most two decimals. The old one was kept.', 'shopbridge');
            return sprintf($text, $typed, self::name($product));
        }
        self::write($product, self::DEALER_PRICE, $price);
        return '';
    }

    /** Sets a network category by its key or its name; '' removes it. Answers '' or a sentence about what is wrong. */
    public static function setCategory(\WC_Product $product, string $typed): string
    {
        $key = $typed === '' ? '' : NetworkCategories::find($typed);
        if ($key === null) {
            /* translators: 1: what was typed, 2: name of the product */
            $text = __('The network has no category "%1$s" (product "%2$s"). The old one was kept.', 'shopbridge');
            return sprintf($text, $typed, self::name($product));
        }
        self::write($product, self::CATEGORY, $key);
        return '';
    }

    public static function setBrand(\WC_Product $product, string $typed): string
    {
        self::write($product, self::BRAND, mb_substr(trim($typed), 0, 100));
        return '';
    }

    /** Whether brands are a taxonomy of WooCommerce here; then there is no field of ours. */
    public static function brandsAreTerms(): bool
    {
        return taxonomy_exists(self::BRAND_TAXONOMY);
    }

    /** Tells the merchant on the next page (or at once, where variations are saved) what could not be taken. */
    public static function complain(string $problem): void
    {
        if ($problem !== '' && class_exists('\WC_Admin_Meta_Boxes')) {
            \WC_Admin_Meta_Boxes::add_error(esc_html($problem));
        }
    }

    private static function text(\WC_Product $product, string $key): string
    {
        $value = $product->get_meta($key);
        return is_scalar($value) ? trim((string) $value) : '';
    }

    private static function write(\WC_Product $product, string $key, string $value): void
    {
        if ($value === '') {
            $product->delete_meta_data($key);
        } else {
            $product->update_meta_data($key, $value);
        }
    }

    private static function name(\WC_Product $product): string
    {
        return (string) $product->get_name();
    }
}
