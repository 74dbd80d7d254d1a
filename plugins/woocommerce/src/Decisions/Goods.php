<?php

/**
 * How goods of a marketplace's order are named on our pages.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\Reply;

final class Goods
{
    /**
     * "Assam (TEE-001)", or what there is of it. Plain text, not escaped.
     *
     * @param array<mixed> $line
     */
    public static function name(array $line): string
    {
        $title = Reply::text($line, 'title');
        $sku = Reply::text($line, 'sku');
        return $title === '' || $sku === '' ? $title . $sku : $title . ' (' . $sku . ')';
    }
}
