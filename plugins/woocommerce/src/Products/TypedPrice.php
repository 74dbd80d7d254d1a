<?php

/**
 * Reads a price as people type it: "4,20", "4.20 €", "1.234,56". What cannot be read for certain is not guessed.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Orders\Money;

final class TypedPrice
{
    /** The amount with two decimals ("4.20"), or null when it is negative, has more decimals or is no amount at all. */
    public static function read(string $typed): ?string
    {
        $bare = (string) preg_replace('/[\s\x{00A0}\x{2009}\x{202F}\']|€|EUR|CHF/ui', '', $typed);
        if (preg_match('/^\d{1,7}(?:[.,]\d{1,2})?$/', $bare) === 1) {
            return self::plain(str_replace(',', '.', $bare));
        }
        foreach (array(',' => '.', '.' => ',') as $decimal => $thousand) {
            // Only with decimals: "1.234" may be a thousand, or a price with three decimals from some other program.
            $pattern = '/^\d{1,3}(?:' . preg_quote($thousand, '/') . '\d{3}){1,2}' . preg_quote($decimal, '/') . '\d{1,2}$/';
            if (preg_match($pattern, $bare) === 1) {
                return self::plain(str_replace(array($thousand, $decimal), array('', '.'), $bare));
            }
        }
        return null;
    }

    private static function plain(string $number): string
    {
        return Money::text(Money::cents($number));
    }
}
