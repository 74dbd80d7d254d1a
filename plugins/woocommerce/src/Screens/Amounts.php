<?php

/**
 * Amounts and percentages of the bridge, as the shop writes prices.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

use Shopbridge\Orders\Money;

final class Amounts
{
    /**
     * Whole numbers are cents, text is decimal. Plain text, not escaped.
     *
     * @param mixed $amount
     */
    public static function shown($amount, string $currency): string
    {
        $plain = self::plain($amount);
        if ($plain === '') {
            return '–';
        }
        return str_replace('.', wc_get_price_decimal_separator(), $plain) . ' ' . $currency;
    }

    /**
     * "4.20" for a field of a form, '' when there is none.
     *
     * @param mixed $amount
     */
    public static function plain($amount): string
    {
        if (is_int($amount)) {
            return Money::text($amount);
        }
        return is_string($amount) && preg_match('/^-?\d{1,12}(\.\d{1,6})?$/', $amount) === 1 ? Money::text(Money::cents($amount)) : '';
    }

    /** @param mixed $percent */
    public static function percent($percent): string
    {
        if (!is_numeric($percent)) {
            return '–';
        }
        return str_replace('.', wc_get_price_decimal_separator(), (string) round((float) $percent, 1)) . ' %';
    }
}
