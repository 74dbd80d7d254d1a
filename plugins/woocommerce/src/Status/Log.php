<?php

/**
 * Writes to WooCommerce's own log (WooCommerce > Status > Logs, source "shopbridge"). Never bodies, never secrets.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

final class Log
{
    public static function error(string $text): void
    {
        if (function_exists('wc_get_logger')) {
            wc_get_logger()->error($text, array('source' => 'shopbridge'));
        }
    }
}
