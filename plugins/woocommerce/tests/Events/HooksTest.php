<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Events;

use Shopbridge\Events\Collector;
use Shopbridge\Events\OrderHooks;
use Shopbridge\Events\ProductHooks;
use Shopbridge\Events\Recorder;
use Shopbridge\Events\TrackingHooks;
use Shopbridge\Orders\BridgeWrites;
use Shopbridge\Orders\OrderMemory;
use Shopbridge\Outbox\InlineTry;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class HooksTest extends ShopTestCase
{
    /** @var Collector */
    private $notes;

    /** @var BridgeWrites */
    private $writes;

    protected function setUp(): void
    {
        parent::setUp();
        $outbox = new MemoryOutbox();
        $this->notes = new Collector();
        $this->writes = new BridgeWrites();
        (new OrderHooks($this->notes, $this->writes, new OrderMemory($outbox)))->register();
        (new ProductHooks($this->notes, new Recorder($this->notes, $outbox, $this->createStub(InlineTry::class))))->register();
        (new TrackingHooks($this->notes))->register();
    }

    public function testADraftOfTheStoreApiIsNotAnOrderYet(): void
    {
        $order = $this->order('checkout-draft');
        do_action('woocommerce_new_order', 5, $order);
        do_action('woocommerce_update_order', 5, $order);
        self::assertSame(array(), $this->told());
        $order->set_status('pending');
        do_action('woocommerce_new_order', 5, $order);
        do_action('woocommerce_order_status_changed', 5, 'checkout-draft', 'pending', $order);
        self::assertSame(array('order.placed'), $this->told());
    }

    public function testAClearedAwayDraftIsNotADeletedOrder(): void
    {
        $this->order('checkout-draft');
        do_action('woocommerce_before_delete_order', 5);
        self::assertSame(array(), $this->told());
        \FakeShop::$orders[5]->set_status('completed');
        do_action('woocommerce_before_delete_order', 5);
        self::assertSame(array('order.deleted'), $this->told());
    }

    public function testRefundsOfOtherHooksAreNotOrders(): void
    {
        do_action('woocommerce_update_order', 9, new \WC_Order_Refund(9));
        self::assertSame(array(), $this->told());
    }

    public function testARefundObjectIsTheRefundNotTheStatus(): void
    {
        do_action('woocommerce_order_status_changed', 5, 'completed', 'refunded', $this->order('refunded'));
        self::assertSame(array('order.changed'), $this->told());
        do_action('woocommerce_order_refunded', 5, 9);
        self::assertSame(array('order.refunded'), $this->told());
    }

    public function testARefundOfACommandCarriesItsKeyAndWhetherItWasRestocked(): void
    {
        $refund = new \WC_Order_Refund(9);
        $this->writes->begin('rf_1');
        do_action('woocommerce_create_refund', $refund, array('restock_items' => true));
        self::assertSame(array('_shopbridge_restocked' => 'yes', '_shopbridge_key' => 'rf_1'), $refund->meta);
        $this->writes->end();
        $own = new \WC_Order_Refund(10);
        do_action('woocommerce_create_refund', $own, array());
        self::assertSame(array('_shopbridge_restocked' => 'no'), $own->meta);
    }

    public function testAStockChangeByAnOrderIsNotAChangeOfTheProduct(): void
    {
        $product = $this->product(7);
        do_action('woocommerce_product_before_set_stock', $product);
        do_action('woocommerce_update_product', 7, $product);
        do_action('woocommerce_product_set_stock', $product);
        $order = $this->order('processing');
        $item = new \WC_Order_Item_Product(1);
        $item->props['product_id'] = 7;
        $order->items[] = $item;
        do_action('woocommerce_reduce_order_stock', $order);
        do_action('woocommerce_update_order', 5, $order);
        $messages = $this->notes->take();
        self::assertSame(array('order.changed', 'stock.changed'), array_column($messages, 'type'));
        self::assertSame(array('reduced' => true), $messages[0]['context']);
        self::assertSame(array('order_id' => 5), $messages[1]['context']);
    }

    public function testASaveByThePersonWithANewStockIsBoth(): void
    {
        $product = $this->product(7, array('changes' => array('stock_quantity' => 3)));
        do_action('woocommerce_product_before_set_stock', $product);
        do_action('woocommerce_product_set_stock', $product);
        do_action('woocommerce_update_product', 7, $product);
        self::assertSame(array('product.changed', 'stock.changed'), $this->told());
    }

    public function testAVariationBringsItsParent(): void
    {
        $variation = new \WC_Product_Variation(8);
        $variation->props['parent_id'] = 7;
        do_action('woocommerce_update_product_variation', 8, $variation);
        self::assertSame(array('product/8', 'product/7'), array_column($this->notes->take(), 'subject'));
    }

    public function testTrashAndForceDeleteAreDeletions(): void
    {
        $this->product(7);
        do_action('trashed_post', 7);
        self::assertFalse($this->notes->take()[0]['context']['force']);
        $post = new \WP_Post();
        $post->post_type = 'product';
        do_action('before_delete_post', 7, $post);
        self::assertTrue($this->notes->take()[0]['context']['force']);
        $post->post_type = 'page';
        do_action('before_delete_post', 8, $post);
        self::assertSame(array(), $this->told());
    }

    public function testLabelPluginsAreHeard(): void
    {
        do_action('ast_save_tracking_details_end', 5, array());
        do_action('pr_save_dhl_label_tracking', '6', array());
        do_action('gls_label_generated', 7, null, null);
        $shipment = new class {
            public function get_order_id(): int
            {
                return 8;
            }

            public function get_tracking_id(): string
            {
                return '003404';
            }
        };
        do_action('woocommerce_shiptastic_shipment_status_changed', 1, 'a', 'b', $shipment);
        $messages = $this->notes->take();
        self::assertSame(array('order/5', 'order/6', 'order/7', 'order/8'), array_column($messages, 'subject'));
        self::assertSame(array('shipment.changed'), array_values(array_unique(array_column($messages, 'type'))));
    }

    private function order(string $status): \WC_Order
    {
        $order = new \WC_Order(5);
        $order->set_status($status);
        \FakeShop::$orders[5] = $order;
        return $order;
    }

    /**
     * @param array<string, mixed> $props
     */
    private function product(int $id, array $props = array()): \WC_Product
    {
        $product = new \WC_Product($id);
        $product->props = $props;
        \FakeShop::$products[$id] = $product;
        return $product;
    }

    /** @return string[] */
    private function told(): array
    {
        return array_column($this->notes->take(), 'type');
    }
}
