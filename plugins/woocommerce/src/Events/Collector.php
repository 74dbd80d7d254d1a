<?php

/**
 * What happened in this request. Hooks fire several times and in the middle of a save, so they only take notes here; at the end of the
 * request the notes become messages, in one INSERT.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Outbox\Envelope;

class Collector
{
    /** Long runs (imports, WP-CLI) write before the notes grow beyond this. */
    public const MANY = 200;

    /** Notes that ride on the first message of their order, so that each is told once. */
    private const RIDING = array('transitions' => true, 'reduced' => true);

    /** @var array<int, array<string, mixed>> */
    private $orders = array();

    /** @var array<int, array<string, mixed>> */
    private $products = array();

    /** @var array<string, bool> */
    private $shop = array();

    /** @var array<int, bool> orders whose plain changes are our own paperwork */
    private $quiet = array();

    public function orderPlaced(int $id): void
    {
        $this->note($this->orders, $id, 'placed', true);
    }

    public function orderChanged(int $id): void
    {
        if (!isset($this->quiet[$id])) {
            $this->note($this->orders, $id, 'changed', true);
        }
    }

    public function orderRefunded(int $id): void
    {
        $this->note($this->orders, $id, 'refunded', true);
    }

    public function shipmentChanged(int $id): void
    {
        $this->note($this->orders, $id, 'shipment', true);
    }

    public function orderDeleted(int $id, bool $force): void
    {
        $this->note($this->orders, $id, 'deleted', $force || ($this->orders[$id]['deleted'] ?? false));
    }

    public function orderRestored(int $id): void
    {
        unset($this->orders[$id]['deleted']);
        $this->orderChanged($id);
    }

    public function transition(int $id, string $from, string $to, int $now, bool $byBridge): void
    {
        $transition = array('from' => $from, 'to' => $to, 'at' => Envelope::time($now));
        if ($byBridge) {
            $transition['by_bridge'] = true;
        }
        $this->note($this->orders, $id, 'changed', true);
        $this->orders[$id]['transitions'][] = $transition;
    }

    /** The order has reduced the stock in this request: whatever message comes of it is drawn after that. */
    public function orderReducedStock(int $id): void
    {
        $this->note($this->orders, $id, 'reduced', true);
    }

    public function productChanged(int $id): void
    {
        $this->note($this->products, $id, 'changed', true);
    }

    public function productDeleted(int $id, bool $force): void
    {
        $this->note($this->products, $id, 'deleted', $force || ($this->products[$id]['deleted'] ?? false));
    }

    public function productRestored(int $id): void
    {
        unset($this->products[$id]['deleted']);
        $this->productChanged($id);
    }

    public function stockChanged(int $id): void
    {
        $this->note($this->products, $id, 'stock', true);
    }

    /** This order is the reason for the stock change of that product. */
    public function stockCause(int $productId, int $orderId): void
    {
        if (isset($this->products[$productId]['stock'])) {
            $this->products[$productId]['cause'] = $orderId;
        }
    }

    public function shop(string $type): void
    {
        $this->shop[$type] = true;
    }

    /** Do not report plain changes of this order: we are writing a note or a timeline that the bridge gave us. */
    public function hush(int $orderId): void
    {
        $this->quiet[$orderId] = true;
    }

    public function count(): int
    {
        return count($this->orders) + count($this->products) + count($this->shop);
    }

    /**
     * The notes as messages, oldest object first; afterwards there are none.
     *
     * @return array<int, array{type: string, subject: string, context: array<string, mixed>}>
     */
    public function take(): array
    {
        $messages = array();
        foreach ($this->orders as $id => $notes) {
            $messages = array_merge($messages, self::orderMessages($id, $notes));
        }
        foreach ($this->products as $id => $notes) {
            $messages = array_merge($messages, self::productMessages($id, $notes));
        }
        foreach (array_keys($this->shop) as $type) {
            $messages[] = self::message($type, 'shop');
        }
        $this->forget(array());
        return $messages;
    }

    /**
     * What was noted so far, to come back to when a command fails and its transaction is rolled back.
     *
     * @return array<string, mixed>
     */
    public function remember(): array
    {
        return array('orders' => $this->orders, 'products' => $this->products, 'shop' => $this->shop);
    }

    /**
     * @param array<string, mixed> $remembered
     */
    public function forget(array $remembered): void
    {
        $this->orders = $remembered['orders'] ?? array();
        $this->products = $remembered['products'] ?? array();
        $this->shop = $remembered['shop'] ?? array();
        $this->quiet = array();
    }

    /**
     * @param array<string, mixed> $notes
     * @return array<int, array{type: string, subject: string, context: array<string, mixed>}>
     */
    private static function orderMessages(int $id, array $notes): array
    {
        $subject = 'order/' . $id;
        if (isset($notes['deleted'])) {
            return array(self::message('order.deleted', $subject, array('force' => $notes['deleted'])));
        }
        $types = array();
        if (isset($notes['placed'])) {
            $types[] = 'order.placed';
        } elseif (isset($notes['changed'])) {
            $types[] = 'order.changed';
        }
        if (isset($notes['refunded'])) {
            $types[] = 'order.refunded';
        }
        if (isset($notes['shipment'])) {
            $types[] = 'shipment.changed';
        }
        $messages = array();
        foreach ($types as $place => $type) {
            $messages[] = self::message($type, $subject, $place === 0 ? array_intersect_key($notes, self::RIDING) : array());
        }
        return $messages;
    }

    /**
     * @param array<string, mixed> $notes
     * @return array<int, array{type: string, subject: string, context: array<string, mixed>}>
     */
    private static function productMessages(int $id, array $notes): array
    {
        $subject = 'product/' . $id;
        if (isset($notes['deleted'])) {
            return array(self::message('product.deleted', $subject, array('force' => $notes['deleted'])));
        }
        $messages = array();
        if (isset($notes['changed'])) {
            $messages[] = self::message('product.changed', $subject);
        }
        if (isset($notes['stock'])) {
            $messages[] = self::message('stock.changed', $subject, isset($notes['cause']) ? array('order_id' => $notes['cause']) : array());
        }
        return $messages;
    }

    /**
     * @param array<string, mixed> $context
     * @return array{type: string, subject: string, context: array<string, mixed>}
     */
    private static function message(string $type, string $subject, array $context = array()): array
    {
        return array('type' => $type, 'subject' => $subject, 'context' => $context);
    }

    /**
     * @param array<int, array<string, mixed>> $notes
     * @param mixed $value
     */
    private function note(array &$notes, int $id, string $name, $value): void
    {
        if ($id > 0) {
            $notes[$id][$name] = $value;
        }
    }
}
