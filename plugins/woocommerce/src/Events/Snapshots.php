<?php

/**
 * What a message carries: the object as it is now, at the moment of sending. Null when the object is gone.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Outbox\Row;

class Snapshots
{
    /** @var OrderSnapshot */
    private $orders;

    /** @var ProductSnapshot */
    private $products;

    /** @var ShopFacts */
    private $shop;

    /** @var Manifest */
    private $manifest;

    public function __construct(OrderSnapshot $orders, ProductSnapshot $products, ShopFacts $shop, Manifest $manifest)
    {
        $this->orders = $orders;
        $this->products = $products;
        $this->shop = $shop;
        $this->manifest = $manifest;
    }

    /**
     * @return array<string, mixed>|null
     */
    public function of(Row $row): ?array
    {
        switch ($row->type) {
            case 'order.placed':
            case 'order.changed':
            case 'order.refunded':
            case 'shipment.changed':
                return $this->orders->of($row);
            case 'product.changed':
                return $this->products->of($row->objectId());
            case 'stock.changed':
                return $this->products->stock($row);
            case 'order.deleted':
            case 'product.deleted':
                return array('id' => $row->objectId(), 'force' => !empty($row->context['force']));
            case 'settings.changed':
                return $this->shop->settings();
            case 'manifest.daily':
                return $this->manifest->of((string) ($row->context['day'] ?? ''));
            default:
                return $this->shop->plugin();
        }
    }
}
