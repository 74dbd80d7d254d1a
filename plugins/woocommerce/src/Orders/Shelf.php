<?php

/**
 * Finds orders, lines and products that a command names, or refuses it.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class Shelf
{
    /** @var callable(): string where the merchant keeps the GTIN */
    private $gtinSource;

    public function __construct(callable $gtinSource)
    {
        $this->gtinSource = $gtinSource;
    }

    public function order(CommandData $data): \WC_Order
    {
        $id = $data->id('order_id');
        $order = wc_get_order($id);
        if (!$order instanceof \WC_Order || $order->get_status() === 'trash') {
            throw new Refusal('order.not_found', 'There is no order ' . $id . ' in this shop.', 'data.order_id');
        }
        return $order;
    }

    public function line(\WC_Order $order, CommandData $line): \WC_Order_Item_Product
    {
        $id = $line->id('id');
        $item = $order->get_item($id);
        if (!$item instanceof \WC_Order_Item_Product) {
            throw new Refusal('line.not_found', 'Order ' . $order->get_id() . ' has no line ' . $id . '.', 'data.lines');
        }
        return $item;
    }

    /** The sellable product by id, SKU or GTIN, in this order; null when the shop has none. */
    public function product(string $id, string $sku, string $gtin): ?\WC_Product
    {
        $candidates = array(
            ctype_digit($id) ? (int) $id : 0,
            $sku === '' ? 0 : (int) wc_get_product_id_by_sku($sku),
            $gtin === '' ? 0 : $this->byGtin($gtin),
        );
        foreach (array_filter($candidates) as $candidate) {
            $product = wc_get_product($candidate);
            if ($product instanceof \WC_Product && $product->get_status() !== 'trash' && !$product->is_type(array('variable', 'grouped'))) {
                return $product;
            }
        }
        return null;
    }

    public function byGtin(string $gtin): int
    {
        $source = ($this->gtinSource)();
        if ($source !== 'global_unique_id') {
            $found = get_posts(
                array(
                    'post_type' => array('product', 'product_variation'),
                    'post_status' => array('publish', 'private', 'draft', 'pending'),
                    'meta_key' => $source,
                    'meta_value' => $gtin,
                    'fields' => 'ids',
                    'numberposts' => 1,
                )
            );
            return (int) ($found[0] ?? 0);
        }
        return function_exists('wc_get_product_id_by_global_unique_id') ? (int) wc_get_product_id_by_global_unique_id($gtin) : 0;
    }

    /** An order that was made for this key, also when our own tables were lost meanwhile. */
    public function orderByKey(string $key): ?\WC_Order
    {
        $query = array('type' => 'shop_order', 'limit' => 5, 'status' => 'any', 'meta_key' => '_shopbridge_key', 'meta_value' => $key);
        foreach (wc_get_orders($query) as $order) {
            // Compared again: a query that does not know a parameter answers everything (FACTS section 4).
            if ($order instanceof \WC_Order && $order->get_meta('_shopbridge_key') === $key) {
                return $order;
            }
        }
        return null;
    }
}
