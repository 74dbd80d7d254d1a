<?php

/**
 * events.resend: fills the gaps that the bridge found (D7), or tells it every product anew.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Outbox\Outbox;

final class ResendEvents implements Command
{
    private const AT_ONCE = 500;

    /** @var Outbox */
    private $outbox;

    public function __construct(Outbox $outbox)
    {
        $this->outbox = $outbox;
    }

    public function run(CommandData $data): Done
    {
        $ranges = array();
        foreach ($data->list('ranges') as $range) {
            if (!is_array($range) || count($range) !== 2 || !is_int($range[0] ?? null) || !is_int($range[1] ?? null)) {
                throw $data->invalid('ranges', 'is not a list of [from, to]');
            }
            $ranges[] = array($range[0], $range[1]);
        }
        $queued = $this->outbox->resend($ranges);
        return new Done(array('queued' => $queued + ($data->flag('all_products', false) ? $this->allProducts() : 0)));
    }

    private function allProducts(): int
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
            $this->outbox->append($messages, time());
        }
        return count($ids);
    }
}
