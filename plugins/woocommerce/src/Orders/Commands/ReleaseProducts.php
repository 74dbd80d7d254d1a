<?php

/**
 * product.release: what the product page says about the network (K1). Products that this shop does not have are named in the answer.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Products\Releases;

final class ReleaseProducts implements Command
{
    private const MOST = 100;
    private const MOST_REASONS = 20;

    public function run(CommandData $data): Done
    {
        $products = $data->objects('products');
        if (count($products) > self::MOST) {
            throw $data->invalid('products', 'has more than 100 entries');
        }
        // Read all of it before the first is written: a message is carried out whole or not at all.
        $read = array_map(static fn (CommandData $product): array => self::read($product), $products);
        $known = 0;
        $unknown = array();
        foreach ($read as $one) {
            if (in_array(get_post_type($one['id']), array('product', 'product_variation'), true)) {
                Releases::remember($one['id'], $one['state'], $one['reasons']);
                $known++;
            } else {
                $unknown[] = (string) $one['id'];
            }
        }
        return new Done(array('known' => $known, 'unknown' => $unknown));
    }

    /**
     * @return array{id: int, state: string, reasons: array<int, array{code: string, text: string, field: string}>}
     */
    private static function read(CommandData $product): array
    {
        $state = $product->text('state', 20);
        if (!in_array($state, array(Releases::RELEASED, Releases::NOT_RELEASED), true)) {
            throw $product->invalid('state', 'is neither released nor not_released');
        }
        $reasons = array();
        foreach (array_slice($product->objects('reasons'), 0, self::MOST_REASONS) as $reason) {
            $reasons[] = array(
                'code' => sanitize_text_field($reason->text('code', 100)),
                'text' => sanitize_text_field($reason->optional('text', 500)),
                'field' => sanitize_text_field($reason->optional('field', 100)),
            );
        }
        return array('id' => $product->id('product_id'), 'state' => $state, 'reasons' => $state === Releases::RELEASED ? array() : $reasons);
    }
}
