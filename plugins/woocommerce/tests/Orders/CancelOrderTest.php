<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Commands\CancelOrder;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\RefundWriter;
use Shopbridge\Orders\Shelf;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

/** An order of two teas (5.00 each) and three cups (4.00 each). */
final class CancelOrderTest extends ShopTestCase
{
    /** @var CancelOrder */
    private $command;

    /** @var \WC_Order */
    private $order;

    /** @var int */
    private $tea;

    /** @var int */
    private $cup;

    protected function setUp(): void
    {
        parent::setUp();
        $this->order = new \WC_Order(5);
        $this->order->set_status('processing');
        \FakeShop::$orders[5] = $this->order;
        $this->tea = $this->line(2, '10.00');
        $this->cup = $this->line(3, '12.00');
        $shelf = new Shelf(static fn (): string => 'global_unique_id');
        $this->command = new CancelOrder($shelf, new RefundWriter(new Once(), new Mails()), new OrderMemory(new MemoryOutbox()));
    }

    public function testMoreThanIsLeftIsRefusedWhole(): void
    {
        $this->refundedByHand('r1', array($this->tea => 1), '5.00');
        $this->expectExceptionObject(new Refusal('order.not_cancellable', "Line $this->tea has fewer pieces left.", 'data.lines'));
        try {
            $this->cancel('c1', array($this->tea => 2, $this->cup => 3), false);
        } finally {
            self::assertCount(1, $this->order->refunds);
        }
    }

    public function testAtMostWhatIsLeftIsCancelledAndTold(): void
    {
        $this->refundedByHand('r1', array($this->tea => 1), '5.00');
        foreach (array(false, true) as $again) {
            $done = $this->cancel('c1', array($this->tea => 2, $this->cup => 2), true);
            self::assertSame($again, $done->already);
            self::assertSame(array($this->told($this->tea, 1), $this->told($this->cup, 2)), $done->data['lines']);
        }
        self::assertCount(2, $this->order->refunds);
        self::assertSame('13.00', $this->order->refunds[1]->get_amount());
    }

    public function testTheLastOfItCancelsTheOrder(): void
    {
        $this->refundedByHand('r1', array($this->tea => 2), '10.00');
        $done = $this->cancel('c1', array($this->tea => 2, $this->cup => 3), true);
        self::assertSame(array($this->told($this->cup, 3)), $done->data['lines']);
        self::assertSame('cancelled', $done->data['status']);
    }

    public function testMoneyThatIsNotLeftIsNotTakenBack(): void
    {
        $this->refundedByHand('r1', array(), '15.00');
        $done = $this->cancel('c1', array($this->tea => 2), true);
        self::assertSame(array($this->told($this->tea, 2)), $done->data['lines']);
        self::assertSame('7.00', $this->order->refunds[1]->get_amount());
    }

    /** @dataProvider overs */
    public function testOfAnOrderThatIsOverNothingIsLeft(string $status): void
    {
        $this->order->set_status($status);
        $lines = $this->cancel('c1', array($this->tea => 2), true);
        self::assertTrue($lines->already);
        self::assertSame(array(), $lines->data['lines']);
        $whole = $this->cancel('c2', null, true);
        self::assertTrue($whole->already);
        self::assertSame($status, $whole->data['status']);
        self::assertSame(array(), $this->order->refunds);
    }

    /** @return array<int, array{string}> */
    public function overs(): array
    {
        return array(array('cancelled'), array('refunded'), array('failed'));
    }

    public function testACompletedOrderIsNotCancelledAllTheSame(): void
    {
        $this->order->set_status('completed');
        $this->expectException(Refusal::class);
        $this->cancel('c1', array($this->tea => 1), true);
    }

    private function line(int $quantity, string $total): int
    {
        $item = new \WC_Order_Item_Product();
        $item->set_quantity($quantity);
        $item->set_total($total);
        $this->order->add_item($item);
        return $item->save();
    }

    /**
     * @param array<int, int>|null $lines
     */
    private function cancel(string $key, ?array $lines, bool $atMost): \Shopbridge\Orders\Done
    {
        // What OrderHooks does while a command is carried out.
        \FakeShop::$hooks = array();
        add_action('woocommerce_create_refund', static fn (\WC_Order_Refund $refund) => $refund->update_meta_data('_shopbridge_key', $key));
        $parts = null;
        foreach ($lines ?? array() as $id => $quantity) {
            $parts[] = array('id' => (string) $id, 'quantity' => $quantity);
        }
        $data = array('order_id' => '5', 'key' => $key, 'lines' => $parts, 'reason' => 'out_of_stock', 'at_most' => $atMost);
        return $this->command->run(new CommandData($data));
    }

    /**
     * @param array<int, int> $lines
     */
    private function refundedByHand(string $key, array $lines, string $amount): void
    {
        $items = array_map(static fn (int $quantity): array => array('qty' => $quantity, 'refund_total' => '0', 'refund_tax' => array()), $lines);
        wc_create_refund(array('order_id' => 5, 'amount' => $amount, 'line_items' => $items));
    }

    /** @return array{id: string, quantity: int} */
    private function told(int $id, int $quantity): array
    {
        return array('id' => (string) $id, 'quantity' => $quantity);
    }
}
