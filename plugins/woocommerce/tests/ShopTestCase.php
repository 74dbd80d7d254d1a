<?php

declare(strict_types=1);

namespace Shopbridge\Tests;

use PHPUnit\Framework\TestCase;
use Shopbridge\Outbox\Row;

/** Every test starts with an empty shop: Anna's Teeladen, before the first customer. */
abstract class ShopTestCase extends TestCase
{
    protected const SECRET = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';
    protected const OTHER_SECRET = 'whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY=';

    protected function setUp(): void
    {
        \FakeShop::reset();
    }

    protected function connect(): void
    {
        update_option('shopbridge_secrets', array('event' => self::SECRET, 'command' => self::OTHER_SECRET), false);
        update_option(
            'shopbridge_connection',
            array(
                'bridge_url' => 'https://bridge.example',
                'connection_key' => 'cn_anna',
                'webhook_url' => 'https://bridge.example/webhooks/cn_anna',
                'status_url' => 'https://bridge.example/plugin/status',
                'connected_at' => '1000',
            ),
            true
        );
    }

    /**
     * @param array<string, mixed> $context
     */
    protected function row(int $id, string $type = 'order.changed', string $subject = 'order/1042', array $context = array()): Row
    {
        $stored = array('id' => $id, 'event_id' => 'evt_' . $id, 'type' => $type, 'subject' => $subject, 'created_at' => 1000);
        return Row::of($stored + array('context' => json_encode($context)));
    }
}
