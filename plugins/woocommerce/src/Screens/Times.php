<?php

/**
 * Times of the bridge (UTC), as the shop's clock shows them.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

final class Times
{
    /** Plain text, not escaped; what is not a time stays as it is. */
    public static function shown(string $iso): string
    {
        $unix = strtotime($iso);
        return $unix === false ? $iso : (string) wp_date('Y-m-d H:i', $unix);
    }
}
