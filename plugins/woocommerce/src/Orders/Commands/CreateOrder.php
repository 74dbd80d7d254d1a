<?php

/**
 * order.create: exactly one order for a key, with the prices as given, the stock reduced once and no mail to the buyer (C1).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\OrderWriter;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;

final class CreateOrder implements Command
{
    private const STATUSES = array('pending', 'on-hold', 'processing');

    /** @var Once */
    private $once;

    /** @var OrderWriter */
    private $writer;

    /** @var OrderMemory */
    private $memory;

    /** @var Shelf */
    private $shelf;

    /** @var Mails */
    private $mails;

    public function __construct(Once $once, OrderWriter $writer, OrderMemory $memory, Shelf $shelf, Mails $mails)
    {
        $this->once = $once;
        $this->writer = $writer;
        $this->memory = $memory;
        $this->shelf = $shelf;
        $this->mails = $mails;
    }

    public function run(CommandData $data): Done
    {
        $key = $data->key();
        $made = $this->once->run(
            'order',
            $key,
            function () use ($data, $key): int {
                $lost = $this->shelf->orderByKey($key);
                return $lost === null ? $this->create($data, $key) : $lost->get_id();
            }
        );
        $order = wc_get_order($made['id']);
        if (!$order instanceof \WC_Order) {
            throw new Refusal('order.not_found', 'The order of ' . $key . ' was deleted in the shop.', 'data.key');
        }
        if (!$made['already']) {
            $this->mails->tellMerchant($order->get_id());
        }
        return new Done($this->truth($order), $made['already']);
    }

    private function create(CommandData $data, string $key): int
    {
        $status = $data->has('status') ? $data->text('status') : 'processing';
        if (!in_array($status, self::STATUSES, true)) {
            throw new Refusal('status.unknown', 'An order cannot begin as ' . $status . '.', 'data.status');
        }
        return (int) $this->mails->hold(
            function () use ($data, $key, $status): int {
                $order = $this->writer->write($data, $key);
                // Saved as pending first: other plugins listen to the change of the status, not to the birth of an order.
                $order->set_status($status);
                $order->save();
                $this->keepSequence($order);
                return $order->get_id();
            }
        );
    }

    private function keepSequence(\WC_Order $order): void
    {
        if ($order->get_data_store()->get_stock_reduced($order->get_id())) {
            $order->update_meta_data(OrderMemory::STOCK_META, (string) $this->memory->stockReduced($order->get_id()));
            $order->save();
        }
    }

    /**
     * @return array<string, mixed>
     */
    private function truth(\WC_Order $order): array
    {
        $lines = array();
        foreach ($order->get_items() as $item) {
            $key = (string) $item->get_meta('_shopbridge_line');
            if ($key !== '' && $item instanceof \WC_Order_Item_Product) {
                $lines[] = array('key' => $key, 'id' => (string) $item->get_id(), 'product_found' => $item->get_product_id() > 0);
            }
        }
        return array(
            'order_id' => (string) $order->get_id(),
            'number' => (string) $order->get_order_number(),
            'status' => $order->get_status(),
            'stock_sequence' => $this->memory->stockSequence($order),
            'lines' => $lines,
        );
    }
}
