<?php

/**
 * What a test sees and sets of the pretended shop.
 */

declare(strict_types=1);

final class FakeShop
{
    /** @var array<string, mixed> */
    public static $options = array();

    /** @var array<string, bool> */
    public static $autoload = array();

    /** @var array<string, mixed> */
    public static $transients = array();

    /** @var array<string, array<int, callable>> */
    public static $hooks = array();

    /** @var array<int, array<string, mixed>> requests made to the outside */
    public static $requests = array();

    /** @var array<int, mixed> answers for the next requests; the last one is repeated */
    public static $answers = array();

    /** @var array<int, WC_Order> */
    public static $orders = array();

    /** @var array<int, WC_Product> */
    public static $products = array();

    /** @var array<string, mixed> what the cache of this process holds */
    public static $read = array();

    /** @var array<string, bool> */
    public static $capabilities = array('manage_woocommerce' => true, 'edit_shop_orders' => true, 'edit_others_shop_orders' => true);

    /** @var bool */
    public static $nonceIsRight = true;

    /** @var array<int, string> */
    public static $log = array();

    /** @var array<int, array<mixed>> */
    public static $scheduled = array();

    /** @var array<string, array<string, mixed>> */
    public static $routes = array();

    /** @var array<int, object> */
    public static $taxRates = array();

    /** @var bool */
    public static $pricesIncludeTax = true;

    /** @var array<string, string> how another plugin translates its words */
    public static $words = array();

    /** @var string[] */
    public static $taxClasses = array('reduced-rate');

    /** @var object[] what a shipment plugin knows */
    public static $shipments = array();

    /** @var int */
    public static $nextId = 1000;

    public static function reset(): void
    {
        foreach (array('options', 'autoload', 'transients', 'hooks', 'requests', 'answers', 'orders', 'products', 'read', 'log', 'scheduled') as $name) {
            self::$$name = array();
        }
        self::$routes = array();
        self::$shipments = array();
        self::$taxRates = array();
        self::$pricesIncludeTax = true;
        self::$taxClasses = array('reduced-rate');
        self::$words = array();
        self::$capabilities = array('manage_woocommerce' => true, 'edit_shop_orders' => true, 'edit_others_shop_orders' => true);
        self::$nonceIsRight = true;
        self::$nextId = 1000;
        FakeTerms::reset();
        $_POST = array();
        $GLOBALS['wpdb'] = new FakeDatabase();
    }
}
