<?php

/**
 * Listens to what happens to orders, in both order storages. Which hook says what: FACTS section 2.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Orders\BridgeWrites;
use Shopbridge\Orders\OrderMemory;

class OrderHooks
{
    /** Not orders yet: the Store API writes a draft while the buyer is still typing, wp-admin while the form is still open. */
    private const DRAFTS = array('new', 'auto-draft', 'draft', 'checkout-draft');

    /** @var Collector */
    private $collector;

    /** @var BridgeWrites */
    private $writes;

    /** @var OrderMemory */
    private $memory;

    public function __construct(Collector $collector, BridgeWrites $writes, OrderMemory $memory)
    {
        $this->collector = $collector;
        $this->writes = $writes;
        $this->memory = $memory;
    }

    public function register(): void
    {
        add_action('woocommerce_new_order', array($this, 'placed'), 10, 2);
        add_action('woocommerce_update_order', array($this, 'changed'), 10, 2);
        add_action('woocommerce_order_status_changed', array($this, 'status'), 10, 4);
        add_action('woocommerce_create_refund', array($this, 'refundStarts'), 10, 2);
        add_action('woocommerce_order_refunded', array($this, 'refunded'), 10, 1);
        add_action('woocommerce_refund_deleted', array($this, 'refundDeleted'), 10, 2);
        add_action('woocommerce_trash_order', array($this, 'trashed'), 10, 1);
        add_action('woocommerce_before_delete_order', array($this, 'deleted'), 10, 1);
        add_action('woocommerce_untrash_order', array($this, 'restored'), 10, 1);
        // The list of orders in wp-admin trashes posts, not orders, where orders are posts.
        add_action('trashed_post', array($this, 'postTrashed'), 10, 1);
        add_action('untrashed_post', array($this, 'postRestored'), 10, 1);
        add_action('before_delete_post', array($this, 'postDeleted'), 10, 2);
        add_action('woocommerce_reduce_order_stock', array($this, 'stockReduced'), 10, 1);
        add_action('woocommerce_restore_order_stock', array($this, 'stockRestored'), 10, 1);
    }

    /**
     * @param int|string $id
     * @param mixed $order
     */
    public function placed($id, $order = null): void
    {
        if ($this->isOrder($order)) {
            $this->collector->orderPlaced((int) $id);
        }
    }

    /**
     * @param int|string $id
     * @param mixed $order
     */
    public function changed($id, $order = null): void
    {
        if ($this->isOrder($order)) {
            $this->collector->orderChanged((int) $id);
        }
    }

    /**
     * @param int|string $id
     * @param mixed $from
     * @param mixed $to
     * @param mixed $order
     */
    public function status($id, $from, $to, $order = null): void
    {
        if ($this->isOrder($order)) {
            $this->collector->transition((int) $id, (string) $from, (string) $to, time(), $this->writes->active());
        }
    }

    /**
     * Before a refund is saved: write down what nobody can read from it later.
     *
     * @param mixed $refund
     * @param mixed $arguments
     */
    public function refundStarts($refund, $arguments): void
    {
        if (!$refund instanceof \WC_Order_Refund || !is_array($arguments)) {
            return;
        }
        $refund->update_meta_data('_shopbridge_restocked', empty($arguments['restock_items']) ? 'no' : 'yes');
        if ($this->writes->active()) {
            $refund->update_meta_data('_shopbridge_key', $this->writes->key());
        }
    }

    /** @param int|string $orderId */
    public function refunded($orderId): void
    {
        $this->collector->orderRefunded((int) $orderId);
    }

    /**
     * @param int|string $refundId
     * @param int|string $orderId
     */
    public function refundDeleted($refundId, $orderId): void
    {
        $this->collector->orderChanged((int) $orderId);
    }

    /** @param int|string $id */
    public function trashed($id): void
    {
        $this->collector->orderDeleted((int) $id, false);
    }

    /** @param int|string $id */
    public function deleted($id): void
    {
        $this->gone((int) $id, wc_get_order($id));
    }

    /** @param int|string $id */
    public function restored($id): void
    {
        $this->collector->orderRestored((int) $id);
    }

    /** @param int|string $id */
    public function postTrashed($id): void
    {
        if (get_post_type((int) $id) === 'shop_order') {
            $this->collector->orderDeleted((int) $id, false);
        }
    }

    /** @param int|string $id */
    public function postRestored($id): void
    {
        if (get_post_type((int) $id) === 'shop_order') {
            $this->collector->orderRestored((int) $id);
        }
    }

    /**
     * @param int|string $id
     * @param mixed $post
     */
    public function postDeleted($id, $post = null): void
    {
        if ($post instanceof \WP_Post && $post->post_type === 'shop_order') {
            $this->gone((int) $id, wc_get_order($id));
        }
    }

    /** @param mixed $order */
    public function stockReduced($order): void
    {
        if ($order instanceof \WC_Order) {
            $this->causes($order);
            $this->collector->orderReducedStock($order->get_id());
        }
    }

    /** @param mixed $order */
    public function stockRestored($order): void
    {
        if ($order instanceof \WC_Order) {
            $this->causes($order);
            $this->memory->stockRestored($order->get_id());
        }
    }

    private function causes(\WC_Order $order): void
    {
        foreach ($order->get_items() as $item) {
            if ($item instanceof \WC_Order_Item_Product) {
                $this->collector->stockCause($item->get_product_id(), $order->get_id());
                $this->collector->stockCause($item->get_variation_id(), $order->get_id());
            }
        }
    }

    /** @param mixed $order */
    private function gone(int $id, $order): void
    {
        // WooCommerce clears away old drafts of abandoned checkouts; the bridge has never heard of them.
        if ($order instanceof \WC_Order && !in_array($order->get_status(), self::DRAFTS, true)) {
            $this->collector->orderDeleted($id, true);
        }
    }

    /** @param mixed $order */
    private function isOrder($order): bool
    {
        return $order instanceof \WC_Order && !in_array($order->get_status(), self::DRAFTS, true);
    }
}
