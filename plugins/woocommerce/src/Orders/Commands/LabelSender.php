<?php

/**
 * order.label_sender: whose address is to be on the label (K7).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Events\Collector;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Note;
use Shopbridge\Orders\Shelf;

final class LabelSender implements Command
{
    public const META = '_shopbridge_label_sender';
    private const FIELDS = array(
        'first_name', 'last_name', 'company', 'address_1', 'address_2', 'postcode', 'city', 'state', 'country', 'phone', 'email',
    );

    /** @var Shelf */
    private $shelf;

    /** @var Collector */
    private $collector;

    public function __construct(Shelf $shelf, Collector $collector)
    {
        $this->shelf = $shelf;
        $this->collector = $collector;
    }

    public function run(CommandData $data): Done
    {
        $order = $this->shelf->order($data);
        $given = $data->object('address');
        $address = array();
        foreach (self::FIELDS as $field) {
            $address[$field] = sanitize_text_field($given->optional($field, 200));
        }
        $already = $order->get_meta(self::META) === $address;
        if (!$already) {
            $this->collector->hush($order->get_id());
            $order->update_meta_data(self::META, $address);
            $order->save();
            $name = $address['company'] !== '' ? $address['company'] : trim($address['first_name'] . ' ' . $address['last_name']);
            /* translators: %s: name of the sender */
            $order->add_order_note(Note::plain(sprintf(__('Labels of this order get the sender %s.', 'shopbridge'), $name)));
        }
        return new Done(array('order_id' => (string) $order->get_id()), $already);
    }
}
