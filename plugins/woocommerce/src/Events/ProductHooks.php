<?php

/**
 * Listens to what happens to products and their stock, in the shop's admin, by orders, imports and other plugins (FACTS section 2).
 */

declare(strict_types=1);

namespace Shopbridge\Events;

class ProductHooks
{
    private const TYPES = array('product', 'product_variation');

    /** @var Collector */
    private $collector;

    /** @var Recorder */
    private $recorder;

    /** @var array<int, bool> products that WooCommerce is saving only because their stock is being changed */
    private $stockOnly = array();

    public function __construct(Collector $collector, Recorder $recorder)
    {
        $this->collector = $collector;
        $this->recorder = $recorder;
    }

    public function register(): void
    {
        foreach (array('new_product', 'update_product', 'new_product_variation', 'update_product_variation') as $name) {
            add_action('woocommerce_' . $name, array($this, 'changed'), 10, 2);
        }
        foreach (array('woocommerce_product_before_set_stock', 'woocommerce_variation_before_set_stock') as $name) {
            add_action($name, array($this, 'stockStarts'));
        }
        foreach (array('woocommerce_product_set_stock', 'woocommerce_variation_set_stock') as $name) {
            add_action($name, array($this, 'stock'));
        }
        foreach (array('woocommerce_product_set_stock_status', 'woocommerce_variation_set_stock_status') as $name) {
            add_action($name, array($this, 'stockStatus'));
        }
        add_action('woocommerce_restock_refunded_item', array($this, 'restocked'), 10, 4);
        // Products are posts: these see the trash, the deletion past the trash and the way back, whoever does it.
        add_action('trashed_post', array($this, 'trashed'));
        add_action('untrashed_post', array($this, 'restored'));
        add_action('before_delete_post', array($this, 'deleted'), 10, 2);
    }

    /**
     * @param int|string $id
     * @param mixed $product
     */
    public function changed($id, $product = null): void
    {
        if (isset($this->stockOnly[(int) $id])) {
            return;
        }
        $this->collector->productChanged((int) $id);
        if ($product instanceof \WC_Product_Variation) {
            $this->collector->productChanged($product->get_parent_id());
        }
        $this->recorder->writeWhenMany();
    }

    /**
     * wc_update_product_stock() saves the whole product; between this hook and the next one that is not a change of the product.
     *
     * @param mixed $product
     */
    public function stockStarts($product): void
    {
        if ($product instanceof \WC_Product && $product->get_changes() === array()) {
            $this->stockOnly[$product->get_id()] = true;
        }
    }

    /** @param mixed $product */
    public function stock($product): void
    {
        if ($product instanceof \WC_Product) {
            unset($this->stockOnly[$product->get_id()]);
            $this->collector->stockChanged($product->get_id());
            $this->recorder->writeWhenMany();
        }
    }

    /** @param int|string $id */
    public function stockStatus($id): void
    {
        $this->collector->stockChanged((int) $id);
    }

    /**
     * @param int|string $productId
     * @param mixed $old
     * @param mixed $new
     * @param mixed $order
     */
    public function restocked($productId, $old, $new, $order): void
    {
        if ($order instanceof \WC_Order) {
            $this->collector->stockCause((int) $productId, $order->get_id());
        }
    }

    /** @param int|string $id */
    public function trashed($id): void
    {
        if (in_array(get_post_type((int) $id), self::TYPES, true)) {
            $this->collector->productDeleted((int) $id, false);
        }
    }

    /** @param int|string $id */
    public function restored($id): void
    {
        if (in_array(get_post_type((int) $id), self::TYPES, true)) {
            $this->collector->productRestored((int) $id);
        }
    }

    /**
     * @param int|string $id
     * @param mixed $post
     */
    public function deleted($id, $post = null): void
    {
        if ($post instanceof \WP_Post && in_array($post->post_type, self::TYPES, true) && $post->post_status !== 'auto-draft') {
            $this->collector->productDeleted((int) $id, true);
        }
    }
}
