<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Sender;
use Shopbridge\Outbox\Verdict;
use Shopbridge\Settings\Connection;
use Shopbridge\Status\Health;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\OpenLock;
use Shopbridge\Tests\PlainSnapshots;
use Shopbridge\Tests\ShopTestCase;
use Shopbridge\Tests\ToldTransport;

final class SenderTest extends ShopTestCase
{
    /** @var MemoryOutbox */
    private $outbox;

    /** @var ToldTransport */
    private $transport;

    /** @var OpenLock */
    private $lock;

    /** @var Breaker */
    private $breaker;

    /** @var int */
    private $now = 100000;

    /** @var PlainSnapshots */
    private $snapshots;

    protected function setUp(): void
    {
        parent::setUp();
        $this->connect();
        $this->outbox = new MemoryOutbox();
        $this->lock = new OpenLock();
        $this->breaker = new Breaker();
        $this->snapshots = new PlainSnapshots();
        $this->transport = new ToldTransport(static fn (): Answer => new Answer(202));
    }

    public function testWhatWaitsIsSentInOrderAndDone(): void
    {
        $this->write('product.changed', 3);
        self::assertFalse($this->sender()->drain(20));
        self::assertSame(array(1, 2, 3), array_column($this->transport->tried, 'sequence'));
        self::assertSame(array(Row::DONE => 3), $this->outbox->counts());
        self::assertSame($this->now, (new Health())->read()['ok_at']);
    }

    public function testWithoutAConnectionNothingIsSent(): void
    {
        delete_option('shopbridge_connection');
        $this->write('product.changed', 1);
        $this->sender()->drain(20);
        self::assertSame(array(), $this->transport->tried);
    }

    public function testOnlyOneProcessSendsAtATime(): void
    {
        $this->write('product.changed', 1);
        $this->lock->free = false;
        $this->sender()->drain(20);
        self::assertSame(array(), $this->transport->tried);
    }

    public function testAThousandEventsOfAnOutageArriveInOrderWithoutLoss(): void
    {
        $this->bridge(new Answer(0, null, 'connection refused'));
        $this->write('product.changed', 1000);
        for ($minute = 0; $minute < 180; $minute++) {
            $this->sender()->drain(20);
            $this->now += 60;
        }
        self::assertSame(1000, $this->outbox->countWaiting());
        self::assertLessThan(60, count($this->transport->tried), 'an outage of three hours must not become thousands of tries');
        $this->transport->tried = array();
        $this->bridge(new Answer(202));
        $this->now += 300;
        self::assertFalse($this->sender()->drain(20));
        self::assertSame(range(1, 1000), array_column($this->transport->tried, 'sequence'));
        self::assertSame(array(Row::DONE => 1000), $this->outbox->counts());
    }

    public function testAnOutageOfSeventyTwoHoursKillsNothing(): void
    {
        $this->bridge(new Answer(503, 30));
        $this->write('product.changed', 20);
        for ($hours = 0; $hours < 72; $hours++) {
            $this->sender()->drain(20);
            $this->now += 3600;
        }
        self::assertSame(array(Row::WAITING => 20), $this->outbox->counts());
        $this->bridge(new Answer(202));
        $this->sender()->drain(20);
        self::assertSame(array(Row::DONE => 20), $this->outbox->counts());
    }

    public function testAfterTenTriesAndSeventyFiveHoursAMessageIsDeadAndShown(): void
    {
        $this->bridge(new Answer(0));
        $this->write('product.changed', 1);
        for ($hours = 0; $hours < 120; $hours++) {
            $this->sender()->drain(20);
            $this->now += 3600;
        }
        self::assertSame(array(Row::DEAD => 1), $this->outbox->counts());
        self::assertSame('no answer', $this->outbox->rows[1]->error);
    }

    public function testAMessageThatComesDuringTheRunCarriesWhatIsTrueThenAndNotWhatWasReadBefore(): void
    {
        $stock = 5;
        // Reads through the cache of the process, as WooCommerce does.
        $this->snapshots = new PlainSnapshots(static function () use (&$stock): array {
            \FakeShop::$read['product'] = \FakeShop::$read['product'] ?? $stock;
            return array('stock' => \FakeShop::$read['product']);
        });
        $told = array();
        $this->transport->bridge = function (string $id, array $event) use (&$stock, &$told): Answer {
            $told[] = $event['data']['stock'];
            if (count($told) === 1) {
                // Another process sells one while this one is sending.
                $stock = 4;
                $this->write('product.changed', 1);
            }
            return new Answer(202);
        };
        $this->write('product.changed', 1);
        $this->sender()->drain(20);
        self::assertSame(array(5, 4), $told);
    }

    public function testTheTimeBudgetEndsARunAndSaysThatMoreIsLeft(): void
    {
        $this->transport->bridge = function (): Answer {
            $this->now += 1;
            return new Answer(202);
        };
        $this->write('product.changed', 50);
        self::assertTrue($this->sender()->drain(20));
        self::assertSame(30, $this->outbox->countWaiting());
    }

    public function testOnePoisonedMessageDoesNotHoldUpTheOthers(): void
    {
        $this->transport->bridge = static fn (string $id, array $message): Answer => new Answer($message['subject'] === 'product/2' ? 500 : 202);
        $this->write('product.changed', 4);
        $this->sender()->drain(20);
        self::assertSame(array(Row::DONE => 3, Row::WAITING => 1), $this->sorted());
        self::assertFalse($this->breaker->probing());
        self::assertSame($this->now + 5, $this->outbox->rows[2]->nextAt);
    }

    public function testLaterMessagesOfAPoisonedSubjectWaitForIt(): void
    {
        $this->bridge(new Answer(500));
        $this->outbox->append(array($this->message('order.placed', 'order/1'), $this->message('order.changed', 'order/1')), $this->now);
        $this->sender()->drain(20);
        self::assertSame(array('order.placed'), array_column($this->transport->tried, 'type'));
    }

