<?php

/**
 * The refund objects of an order (protocol.md 3.3). Amounts are positive and gross.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Orders\Money;
use Shopbridge\Outbox\Envelope;

class RefundView
{
    /**
     * @return array<int, array<string, mixed>> oldest first
     */
    public static function all(\WC_Order $order): array
    {
        $refunds = array();
        foreach ($order->get_refunds() as $refund) {
            $refunds[] = self::one($refund, $order->get_currency());
        }
        usort($refunds, static fn (array $a, array $b): int => $a['id'] <=> $b['id']);
        return $refunds;
    }

    /**
     * @return array<string, mixed>
     */
    private static function one(\WC_Order_Refund $refund, string $currency): array
    {
        $key = (string) $refund->get_meta('_shopbridge_key');
        $created = $refund->get_date_created();
        return array(
            'id' => $refund->get_id(),
            'amount' => Money::text(abs(Money::cents((string) $refund->get_amount()))),
            'currency' => $currency,
            'reason' => (string) $refund->get_reason(),
            'created_at' => $created === null ? null : Envelope::time($created->getTimestamp()),
            'by_bridge' => $key !== '',
            'key' => $key === '' ? null : $key,
            'restocked' => $refund->get_meta('_shopbridge_restocked') === 'yes',
            'lines' => self::lines($refund),
        );
    }

    /**
     * @return array<int, array{id: int, quantity: int, amount: string}>
     */
    private static function lines(\WC_Order_Refund $refund): array
    {
        $lines = array();
        foreach ($refund->get_items('line_item') as $item) {
            if ($item instanceof \WC_Order_Item_Product) {
                $gross = Money::cents((string) $item->get_total()) + Money::cents((string) $item->get_total_tax());
                $lines[] = array(
                    'id' => (int) $item->get_meta('_refunded_item_id'),
                    'quantity' => (int) abs($item->get_quantity()),
                    'amount' => Money::text(abs($gross)),
                );
            }
        }
        return $lines;
    }
}
