<?php

/**
 * An order as WooCommerce's REST API v3 renders it, plus what the bridge asks for (protocol.md 3.2).
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;

class OrderSnapshot
{
    /** Keys to the buyer's order page and traces of the buyer's browser: never needed by the bridge. */
    private const LEFT_OUT = array('order_key', 'payment_url', 'customer_ip_address', 'customer_user_agent', 'cart_hash', 'cart_tax_hash');

    /** @var OrderMemory */
    private $memory;

    /** @var Parcels */
    private $parcels;

    /** @var Outbox */
    private $outbox;

    public function __construct(OrderMemory $memory, Parcels $parcels, Outbox $outbox)
    {
        $this->memory = $memory;
        $this->parcels = $parcels;
        $this->outbox = $outbox;
    }

    /**
     * @return array<string, mixed>|null
     */
    public function of(Row $row): ?array
    {
        $order = wc_get_order($row->objectId());
        if (!$order instanceof \WC_Order) {
            return null;
        }
        if (!empty($row->context['reduced'])) {
            $this->memory->stockReducedBefore($order->get_id(), (int) ($row->context['reduced_at'] ?? $row->id));
        }
        $tracking = $this->parcels->sent($order);
        $returning = $this->parcels->returning($order);
        $this->tellShipment($order, $row, $tracking, $returning);
        $data = array_diff_key(RestView::order($order), array_flip(self::LEFT_OUT));
        $data['meta_data'] = RestView::ourMeta($data['meta_data'] ?? array());
        $key = (string) $order->get_meta('_shopbridge_key');
        $data['shopbridge'] = array(
            'key' => $key === '' ? null : $key,
            'transitions' => $row->context['transitions'] ?? array(),
            'tracking' => $tracking,
            'return_tracking' => $returning,
            'stock_sequence' => $this->memory->stockSequence($order),
            'refunds' => RefundView::all($order),
        );
        return $data;
    }

    /**
     * A number that nobody announced (typed in, imported, saved as plain meta) is noticed here, whatever this message is about.
     *
     * @param array<int, array<string, mixed>> $tracking
     * @param array<int, array<string, mixed>> $returning
     */
    private function tellShipment(\WC_Order $order, Row $row, array $tracking, array $returning): void
    {
        if ($this->memory->parcelsAreNew($order->get_id(), $tracking, $returning) && $row->type !== 'shipment.changed') {
            $this->outbox->append(array(array('type' => 'shipment.changed', 'subject' => $row->subject)), time());
        }
    }
}
