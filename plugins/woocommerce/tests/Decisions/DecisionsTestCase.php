<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Decisions;

use Shopbridge\Decisions\DecisionActions;
use Shopbridge\Decisions\DecisionsBridge;
use Shopbridge\Decisions\DecisionsPage;
use Shopbridge\Outbox\Transport;
use Shopbridge\Screens\Memo;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

/** Anna's Teeladen sells at OTTO and Kaufland; each test says what waits for her there. */
abstract class DecisionsTestCase extends ShopTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        $this->connect();
        $_REQUEST = array();
    }

    protected function page(): string
    {
        ob_start();
        (new DecisionsPage($this->bridge()))->show();
        return (string) ob_get_clean();
    }

    /** @param array<string, mixed> $waiting */
    protected function shown(array $waiting): string
    {
        $this->answer(200, $waiting + array('orders' => array(), 'returns' => array(), 'more' => false));
        return $this->page();
    }

    /**
     * @param array<string, mixed> $typed
     */
    protected function submit(string $deed, array $typed): void
    {
        $_REQUEST = $typed;
        $actions = new class ($this->bridge()) extends DecisionActions {
            protected function leave(): void
            {
            }
        };
        $actions->$deed();
    }

    protected function memo(): Memo
    {
        return Memo::take(DecisionsPage::SLUG);
    }

    /** @param array<string, mixed> $body */
    protected function answer(int $code, array $body): void
    {
        \FakeShop::$answers = array(array('code' => $code, 'body' => (string) json_encode($body)));
    }

    protected function bridge(): DecisionsBridge
    {
        return new DecisionsBridge(new Transport(new Connection(), new Secrets()));
    }

    /**
     * @param array<string, mixed> $changes
     * @return array<string, mixed>
     */
    protected function order(array $changes = array()): array
    {
        return $changes + array(
            'id' => 'ord_5',
            'marketplace' => 'OTTO',
            'external_id' => 'M-1',
            'placed_at' => '2026-11-22T10:00:00Z',
            'ship_by' => '2026-11-24T22:59:59Z',
            'total' => '15.80',
            'currency' => 'EUR',
            'reason' => 'The stock is too low.',
            'lines' => array(array('sku' => 'TEE-001', 'title' => 'Assam', 'quantity' => 2)),
        );
    }

    /**
     * @param array<string, mixed> $changes
     * @return array<string, mixed>
     */
    protected function returned(array $changes = array()): array
    {
        return $changes + array(
            'order' => 'ord_6',
            'marketplace' => 'Kaufland',
            'external_id' => 'M-2',
            'shop_order_id' => '123',
            'shop_number' => 'A-123',
            'return' => 'R-1',
            'arrived' => true,
            'whole' => false,
            'since' => '2026-11-21T08:30:00Z',
            'pieces' => array(
                array('id' => 'ret_1', 'sku' => 'TEE-001', 'title' => 'Assam', 'reason' => 'Too bitter.'),
                array('id' => 'ret_2', 'sku' => 'TEE-002', 'title' => 'Sencha', 'reason' => null),
            ),
            'rejections' => array(
                array('code' => 'damaged', 'text' => 'Came back damaged'),
                array('code' => 'too_late', 'text' => 'Came back too late'),
            ),
        );
    }

    /**
     * @param array<string, mixed> $changes
     * @return array<string, mixed>
     */
    protected function rejection(array $changes = array()): array
    {
        $pieces = array('ret_1');
        return $changes + array('order' => 'ord_6', 'return' => 'R-1', 'pieces' => $pieces, 'reason' => 'damaged', 'note' => 'The tin is dented.');
    }
}
