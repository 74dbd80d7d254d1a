<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Coalescing;
use Shopbridge\Tests\ShopTestCase;

final class CoalescingTest extends ShopTestCase
{
    public function testTheNewestOfASubjectAndTypeSurvivesWithAllTransitionsOldestFirst(): void
    {
        $plan = Coalescing::plan(
            array(
                $this->row(1, 'order.changed', 'order/1', array('transitions' => array($this->step('pending', 'processing')))),
                $this->row(2, 'order.changed', 'order/1'),
                $this->row(3, 'order.changed', 'order/1', array('transitions' => array($this->step('processing', 'completed')))),
            )
        );
        self::assertSame(array(3), array_keys($plan));
        self::assertSame(array(1, 2), $plan[3]['replaced']);
        $expected = array($this->step('pending', 'processing'), $this->step('processing', 'completed'));
        self::assertSame($expected, $plan[3]['context']['transitions']);
    }

    public function testARefundIsNeverReplacedByAChange(): void
    {
        self::assertSame(array(), Coalescing::plan(array($this->row(1, 'order.refunded'), $this->row(2, 'order.changed'))));
    }

    public function testDifferentSubjectsDoNotMeet(): void
    {
        $rows = array($this->row(1, 'stock.changed', 'product/1'), $this->row(2, 'stock.changed', 'product/2'));
        self::assertSame(array(), Coalescing::plan($rows));
    }

    public function testManifestsOfTwoDaysStandForThemselves(): void
    {
        $rows = array($this->row(1, 'manifest.daily', 'shop', array('day' => '1')), $this->row(2, 'manifest.daily', 'shop', array('day' => '2')));
        self::assertSame(array(), Coalescing::plan($rows));
    }

    public function testTheSequenceAfterTheStockReductionIsTheFirstOneKnown(): void
    {
        $rows = array(
            $this->row(5, 'order.changed', 'order/1', array('reduced' => true)),
            $this->row(9, 'order.changed', 'order/1'),
        );
        self::assertSame(5, Coalescing::plan($rows)[9]['context']['reduced_at']);
    }

    public function testNoTransitionIsLostInAnyInterleavingOfRounds(): void
    {
        mt_srand(7);
        $rows = array();
        $told = array();
        for ($id = 1; $id <= 200; $id++) {
            $rows[] = $this->row($id, 'order.changed', 'order/' . mt_rand(1, 5), array('transitions' => array($this->step("s$id", "t$id"))));
            if (mt_rand(0, 3) === 0) {
                $rows = $this->round($rows);
            }
        }
        foreach ($this->round($rows) as $row) {
            foreach ($row->context['transitions'] as $step) {
                $told[] = $step['from'];
            }
        }
        sort($told, SORT_NATURAL);
        self::assertSame(array_map(static fn (int $id): string => "s$id", range(1, 200)), $told);
    }

    /**
     * @param \Shopbridge\Outbox\Row[] $rows
     * @return \Shopbridge\Outbox\Row[]
     */
    private function round(array $rows): array
    {
        $plan = Coalescing::plan($rows);
        $gone = array_merge(array(), ...array_column($plan, 'replaced'));
        $left = array();
        foreach ($rows as $row) {
            if (!in_array($row->id, $gone, true)) {
                $row->context = $plan[$row->id]['context'] ?? $row->context;
                $left[] = $row;
            }
        }
        return $left;
    }

    /** @return array{from: string, to: string, at: string} */
    private function step(string $from, string $to): array
    {
        return array('from' => $from, 'to' => $to, 'at' => '2026-11-21T14:09:28Z');
    }
}
