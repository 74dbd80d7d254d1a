<?php

/**
 * Puts a product into a category or under a brand by its name; made when the shop has none of that name. A brand that the merchant has
 * chosen is left alone.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Status\Log;

final class ShopTerms
{
    public static function category(\WC_Product $product, string $name): void
    {
        self::put($product, $name, 'product_cat');
    }

    public static function brand(\WC_Product $product, string $name): void
    {
        if (ProductFields::brandsAreTerms() && !is_array(get_the_terms($product->get_id(), ProductFields::BRAND_TAXONOMY))) {
            self::put($product, $name, ProductFields::BRAND_TAXONOMY);
        }
    }

    /** Where brands are no taxonomy; the product is saved by the caller. */
    public static function brandField(\WC_Product $product, string $name): void
    {
        if (!ProductFields::brandsAreTerms() && ProductFields::brand($product) === '') {
            ProductFields::setBrand($product, $name);
        }
    }

    private static function put(\WC_Product $product, string $name, string $taxonomy): void
    {
        if ($product->get_parent_id() > 0) {
            // A variation has the categories and the brand of its product.
            return;
        }
        $known = term_exists($name, $taxonomy);
        $term = is_array($known) ? $known : wp_insert_term($name, $taxonomy);
        $set = is_wp_error($term) ? $term : wp_set_object_terms($product->get_id(), array((int) $term['term_id']), $taxonomy);
        if (is_wp_error($set)) {
            Log::error($taxonomy . ' of product ' . $product->get_id() . ' could not be set: ' . $set->get_error_message());
        }
    }
}
