<?php

/**
 * order.note: a private note at the order, once for a key.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Events\Collector;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\Shelf;

final class AddNote implements Command
{
    /** @var Shelf */
    private $shelf;

    /** @var Once */
    private $once;

    /** @var Collector */
    private $collector;

    public function __construct(Shelf $shelf, Once $once, Collector $collector)
    {
        $this->shelf = $shelf;
        $this->once = $once;
        $this->collector = $collector;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $this->collector->hush($order->get_id());
        $note = Note::plain($data->text('note', 5000));
        $made = $this->once->run(
            'note',
            $data->key(),
            static fn (): int => (int) $order->add_order_note($note)
        );
        return new Done(array('order_id' => (string) $order->get_id(), 'note_id' => (string) $made['id']), $made['already']);
    }
}
