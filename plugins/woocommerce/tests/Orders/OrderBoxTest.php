<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Decisions\OrderLink;
use Shopbridge\Labels\LabelPanel;
use Shopbridge\Labels\Labels;
use Shopbridge\Labels\Unsupported;
use Shopbridge\Orders\OrderBox;
use Shopbridge\Orders\PackingSlip;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Outbox\Transport;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

final class OrderBoxTest extends ShopTestCase
{
    private const EVIL = '"><script>alert(1)</script>';

    /** @var \WC_Order */
    private $order;

    protected function setUp(): void
    {
        parent::setUp();
        $this->order = new \WC_Order(5);
        \FakeShop::$orders[5] = $this->order;
    }

    public function testTheBoxEscapesEverything(): void
    {
        $entry = array('at' => self::EVIL, 'text' => self::EVIL);
        $this->order->meta = array(
            '_shopbridge_stop' => self::EVIL,
            '_shopbridge_source' => array('marketplace' => 'x', 'name' => self::EVIL, 'order_id' => self::EVIL, 'ship_by' => self::EVIL),
            '_shopbridge_label_sender' => array('company' => self::EVIL),
            '_shopbridge_timeline' => array('entries' => array($entry), 'next' => self::EVIL),
            '_shopbridge_tracking' => array(array('number' => self::EVIL, 'carrier' => self::EVIL)),
        );
        $box = $this->box();
        self::assertStringNotContainsString('<script', $box);
        self::assertGreaterThanOrEqual(9, substr_count($box, '&lt;script&gt;'));
    }

    public function testTheWarningIsShownUntilTheOrderIsCancelled(): void
    {
        $this->order->meta['_shopbridge_stop'] = 'The buyer has cancelled.';
        self::assertStringContainsString('Do not ship!', $this->box());
        $this->order->set_status('cancelled');
        self::assertStringNotContainsString('Do not ship!', $this->box());
    }

    public function testAPostOfTheOldStorageIsShownToo(): void
    {
        $post = new \WP_Post();
        $post->ID = 5;
        ob_start();
        $this->orderBox()->show($post);
        self::assertStringContainsString('shopbridge_number', (string) ob_get_clean());
    }

    /** @dataProvider sales */
    public function testASoldOrderOfAMarketplaceLeadsToTheDecisionsAboutReturns(string $marketplace, string $status, bool $leads): void
    {
        $this->connect();
        $this->order->meta['_shopbridge_source'] = $marketplace === '' ? '' : array('marketplace' => $marketplace, 'order_id' => 'M-1');
        $this->order->set_status($status);
        $link = 'href="https://tee.example/wp-admin/admin.php?page=shopbridge-decisions"';
        self::assertSame($leads, strpos($this->box(), $link) !== false);
        \FakeShop::$capabilities['edit_others_shop_orders'] = false;
        self::assertStringNotContainsString($link, $this->box(), 'no way to a page that is not his');
        \FakeShop::$capabilities['edit_others_shop_orders'] = true;
        delete_option('shopbridge_connection');
        self::assertStringNotContainsString($link, $this->box(), 'no page without a bridge');
    }

    /** @return array<string, array{string, string, bool}> */
    public function sales(): array
    {
        return array(
            'completed' => array('otto', 'completed', true),
            'refunded' => array('otto', 'refunded', true),
            'not yet sold' => array('otto', 'processing', false),
            'of the network' => array('dropshipping', 'completed', false),
            'of the shop itself' => array('', 'completed', false),
        );
    }

    public function testANumberIsSavedOnlyWithNonceAndRight(): void
    {
        $_POST = array('shopbridge_number' => ' 003404 ', 'shopbridge_carrier' => 'DHL', 'shopbridge_return_number' => 'R1');
        $this->save();
        self::assertSame(array(), $this->order->meta, 'no nonce');
        $_POST['shopbridge_nonce'] = 'x';
        \FakeShop::$capabilities = array();
        $this->save();
        self::assertSame(array(), $this->order->meta, 'no right');
        \FakeShop::$capabilities = array('edit_shop_orders' => true);
        $this->save();
        self::assertSame('003404', $this->order->meta['_shopbridge_tracking'][0]['number']);
        self::assertSame('R1', $this->order->meta['_shopbridge_return_tracking'][0]['number']);
        $_POST = array('shopbridge_nonce' => 'x', 'shopbridge_number_remove' => array('003404'));
        $this->save();
        self::assertSame(array(), $this->order->meta['_shopbridge_tracking']);
    }

    private function save(): void
    {
        $this->orderBox()->save(5);
    }

    private function orderBox(): OrderBox
    {
        $slip = new PackingSlip(new Connection(), new Transport(new Connection(), new Secrets()));
        return new OrderBox(Parcels::all(), new LabelPanel(Labels::all(), new Unsupported()), $slip, new OrderLink(new Connection()));
    }

    private function box(): string
    {
        ob_start();
        $this->orderBox()->show($this->order);
        return (string) ob_get_clean();
    }
}
