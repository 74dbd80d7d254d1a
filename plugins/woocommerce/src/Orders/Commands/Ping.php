<?php

/**
 * ping: proves that this shop is the one that was paired.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Events\ShopFacts;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Outbox\Outbox;

final class Ping implements Command
{
    /** @var Outbox */
    private $outbox;

    /** @var ShopFacts */
    private $shop;

    public function __construct(Outbox $outbox, ShopFacts $shop)
    {
        $this->outbox = $outbox;
        $this->shop = $shop;
    }

    public function run(CommandData $data): Done
    {
        $facts = array('challenge' => $data->optional('challenge'), 'shop_url' => home_url());
        return new Done($facts + $this->shop->plugin() + array('queue_length' => $this->outbox->countWaiting()));
    }
}
