<?php

/**
 * product.upsert: a product by our key, its GTIN or its SKU, in this order; made when there is none (K3: no description is imported).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Money;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\ProductImages;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;

final class UpsertProduct implements Command
{
    private const STATUSES = array('publish', 'draft', 'pending', 'private');

    /** @var Once */
    private $once;

    /** @var Shelf */
    private $shelf;

    public function __construct(Once $once, Shelf $shelf)
    {
        $this->once = $once;
        $this->shelf = $shelf;
    }

    public function run(CommandData $data): Done
    {
        $key = $data->key();
        $created = false;
        $made = $this->once->run(
            'product',
            $key,
            function () use ($data, $key, &$created): int {
                $id = $this->find($data);
                $created = $id === 0;
                return $this->write($created ? new \WC_Product_Simple() : $this->product($id), $data, $key);
            }
        );
        if ($made['already']) {
            $this->write($this->product($made['id']), $data, $key);
        }
        if ($data->list('images') !== array()) {
            ProductImages::later($made['id'], array_values(array_filter($data->list('images'), 'is_string')));
        }
        return new Done(array('product_id' => (string) $made['id'], 'created' => $created));
    }

    private function find(CommandData $data): int
    {
        $gtin = $data->optional('gtin', 50);
        $sku = $data->optional('sku', 100);
        $id = $gtin === '' ? 0 : $this->shelf->byGtin($gtin);
        return $id === 0 && $sku !== '' ? (int) wc_get_product_id_by_sku($sku) : $id;
    }

    private function product(int $id): \WC_Product
    {
        $product = wc_get_product($id);
        if (!$product instanceof \WC_Product) {
            throw new Refusal('product.not_found', 'The product of this key was deleted in the shop.', 'data.key');
        }
        return $product;
    }

    private function write(\WC_Product $product, CommandData $data, string $key): int
    {
        try {
            $this->fill($product, $data);
        } catch (\WC_Data_Exception $refused) {
            if ($refused->getErrorCode() === 'product_invalid_global_unique_id') {
                throw new Refusal('product.gtin_taken', $refused->getMessage(), 'data.gtin');
            }
            throw new Refusal('data.invalid', $refused->getMessage(), 'data');
        }
        $product->update_meta_data('_shopbridge_key', $key);
        return (int) $product->save();
    }

    private function fill(\WC_Product $product, CommandData $data): void
    {
        if ($data->has('name')) {
            $product->set_name(sanitize_text_field($data->text('name', 500)));
        }
        if ($data->optional('sku', 100) !== '') {
            $product->set_sku($data->text('sku', 100));
        }
        if ($data->optional('gtin', 50) !== '' && is_callable(array($product, 'set_global_unique_id'))) {
            $product->set_global_unique_id($data->text('gtin', 50));
        }
        if ($data->has('price')) {
            $product->set_regular_price(Money::text($data->cents('price')));
        }
        if ($data->has('stock_quantity')) {
            $product->set_manage_stock(true);
            $product->set_stock_quantity($data->number('stock_quantity'));
        }
        if ($data->has('status') && in_array($data->text('status'), self::STATUSES, true)) {
            $product->set_status($data->text('status'));
        }
    }
}
