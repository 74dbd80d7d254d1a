<?php

/**
 * Writes refund objects for the bridge: never a payment through the gateway, once for a key.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class RefundWriter
{
    /** @var Once */
    private $once;

    /** @var Mails */
    private $mails;

    public function __construct(Once $once, Mails $mails)
    {
        $this->once = $once;
        $this->mails = $mails;
    }

    /**
     * @param callable(): array{amount: int, lines: array<int, array{item: \WC_Order_Item_Product, quantity: int, gross: int}>, reason: string, restock: bool, status_when_all: string} $wanted
     * @return array{id: int, already: bool}
     */
    public function once(string $kind, string $key, \WC_Order $order, callable $wanted): array
    {
        return $this->once->run(
            $kind,
            $key,
            function () use ($key, $order, $wanted): int {
                $known = $this->find($order, $key);
                return $known > 0 ? $known : (int) $this->mails->hold(fn (): int => $this->write($order, $wanted()));
            }
        );
    }

    /**
     * What the refund object of this key has taken back; nothing when there is none.
     *
     * @return array<int, array{id: string, quantity: int}>
     */
    public function taken(\WC_Order $order, string $key): array
    {
        $lines = array();
        foreach ($order->get_refunds() as $refund) {
            foreach ($refund->get_meta('_shopbridge_key') === $key ? $refund->get_items() : array() as $item) {
                $quantity = abs((int) $item->get_quantity());
                if ($quantity > 0) {
                    $lines[] = array('id' => (string) $item->get_meta('_refunded_item_id'), 'quantity' => $quantity);
                }
            }
        }
        return $lines;
    }

    /** A refund of this key, also when our own tables were lost meanwhile. */
    private function find(\WC_Order $order, string $key): int
    {
        foreach ($order->get_refunds() as $refund) {
            if ($refund->get_meta('_shopbridge_key') === $key) {
                return $refund->get_id();
            }
        }
        return 0;
    }

    /**
     * @param array{amount: int, lines: array<int, array{item: \WC_Order_Item_Product, quantity: int, gross: int}>, reason: string, restock: bool, status_when_all: string} $wanted
     */
    private function write(\WC_Order $order, array $wanted): int
    {
        $left = Money::cents((string) $order->get_remaining_refund_amount());
        if ($wanted['amount'] > $left) {
            $message = 'Only ' . Money::text($left) . ' of order ' . $order->get_id() . ' is left to refund.';
            throw new Refusal('amount.too_high', $message, 'data.amount');
        }
        $status = static fn ($usual) => $wanted['status_when_all'] === '' ? $usual : $wanted['status_when_all'];
        add_filter('woocommerce_order_fully_refunded_status', $status, PHP_INT_MAX);
        try {
            $refund = wc_create_refund(
                array(
                    'order_id' => $order->get_id(),
                    'amount' => Money::text($wanted['amount']),
                    'reason' => $wanted['reason'],
                    'line_items' => self::lines($wanted['lines']),
                    'refund_payment' => false,
                    'restock_items' => $wanted['restock'],
                )
            );
        } finally {
            remove_filter('woocommerce_order_fully_refunded_status', $status, PHP_INT_MAX);
        }
        if (is_wp_error($refund)) {
            throw new \RuntimeException($refund->get_error_message());
        }
        return $refund->get_id();
    }

    /**
     * @param array<int, array{item: \WC_Order_Item_Product, quantity: int, gross: int}> $lines
     * @return array<int, array{qty: int, refund_total: string, refund_tax: array<int, string>}>
     */
    private static function lines(array $lines): array
    {
        $items = array();
        foreach ($lines as $line) {
            $taxes = self::taxes($line['item'], $line['gross']);
            $items[$line['item']->get_id()] = array(
                'qty' => $line['quantity'],
                'refund_total' => Money::text($line['gross'] - array_sum($taxes)),
                'refund_tax' => array_map(array(Money::class, 'text'), $taxes),
            );
        }
        return $items;
    }

    /**
     * The tax in a gross amount, in the proportion of the line.
     *
     * @return array<int, int> cents by rate
     */
    private static function taxes(\WC_Order_Item_Product $item, int $gross): array
    {
        $all = Money::cents((string) $item->get_total()) + Money::cents((string) $item->get_total_tax());
        $taxes = array();
        foreach ((array) ($item->get_taxes()['total'] ?? array()) as $rate => $tax) {
            $taxes[(int) $rate] = Money::share($gross, Money::cents((string) $tax), $all);
        }
        return $taxes;
    }
}
