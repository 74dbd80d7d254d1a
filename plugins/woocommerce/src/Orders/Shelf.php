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

    /** The product with this GTIN, however the shop writes it (with hyphens, with or without zeros in front); 0 when there is none. */
    public function byGtin(string $gtin): int
    {
        $source = ($this->gtinSource)();
        foreach (self::spellings($gtin) as $spelling) {
            if ($source !== 'global_unique_id') {
                $found = (int) ($this->byMeta($source, $spelling)[0] ?? 0);
            } else {
                $found = function_exists('wc_get_product_id_by_global_unique_id') ? (int) wc_get_product_id_by_global_unique_id($spelling) : 0;
            }
            if ($found > 0) {
                return $found;
            }
        }
        return 0;
    }

    /**
     * @return string[]
     */
    private static function spellings(string $gtin): array
    {
        $spellings = array($gtin, (string) preg_replace('/[\s-]/', '', $gtin));
        $bare = self::bare($gtin);
        if (ctype_digit($bare) && strlen($bare) >= 6) {
            foreach (array(8, 12, 13, 14) as $length) {
                if (strlen($bare) <= $length) {
                    $spellings[] = str_pad($bare, $length, '0', STR_PAD_LEFT);
                }
            }
        }
        return array_values(array_unique($spellings));
    }

    /** Without what does not count: 0012345678905 and 012345678905 are one article. */
    private static function bare(string $gtin): string
    {
        return ltrim((string) preg_replace('/[\s-]/', '', $gtin), '0');
    }

    /**
     * @return array<int, int|string> ids
     */
    private function byMeta(string $key, string $value): array
    {
        $query = array(
            'post_type' => array('product', 'product_variation'),
            'post_status' => array('publish', 'private', 'draft', 'pending'),
            'meta_key' => $key,
            'meta_value' => $value,
            'fields' => 'ids',
            'numberposts' => 1,
        );
        return get_posts($query);
    }

    /**
     * The product that a listing may be put on: by GTIN, else by SKU when that one's GTIN is not another. Parents of variations and groups
     * cannot be sold.
     */
    public function sellable(string $gtin, string $sku): ?\WC_Product
    {
        $product = $gtin === '' ? null : $this->product('', '', $gtin);
        if ($product === null && $sku !== '') {
            $product = $this->product('', $sku, '');
            $other = $product === null ? '' : $this->gtinOf($product);
            $product = $other !== '' && $gtin !== '' && self::bare($other) !== self::bare($gtin) ? null : $product;
        }
        return $product !== null && $product->is_type('external') ? null : $product;
    }

    /** Whether no other product has this SKU. One in the trash counts: WooCommerce refuses to save a second one with it. */
    public function isSkuFree(string $sku, int $productId): bool
    {
        global $wpdb;
        $owner = (int) wc_get_product_id_by_sku($sku);
        if ($owner === 0) {
            $query = "SELECT product_id FROM {$wpdb->prefix}wc_product_meta_lookup WHERE sku = %s AND product_id <> %d LIMIT 1";
            $owner = (int) $wpdb->get_var($wpdb->prepare($query, $sku, $productId));
        }
        return $owner === 0 || $owner === $productId;
    }

    /** A product that was made for this key, also when our own tables were lost meanwhile. */
    public function productByKey(string $key): ?\WC_Product
    {
        foreach ($this->byMeta('_shopbridge_key', $key) as $id) {
            $product = wc_get_product((int) $id);
            if ($product instanceof \WC_Product && $product->get_meta('_shopbridge_key') === $key) {
                return $product;
            }
        }
        return null;
    }

    public function gtinOf(\WC_Product $product): string
    {
        $source = ($this->gtinSource)();
        if ($source !== 'global_unique_id') {
            $gtin = $product->get_meta($source);
            return is_scalar($gtin) ? trim((string) $gtin) : '';
        }
        return is_callable(array($product, 'get_global_unique_id')) ? trim((string) $product->get_global_unique_id()) : '';
    }

    /** Writes it where the merchant keeps GTINs, and into WooCommerce's own field. */
    public function setGtin(\WC_Product $product, string $gtin): void
    {
        $source = ($this->gtinSource)();
        if ($source !== 'global_unique_id') {
            $product->update_meta_data($source, $gtin);
        }
        if (is_callable(array($product, 'set_global_unique_id'))) {
            $product->set_global_unique_id($gtin);
        }
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
