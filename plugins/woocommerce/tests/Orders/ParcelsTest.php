<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\Tracking\NativeField;
use Shopbridge\Orders\Tracking\Parcel;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Orders\Tracking\Shiptastic;
use Shopbridge\Orders\Tracking\TrackingReader;
use Shopbridge\Tests\ShopTestCase;

final class ParcelsTest extends ShopTestCase
{
    /**
     * Meta as the plugins keep it (FACTS section 7).
     *
     * @dataProvider metas
     * @param array<string, mixed> $meta
     * @param array<int, array{string, string|null}> $expected number and carrier
     */
    public function testNumbersAreReadFromThePopularPlugins(array $meta, array $expected): void
    {
        $order = new \WC_Order(5);
        $order->meta = $meta;
        $told = array_map(static fn (array $parcel): array => array($parcel['number'], $parcel['carrier']), Parcels::all()->sent($order));
        self::assertSame($expected, $told);
    }

    /** @return array<string, array{array<string, mixed>, array<int, array{string, string|null}>}> */
    public function metas(): array
    {
        $item = array('tracking_provider' => 'dhl-de', 'custom_tracking_provider' => '', 'tracking_number' => 'A1', 'date_shipped' => 1700000000);
        $custom = array('custom_tracking_provider' => 'Radkurier') + $item;
        return array(
            'shipment tracking, AST' => array(array('_wc_shipment_tracking_items' => array($item)), array(array('A1', 'dhl-de'))),
            'own provider' => array(array('_wc_shipment_tracking_items' => array($custom)), array(array('A1', 'Radkurier'))),
            'DHL, one number' => array(array('_pr_shipment_dhl_label_tracking' => array('tracking_number' => 'D1', 'label_path' => 'x')), array(array('D1', 'DHL'))),
            'DHL, a list' => array(
                array('_pr_shipment_dhl_label_tracking' => array('tracking_number' => array('D1', 'D2'), 'label_path' => 'x')),
                array(array('D1', 'DHL'), array('D2', 'DHL')),
            ),
            'GLS' => array(array('_gls_tracking_codes' => array('G1', 'G2')), array(array('G1', 'GLS'), array('G2', 'GLS'))),
            'GLS, old' => array(array('_gls_tracking_code' => 'G0'), array(array('G0', 'GLS'))),
            'DHL eCommerce' => array(array('_dhlpwc_order_labels' => array(array('tracker_code' => 'E1'))), array(array('E1', 'DHL eCommerce'))),
            'WooCommerce Shipping' => array(array('wcshipping_labels' => array(array('tracking' => 'W1', 'carrier_id' => 'usps'))), array(array('W1', 'usps'))),
            'the same number twice' => array(
                array('_wc_shipment_tracking_items' => array($item), '_gls_tracking_codes' => array('a 1', 'G2')),
                array(array('A1', 'dhl-de'), array('G2', 'GLS')),
            ),
            'rubbish' => array(
                array('_wc_shipment_tracking_items' => 'x', '_gls_tracking_codes' => 7, '_dhlpwc_order_labels' => array('y'), 'wcshipping_labels' => '{"a":'),
                array(),
            ),
        );
    }

    public function testLinesAndTimesAreToldWhereTheyAreKnown(): void
    {
        $order = new \WC_Order(5);
        $item = new \WC_Order_Item_Product(311);
        $item->props = array('quantity' => 2);
        $item->meta['_vi_wot_order_item_tracking_data'] = (string) json_encode(array(array('tracking_number' => 'V1', 'carrier_name' => 'DPD', 'time' => 1700000000)));
        $order->items[] = $item;
        $parcel = Parcels::all()->sent($order)[0];
        self::assertSame(array(array('id' => 311, 'quantity' => 2)), $parcel['lines']);
        self::assertSame('2023-11-14T22:13:20Z', $parcel['shipped_at']);
    }

    public function testReturnLabelsAreToldApart(): void
    {
        \FakeShop::$shipments = array($this->shipment('S1', 'simple'), $this->shipment('R1', 'return'));
        self::assertSame(array(), (new Parcels(array(new Shiptastic('not_installed'))))->sent(new \WC_Order(5)));
        $parcels = new Parcels(array(new Shiptastic('fake_stc_shipments')));
        self::assertSame(array('S1'), array_column($parcels->sent(new \WC_Order(5)), 'number'));
        self::assertSame(array('R1'), array_column($parcels->returning(new \WC_Order(5)), 'number'));
        self::assertTrue($parcels->hasPlugin());
    }

    public function testABrokenPluginDoesNotHideTheOthers(): void
    {
        $broken = new class implements TrackingReader {
            public function isInstalled(): bool
            {
                return true;
            }

            public function parcels(\WC_Order $order): array
            {
                throw new \TypeError('new version');
            }
        };
        $order = new \WC_Order(5);
        NativeField::add($order, NativeField::SENT, 'N1', 'DHL', null, 1000);
        self::assertSame(array('N1'), array_column((new Parcels(array($broken, new NativeField())))->sent($order), 'number'));
        self::assertCount(1, \FakeShop::$log);
    }

    public function testTheNativeFieldTakesANumberOnceAndGivesItBack(): void
    {
        $order = new \WC_Order(5);
        self::assertTrue(NativeField::add($order, NativeField::SENT, 'N1', 'DHL', null, 1000));
        self::assertFalse(NativeField::add($order, NativeField::SENT, 'N1', 'DHL', null, 2000));
        self::assertTrue(NativeField::add($order, NativeField::RETURNING, 'N2', '', null, 1000));
        $expected = array('number' => 'N1', 'carrier' => 'DHL', 'url' => null, 'shipped_at' => '1970-01-01T00:16:40Z', 'lines' => null);
        self::assertSame(array($expected), Parcels::all()->sent($order));
        self::assertNull(Parcels::all()->returning($order)[0]['carrier']);
        NativeField::remove($order, NativeField::SENT, 'N1');
        self::assertSame(array(), Parcels::all()->sent($order));
    }

    public function testAParcelIsMadeOfWhateverThePluginGives(): void
    {
        self::assertSame('2026-11-21T00:00:00Z', (new Parcel('1', null, null, new \DateTimeImmutable('2026-11-21T00:00:00Z')))->shippedAt);
        self::assertNull((new Parcel('1', array(), new \stdClass(), 'whenever'))->shippedAt);
        self::assertSame('', (new Parcel(array('x')))->number);
    }

    private function shipment(string $number, string $type): object
    {
        return new class ($number, $type) {
            /** @var string */
            private $number;

            /** @var string */
            private $type;

            public function __construct(string $number, string $type)
            {
                $this->number = $number;
                $this->type = $type;
            }

            public function get_tracking_id(): string
            {
                return $this->number;
            }

            public function get_type(): string
            {
                return $this->type;
            }
        };
    }
}
