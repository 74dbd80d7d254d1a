<?php

/**
 * Amounts as whole cents. WooCommerce keeps decimal text with up to six places; no float may come near.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class Money
{
    /** "7.905" is 791: half a cent is rounded away from zero, as WooCommerce does. */
    public static function cents(string $text): int
    {
        return self::scaled($text, 2);
    }

    public static function text(int $cents): string
    {
        return ($cents < 0 ? '-' : '') . intdiv(abs($cents), 100) . '.' . str_pad((string) (abs($cents) % 100), 2, '0', STR_PAD_LEFT);
    }

    /** The net part of a gross amount. */
    public static function net(int $gross, string $percent): int
    {
        $whole = 1000000;
        return self::divide($gross * $whole, $whole + self::scaled($percent, 4));
    }

    /** The share of a part in a whole, rounded; the caller takes the rest for the last part. */
    public static function share(int $amount, int $part, int $whole): int
    {
        return $whole === 0 ? 0 : self::divide($amount * $part, $whole);
    }

    /** An amount of the protocol: text with at most two decimals, not negative. */
    public static function isAmount(string $text): bool
    {
        return preg_match('/^\d{1,9}(\.\d{1,2})?$/', $text) === 1;
    }

    /** Decimal text as a whole number of 10^-places. */
    public static function scaled(string $text, int $places): int
    {
        if (preg_match('/^\s*(-?)(\d*)(?:\.(\d*))?\s*$/', $text, $found) !== 1) {
            return 0;
        }
        $decimals = str_pad($found[3] ?? '', $places + 1, '0');
        $number = (int) ($found[2] . substr($decimals, 0, $places));
        $number += $decimals[$places] >= '5' ? 1 : 0;
        return $found[1] === '-' ? -$number : $number;
    }

    private static function divide(int $amount, int $by): int
    {
        $half = intdiv(abs($by), 2);
        $rounded = intdiv(abs($amount) + $half, abs($by));
        return ($amount < 0) === ($by < 0) ? $rounded : -$rounded;
    }
}
