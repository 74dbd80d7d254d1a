<?php

/**
 * What was last told about an order: its parcels, and the sequence from which on stock messages contain it (I13).
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Schema;

class OrderMemory
{
    public const STOCK_META = '_shopbridge_stock_sequence';

    /** @var Outbox */
    private $outbox;

    public function __construct(Outbox $outbox)
    {
        $this->outbox = $outbox;
    }

    /** Draw and keep a sequence: every stock message with this or a higher one contains the order. */
    public function stockReduced(int $orderId): int
    {
        $sequence = $this->outbox->draw(time());
        $this->write($orderId, 'stock_sequence', (string) $sequence);
        return $sequence;
    }

    /** The order reduced the stock in the request that wrote this sequence, so it was drawn after that. The first word counts. */
    public function stockReducedBefore(int $orderId, int $sequence): void
    {
        if ((int) ($this->row($orderId)['stock_sequence'] ?? 0) === 0) {
            $this->write($orderId, 'stock_sequence', (string) $sequence);
        }
    }

    public function stockRestored(int $orderId): void
    {
        if ($this->row($orderId) !== array()) {
            $this->write($orderId, 'stock_sequence', null);
        }
    }

    /** Null while the order has not reduced the stock. */
    public function stockSequence(\WC_Order $order): ?int
    {
        if (!$order->get_data_store()->get_stock_reduced($order->get_id())) {
            return null;
        }
        $known = (int) ($this->row($order->get_id())['stock_sequence'] ?? 0);
        // The shop's own orders get theirs here and not in the buyer's request. Drawn later than needed, but never too early.
        return $known > 0 ? $known : $this->stockReduced($order->get_id());
    }

    /**
     * Whether parcels came or changed since this was last asked. The first look at an order without parcels is not news.
     *
     * @param array<int, array<string, mixed>> $sent
     * @param array<int, array<string, mixed>> $returning
     */
    public function parcelsAreNew(int $orderId, array $sent, array $returning): bool
    {
        $known = (string) ($this->row($orderId)['parcels'] ?? '');
        $now = $sent === array() && $returning === array() ? '' : sha1((string) wp_json_encode(array($sent, $returning)));
        if ($now === $known) {
            return false;
        }
        $this->write($orderId, 'parcels', $now);
        return true;
    }

    /**
     * @return array<string, mixed>
     */
    private function row(int $orderId): array
    {
        global $wpdb;
        $table = Schema::orders();
        $row = $wpdb->get_row($wpdb->prepare("SELECT * FROM `$table` WHERE order_id = %d", $orderId), ARRAY_A);
        return is_array($row) ? $row : array();
    }

    private function write(int $orderId, string $column, ?string $value): void
    {
        global $wpdb;
        $table = Schema::orders();
        $place = $value === null ? 'NULL' : '%s';
        $values = $value === null ? array($orderId) : array($orderId, $value);
        $query = "INSERT INTO `$table` (order_id, `$column`) VALUES (%d, $place) ON DUPLICATE KEY UPDATE `$column` = VALUES(`$column`)";
        $wpdb->query($wpdb->prepare($query, $values));
    }
}
