<?php

/**
 * order.timeline: what the box on the order page tells (C8). Paperwork of our own, so it is not reported back.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Events\Collector;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Shelf;

final class Timeline implements Command
{
    public const META = '_shopbridge_timeline';
    private const MOST = 200;

    /** @var Shelf */
    private $shelf;

    /** @var Collector */
    private $collector;

    public function __construct(Shelf $shelf, Collector $collector)
    {
        $this->shelf = $shelf;
        $this->collector = $collector;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $entries = array();
        foreach (array_slice($data->objects('entries'), -self::MOST) as $entry) {
            $entries[] = array('at' => $entry->text('at', 40), 'text' => sanitize_text_field($entry->text('text', 500)));
        }
        $timeline = array('entries' => $entries, 'next' => sanitize_text_field($data->optional('next', 500)));
        $already = $order->get_meta(self::META) === $timeline;
        if (!$already) {
            $this->collector->hush($order->get_id());
            $order->update_meta_data(self::META, $timeline);
            $order->save();
        }
        return new Done(array('order_id' => (string) $order->get_id()), $already);
    }
}
