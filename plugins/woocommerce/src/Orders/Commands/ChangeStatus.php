<?php

/**
 * order.status: the order gets a status that this shop knows.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;

final class ChangeStatus implements Command
{
    /** @var Shelf */
    private $shelf;

    public function __construct(Shelf $shelf)
    {
        $this->shelf = $shelf;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $status = preg_replace('/^wc-/', '', $data->text('status', 40));
        if (!isset(wc_get_order_statuses()['wc-' . $status])) {
            throw new Refusal('status.unknown', 'This shop does not know the status ' . $status . '.', 'data.status');
        }
        $already = $order->get_status() === $status;
        if (!$already) {
            $order->set_status((string) $status, Note::plain($data->optional('note')));
            $order->save();
        }
        return new Done(array('order_id' => (string) $order->get_id(), 'status' => $order->get_status()), $already);
    }
}
