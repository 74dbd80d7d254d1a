<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Events;

use Shopbridge\Events\Collector;
use Shopbridge\Events\Recorder;
use Shopbridge\Outbox\InlineTry;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class CollectorTest extends ShopTestCase
{
    public function testManyHooksOfOneRequestBecomeOneMessagePerSubjectAndType(): void
    {
        $notes = new Collector();
        $notes->orderPlaced(1);
        $notes->orderChanged(1);
        $notes->orderChanged(1);
        $notes->stockChanged(7);
        $notes->stockChanged(7);
        self::assertSame(array('order.placed order/1', 'stock.changed product/7'), $this->told($notes));
        self::assertSame(array(), $notes->take(), 'told once');
    }

    public function testARefundIsToldBesideTheChangeAndTransitionsOnlyOnce(): void
    {
        $notes = new Collector();
        $notes->orderRefunded(1);
        $notes->transition(1, 'completed', 'refunded', 0, false);
        $messages = $notes->take();
        self::assertSame(array('order.changed', 'order.refunded'), array_column($messages, 'type'));
        self::assertCount(1, $messages[0]['context']['transitions']);
        self::assertSame(array(), $messages[1]['context']);
    }

    public function testATransitionOfACommandIsMarked(): void
    {
        $notes = new Collector();
        $notes->transition(1, 'processing', 'cancelled', 0, true);
        $notes->transition(1, 'cancelled', 'processing', 0, false);
        $steps = $notes->take()[0]['context']['transitions'];
        self::assertTrue($steps[0]['by_bridge']);
        self::assertArrayNotHasKey('by_bridge', $steps[1]);
        self::assertSame('1970-01-01T00:00:00Z', $steps[0]['at']);
    }

    public function testADeletedObjectIsOnlyDeleted(): void
    {
        $notes = new Collector();
        $notes->orderChanged(1);
        $notes->orderDeleted(1, false);
        $notes->productChanged(7);
        $notes->productDeleted(7, false);
        $notes->productDeleted(7, true);
        $messages = $notes->take();
        self::assertSame(array('order.deleted', 'product.deleted'), array_column($messages, 'type'));
        self::assertSame(array(false, true), array_column(array_column($messages, 'context'), 'force'));
    }

    public function testWhatComesBackFromTheTrashIsAChange(): void
    {
        $notes = new Collector();
        $notes->productDeleted(7, false);
        $notes->productRestored(7);
        self::assertSame(array('product.changed product/7'), $this->told($notes));
    }

    public function testOurOwnPaperworkIsNotReportedButTheRestIs(): void
    {
        $notes = new Collector();
        $notes->hush(1);
        $notes->orderChanged(1);
        self::assertSame(array(), $notes->take());
        $notes->hush(1);
        $notes->transition(1, 'a', 'b', 0, false);
        self::assertCount(1, $notes->take());
    }

    public function testTheOrderBehindAStockChangeIsNamed(): void
    {
        $notes = new Collector();
        $notes->stockChanged(7);
        $notes->stockCause(7, 1042);
        $notes->stockCause(8, 1042);
        $messages = $notes->take();
        self::assertCount(1, $messages);
        self::assertSame(1042, $messages[0]['context']['order_id']);
    }

    public function testTheNotesOfAFailedCommandAreForgotten(): void
    {
        $notes = new Collector();
        $notes->productChanged(1);
        $before = $notes->remember();
        $notes->orderPlaced(2);
        $notes->forget($before);
        self::assertSame(array('product.changed product/1'), $this->told($notes));
    }

    public function testARequestIsWrittenWithOneCallWhateverHappenedInIt(): void
    {
        $outbox = new class extends \Shopbridge\Outbox\Outbox {
            /** @var int[] */
            public $calls = array();

            public function append(array $messages, int $now): int
            {
                $this->calls[] = count($messages);
                return 1;
            }
        };
        $notes = new Collector();
        $recorder = new Recorder($notes, $outbox, $this->createStub(InlineTry::class));
        $notes->orderPlaced(1);
        for ($product = 1; $product <= 30; $product++) {
            $notes->stockChanged($product);
        }
        $recorder->write();
        $recorder->write();
        self::assertSame(array(31), $outbox->calls);
    }

    public function testALostInsertIsLoggedAndHarmsNobody(): void
    {
        $outbox = $this->createStub(MemoryOutbox::class);
        $outbox->method('append')->willReturn(0);
        $notes = new Collector();
        $notes->orderPlaced(1);
        (new Recorder($notes, $outbox, $this->createStub(InlineTry::class)))->write();
        self::assertStringContainsString('order/1', \FakeShop::$log[0]);
    }

    /** @return string[] */
    private function told(Collector $notes): array
    {
        return array_map(static fn (array $message): string => $message['type'] . ' ' . $message['subject'], $notes->take());
    }
}
