<?php

/**
 * Taxes of a product that the bridge writes: the class with the rate of the goods, and the price as this shop keeps it. A class that the
 * merchant has chosen is left alone.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Orders\Money;
use Shopbridge\Orders\Refusal;

final class ShopTaxes
{
    /** So many decimals let the price with tax come out to the cent, also for a hundred pieces; WooCommerce calculates with six. */
    private const DECIMALS = 6;

    /**
     * Gives a new product the tax class with this rate, "7" or "5.5"; where the shop has none, the standard class stays. Not for "0": goods
     * without VAT in the standard class would be declared with it, so a shop without such a class refuses them.
     */
    public static function choose(\WC_Product $product, string $percent): void
    {
        if (!wc_tax_enabled() || preg_match('/^\d{1,3}(\.\d{1,4})?$/', $percent) !== 1) {
            return;
        }
        foreach (array_merge(array(''), \WC_Tax::get_tax_class_slugs()) as $class) {
            $rate = NetworkFacts::baseRate((string) $class);
            if ($rate !== null && Money::scaled($rate, 4) === Money::scaled($percent, 4)) {
                $product->set_tax_class((string) $class);
                return;
            }
        }
        if (Money::scaled($percent, 4) === 0) {
            $product->set_tax_class(self::zeroClass());
        }
    }

    /** Whether a tax class is meant for what is not taxed: WooCommerce makes it in the shop's language, and without any rate. */
    public static function isZeroClass(string $class): bool
    {
        return $class === 'zero-rate' || ($class !== '' && $class === sanitize_title(translate('Zero rate', 'woocommerce')));
    }

    private static function zeroClass(): string
    {
        foreach (\WC_Tax::get_tax_class_slugs() as $class) {
            if (self::isZeroClass((string) $class) && NetworkFacts::baseRate((string) $class) === null) {
                return (string) $class;
            }
        }
        $text = __('This shop has no tax class for goods without VAT. Add one under WooCommerce > Settings > Tax, such as "Zero rate".', 'shopbridge');
        throw new Refusal('product.no_tax_class', $text, 'data.tax_rate');
    }

    /** A price with tax, in cents, as the shop keeps it: with tax, or without the tax of the product's class, half a millionth rounded up. */
    public static function kept(\WC_Product $product, int $cents): string
    {
        $percent = wc_tax_enabled() && !wc_prices_include_tax() ? NetworkFacts::taxRate($product) : null;
        if ($percent === null || Money::scaled($percent, 4) === 0) {
            return Money::text($cents);
        }
        // Divided in two steps, because the whole product of the numbers would be too large for a high price.
        $whole = 1000000;
        $gross = $cents * 10000;
        $by = $whole + Money::scaled($percent, 4);
        $net = intdiv($gross, $by) * $whole + intdiv(($gross % $by) * $whole + intdiv($by, 2), $by);
        $text = intdiv($net, $whole) . '.' . str_pad((string) ($net % $whole), self::DECIMALS, '0', STR_PAD_LEFT);
        return wc_format_decimal(rtrim(rtrim($text, '0'), '.'));
    }
}
