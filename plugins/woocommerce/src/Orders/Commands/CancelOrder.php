<?php

/**
 * order.cancel: the whole order by its status, or single lines as a refund object without payment (C6). With `at_most` what is left of it.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Money;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\RefundWriter;
use Shopbridge\Orders\Shelf;

final class CancelOrder implements Command
{
    private const TOO_LATE = array('completed', 'refunded', 'failed');

    /** Of such an order nothing can be taken back; with `at_most` that is no refusal. */
    private const NOTHING_LEFT = array('cancelled', 'refunded', 'failed');

    /** @var Shelf */
    private $shelf;

    /** @var RefundWriter */
    private $refunds;

    /** @var OrderMemory */
    private $memory;

    public function __construct(Shelf $shelf, RefundWriter $refunds, OrderMemory $memory)
    {
        $this->shelf = $shelf;
        $this->refunds = $refunds;
        $this->memory = $memory;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $already = $data->has('lines') ? $this->cancelLines($order, $data) : $this->cancelAll($order, $data);
        $order = wc_get_order($order->get_id());
        $truth = array('order_id' => (string) $order->get_id(), 'status' => $order->get_status());
        if ($data->has('lines')) {
            $truth['lines'] = $this->refunds->taken($order, $data->key());
        }
        return new Done($truth + array('stock_sequence' => $this->memory->stockSequence($order)), $already);
    }

    private function cancelAll(\WC_Order $order, CommandData $data): bool
    {
        if ($order->get_status() === 'cancelled' || ($data->flag('at_most', false) && $this->isOver($order))) {
            return true;
        }
        $this->mustBeOpen($order);
        $restock = $data->flag('restock', true);
        $decide = static fn (): bool => $restock;
        add_filter('woocommerce_can_restore_order_stock', $decide, PHP_INT_MAX);
        try {
            $order->delete_meta_data('_shopbridge_stop');
            $order->set_status('cancelled', Note::plain($data->optional('reason')));
            $order->save();
        } finally {
            remove_filter('woocommerce_can_restore_order_stock', $decide, PHP_INT_MAX);
        }
        return false;
    }

    private function cancelLines(\WC_Order $order, CommandData $data): bool
    {
        $lines = array();
        foreach ($data->objects('lines') as $line) {
            $item = $this->shelf->line($order, $line);
            $quantity = $line->quantity('quantity');
            $gross = Money::cents((string) $item->get_total()) + Money::cents((string) $item->get_total_tax());
            $lines[] = array('item' => $item, 'quantity' => $quantity, 'gross' => Money::share($gross, $quantity, (int) $item->get_quantity()));
        }
        if ($lines === array()) {
            throw $data->invalid('lines', 'is empty');
        }
        $atMost = $data->flag('at_most', false);
        if ($atMost && ($this->isOver($order) || $this->left($order, $lines) === array())) {
            return true;
        }
        $made = $this->refunds->once(
            'cancel',
            $data->key(),
            $order,
            function () use ($order, $lines, $data, $atMost): array {
                $this->mustBeOpen($order);
                $lines = $atMost ? $this->left($order, $lines) : $lines;
                foreach ($lines as $line) {
                    $this->mustBeLeft($order, $line['item'], $line['quantity']);
                }
                return array(
                    'amount' => array_sum(array_column($lines, 'gross')),
                    'lines' => $lines,
                    'reason' => $data->optional('reason'),
                    'restock' => $data->flag('restock', true),
                    'status_when_all' => 'cancelled',
                );
            }
        );
        return $made['already'];
    }

    /**
     * Of each line at most what was not taken back before, and not more money than is left of the order.
     *
     * @param array<int, array{item: \WC_Order_Item_Product, quantity: int, gross: int}> $lines
     * @return array<int, array{item: \WC_Order_Item_Product, quantity: int, gross: int}>
     */
    private function left(\WC_Order $order, array $lines): array
    {
        $money = Money::cents((string) $order->get_remaining_refund_amount());
        $found = array();
        foreach ($lines as $line) {
            $quantity = min($line['quantity'], $this->unitsLeft($order, $line['item']));
            if ($quantity > 0) {
                $gross = min(Money::share($line['gross'], $quantity, $line['quantity']), $money);
                $money -= $gross;
                $found[] = array('item' => $line['item'], 'quantity' => $quantity, 'gross' => $gross);
            }
        }
        return $found;
    }

    private function isOver(\WC_Order $order): bool
    {
        return in_array($order->get_status(), self::NOTHING_LEFT, true);
    }

    private function unitsLeft(\WC_Order $order, \WC_Order_Item_Product $item): int
    {
        // What is refunded counts below zero.
        return (int) $item->get_quantity() + (int) $order->get_qty_refunded_for_item($item->get_id());
    }

    private function mustBeOpen(\WC_Order $order): void
    {
        if (in_array($order->get_status(), self::TOO_LATE, true)) {
            $message = 'Order ' . $order->get_id() . ' is already ' . $order->get_status() . '.';
            throw new Refusal('order.not_cancellable', $message, 'data.order_id');
        }
    }

    private function mustBeLeft(\WC_Order $order, \WC_Order_Item_Product $item, int $quantity): void
    {
        if ($quantity > $this->unitsLeft($order, $item)) {
            throw new Refusal('order.not_cancellable', 'Line ' . $item->get_id() . ' has fewer pieces left.', 'data.lines');
        }
    }
}
