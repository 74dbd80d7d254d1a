<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

final class ShipmentsTest extends LabelTestCase
{
    /** @return array<string, array{string}> */
    public function prefixes(): array
    {
        return array('Shiptastic' => array('woocommerce_shiptastic_'), 'Germanized' => array('woocommerce_gzd_'));
    }

    /** @dataProvider prefixes */
    public function testTheLabelCarriesTheRetailerAndNothingOfTheSupplier(string $prefix): void
    {
        self::assertTrue((new \FakeShipment($this->order, $prefix))->create_label());
        self::assertSame('Bücher Boldt', \FakeLabel::$printed['company']);
        self::assertSame('53111', \FakeLabel::$printed['postcode']);
        self::assertDoesNotMatchRegularExpression(self::ANNA, implode('|', \FakeLabel::$printed));
        self::assertSame(array('Sender on the label: Bücher Boldt'), $this->order->notes);
    }

    /** @dataProvider prefixes */
    public function testEveryFieldIsSwappedOneByOneToo(string $prefix): void
    {
        $shipment = new \FakeShipment($this->order, $prefix);
        $fields = array('company', 'first_name', 'last_name', 'address_1', 'address_2', 'postcode', 'city', 'country', 'state', 'email', 'phone');
        foreach ($fields as $field) {
            self::assertSame(self::BOLDT[$field], $shipment->{'get_sender_' . $field}());
        }
        foreach (array('vat_id', 'customs_reference_number', 'customs_uk_vat_id') as $field) {
            self::assertSame('', $shipment->{'get_sender_' . $field}());
        }
    }

    public function testTheAddressForEditingIsSwappedAsAWhole(): void
    {
        $address = (new \FakeShipment($this->order))->get_sender_address('edit');
        self::assertDoesNotMatchRegularExpression(self::ANNA, implode('|', $address));
    }

    /** @dataProvider prefixes */
    public function testTheShopsOwnLabelsAreLeftAlone(string $prefix): void
    {
        foreach (array($this->own, false) as $order) {
            self::assertTrue((new \FakeShipment($order, $prefix))->create_label());
            self::assertSame("Anna's Teeladen", \FakeLabel::$printed['company']);
        }
        self::assertSame(array(), $this->own->notes);
    }

    /** @dataProvider prefixes */
    public function testAReturnIsNotTouched(string $prefix): void
    {
        foreach (array($this->order, $this->early) as $order) {
            $return = new \FakeShipment($order, $prefix, 'return');
            self::assertTrue($return->create_label());
            self::assertSame('Teegasse 1', \FakeLabel::$printed['address_1']);
            self::assertSame(array(), $order->notes);
        }
    }

    /** @dataProvider prefixes */
    public function testWithoutAnAddressThereIsNoLabelAndTheMerchantReadsWhy(string $prefix): void
    {
        $shipment = new \FakeShipment($this->early, $prefix);
        $result = $shipment->create_label();
        self::assertInstanceOf(\WP_Error::class, $result);
        self::assertStringContainsString('has not named the address', $result->get_error_message());
        self::assertSame(array(), \FakeLabel::$printed);
        $shipment->create_label();
        self::assertSame(array($result->get_error_message()), $this->early->notes, 'noted once');
        self::assertSame('', $shipment->get_sender_company(), 'and whoever asks all the same gets nothing');
        self::assertTrue((new \FakeShipment($this->order, $prefix))->create_label(), 'one order does not block the next');
        self::assertTrue((new \FakeShipment($this->own, $prefix))->create_label());
    }

    public function testHalfAnAddressIsNone(): void
    {
        $this->order->meta['_shopbridge_label_sender'] = array('city' => '') + self::BOLDT;
        $shipment = new \FakeShipment($this->order);
        self::assertSame('', implode('', $shipment->get_sender_address()));
        self::assertStringEndsWith('lacks city.', $shipment->create_label()->get_error_message());
    }

    public function testAReturnUnderTheHooksOfAShipmentIsAReturnAllTheSame(): void
    {
        $return = new \FakeShipment($this->order, 'woocommerce_gzd_', 'return');
        self::assertSame('Anna', apply_filters('woocommerce_shiptastic_shipment_get_sender_address_first_name', 'Anna', $return));
    }

    public function testAnExistingLabelIsReadWhileAnotherIsRefused(): void
    {
        (new \FakeShipment($this->early))->create_label();
        self::assertSame('Kept', apply_filters('woocommerce_shiptastic_shipment_label_class', 'Kept', 12, 'simple', null));
        self::assertSame('Back', apply_filters('woocommerce_shiptastic_shipment_label_class', 'Back', 0, 'return', null));
    }

    public function testACarrierThatDoesNotAskGetsAWarning(): void
    {
        $shipment = new \FakeShipment($this->order);
        $shipment->get_sender_address();
        \FakeLabel::$asks = false;
        $shipment->create_label();
        self::assertCount(1, $this->order->notes);
        self::assertStringContainsString('Look at this label', $this->order->notes[0]);
    }

    public function testEachLabelHasItsNote(): void
    {
        $shipment = new \FakeShipment($this->order);
        foreach (array('dhl', 'ups') as $provider) {
            $shipment->provider = $provider;
            $shipment->create_label();
        }
        self::assertCount(2, $this->order->notes);
    }

    public function testAParcelFromHamburgStaysDomesticForARetailerAbroad(): void
    {
        self::assertSame('AT', (new \FakeShipment($this->order))->get_sender_country());
        self::assertTrue((new \FakeShipment($this->order))->is_shipping_domestic());
        self::assertFalse(apply_filters('woocommerce_shiptastic_shipment_is_shipping_inner_eu', true, new \FakeShipment($this->early)) && false);
        self::assertFalse(apply_filters('woocommerce_shiptastic_shipment_is_shipping_inner_eu', true, new \FakeShipment($this->order)));
    }
}
