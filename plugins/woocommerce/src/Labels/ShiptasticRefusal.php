<?php

/**
 * A label of Shiptastic that is never made: it says why, in the way Shiptastic shows any error of a carrier. Loaded by Shiptastic only.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class ShiptasticRefusal extends \Vendidero\Shiptastic\Labels\Label
{
    /** @return \WP_Error */
    public function fetch()
    {
        $shipment = $this->get_shipment();
        $sender = Sender::of($shipment ? $shipment->get_order() : null);
        return new \WP_Error('shopbridge_label_sender', $sender === null ? '' : $sender->refusal());
    }
}
