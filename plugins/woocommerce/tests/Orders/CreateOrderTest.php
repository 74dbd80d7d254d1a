<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Commands\CreateOrder;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Orders\OrderWriter;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;
use Shopbridge\Orders\Taxes;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class CreateOrderTest extends ShopTestCase
{
    /** @var Mails */
    private $mails;

    /** @var CreateOrder */
    private $command;

    protected function setUp(): void
    {
        parent::setUp();
        $shelf = new Shelf(static fn (): string => 'global_unique_id');
        $this->mails = new Mails();
        $memory = new OrderMemory(new MemoryOutbox());
        $this->command = new CreateOrder(new Once(), new OrderWriter($shelf, new Taxes()), $memory, $shelf, $this->mails);
        $tea = new \WC_Product(17);
        $tea->props = array('sku' => 'TEE-001');
        \FakeShop::$products[17] = $tea;
    }

    public function testTheOrderIsWrittenWithThePricesAsGiven(): void
    {
        $done = $this->create();
        $order = \FakeShop::$orders[(int) $done->data['order_id']];
        self::assertFalse($done->already);
        self::assertSame('shopbridge', $order->props['created_via']);
        self::assertSame('15.80', $order->props['total']);
        self::assertSame('ord_88', $order->meta['_shopbridge_key']);
        self::assertSame('M7X2K9P', $order->meta['_shopbridge_source']['order_id']);
        self::assertSame('Muster', $order->props['shipping_last_name']);
        self::assertSame(array('Kaufland.de order M7X2K9P'), $order->notes);
        self::assertSame('processing', $done->data['status']);
        self::assertSame(1, $done->data['stock_sequence']);
        self::assertSame('ln_77', $done->data['lines'][0]['key']);
        self::assertTrue($done->data['lines'][0]['product_found']);
    }

    public function testWhatOnlyACarrierReadsReachesTheLabel(): void
    {
        $data = $this->draft();
        $data['shipping']['extra'] = array('pickup_location_id' => '137', 'dhl_post_number' => '123456789', 'empty' => '');
        $order = \FakeShop::$orders[(int) $this->create($data)->data['order_id']];
        self::assertSame('123456789', $order->props['shipping_address_2']);
        self::assertSame(array('pickup_location_id' => '137', 'dhl_post_number' => '123456789'), $order->meta['_shopbridge_address_extra']);
        self::assertSame('For the label: pickup location id: 137, dhl post number: 123456789', $order->notes[1]);
    }

    /** @dataProvider addresses */
    public function testAnAddressLineOfTheBuyerIsNotOverwritten(array $address, string $second): void
    {
        $data = $this->draft();
        $data['shipping'] = $address + array('extra' => array('post_number' => '12345678')) + $data['shipping'];
        $order = \FakeShop::$orders[(int) $this->create($data)->data['order_id']];
        self::assertSame($second, $order->props['shipping_address_2']);
        self::assertCount(2, $order->notes);
    }

    /** @return array<string, array{array<string, string>, string}> */
    public function addresses(): array
    {
        return array(
            'a second line' => array(array('address_2' => 'Hinterhaus'), 'Hinterhaus'),
            'there already' => array(array('company' => 'Postnummer 12345678'), ''),
            'free' => array(array(), '12345678'),
        );
    }

    public function testTheNoteIsPlainText(): void
    {
        $order = \FakeShop::$orders[(int) $this->create(array('note' => 'Anna\'s <b>order</b>') + $this->draft())->data['order_id']];
        self::assertSame(array('Anna\'s order'), $order->notes);
    }

    public function testTheSameKeyNeverMakesASecondOrder(): void
    {
        $first = $this->create();
        for ($repeat = 0; $repeat < 5; $repeat++) {
            $again = $this->create();
            self::assertTrue($again->already);
            self::assertEquals($first->data, $again->data);
        }
        self::assertCount(1, \FakeShop::$orders);
    }

    public function testAnOrderIsRecognisedByItsMetaWhenOurTablesWereLost(): void
    {
        $first = $this->create();
        $GLOBALS['wpdb']->keys = array();
        self::assertSame($first->data['order_id'], $this->create()->data['order_id']);
        self::assertCount(1, \FakeShop::$orders);
    }

    public function testAnUnknownProductDoesNotRefuseTheOrder(): void
    {
        $data = $this->draft();
        $data['lines'][0] = array('product_id' => '404', 'sku' => 'NOPE', 'gtin' => '1') + $data['lines'][0];
        $done = $this->create($data);
        self::assertFalse($done->data['lines'][0]['product_found']);
        $item = \FakeShop::$orders[(int) $done->data['order_id']]->items[0];
        self::assertSame('NOPE', $item->meta['SKU']);
    }

    public function testTheProductIsFoundBySkuWhenTheIdIsWrong(): void
    {
        $data = $this->draft();
        $data['lines'][0]['product_id'] = '404';
        self::assertTrue($this->create($data)->data['lines'][0]['product_found']);
    }

    public function testTaxIsTakenOutOfTheGrossPriceByTheShopsOwnRate(): void
    {
        \FakeShop::$taxRates = array(
            (object) array('tax_rate_id' => 1, 'tax_rate' => '19.0000', 'tax_rate_country' => 'AT', 'tax_rate_class' => ''),
            (object) array('tax_rate_id' => 2, 'tax_rate' => '19.0000', 'tax_rate_country' => 'DE', 'tax_rate_class' => ''),
        );
        $order = \FakeShop::$orders[(int) $this->create()->data['order_id']];
        self::assertSame('13.28', $order->items[0]->props['total']);
        self::assertSame(array(2 => '2.52'), $order->items[0]->props['taxes']['total']);
        self::assertSame('2.52', $order->props['cart_tax']);
        self::assertSame('15.80', $order->props['total']);
    }

    public function testAShopWithoutThatRateKeepsTheGrossPrice(): void
    {
        \FakeShop::$taxRates = array((object) array('tax_rate_id' => 1, 'tax_rate' => '7', 'tax_rate_country' => 'DE', 'tax_rate_class' => 'reduced-rate'));
        $order = \FakeShop::$orders[(int) $this->create()->data['order_id']];
        self::assertSame('15.80', $order->items[0]->props['total']);
        self::assertSame('0.00', $order->props['cart_tax']);
    }

    public function testAVoucherOfTheMarketplaceIsALineOfItsOwn(): void
    {
        $order = \FakeShop::$orders[(int) $this->create(array('total' => '10.80') + $this->draft())->data['order_id']];
        self::assertSame('10.80', $order->props['total']);
        $fees = array_values(array_filter($order->items, static fn ($item): bool => $item instanceof \WC_Order_Item_Fee));
        self::assertSame('-5.00', $fees[0]->props['total']);
    }

    /**
     * @dataProvider mistakes
     * @param array<string, mixed> $change
     */
    public function testAMistakeIsNamedAndNothingIsWritten(array $change, string $field): void
    {
        try {
            $this->create($change + $this->draft());
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame($field, $refusal->field);
        }
        self::assertSame(array(), \FakeShop::$orders);
        self::assertSame(array(), $GLOBALS['wpdb']->keys);
    }

    /** @return array<string, array{array<string, mixed>, string}> */
    public function mistakes(): array
    {
        $line = array('key' => 'l', 'name' => 'x', 'unit_price' => '1.00');
        return array(
            'no key' => array(array('key' => ''), 'data.key'),
            'no lines' => array(array('lines' => array()), 'data.lines'),
            'lines are an object' => array(array('lines' => array('a' => $line)), 'data.lines'),
            'quantity 0' => array(array('lines' => array($line + array('quantity' => 0))), 'data.lines.0.quantity'),
            'quantity 1.5' => array(array('lines' => array($line + array('quantity' => 1.5))), 'data.lines.0.quantity'),
            'price in words' => array(array('lines' => array(array('unit_price' => '1,00', 'quantity' => 1) + $line)), 'data.lines.0.unit_price'),
            'total -1' => array(array('total' => '-1.00'), 'data.total'),
            'no address' => array(array('shipping' => null), 'data.shipping'),
            'status' => array(array('status' => 'completed'), 'data.status'),
            'extra' => array(array('shipping' => array('extra' => array('x' => array()))), 'data.shipping.extra.x'),
        );
    }

    public function testWhenTheDatabaseEndsTheTransactionTheCommandFailsAndTheClaimIsGone(): void
    {
        $GLOBALS['wpdb']->deadlock = true;
        try {
            $this->create();
            self::fail('no fault');
        } catch (\RuntimeException $fault) {
            self::assertNotInstanceOf(Refusal::class, $fault);
        }
        self::assertContains('ROLLBACK', $GLOBALS['wpdb']->queries);
        self::assertSame(array(), $GLOBALS['wpdb']->keys);
    }

    public function testTheBuyerGetsNoMailAndTheMerchantOnlyAfterTheTransaction(): void
    {
        $emails = array(new \WC_Email('new_order', false), new \WC_Email('customer_processing_order', true), new \WC_Email('customer_note', true));
        $this->mails->watch($emails);
        $ours = new \WC_Order(1);
        $ours->meta['_shopbridge_key'] = 'ord_88';
        $own = new \WC_Order(2);
        self::assertFalse(apply_filters('woocommerce_email_enabled_customer_processing_order', true, $ours));
        self::assertFalse(apply_filters('woocommerce_email_enabled_customer_partially_refunded_order', true, $ours));
        self::assertTrue(apply_filters('woocommerce_email_enabled_customer_processing_order', true, $own));
        self::assertTrue(apply_filters('woocommerce_email_enabled_customer_note', true, $ours));
        self::assertTrue(apply_filters('woocommerce_email_enabled_new_order', true, $ours));
        $held = $this->mails->hold(static fn () => apply_filters('woocommerce_email_enabled_new_order', true, $ours));
        self::assertFalse($held);
    }

    /**
     * @param array<string, mixed>|null $data
     */
    private function create(?array $data = null): Done
    {
        return $this->command->run(new CommandData($data ?? $this->draft()));
    }

    /** @return array<string, mixed> the example of docs/protocol.md */
    private function draft(): array
    {
        $address = array('first_name' => 'Mia', 'last_name' => 'Muster', 'address_1' => 'Beispielweg 4', 'postcode' => '10115', 'country' => 'DE');
        return array(
            'key' => 'ord_88',
            'source' => array('marketplace' => 'kaufland', 'name' => 'Kaufland.de', 'order_id' => 'M7X2K9P'),
            'status' => 'processing',
            'currency' => 'EUR',
            'billing' => $address + array('email' => 'x1@relay.example'),
            'shipping' => $address,
            'lines' => array(
                array(
                    'key' => 'ln_77',
                    'product_id' => '17',
                    'sku' => 'TEE-001',
                    'gtin' => '4006381333931',
                    'name' => 'Assam Hathikuli, 100 g',
                    'quantity' => 2,
                    'unit_price' => '7.90',
                    'tax_rate' => '19',
                ),
            ),
            'shipping_total' => '0.00',
            'total' => '15.80',
            'note' => 'Kaufland.de order M7X2K9P',
        );
    }
}
