<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\PackingSlip;
use Shopbridge\Outbox\Transport;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

final class PackingSlipTest extends ShopTestCase
{
    /** @var \WC_Order */
    private $order;

    protected function setUp(): void
    {
        parent::setUp();
        $this->connect();
        $this->order = new \WC_Order(5);
        $this->order->meta['_shopbridge_source'] = array('marketplace' => 'dropshipping', 'order_id' => 'tr_1');
        \FakeShop::$orders = array(5 => $this->order, 6 => new \WC_Order(6));
        $_POST = array('order_id' => '5');
    }

    public function testThePdfOfTheBridgeIsPassedOn(): void
    {
        \FakeShop::$answers = array(array('code' => 200, 'body' => "%PDF-1.4\0\xff bytes"));
        $slip = $this->slip();
        $slip->send();
        self::assertSame(array('packing-slip-5.pdf', "%PDF-1.4\0\xff bytes"), $slip->streamed);
        $request = \FakeShop::$requests[0];
        self::assertSame('https://bridge.example/plugin/packing-slip', $request['url']);
        self::assertSame('{"order_id":"5"}', $request['body']);
        self::assertSame('cn_anna', $request['headers']['shopbridge-connection']);
    }

    /**
     * @dataProvider problems
     * @param mixed $answer
     */
    public function testProblemsAreSaidInWords($answer, string $words): void
    {
        \FakeShop::$answers = array($answer);
        $slip = $this->slip();
        try {
            $slip->send();
            self::fail('nothing said');
        } catch (\RuntimeException $died) {
            self::assertStringContainsString($words, $died->getMessage());
        }
        self::assertSame(array(), $slip->streamed);
    }

    /** @return array<string, array{mixed, string}> */
    public function problems(): array
    {
        $refused = '{"error": {"code": "x", "message": "The address <b>is</b> missing."}}';
        return array(
            'no answer' => array(new \WP_Error('http', 'timed out'), 'The bridge does not answer: timed out'),
            'not ours' => array(array('code' => 404, 'body' => '{"error": {"code": "order.not_found"}}'), 'has no packing slip for this order'),
            'refused' => array(array('code' => 409, 'body' => $refused), 'There is no packing slip: The address &lt;b&gt;is&lt;/b&gt; missing.'),
            'broken' => array(array('code' => 500, 'body' => '<html>'), 'There is no packing slip: HTTP 500'),
            'another page' => array(array('code' => 200, 'body' => '<html>maintenance</html>'), 'What came is not a PDF.'),
        );
    }

    public function testOtherOrdersAreNotAskedFor(): void
    {
        foreach (array('6', '404', '5 OR 1', '') as $id) {
            $_POST = array('order_id' => $id);
            try {
                $this->slip()->send();
                self::fail('asked for ' . $id);
            } catch (\RuntimeException $died) {
                self::assertStringContainsString('not an order of the dropshipping network', $died->getMessage());
            }
        }
        self::assertSame(array(), \FakeShop::$requests);
    }

    /** @dataProvider places */
    public function testARetailersOrderWithProductsOfTheNetworkHasOneToo(int $product, int $variation): void
    {
        $managed = new \WC_Product($variation ?: $product);
        $managed->meta['_shopbridge_managed'] = 'yes';
        \FakeShop::$products = array($managed->get_id() => $managed, 8 => new \WC_Product(8));
        $order = \FakeShop::$orders[6];
        $order->add_item($this->item(8, 0));
        self::assertSame('', $this->shown($this->slip(), 6), 'only own goods');
        $order->add_item($this->item($product, $variation));
        self::assertStringContainsString('name="order_id" value="6"', $this->shown($this->slip(), 6));
        \FakeShop::$answers = array(array('code' => 200, 'body' => '%PDF-1.4'));
        $_POST = array('order_id' => '6');
        $slip = $this->slip();
        $slip->send();
        self::assertSame('packing-slip-6.pdf', $slip->streamed[0]);
        \FakeShop::$products = array();
        self::assertSame('', $this->shown($this->slip(), 6), 'the product was deleted');
    }

    /** @return array<string, array{int, int}> */
    public function places(): array
    {
        return array('a product' => array(7, 0), 'a variation' => array(7, 9));
    }

    private function item(int $product, int $variation): \WC_Order_Item_Product
    {
        $item = new \WC_Order_Item_Product();
        $item->props = array('product_id' => $product, 'variation_id' => $variation);
        return $item;
    }

    public function testNothingIsAskedWithoutRightAndNonce(): void
    {
        \FakeShop::$capabilities = array('manage_woocommerce' => true);
        $this->assertRefused('You may not do this.');
        \FakeShop::$capabilities = array('edit_shop_orders' => true);
        \FakeShop::$nonceIsRight = false;
        $this->assertRefused('wrong nonce');
    }

    public function testTheButtonHasItsOwnFormOutsideTheOrderForm(): void
    {
        $slip = $this->slip();
        self::assertSame('', $this->shown($slip, 6));
        $html = $this->shown($slip, 5);
        self::assertMatchesRegularExpression('/<button type="submit" class="button" form="shopbridge-packing-slip">.*<form id="shopbridge-packing-slip" method="post"/s', $html);
        self::assertStringContainsString('name="order_id" value="5"', $html);
        self::assertStringContainsString('nonce-of-shopbridge_packing_slip', $html);
        delete_option('shopbridge_connection');
        self::assertSame('', $this->shown($this->slip(), 5), 'no button without a bridge');
    }

    private function shown(PackingSlip $slip, int $id): string
    {
        ob_start();
        $slip->button(\FakeShop::$orders[$id]);
        $slip->form();
        return (string) ob_get_clean();
    }

    private function assertRefused(string $words): void
    {
        try {
            $this->slip()->send();
            self::fail('not refused');
        } catch (\RuntimeException $died) {
            self::assertStringContainsString($words, $died->getMessage());
        }
        self::assertSame(array(), \FakeShop::$requests);
    }

    /** @return PackingSlip&object{streamed: array<int, string>} */
    private function slip(): PackingSlip
    {
        return new class (new Connection(), new Transport(new Connection(), new Secrets())) extends PackingSlip {
            /** @var array<int, string> */
            public $streamed = array();

            protected function stream(string $name, string $pdf): void
            {
                $this->streamed = array($name, $pdf);
            }
        };
    }
}
