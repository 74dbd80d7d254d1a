<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Events;

use Shopbridge\Events\Manifest;
use Shopbridge\Events\OrderSnapshot;
use Shopbridge\Events\ProductSnapshot;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\Tracking\NativeField;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Outbox\Row;
use Shopbridge\Settings\Choices;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class SnapshotTest extends ShopTestCase
{
    /** @var MemoryOutbox */
    private $outbox;

    protected function setUp(): void
    {
        parent::setUp();
        $this->outbox = new MemoryOutbox();
    }

    public function testAnOrderCarriesOurBlockAndNoSecretsOfTheBuyer(): void
    {
        $order = $this->order();
        $order->meta = array('_shopbridge_key' => 'ord_88', '_payment_token' => 'tok_secret');
        $steps = array(array('from' => 'processing', 'to' => 'completed', 'at' => 'x'));
        $data = $this->orders()->of($this->row(9, 'order.changed', 'order/5', array('transitions' => $steps)));
        self::assertSame('ord_88', $data['shopbridge']['key']);
        self::assertSame($steps, $data['shopbridge']['transitions']);
        self::assertArrayNotHasKey('order_key', $data);
        self::assertSame(array('_shopbridge_key'), array_column($data['meta_data'], 'key'));
    }

    public function testAnOrderThatIsGoneHasNoSnapshot(): void
    {
        self::assertNull($this->orders()->of($this->row(9, 'order.changed', 'order/404')));
    }

    public function testTheStockSequenceIsNullUntilTheStockIsReducedAndThenStays(): void
    {
        $order = $this->order();
        self::assertNull($this->orders()->of($this->row(9, 'order.changed', 'order/5'))['shopbridge']['stock_sequence']);
        $order->stockReduced = true;
        $row = $this->row(12, 'order.changed', 'order/5', array('reduced' => true));
        self::assertSame(12, $this->orders()->of($row)['shopbridge']['stock_sequence']);
        self::assertSame(12, $this->orders()->of($this->row(20, 'order.changed', 'order/5'))['shopbridge']['stock_sequence']);
    }

    public function testAfterARestockThereIsNoSequence(): void
    {
        $order = $this->order();
        $order->stockReduced = true;
        $memory = new OrderMemory($this->outbox);
        $memory->stockReduced(5);
        $memory->stockRestored(5);
        $order->stockReduced = false;
        self::assertNull($memory->stockSequence($order));
        $order->stockReduced = true;
        self::assertSame(2, $memory->stockSequence($order), 'reduced again: a new one is drawn');
    }

    public function testANumberThatNobodyAnnouncedIsToldAsAShipmentOnce(): void
    {
        $order = $this->order();
        NativeField::add($order, NativeField::SENT, '00340434161094015902', 'DHL', null, 1000);
        $this->orders()->of($this->row(9, 'order.changed', 'order/5'));
        $this->orders()->of($this->row(10, 'order.changed', 'order/5'));
        self::assertSame(array('shipment.changed'), array_values(array_map(static fn (Row $row): string => $row->type, $this->outbox->rows)));
    }

    public function testRefundsArePositiveGrossAndMarkedWhenOurs(): void
    {
        $order = $this->order();
        $item = new \WC_Order_Item_Product(77);
        $item->props = array('total' => '-6.64', 'quantity' => -1, 'taxes' => array('total' => array(1 => '-1.26')));
        $item->meta['_refunded_item_id'] = '311';
        $refund = new \WC_Order_Refund(1050);
        $refund->props = array('amount' => '7.90', 'reason' => 'damaged', 'items' => array($item));
        $refund->meta = array('_shopbridge_restocked' => 'yes', '_shopbridge_key' => 'rf_1');
        $order->refunds = array($refund);
        $told = $this->orders()->of($this->row(9, 'order.refunded', 'order/5'))['shopbridge']['refunds'][0];
        $expected = array(
            'id' => 1050,
            'amount' => '7.90',
            'currency' => 'EUR',
            'reason' => 'damaged',
            'created_at' => '2026-11-25T09:00:00Z',
            'by_bridge' => true,
            'key' => 'rf_1',
            'restocked' => true,
            'lines' => array(array('id' => 311, 'quantity' => 1, 'amount' => '7.90')),
        );
        self::assertSame($expected, $told);
    }

    public function testTheGtinComesFromTheFieldThatTheMerchantChose(): void
    {
        $product = new \WC_Product(7);
        $product->props['global_unique_id'] = '4006381333931';
        $product->meta['_ean'] = ' 4012345678901 ';
        \FakeShop::$products[7] = $product;
        self::assertSame('4006381333931', $this->products()->of(7)['shopbridge']['gtin']);
        (new Choices())->remember('_ean', false);
        self::assertSame('4012345678901', $this->products()->of(7)['shopbridge']['gtin']);
    }

    public function testTheStockOfAParentIsToldForEachVariationThatUsesIt(): void
    {
        $parent = new \WC_Product(7);
        $parent->props = array('type' => 'variable', 'children' => array(8, 9), 'stock_quantity' => 31);
        $uses = new \WC_Product_Variation(8);
        $uses->props = array('manage_stock' => 'parent');
        $own = new \WC_Product_Variation(9);
        $own->props = array('manage_stock' => true);
        \FakeShop::$products = array(7 => $parent, 8 => $uses, 9 => $own);
        $data = $this->products()->stock($this->row(3, 'stock.changed', 'product/7', array('order_id' => 5)));
        self::assertSame(31, $data['stock_quantity']);
        self::assertSame(array('product/8'), array_values(array_map(static fn (Row $row): string => $row->subject, $this->outbox->rows)));
        self::assertSame(5, $this->outbox->rows[1]->context['order_id']);
    }

    public function testTheManifestCountsWhatWasSentThatDay(): void
    {
        $noon = (new \DateTimeImmutable('2026-11-21 12:00', wp_timezone()))->getTimestamp();
        $this->outbox->append(array($this->message('order.changed', 'order/1'), $this->message('stock.changed', 'product/2')), $noon);
        $this->outbox->append(array($this->message('stock.changed', 'product/3')), $noon + DAY_IN_SECONDS);
        $this->outbox->append(array($this->message('manifest.daily', 'shop')), $noon);
        foreach ($this->outbox->rows as $row) {
            $row->state = Row::DONE;
        }
        $this->outbox->append(array($this->message('stock.changed', 'product/4')), $noon);
        $manifest = (new Manifest($this->outbox))->of('2026-11-21');
        self::assertSame(2, $manifest['count']);
        self::assertSame(array(1, 2), array($manifest['first_sequence'], $manifest['last_sequence']));
        self::assertSame(array('order.changed' => 1, 'stock.changed' => 1), $manifest['by_type']);
        self::assertSame(hash('sha256', "evt_1\nevt_2"), $manifest['ids_digest']);
        self::assertSame(1, $manifest['waiting']);
    }

    /** @dataProvider nights */
    public function testTheManifestIsWrittenOnceADayAlsoInTheNightsTheClockChanges(string $utc, string $day): void
    {
        $manifest = new Manifest($this->outbox);
        $manifest->writeWhenDue(new \DateTimeImmutable($utc), wp_timezone());
        $manifest->writeWhenDue((new \DateTimeImmutable($utc))->modify('+5 minutes'), wp_timezone());
        self::assertCount(1, $this->outbox->rows);
        self::assertSame($day, $this->outbox->rows[1]->context['day']);
    }

    /** @return array<string, array{string, string}> */
    public function nights(): array
    {
        return array(
            'ten past midnight' => array('2026-11-21T23:10:00Z', '2026-11-21'),
            'five past midnight is too early' => array('2026-11-21T23:04:00Z', '2026-11-20'),
            'after the long day' => array('2026-10-25T23:10:00Z', '2026-10-25'),
            'after the short day' => array('2026-03-29T22:10:00Z', '2026-03-29'),
        );
    }

    private function order(): \WC_Order
    {
        $order = new \WC_Order(5);
        \FakeShop::$orders[5] = $order;
        return $order;
    }

    private function orders(): OrderSnapshot
    {
        return new OrderSnapshot(new OrderMemory($this->outbox), Parcels::all(), $this->outbox);
    }

    private function products(): ProductSnapshot
    {
        return new ProductSnapshot(new Choices(), $this->outbox);
    }

    /** @return array{type: string, subject: string} */
    private function message(string $type, string $subject): array
    {
        return array('type' => $type, 'subject' => $subject);
    }
}
