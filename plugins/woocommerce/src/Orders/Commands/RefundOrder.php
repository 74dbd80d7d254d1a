<?php

/**
 * order.refund: a refund object without moving money; the marketplace has paid the buyer (C7).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\RefundWriter;
use Shopbridge\Orders\Shelf;

final class RefundOrder implements Command
{
    /** @var Shelf */
    private $shelf;

    /** @var RefundWriter */
    private $refunds;

    public function __construct(Shelf $shelf, RefundWriter $refunds)
    {
        $this->shelf = $shelf;
        $this->refunds = $refunds;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $lines = array();
        foreach ($data->objects('lines') as $line) {
            $item = $this->shelf->line($order, $line);
            $lines[] = array('item' => $item, 'quantity' => $line->quantity('quantity'), 'gross' => $line->cents('amount'));
        }
        $wanted = array(
            'amount' => $data->cents('amount'),
            'lines' => $lines,
            'reason' => $data->optional('reason'),
            'restock' => $data->flag('restock', false),
            'status_when_all' => '',
        );
        $made = $this->refunds->once('refund', $data->key(), $order, static fn (): array => $wanted);
        return new Done(array('order_id' => (string) $order->get_id(), 'refund_id' => (string) $made['id']), $made['already']);
    }
}