    public function testThreeErrorsInARowMeanThatTheBridgeIsIll(): void
    {
        $this->bridge(new Answer(500));
        $this->write('product.changed', 100);
        $this->sender()->drain(20);
        self::assertCount(3, $this->transport->tried);
        self::assertTrue($this->breaker->probing());
    }

    /** @dataProvider refusals */
    public function testWhatIsWrongForEverIsParkedAndTheNextIsSent(int $code): void
    {
        $this->transport->bridge = static fn (string $id): Answer => new Answer($id === 'evt_1' ? $code : 202);
        $this->write('product.changed', 2);
        $this->sender()->drain(20);
        self::assertSame(array(Row::DONE => 1, Row::PARKED => 1), $this->sorted());
    }

    /** @return array<int, array{int}> */
    public function refusals(): array
    {
        return array(array(400), array(413), array(415), array(422));
    }

    public function testAWrongSignatureStopsAllKeepsAllAndTriesOneEveryFiveMinutes(): void
    {
        $this->bridge(new Answer(401));
        $this->write('product.changed', 10);
        for ($minute = 0; $minute < 60; $minute++) {
            $this->sender()->drain(20);
            $this->now += 60;
        }
        self::assertCount(12, $this->transport->tried);
        self::assertSame(array(Row::WAITING => 10), $this->outbox->counts());
        self::assertSame(0, $this->outbox->rows[1]->tries);
    }

    public function testARemovedConnectionIsNeverTriedAgain(): void
    {
        $this->bridge(new Answer(410));
        $this->write('product.changed', 2);
        $this->sender()->drain(20);
        $this->now += 10 * 86400;
        $this->sender()->drain(20);
        self::assertCount(1, $this->transport->tried);
        self::assertSame(Verdict::REMOVED, $this->breaker->read()['kind']);
    }

    public function testRetryAfterIsKept(): void
    {
        $this->bridge(new Answer(429, 120));
        $this->write('product.changed', 2);
        $this->sender()->drain(20);
        $this->now += 119;
        $this->sender()->drain(20);
        self::assertCount(1, $this->transport->tried);
        $this->now += 1;
        $this->sender()->drain(20);
        self::assertCount(2, $this->transport->tried);
    }

    public function testCoalescedMessagesLeaveAsOneWithAllTransitions(): void
    {
        $step = static fn (string $to): array => array('transitions' => array(array('from' => 'x', 'to' => $to, 'at' => 'now')));
        $this->outbox->append(
            array(
                array('type' => 'order.changed', 'subject' => 'order/1', 'context' => $step('on-hold')),
                array('type' => 'order.refunded', 'subject' => 'order/1', 'context' => array()),
                array('type' => 'order.changed', 'subject' => 'order/1', 'context' => $step('completed')),
            ),
            $this->now
        );
        $this->sender()->drain(20);
        self::assertSame(array('order.refunded', 'order.changed'), array_column($this->transport->tried, 'type'));
        self::assertSame(array('on-hold', 'completed'), array_column($this->transport->tried[1]['data']['context']['transitions'], 'to'));
    }

    public function testAMessageAboutAGoneObjectBecomesItsDeletion(): void
    {
        $this->snapshots = new PlainSnapshots(
            static fn (Row $row): ?array => $row->type === 'product.deleted' ? array('id' => 7, 'force' => !empty($row->context['force'])) : null
        );
        $this->outbox->append(array($this->message('stock.changed', 'product/7')), $this->now);
        $this->sender()->drain(20);
        self::assertSame(array('product.deleted'), array_column($this->transport->tried, 'type'));
        self::assertTrue($this->transport->tried[0]['data']['force']);
    }

    public function testADeletionOnItsWayIsNotToldTwice(): void
    {
        $this->snapshots = new PlainSnapshots(static fn (Row $row): ?array => $row->type === 'order.deleted' ? array('id' => 1) : null);
        $this->outbox->append(array($this->message('order.changed', 'order/1'), $this->message('order.deleted', 'order/1')), $this->now);
        $this->sender()->drain(20);
        self::assertCount(1, $this->transport->tried);
    }

    public function testAnOrderThatCannotBeReadDoesNotStopTheRest(): void
    {
        $this->snapshots = new PlainSnapshots(
            static function (Row $row): array {
                if ($row->objectId() <= 5) {
                    throw new \RuntimeException('another plugin is broken');
                }
                return array('id' => $row->objectId());
            }
        );
        $this->write('product.changed', 8);
        $this->sender()->drain(20);
        self::assertSame(array(Row::DONE => 3, Row::WAITING => 5), $this->sorted());
        self::assertStringContainsString('another plugin is broken', $this->outbox->rows[1]->error);
    }

    private function sender(): Sender
    {
        return new Sender(
            new Connection(),
            $this->outbox,
            $this->breaker,
            $this->lock,
            $this->transport,
            $this->snapshots,
            new Health(),
            fn (): int => $this->now
        );
    }

    private function bridge(Answer $answer): void
    {
        $this->transport->bridge = static fn (): Answer => $answer;
    }

    private function write(string $type, int $many): void
    {
        $messages = array();
        for ($number = 1; $number <= $many; $number++) {
            $messages[] = $this->message($type, 'product/' . $number);
        }
        $this->outbox->append($messages, $this->now);
    }

    /** @return array{type: string, subject: string} */
    private function message(string $type, string $subject): array
    {
        return array('type' => $type, 'subject' => $subject);
    }

    /** @return array<string, int> */
    private function sorted(): array
    {
        $counts = $this->outbox->counts();
        ksort($counts);
        return $counts;
    }
}
