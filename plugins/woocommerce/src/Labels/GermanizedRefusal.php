<?php

/**
 * A label of Germanized that is never made: it says why, in the way Germanized shows any error of a carrier. Loaded by Germanized only.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class GermanizedRefusal extends \Vendidero\Germanized\Shipments\Labels\Label
{
    /** @return \WP_Error */
    public function fetch()
    {
        $shipment = $this->get_shipment();
        $sender = Sender::of($shipment ? $shipment->get_order() : null);
        return new \WP_Error('shopbridge_label_sender', $sender === null ? '' : $sender->refusal());
    }
}
