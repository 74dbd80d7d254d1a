<?php

/**
 * Queues a product.changed for every product and variation of the shop, without loading any of them.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Outbox\Outbox;

final class EveryProduct
{
    private const AT_ONCE = 500;

    /** Answers how many. */
    public static function report(Outbox $outbox, int $now): int
    {
        global $wpdb;
        $query = "SELECT ID FROM {$wpdb->posts} WHERE post_type IN ('product', 'product_variation')
            AND post_status NOT IN ('trash', 'auto-draft', 'inherit') ORDER BY ID";
        $ids = $wpdb->get_col($query);
        foreach (array_chunk($ids, self::AT_ONCE) as $some) {
            $messages = array();
            foreach ($some as $id) {
                $messages[] = array('type' => 'product.changed', 'subject' => 'product/' . (int) $id);
            }
            $outbox->append($messages, $now);
        }
        return count($ids);
    }
}
