<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

use Shopbridge\Labels\LabelRefused;

final class DhlForWooCommerceTest extends LabelTestCase
{
    public function testTheShipperIsTheRetailerAndTheLogoIsLeftOut(): void
    {
        $arguments = apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 5);
        $wanted = array(
            'shipper_name' => 'Bücher Boldt', 'shipper_company' => 'Bücher Boldt', 'shipper_address' => 'Straße des 17. Juni',
            'shipper_address_no' => '135 b', 'shipper_address_city' => 'Bonn', 'shipper_address_state' => '', 'shipper_address_zip' => '53111',
            'shipper_country' => 'AT', 'shipper_phone' => '0228 5', 'shipper_email' => 'laden@boldt.example', 'shipper_reference' => '',
            'add_logo' => 'no',
        );
        foreach ($wanted as $field => $value) {
            self::assertSame($value, $arguments['dhl_settings'][$field], $field);
        }
        self::assertSame('33333333330101', $arguments['dhl_settings']['account_num'], 'the account stays the supplier\'s');
        // As Item_Info merges them: the details win.
        self::assertSame('Bücher Boldt', ($arguments['order_details'] + $arguments['dhl_settings'])['shipper_name']);
        self::assertDoesNotMatchRegularExpression(self::ANNA, implode('|', $arguments['order_details'] + $arguments['dhl_settings']));
        self::assertSame(array('name' => 'Karl Kunde', 'email' => ''), $arguments['shipping_address'], 'or it misses the argument');
        do_action('pr_shipping_dhl_label_created', 5);
        self::assertSame('Sender on the label: Bücher Boldt', end($this->order->notes));
    }

    public function testOwnOrdersKeepEverything(): void
    {
        self::assertSame($this->arguments(), apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 6));
        do_action('pr_shipping_dhl_label_created', 6);
        self::assertSame(array(), $this->own->notes);
    }

    public function testWithoutAnAddressTheExceptionIsShown(): void
    {
        $this->expectException(LabelRefused::class);
        $this->expectExceptionMessage('has not named the address');
        apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 7);
    }

    public function testAProductWithoutSenderIsRefused(): void
    {
        $international = array('dhl_settings' => array('dhl_api_key' => 'k', 'dhl_label_ref' => ''), 'order_details' => array());
        $this->expectException(LabelRefused::class);
        $this->expectExceptionMessage('takes the sender from your account');
        apply_filters('pr_shipping_dhl_label_args', $international, 5);
    }

    /** @dataProvider screens */
    public function testAPickupStartsAtTheSuppliersDoor(string $screen): void
    {
        $during = array();
        \FakeShop::$hooks[$screen] = array(
            \FakeShop::$hooks[$screen][0],
            function ($url) use (&$during) {
                $during[] = apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 5);
                return $url;
            },
            \FakeShop::$hooks[$screen][1],
        );
        self::assertSame('url', apply_filters($screen, 'url', 'pr_dhl_request_pickup', array(5)));
        self::assertSame($this->arguments(), $during[0]);
        self::assertSame('Bücher Boldt', apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 5)['dhl_settings']['shipper_name']);
        apply_filters($screen, 'url', 'pr_dhl_create_labels', array(5));
        self::assertSame('Bücher Boldt', $during[1]['dhl_settings']['shipper_name'], 'labels in bulk are labels');
    }

    public function testAPickupIsNotRefusedWithoutAnAddress(): void
    {
        apply_filters('handle_bulk_actions-edit-shop_order', 'url', 'other', array());
        \FakeShop::$hooks['handle_bulk_actions-edit-shop_order'][0]('url', 'pr_dhl_request_pickup');
        self::assertSame($this->arguments(), apply_filters('pr_shipping_dhl_label_args', $this->arguments(), 7));
    }

    /** @return array<string, array{string}> */
    public function screens(): array
    {
        return array(
            'posts' => array('handle_bulk_actions-edit-shop_order'),
            'HPOS' => array('handle_bulk_actions-woocommerce_page_wc-orders'),
        );
    }

    public function testTheReturnSlipWithTheSuppliersAddressIsLeftOut(): void
    {
        $arguments = $this->arguments();
        $arguments['order_details']['return_address_enabled'] = 'yes';
        self::assertSame('no', apply_filters('pr_shipping_dhl_label_args', $arguments, 5)['order_details']['return_address_enabled']);
        self::assertCount(1, $this->order->notes);
        self::assertSame('yes', apply_filters('pr_shipping_dhl_label_args', $arguments, 6)['order_details']['return_address_enabled']);
    }

    public function testAnInternetStampIsRefusedBeforeItIsPaid(): void
    {
        $_POST = array('order_id' => '6');
        do_action('wp_ajax_wc_shipment_internetmarke_gen_label');
        $_POST = array('order_id' => '5');
        $this->expectExceptionMessage('sent: {"error":"No label: this product takes the sender');
        do_action('wp_ajax_wc_shipment_internetmarke_gen_label');
    }

    public function testAStampIsNotAnsweredWithoutRight(): void
    {
        $_POST = array('order_id' => '5');
        \FakeShop::$capabilities = array();
        $this->expectExceptionMessage('died: You may not do this.');
        do_action('wp_ajax_wc_shipment_internetmarke_gen_label');
    }

    /**
     * In the shape of get_label_args() of version 4.1.0.
     *
     * @return array<string, array<string, mixed>>
     */
    private function arguments(): array
    {
        return array(
            'order_details' => array('order_id' => 5, 'dhl_product' => 'V01PAK', 'weight' => '1', 'shipper_name' => 'Anna'),
            'shipping_address' => array('name' => 'Karl Kunde'),
            'dhl_settings' => array(
                'api_user' => 'u', 'account_num' => '33333333330101', 'add_logo' => 'yes', 'shipper_reference' => 'ANNAS-GKP',
                'shipper_name' => 'Anna Ahrens', 'shipper_company' => "Anna's Teeladen", 'shipper_address' => 'Teegasse', 'shipper_address_no' => '1',
                'shipper_address_city' => 'Hamburg', 'shipper_address_state' => '', 'shipper_address_zip' => '20095', 'shipper_phone' => '040 1',
                'shipper_email' => 'anna@tee.example', 'shipper_country' => 'DE', 'return_country' => 'DE', 'participation' => '01',
            ),
        );
    }
}
