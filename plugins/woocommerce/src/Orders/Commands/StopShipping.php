<?php

/**
 * order.stop_shipping: the buyer has cancelled; nothing may leave the house any more (C6).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\Shelf;
use Shopbridge\Orders\Tracking\Parcels;

final class StopShipping implements Command
{
    public const META = '_shopbridge_stop';

    /** @var Shelf */
    private $shelf;

    /** @var Parcels */
    private $parcels;

    /** @var Mails */
    private $mails;

    public function __construct(Shelf $shelf, Parcels $parcels, Mails $mails)
    {
        $this->shelf = $shelf;
        $this->parcels = $parcels;
        $this->mails = $mails;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $reason = sanitize_text_field($data->optional('reason', 300));
        $reason = $reason === '' ? __('The buyer has cancelled.', 'shopbridge') : $reason;
        $already = (string) $order->get_meta(self::META) !== '';
        if (!$already) {
            $this->mails->hold(fn () => $this->stop($order, $reason));
        }
        $shipped = $order->get_status() === 'completed' || $this->parcels->sent($order) !== array();
        $truth = array('order_id' => (string) $order->get_id(), 'status' => $order->get_status(), 'already_shipped' => $shipped);
        return new Done($truth, $already);
    }

    private function stop(\WC_Order $order, string $reason): void
    {
        $order->update_meta_data(self::META, $reason);
        if ($order->get_status() === 'processing') {
            $order->set_status('on-hold');
        }
        $order->save();
        /* translators: %s: reason */
        $order->add_order_note(Note::plain(sprintf(__('Do not ship! %s', 'shopbridge'), $reason)));
    }
}
