<?php

/**
 * What the bridge keeps of a product that came through the network: its key, and what it wrote last, so that what the merchant has changed
 * since is left alone.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

final class ManagedProduct
{
    /** Our key of the product. */
    public const KEY = '_shopbridge_key';

    /** 'yes' while price and stock are kept by the bridge. */
    public const MANAGED = '_shopbridge_managed';

    /** 'yes' when the bridge made it; else it was the merchant's and was found by its GTIN or SKU. */
    public const MADE = '_shopbridge_made';

    /** The name, status and pictures that the bridge wrote last. */
    public const NAME = '_shopbridge_name';
    public const STATUS = '_shopbridge_status';
    public const IMAGES = '_shopbridge_images';

    public const METAS = array(self::KEY, self::MANAGED, self::MADE, self::NAME, self::STATUS, self::IMAGES);

    public static function isManaged(\WC_Product $product): bool
    {
        return $product->get_meta(self::MANAGED) === 'yes';
    }

    public static function isOurs(\WC_Product $product): bool
    {
        return $product->get_id() === 0 || $product->get_meta(self::MADE) === 'yes';
    }
}
