<?php

/**
 * product.upsert: a product by our key, its GTIN or its SKU, in this order; made when there is none (K3: no description is imported).
 *
 * A managed product is a listing of the network: what the merchant had before or has changed since (name, pictures, category, brand, status)
 * is left alone; price and stock are the bridge's. One that is let go (`managed` false) is the merchant's own from then on.
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
use Shopbridge\Outbox\Outbox;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Products\ShopTaxes;
use Shopbridge\Products\ShopTerms;

final class UpsertProduct implements Command
{
    private const STATUSES = array('publish', 'draft', 'pending', 'private');

    /** @var Once */
    private $once;

    /** @var Shelf */
    private $shelf;

    /** @var Outbox */
    private $outbox;

    public function __construct(Once $once, Shelf $shelf, Outbox $outbox)
    {
        $this->once = $once;
        $this->shelf = $shelf;
        $this->outbox = $outbox;
    }

    public function run(CommandData $data): Done
    {
        $key = $data->key();
        if ($data->has('managed') && !$data->flag('managed', true)) {
            return $this->letGo($data, $key);
        }
        $images = array_values(array_filter($data->list('images'), 'is_string'));
        $created = false;
        $known = $this->once->find('product', $key);
        if ($known > 0 && !$this->isThere($known)) {
            $this->bringBack($known, $key, $data);
        }
        $made = $this->once->run(
            'product',
            $key,
            function () use ($data, $key, &$created): int {
                $product = $this->find($data, $key);
                $created = $product === null;
                return $this->write($product ?? new \WC_Product_Simple(), $data, $key);
            }
        );
        if ($made['already']) {
            $this->write(wc_get_product($made['id']), $data, $key);
        }
        if ($images !== array()) {
            ProductImages::later($made['id'], $images);
        }
        return new Done($this->truth($made['id'], $created, $data));
    }

    /** Found by our key only, and never made: a listing that was taken out of the shop must not bring a product into it. */
    private function letGo(CommandData $data, string $key): Done
    {
        $known = $this->once->find('product', $key);
        $product = $known > 0 && $this->isThere($known) ? wc_get_product($known) : $this->shelf->productByKey($key);
        if (!$product instanceof \WC_Product || $product->get_status() === 'trash' || $product->get_meta(ManagedProduct::KEY) !== $key) {
            throw new Refusal('product.not_found', 'No product of this shop has this key.', 'data.key');
        }
        if ($data->has('stock_quantity')) {
            $product->set_manage_stock(true);
            $product->set_stock_quantity($data->number('stock_quantity'));
        }
        if ($data->has('status') && in_array($data->text('status'), self::STATUSES, true)) {
            $this->status($product, $data->text('status'), true);
        }
        $product->delete_meta_data(ManagedProduct::MANAGED);
        $product->save();
        return new Done($this->truth($product->get_id(), false, $data));
    }

    private function isThere(int $id): bool
    {
        $product = wc_get_product($id);
        return $product instanceof \WC_Product && $product->get_status() !== 'trash';
    }

    /**
     * @return array<string, mixed>
     */
    private function truth(int $id, bool $created, CommandData $data): array
    {
        $truth = array('product_id' => (string) $id, 'created' => $created);
        if ($data->has('stock_quantity')) {
            $product = wc_get_product($id);
            $truth['stock_quantity'] = $product instanceof \WC_Product ? (int) $product->get_stock_quantity() : null;
            $truth['sequence'] = $this->outbox->draw(time());
        }
        return $truth;
    }

    private function find(CommandData $data, string $key): ?\WC_Product
    {
        $product = $this->shelf->productByKey($key) ?? $this->shelf->sellable($data->optional('gtin', 50), $data->optional('sku', 100));
        $other = $product === null ? '' : (string) $product->get_meta(ManagedProduct::KEY);
        if ($product !== null && $other !== '' && $other !== $key && ManagedProduct::isManaged($product)) {
            // Two suppliers of the same article: two writers of one stock would oversell it.
            $text = 'Product ' . $product->get_id() . ' has this GTIN or SKU and already comes through the network as ' . $other . '.';
            throw new Refusal('product.gtin_taken', $text, 'data.gtin');
        }
        return $product;
    }

    /** The merchant had deleted it. When he imports it again everything is sent; a mere update is refused. */
    private function bringBack(int $id, string $key, CommandData $data): void
    {
        if (!$data->has('name') || !$data->has('price')) {
            throw new Refusal('product.not_found', 'The product of this key was deleted in the shop.', 'data.key');
        }
        if (wc_get_product($id) instanceof \WC_Product) {
            // From the trash, where it still holds its SKU. It comes back as a draft, so the status that is told now is news.
            wp_untrash_post($id);
            delete_metadata('post', $id, ManagedProduct::STATUS);
        } else {
            $this->once->forget('product', $key);
        }
    }

    private function write(\WC_Product $product, CommandData $data, string $key): int
    {
        $isNew = $product->get_id() === 0;
        $managed = $data->flag('managed', ManagedProduct::isManaged($product));
        if ($isNew && $data->has('tax_rate')) {
            ShopTaxes::choose($product, $data->text('tax_rate', 20));
        }
        try {
            $this->fill($product, $data, $managed);
        } catch (\WC_Data_Exception $refused) {
            if ($refused->getErrorCode() === 'product_invalid_global_unique_id') {
                throw new Refusal('product.gtin_taken', $refused->getMessage(), 'data.gtin');
            }
            throw new Refusal('data.invalid', $refused->getMessage(), 'data');
        }
        $product->update_meta_data(ManagedProduct::KEY, $key);
        if ($isNew) {
            $product->update_meta_data(ManagedProduct::MADE, 'yes');
        }
        if ($managed) {
            $product->update_meta_data(ManagedProduct::MANAGED, 'yes');
        } else {
            $product->delete_meta_data(ManagedProduct::MANAGED);
        }
        $this->brandField($product, $data);
        $id = (int) $product->save();
        $this->terms($product, $data, $isNew);
        return $id;
    }

    private function fill(\WC_Product $product, CommandData $data, bool $managed): void
    {
        if ($data->has('name')) {
            $this->name($product, sanitize_text_field($data->text('name', 500)), $managed);
        }
        $this->codes($product, $data, $managed);
        if ($data->has('price')) {
            $product->set_regular_price(ShopTaxes::kept($product, $data->cents('price')));
        }
        if ($data->has('stock_quantity')) {
            $product->set_manage_stock(true);
            $product->set_stock_quantity($data->number('stock_quantity'));
        }
        if ($managed) {
            // The stock is somebody else's: what is not there cannot be promised.
            $product->set_backorders('no');
        }
        if ($data->has('status') && in_array($data->text('status'), self::STATUSES, true)) {
            $this->status($product, $data->text('status'), $managed);
        }
    }

    /** A listing is shown or hidden when the bridge says something new; in between the merchant may hide it himself. */
    private function status(\WC_Product $product, string $status, bool $managed): void
    {
        $isNews = (string) $product->get_meta(ManagedProduct::STATUS) !== $status;
        if (!$managed || ($isNews && ManagedProduct::isOurs($product))) {
            $product->set_status($status);
            $product->update_meta_data(ManagedProduct::STATUS, $status);
        }
    }

    private function name(\WC_Product $product, string $name, bool $managed): void
    {
        $last = (string) $product->get_meta(ManagedProduct::NAME);
        $untouched = ManagedProduct::isOurs($product) && ($last === '' || (string) $product->get_name() === $last);
        if (!$managed || $untouched) {
            $product->set_name($name);
            $product->update_meta_data(ManagedProduct::NAME, $name);
        }
    }

    private function codes(\WC_Product $product, CommandData $data, bool $managed): void
    {
        $keep = $managed && !ManagedProduct::isOurs($product);
        $sku = $data->optional('sku', 100);
        if ($sku !== '' && !($keep && (string) $product->get_sku() !== '')) {
            $isFree = $this->shelf->isSkuFree($sku, $product->get_id());
            if (!$managed && !$isFree) {
                throw $data->invalid('sku', 'belongs to another product');
            }
            // A listing goes without when another article, also one in the trash, has the same number.
            if ($isFree) {
                $product->set_sku($sku);
            }
        }
        $gtin = $data->optional('gtin', 50);
        if ($gtin !== '' && !($keep && $this->shelf->gtinOf($product) !== '')) {
            $this->shelf->setGtin($product, $gtin);
        }
    }

    private function brandField(\WC_Product $product, CommandData $data): void
    {
        $brand = sanitize_text_field($data->optional('brand', 100));
        if ($brand !== '') {
            ShopTerms::brandField($product, $brand);
        }
    }

    private function terms(\WC_Product $product, CommandData $data, bool $isNew): void
    {
        $brand = sanitize_text_field($data->optional('brand', 100));
        $category = sanitize_text_field($data->optional('category', 200));
        if ($brand !== '') {
            ShopTerms::brand($product, $brand);
        }
        if ($category !== '' && $isNew) {
            ShopTerms::category($product, $category);
        }
    }
}
