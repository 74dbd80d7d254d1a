<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

use Shopbridge\Labels\Labels;
use Shopbridge\Tests\ShopTestCase;

/** Anna ships for Bücher Boldt: order 5. Order 6 is her own. Of order 7 the address of the retailer is not known yet. */
abstract class LabelTestCase extends ShopTestCase
{
    protected const BOLDT = array(
        'first_name' => 'Bernd', 'last_name' => 'Boldt', 'company' => 'Bücher Boldt', 'address_1' => 'Straße des 17. Juni 135 b', 'address_2' => '',
        'postcode' => '53111', 'city' => 'Bonn', 'state' => '', 'country' => 'AT', 'phone' => '0228 5', 'email' => 'laden@boldt.example',
    );
    protected const ANNA = '/Anna|Ahrens|Teegasse|20095|Hamburg|tee\.example|040 1|DE111111111|EORI1/';

    /** @var \WC_Order */
    protected $order;

    /** @var \WC_Order */
    protected $own;

    /** @var \WC_Order */
    protected $early;

    protected function setUp(): void
    {
        parent::setUp();
        $source = array('marketplace' => 'dropshipping', 'name' => 'Bücher Boldt', 'order_id' => 'tr_1');
        $this->order = $this->anOrder(5, array('_shopbridge_source' => $source, '_shopbridge_label_sender' => self::BOLDT));
        $this->own = $this->anOrder(6, array('_shopbridge_source' => array('marketplace' => 'kaufland')));
        $this->early = $this->anOrder(7, array('_shopbridge_source' => $source));
        \FakeLabel::$printed = array();
        \FakeLabel::$asks = true;
        Labels::all()->register();
    }

    /** @param array<string, mixed> $meta */
    private function anOrder(int $id, array $meta): \WC_Order
    {
        $order = new \WC_Order($id);
        $order->meta = $meta;
        \FakeShop::$orders[$id] = $order;
        return $order;
    }
}
