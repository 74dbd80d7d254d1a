<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

use Shopbridge\Labels\LabelRefused;
use Vendidero\Shiptastic\Labels\Label;

final class DhlShipperTest extends LabelTestCase
{
    /** @return array<string, array{string}> */
    public function prefixes(): array
    {
        return array('Shiptastic' => array('woocommerce_shiptastic_dhl_'), 'Germanized' => array('woocommerce_gzd_dhl_'));
    }

    /** @dataProvider prefixes */
    public function testTheShipperIsTheRetailerAndNoReferenceWinsOverIt(string $prefix): void
    {
        $label = $this->label($this->order);
        self::assertSame('', apply_filters($prefix . 'label_api_shipper_reference', 'ANNAS-GKP', $label));
        $wanted = array(
            'name1' => 'Bücher Boldt', 'name2' => 'Bernd Boldt', 'name3' => '', 'street' => 'Straße des 17. Juni 135 b',
            'street_name' => 'Straße des 17. Juni', 'street_number' => '135 b', 'zip' => '53111', 'city' => 'Bonn', 'state' => '', 'country' => 'AT',
            'email' => 'laden@boldt.example', 'phone' => '0228 5',
        );
        foreach ($wanted as $field => $value) {
            self::assertSame($value, apply_filters($prefix . 'label_api_shipper_' . $field, 'Anna', $label), $field);
        }
    }

    /** @dataProvider prefixes */
    public function testOwnOrdersAndReturnsKeepWhatTheyHave(string $prefix): void
    {
        foreach (array($this->label($this->own), $this->label($this->order, 'return'), null) as $label) {
            self::assertSame('ANNAS-GKP', apply_filters($prefix . 'label_api_shipper_reference', 'ANNAS-GKP', $label));
            self::assertSame('Anna', apply_filters($prefix . 'label_api_shipper_name1', 'Anna', $label));
        }
    }

    /** @dataProvider prefixes */
    public function testTheFirstQuestionIsRefusedWithoutAnAddress(string $prefix): void
    {
        self::assertSame('', apply_filters($prefix . 'label_api_shipper_name1', 'Anna', $this->label($this->early)));
        try {
            apply_filters($prefix . 'label_api_shipper_reference', '', $this->label($this->early));
            self::fail('not refused');
        } catch (LabelRefused $refused) {
            self::assertSame(array($refused->getMessage()), $this->early->notes);
        }
    }

    /** @dataProvider prefixes */
    public function testTheEnclosedReturnLabelIsLeftOut(string $prefix): void
    {
        $hook = $prefix . 'label_rest_api_create_label_request';
        $services = array('dhlRetoure' => array('returnAddress' => array('name1' => 'Anna')), 'premium' => true);
        $request = apply_filters($hook, array('services' => $services), $this->label($this->order), null, null);
        self::assertSame(array('services' => array('premium' => true)), $request);
        self::assertCount(1, $this->order->notes);
        $request = apply_filters($hook, array('services' => array('dhlRetoure' => array())), $this->label($this->order), null, null);
        self::assertSame(array(), $request);
        self::assertSame(array('services' => $services), apply_filters($hook, array('services' => $services), $this->label($this->own), null, null));
    }

    private function label(\WC_Order $order, string $type = 'simple'): Label
    {
        $label = new Label();
        $label->set_shipment(new \FakeShipment($order, 'woocommerce_shiptastic_', $type));
        return $label;
    }
}
