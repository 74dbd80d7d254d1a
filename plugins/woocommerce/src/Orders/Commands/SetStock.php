<?php

/**
 * stock.set: an absolute number, once for a key: a repeat after a sale must not bring back what was sold (I13).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\Refusal;
use Shopbridge\Outbox\Outbox;

final class SetStock implements Command
{
    /** @var Once */
    private $once;

    /** @var Outbox */
    private $outbox;

    public function __construct(Once $once, Outbox $outbox)
    {
        $this->once = $once;
        $this->outbox = $outbox;
    }

    public function run(CommandData $data): Done
    {
        $id = $data->id('product_id');
        $quantity = $data->number('stock_quantity');
        $made = $this->once->run('stock', $data->key(), fn (): int => $this->set($id, $quantity));
        $product = wc_get_product($id);
        $truth = array(
            'product_id' => (string) $id,
            'stock_quantity' => $product instanceof \WC_Product ? (int) $product->get_stock_quantity() : null,
            'sequence' => $this->outbox->draw(time()),
        );
        return new Done($truth, $made['already']);
    }

    private function set(int $id, int $quantity): int
    {
        $product = wc_get_product($id);
        $isThere = $product instanceof \WC_Product && $product->get_status() !== 'trash';
        if (!$isThere || $product->is_type(array('variable', 'grouped', 'external'))) {
            throw new Refusal('product.not_found', 'There is no product ' . $id . ' with a stock of its own.', 'data.product_id');
        }
        if ($product->managing_stock() !== true) {
            $product->set_manage_stock(true);
            $product->save();
        }
        wc_update_product_stock($product, $quantity, 'set');
        return $id;
    }
}
