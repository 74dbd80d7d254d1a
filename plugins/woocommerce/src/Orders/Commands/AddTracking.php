<?php

/**
 * order.tracking: a parcel that the shop did not send itself; once for a number, which may come again with more lines in it.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\Shelf;
use Shopbridge\Orders\Tracking\NativeField;
use Shopbridge\Orders\Tracking\Parcels;

final class AddTracking implements Command
{
    /** @var Shelf */
    private $shelf;

    /** @var Parcels */
    private $parcels;

    public function __construct(Shelf $shelf, Parcels $parcels)
    {
        $this->shelf = $shelf;
        $this->parcels = $parcels;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $number = sanitize_text_field($data->text('number', 100));
        $lines = $this->lines($order, $data);
        $known = in_array($number, array_column($this->parcels->sent($order), 'number'), true);
        $already = $known && !NativeField::addLines($order, NativeField::SENT, $number, $lines);
        if (!$known) {
            $this->add($order, $data, $number, $lines);
        } elseif (!$already) {
            $order->save();
        }
        return new Done(array('order_id' => (string) $order->get_id(), 'tracking' => $this->parcels->sent($order)), $already);
    }

    /**
     * @return array<int, array{id: int, quantity: int}>
     */
    private function lines(\WC_Order $order, CommandData $data): array
    {
        $lines = array();
        foreach ($data->objects('lines') as $line) {
            $lines[] = array('id' => $this->shelf->line($order, $line)->get_id(), 'quantity' => $line->quantity('quantity'));
        }
        return $lines;
    }

    /**
     * @param array<int, array{id: int, quantity: int}> $lines
     */
    private function add(\WC_Order $order, CommandData $data, string $number, array $lines): void
    {
        $carrier = sanitize_text_field($data->optional('carrier', 100));
        $url = esc_url_raw($data->optional('url', 500), array('https', 'http'));
        NativeField::add($order, NativeField::SENT, $number, $carrier, $url, time(), $lines === array() ? null : $lines);
        $order->save();
        /* translators: 1: carrier, 2: tracking number */
        $order->add_order_note(Note::plain(sprintf(__('Parcel: %1$s %2$s', 'shopbridge'), $carrier, $number)));
    }
}
