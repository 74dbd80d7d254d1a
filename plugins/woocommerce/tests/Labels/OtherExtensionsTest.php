<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

use Shopbridge\Labels\LabelPanel;
use Shopbridge\Labels\LabelRefused;
use Shopbridge\Labels\Labels;
use Shopbridge\Labels\Unsupported;

/** GLS, DHL eCommerce, and what the order box says of those that cannot. */
final class OtherExtensionsTest extends LabelTestCase
{
    private const GLS = 'gls_shipping_for_woocommerce_api_get_pickup_address';
    private const PICKUP = array(
        'Name' => "Anna's Teeladen", 'Street' => 'Teegasse 1', 'City' => 'Hamburg', 'ZipCode' => '20095', 'CountryIsoCode' => 'DE',
        'ContactName' => 'Anna Ahrens', 'ContactPhone' => '040 1', 'ContactEmail' => 'anna@tee.example',
    );

    public function testGlsGetsTheRetailerInEveryField(): void
    {
        $address = apply_filters(self::GLS, self::PICKUP, $this->order);
        self::assertSame(array_keys(self::PICKUP), array_keys($address));
        self::assertSame(array('Bücher Boldt', 'Bonn'), array($address['Name'], $address['City']));
        self::assertDoesNotMatchRegularExpression(self::ANNA, implode('|', $address));
        do_action('gls_label_generated', 5, $this->order, array());
        self::assertSame(array('Sender on the label: Bücher Boldt'), $this->order->notes);
        self::assertSame(self::PICKUP, apply_filters(self::GLS, self::PICKUP, $this->own));
    }

    public function testGlsNotesEachLabelOfABatch(): void
    {
        apply_filters(self::GLS, self::PICKUP, $this->order);
        do_action('gls_bulk_labels_generated', array(5, 6), array(5, 6), array());
        self::assertSame(array('Sender on the label: Bücher Boldt'), $this->order->notes);
        self::assertSame(array(), $this->own->notes);
    }

    public function testGlsIsRefusedByTheNumberOfTheOrder(): void
    {
        $this->expectException(LabelRefused::class);
        $this->expectExceptionMessage('Order 7: No label yet');
        apply_filters(self::GLS, self::PICKUP, $this->early);
    }

    public function testDhlEcommercePrintsAndNamesTheRetailer(): void
    {
        $given = $this->request();
        $shop = $given->shipper;
        $request = apply_filters('dhlpwc_shipment_request', $given, 5, array());
        foreach (array($request->shipper, $request->on_behalf_of) as $address) {
            self::assertSame('Bücher Boldt', $address->name->company_name);
            $street = array($address->address->street, $address->address->number, $address->address->addition);
            self::assertSame(array('Straße des 17. Juni', '135', 'b'), $street);
            self::assertSame(array('AT', '53111', 'Bonn'), array($address->address->country_code, $address->address->postal_code, $address->address->city));
            self::assertTrue($address->address->is_business, 'what is no address stays');
            self::assertDoesNotMatchRegularExpression(self::ANNA, (string) json_encode($address));
        }
        self::assertSame("Anna's Teeladen", $shop->name->company_name, 'a copy was changed');
        foreach (array(array('is_return' => false), array('is_return' => false), array('is_return' => true)) as $piece) {
            do_action('dhlpwc_create_label', 5, $piece);
        }
        self::assertSame(array_fill(0, 2, 'Sender on the label: Bücher Boldt'), $this->order->notes);
        self::assertEquals($this->request(), apply_filters('dhlpwc_shipment_request', $this->request(), 6, array()));
    }

    public function testDhlEcommerceFindsNoShipperWithHalfAnAddress(): void
    {
        $this->order->meta['_shopbridge_label_sender'] = array('postcode' => '') + self::BOLDT;
        $request = apply_filters('dhlpwc_shipment_request', $this->request(), 5, array());
        self::assertSame('', $request->shipper->address->street . $request->on_behalf_of->address->street);
        self::assertStringEndsWith('lacks postcode.', $this->order->notes[0]);
    }

    public function testDhlEcommerceFindsNoShipperWithoutAnAddress(): void
    {
        $request = apply_filters('dhlpwc_shipment_request', $this->request(), 7, array());
        self::assertEmpty($request->shipper->address->street, 'which its own check refuses');
        self::assertDoesNotMatchRegularExpression(self::ANNA, (string) json_encode($request));
        self::assertStringContainsString('No label yet', $this->early->notes[0]);
    }

    public function testTheBoxNamesTheSenderAndWhatCannotPrintHim(): void
    {
        update_option('active_plugins', array('sendcloud-shipping/sendcloud-shipping.php', 'dpd/dpd.php'));
        $box = $this->panel($this->order);
        self::assertStringContainsString('Bücher Boldt, Bernd Boldt, Straße des 17. Juni 135 b, AT 53111 Bonn', $box);
        self::assertStringContainsString('<strong>Sendcloud:</strong>', $box);
        self::assertStringNotContainsString('DPD', $box);
        self::assertStringNotContainsString('has not named', $box);
    }

    public function testTheBoxSaysWhyThereIsNoLabelYet(): void
    {
        self::assertStringContainsString('has not named the address', $this->panel($this->early));
        self::assertSame('', $this->panel($this->own));
    }

    private function panel(\WC_Order $order): string
    {
        ob_start();
        (new LabelPanel(Labels::all(), new Unsupported()))->show($order);
        return (string) ob_get_clean();
    }

    /** In the shape of DHLPWC_Model_API_Data_Shipment_Request of version 2.1.8. */
    private function request(): object
    {
        $shipper = array(
            'name' => array('first_name' => 'Anna', 'last_name' => 'Ahrens', 'company_name' => "Anna's Teeladen"),
            'address' => array(
                'country_code' => 'DE', 'postal_code' => '20095', 'city' => 'Hamburg', 'street' => 'Teegasse', 'number' => '1', 'is_business' => true,
                'addition' => '',
            ),
            'email' => 'anna@tee.example',
            'phone_number' => '0401',
        );
        return json_decode((string) json_encode(array('shipper' => $shipper, 'on_behalf_of' => null, 'order_reference' => '5')));
    }
}
