<?php

/**
 * A dealer price for many products at once: an amount, or a percentage of each product's own regular price.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Orders\Money;

final class BulkPrice
{
    /** Sets "4,20", "60%" of the regular price, or removes it (''). Answers '' or what is wrong, then nothing was changed. */
    public static function apply(\WC_Product $product, string $typed): string
    {
        if (substr($typed, -1) !== '%') {
            return ProductFields::setDealerPrice($product, $typed);
        }
        $percent = str_replace(',', '.', trim(substr($typed, 0, -1)));
        $regular = (string) $product->get_regular_price();
        if (preg_match('/^\d{1,3}(\.\d{1,2})?$/', $percent) !== 1 || Money::scaled($percent, 2) > 10000) {
            /* translators: %s: what was typed */
            return sprintf(__('"%s" is no percentage from 0 to 100.', 'shopbridge'), $typed);
        }
        if (Money::cents($regular) <= 0) {
            /* translators: %s: name of the product */
            return sprintf(__('"%s" has no regular price that a percentage could be taken of.', 'shopbridge'), (string) $product->get_name());
        }
        return ProductFields::setDealerPrice($product, Money::text(Money::share(Money::cents($regular), Money::scaled($percent, 2), 10000)));
    }
}
