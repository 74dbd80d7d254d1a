<?php

/**
 * A product or variation as WooCommerce's REST API v3 renders it, plus what only the shop knows (protocol.md 3.1).
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Products\NetworkFacts;
use Shopbridge\Products\ProductFields;
use Shopbridge\Products\Releases;
use Shopbridge\Settings\Choices;

class ProductSnapshot
{
    /** Rendered for a browser or private to the shop; nobody needs it to sell the product elsewhere. */
    private const LEFT_OUT = array('price_html', 'related_ids', 'downloads', 'cost_of_goods_sold', 'purchase_note', 'upsell_ids', 'cross_sell_ids');

    /** @var Choices */
    private $choices;

    /** @var Outbox */
    private $outbox;

    public function __construct(Choices $choices, Outbox $outbox)
    {
        $this->choices = $choices;
        $this->outbox = $outbox;
    }

    /**
     * @return array<string, mixed>|null
     */
    public function of(int $id): ?array
    {
        $product = self::product($id);
        if ($product === null) {
            return null;
        }
        $data = array_diff_key(RestView::product($product), array_flip(self::LEFT_OUT));
        $data['meta_data'] = self::meta($data);
        $data['parent_id'] = $product->get_parent_id();
        $data['categories'] = NetworkFacts::categories($product);
        $data['shopbridge'] = array(
            'currency' => (string) get_woocommerce_currency(),
            'prices_include_tax' => wc_prices_include_tax() || !wc_tax_enabled(),
            'gtin' => $this->gtin($product),
            'handling_days' => null,
        ) + NetworkFacts::of($product);
        return $data;
    }

    /**
     * @return array<string, mixed>|null
     */
    public function stock(Row $row): ?array
    {
        $product = self::product($row->objectId());
        if ($product === null) {
            return null;
        }
        if ($product->is_type('variable') && empty($row->context['told_children'])) {
            $this->tellChildren($product, $row);
        }
        $quantity = $product->get_stock_quantity();
        return array(
            'id' => $product->get_id(),
            'sku' => $product->get_sku(),
            'manage_stock' => $product->managing_stock(),
            'stock_quantity' => $quantity === null ? null : self::whole($quantity),
            'stock_status' => $product->get_stock_status(),
            'order_id' => $row->context['order_id'] ?? null,
        );
    }

    public function gtin(\WC_Product $product): ?string
    {
        $source = $this->choices->gtinSource();
        $gtin = '';
        if ($source !== Choices::GTIN_FIELD) {
            $gtin = $product->get_meta($source);
        } elseif (is_callable(array($product, 'get_global_unique_id'))) {
            $gtin = $product->get_global_unique_id();
        }
        $gtin = is_scalar($gtin) ? trim((string) $gtin) : '';
        return $gtin === '' ? null : $gtin;
    }

    /**
     * A variation may use its parent's stock; then the parent's hook is the only one that fires, and each of its variations has to be told.
     */
    private function tellChildren(\WC_Product $parent, Row $row): void
    {
        $messages = array();
        foreach ($parent->get_children() as $childId) {
            $child = self::product((int) $childId);
            if ($child !== null && $child->managing_stock() === 'parent') {
                $context = array_intersect_key($row->context, array('order_id' => true));
                $messages[] = array('type' => 'stock.changed', 'subject' => 'product/' . $childId, 'context' => $context);
            }
        }
        // A retry of this message may tell them twice; the same state twice does no harm.
        $this->outbox->append($messages, time());
    }

    private static function product(int $id): ?\WC_Product
    {
        $product = wc_get_product($id);
        return $product instanceof \WC_Product && !in_array($product->get_status(), array('trash', 'auto-draft'), true) ? $product : null;
    }

    /**
     * What stands in `shopbridge` already, and what the bridge itself has written here, is left out.
     *
     * @param array<string, mixed> $data
     * @return array<int, array{key: string, value: mixed}>
     */
    private static function meta(array $data): array
    {
        $left = array_merge(ProductFields::ALL, Releases::METAS, array_diff(ManagedProduct::METAS, array(ManagedProduct::KEY)));
        $isTold = static fn (array $meta): bool => !in_array($meta['key'], $left, true);
        return array_values(array_filter(RestView::ourMeta($data['meta_data'] ?? array()), $isTold));
    }

    /**
     * @param int|float|string $quantity
     * @return int|float
     */
    private static function whole($quantity)
    {
        $number = (float) $quantity;
        return floor($number) === $number ? (int) $number : $number;
    }
}
