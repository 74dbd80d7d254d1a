<?php

/**
 * Every five minutes: what no hook tells. Tracking numbers saved as plain meta, the daily manifest, old rows, the lead of the sequence.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Events\Manifest;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Settings\Connection;
use Shopbridge\Status\Health;

class Sweep
{
    private const KEEP = 14 * DAY_IN_SECONDS;
    private const KEEP_COMMANDS = 90 * DAY_IN_SECONDS;
    private const WATCHED = 300;
    private const WATCHED_DAYS = 30;

    /** @var Connection */
    private $connection;

    /** @var Outbox */
    private $outbox;

    /** @var Manifest */
    private $manifest;

    /** @var OrderMemory */
    private $memory;

    /** @var CommandMemory */
    private $commands;

    /** @var Parcels */
    private $parcels;

    /** @var Health */
    private $health;

    public function __construct(
        Connection $connection,
        Outbox $outbox,
        Manifest $manifest,
        OrderMemory $memory,
        CommandMemory $commands,
        Parcels $parcels,
        Health $health
    ) {
        $this->connection = $connection;
        $this->outbox = $outbox;
        $this->manifest = $manifest;
        $this->memory = $memory;
        $this->commands = $commands;
        $this->parcels = $parcels;
        $this->health = $health;
    }

    public function register(): void
    {
        add_action(Schedule::SWEEP, array($this, 'run'));
    }

    public function run(): void
    {
        if (!$this->connection->exists()) {
            return;
        }
        $now = time();
        $this->health->swept($now);
        $this->health->save();
        $this->outbox->lift($now);
        $this->manifest->writeWhenDue(new \DateTimeImmutable('@' . $now), wp_timezone());
        $this->lookForParcels($now);
        $this->outbox->prune($now - self::KEEP);
        $this->commands->prune($now - self::KEEP_COMMANDS);
    }

    private function lookForParcels(int $now): void
    {
        $query = array(
            'type' => 'shop_order',
            'status' => array('processing', 'on-hold', 'completed'),
            'created_via' => 'shopbridge',
            'date_created' => '>' . ($now - self::WATCHED_DAYS * DAY_IN_SECONDS),
            'orderby' => 'date',
            'order' => 'DESC',
            'limit' => self::WATCHED,
        );
        $messages = array();
        foreach (wc_get_orders($query) as $order) {
            if (!$order instanceof \WC_Order || (string) $order->get_meta('_shopbridge_key') === '') {
                continue;
            }
            if ($this->memory->parcelsAreNew($order->get_id(), $this->parcels->sent($order), $this->parcels->returning($order))) {
                $messages[] = array('type' => 'shipment.changed', 'subject' => 'order/' . $order->get_id());
            }
        }
        $this->outbox->append($messages, $now);
    }
}
