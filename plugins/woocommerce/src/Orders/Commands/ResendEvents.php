<?php

/**
 * events.resend: fills the gaps that the bridge found (D7), or tells it every product anew.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Products\EveryProduct;

final class ResendEvents implements Command
{
    /** @var Outbox */
    private $outbox;

    public function __construct(Outbox $outbox)
    {
        $this->outbox = $outbox;
    }

    public function run(CommandData $data): Done
    {
        $ranges = array();
        foreach ($data->list('ranges') as $range) {
            if (!is_array($range) || count($range) !== 2 || !is_int($range[0] ?? null) || !is_int($range[1] ?? null)) {
                throw $data->invalid('ranges', 'is not a list of [from, to]');
            }
            $ranges[] = array($range[0], $range[1]);
        }
        $queued = $this->outbox->resend($ranges);
        return new Done(array('queued' => $queued + ($data->flag('all_products', false) ? EveryProduct::report($this->outbox, time()) : 0)));
    }
}
