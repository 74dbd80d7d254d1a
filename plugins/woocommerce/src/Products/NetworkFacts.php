<?php

/**
 * What an event says of a product for the network (K1): the merchant's fields, the brand, the tax rate, and the shop categories with the
 * network categories they are mapped to. A variation without its own says what its product says.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Orders\Money;

final class NetworkFacts
{
    /**
     * @return array{dealer_price: string|null, network_category: string|null, brand: string|null, tax_rate: string|null, taxes: bool}
     */
    public static function of(\WC_Product $product): array
    {
        $parent = self::parent($product);
        $category = ProductFields::category($product);
        if ($category === '' && $parent !== null) {
            $category = ProductFields::category($parent);
        }
        return array(
            'dealer_price' => self::textOrNull(ProductFields::dealerPrice($product)),
            'network_category' => self::textOrNull($category),
            'brand' => self::textOrNull(self::brand($product, $parent)),
            'tax_rate' => self::taxRate($product),
            'taxes' => wc_tax_enabled(),
        );
    }

    /**
     * @return array<int, array{id: int, name: string, slug: string, network_category: string|null}>
     */
    public static function categories(\WC_Product $product): array
    {
        $told = array();
        foreach (self::terms($product->get_parent_id() > 0 ? $product->get_parent_id() : $product->get_id(), 'product_cat') as $term) {
            $told[] = array(
                'id' => (int) $term->term_id,
                'name' => html_entity_decode((string) $term->name, ENT_QUOTES, 'UTF-8'),
                'slug' => (string) $term->slug,
                'network_category' => self::textOrNull(CategoryMapping::of((int) $term->term_id)),
            );
        }
        return $told;
    }

    /**
     * Percentage as decimal text. "0" for what is not taxed; so is everything where WooCommerce calculates no taxes (a small business): a price
     * is what it is there. Null when the rates add up to no plain percentage.
     */
    public static function taxRate(\WC_Product $product): ?string
    {
        if (!wc_tax_enabled() || $product->get_tax_status() !== 'taxable') {
            return '0';
        }
        $class = (string) $product->get_tax_class();
        return self::baseRate($class) ?? (ShopTaxes::isZeroClass($class) ? '0' : null);
    }

    /** The percentage of a tax class where the shop is; null where it has none, or none that is a plain percentage. */
    public static function baseRate(string $class): ?string
    {
        $rates = \WC_Tax::get_base_tax_rates($class);
        if ($rates === array()) {
            return null;
        }
        $percent = 0;
        foreach ($rates as $rate) {
            if (count($rates) > 1 && ($rate['compound'] ?? 'no') === 'yes') {
                return null;
            }
            $percent += Money::scaled(number_format((float) $rate['rate'], 4, '.', ''), 4);
        }
        $text = intdiv($percent, 10000) . '.' . str_pad((string) ($percent % 10000), 4, '0', STR_PAD_LEFT);
        return rtrim(rtrim($text, '0'), '.');
    }

    private static function brand(\WC_Product $product, ?\WC_Product $parent): string
    {
        if (ProductFields::brandsAreTerms()) {
            foreach (self::terms($parent === null ? $product->get_id() : $parent->get_id(), ProductFields::BRAND_TAXONOMY) as $term) {
                return html_entity_decode((string) $term->name, ENT_QUOTES, 'UTF-8');
            }
        }
        $brand = ProductFields::brand($product);
        return $brand === '' && $parent !== null ? ProductFields::brand($parent) : $brand;
    }

    /**
     * @return object[]
     */
    private static function terms(int $id, string $taxonomy): array
    {
        $terms = get_the_terms($id, $taxonomy);
        return is_array($terms) ? array_values($terms) : array();
    }

    private static function parent(\WC_Product $product): ?\WC_Product
    {
        $parent = $product->get_parent_id() > 0 ? wc_get_product($product->get_parent_id()) : null;
        return $parent instanceof \WC_Product ? $parent : null;
    }

    private static function textOrNull(string $text): ?string
    {
        return $text === '' ? null : $text;
    }
}
