<?php

/**
 * The few functions and classes of WooCommerce that the plugin uses, as far as the tests need them.
 */

declare(strict_types=1);

class WC_Data_Exception extends Exception
{
}

abstract class FakeData
{
    /** @var int */
    protected $id = 0;

    /** @var array<string, mixed> */
    public $props = array();

    /** @var array<string, mixed> */
    public $meta = array();

    /** @var int */
    public $saves = 0;

    public function __construct(int $id = 0)
    {
        $this->id = $id;
    }

    public function get_id(): int
    {
        return $this->id;
    }

    public function get_meta(string $key)
    {
        return $this->meta[$key] ?? '';
    }

    public function update_meta_data(string $key, $value): void
    {
        $this->meta[$key] = $value;
    }

    public function add_meta_data(string $key, $value): void
    {
        $this->meta[$key] = $value;
    }

    public function delete_meta_data(string $key): void
    {
        unset($this->meta[$key]);
    }

    public function save_meta_data(): void
    {
    }

    public function save(): int
    {
        $this->saves++;
        if ($this->id === 0) {
            $this->id = ++FakeShop::$nextId;
        }
        return $this->id;
    }

    public function __call(string $name, array $arguments)
    {
        if (strncmp($name, 'set_', 4) === 0) {
            $this->props[substr($name, 4)] = $arguments[0];
            return null;
        }
        if (strncmp($name, 'get_', 4) === 0) {
            return $this->props[substr($name, 4)] ?? '';
        }
        throw new BadMethodCallException(static::class . '::' . $name);
    }
}

class WC_Order_Item extends FakeData
{
}

class WC_Order_Item_Product extends WC_Order_Item
{
    public function set_product(WC_Product $product): void
    {
        $this->props['product_id'] = $product->get_id();
    }

    public function get_product_id(): int
    {
        return (int) ($this->props['product_id'] ?? 0);
    }

    public function get_variation_id(): int
    {
        return (int) ($this->props['variation_id'] ?? 0);
    }

    public function get_taxes(): array
    {
        return $this->props['taxes'] ?? array('total' => array());
    }

    public function get_total_tax(): string
    {
        return (string) array_sum(array_map('floatval', $this->get_taxes()['total']));
    }
}

class WC_Order_Item_Shipping extends WC_Order_Item
{
}

class WC_Order_Item_Fee extends WC_Order_Item
{
}

class WC_Order_Item_Tax extends WC_Order_Item
{
}

class WC_Order extends FakeData
{
    /** @var array<int, WC_Order_Item> */
    public $items = array();

    /** @var array<int, string> */
    public $notes = array();

    /** @var array<int, WC_Order_Refund> */
    public $refunds = array();

    /** @var bool */
    public $stockReduced = false;

    public function save(): int
    {
        parent::save();
        foreach ($this->items as $item) {
            $item->save();
        }
        FakeShop::$orders[$this->id] = $this;
        if ($this->get_status() === 'processing') {
            $this->stockReduced = true;
        }
        return $this->id;
    }

    public function get_status(): string
    {
        return $this->props['status'] ?? 'pending';
    }

    public function get_order_number(): string
    {
        return (string) $this->id;
    }

    public function add_item(WC_Order_Item $item): void
    {
        $this->items[] = $item;
    }

    public function get_items($type = 'line_item'): array
    {
        $found = array();
        foreach ($this->items as $item) {
            if ($item instanceof WC_Order_Item_Product) {
                $found[$item->get_id()] = $item;
            }
        }
        return $found;
    }

    public function get_item(int $id)
    {
        return $this->get_items()[$id] ?? false;
    }

    public function add_order_note(string $note): int
    {
        $this->notes[] = $note;
        return count($this->notes);
    }

    public function get_refunds(): array
    {
        return $this->refunds;
    }

    /** Below zero, as WooCommerce counts. */
    public function get_qty_refunded_for_item(int $id): int
    {
        $quantity = 0;
        foreach ($this->refunds as $refund) {
            foreach ($refund->get_items() as $item) {
                $quantity += (int) $item->get_meta('_refunded_item_id') === $id ? (int) $item->get_quantity() : 0;
            }
        }
        return $quantity;
    }

    public function get_remaining_refund_amount(): string
    {
        $left = 0;
        foreach ($this->get_items() as $item) {
            $left += (int) round(100 * ((float) $item->get_total() + (float) $item->get_total_tax()));
        }
        foreach ($this->refunds as $refund) {
            $left -= (int) round(100 * (float) $refund->get_amount());
        }
        return sprintf('%.2f', $left / 100);
    }

    public function get_currency(): string
    {
        return $this->props['currency'] ?? 'EUR';
    }

    public function get_data_store(): object
    {
        return new class {
            public function get_stock_reduced(int $id): bool
            {
                return FakeShop::$orders[$id]->stockReduced;
            }
        };
    }
}

class WC_Order_Refund extends FakeData
{
    public function get_date_created(): ?DateTimeImmutable
    {
        return new DateTimeImmutable('2026-11-25T09:00:00Z');
    }

    public function get_items(string $type = ''): array
    {
        return $this->props['items'] ?? array();
    }
}

class WC_Product extends FakeData
{
    public function get_tax_status(): string
    {
        return $this->props['tax_status'] ?? 'taxable';
    }

    public function is_type($type): bool
    {
        return in_array($this->props['type'] ?? 'simple', (array) $type, true);
    }

    public function get_status(): string
    {
        return $this->props['status'] ?? 'publish';
    }

    public function managing_stock()
    {
        return $this->props['manage_stock'] ?? true;
    }

    public function get_stock_quantity()
    {
        return $this->props['stock_quantity'] ?? null;
    }

    public function get_changes(): array
    {
        return $this->props['changes'] ?? array();
    }

    public function get_children(): array
    {
        return $this->props['children'] ?? array();
    }

    public function get_parent_id(): int
    {
        return $this->props['parent_id'] ?? 0;
    }

    public function save(): int
    {
        parent::save();
        FakeShop::$products[$this->id] = $this;
        return $this->id;
    }
}

class WC_Product_Simple extends WC_Product
{
}

class WC_Product_Variation extends WC_Product
{
}

class WC_Email
{
    /** @var string */
    public $id;

    /** @var bool */
    private $toCustomer;

    public function __construct(string $id, bool $toCustomer)
    {
        $this->id = $id;
        $this->toCustomer = $toCustomer;
    }

    public function is_customer_email(): bool
    {
        return $this->toCustomer;
    }
}

class WC_Tax
{
    public static function get_tax_class_slugs(): array
    {
        return FakeShop::$taxClasses;
    }

    public static function get_base_tax_rates(string $class): array
    {
        $rates = array();
        foreach (self::get_rates_for_tax_class($class) as $rate) {
            $rates[] = array('rate' => (float) $rate->tax_rate, 'compound' => $rate->compound ?? 'no');
        }
        return $rates;
    }

    public static function get_rates_for_tax_class(string $class): array
    {
        return array_filter(FakeShop::$taxRates, static fn (object $rate): bool => $rate->tax_rate_class === $class);
    }
}

class WC_REST_Orders_Controller
{
    public function prepare_object_for_response(WC_Order $order, WP_REST_Request $request): WP_REST_Response
    {
        $meta = array();
        foreach ($order->meta as $key => $value) {
            $meta[] = array('id' => 1, 'key' => $key, 'value' => $value);
        }
        return new WP_REST_Response(array('id' => $order->get_id(), 'status' => $order->get_status(), 'order_key' => 'wc_secret', 'meta_data' => $meta));
    }
}

class WC_REST_Products_Controller
{
    public function prepare_object_for_response(WC_Product $product, WP_REST_Request $request): WP_REST_Response
    {
        $meta = array();
        foreach ($product->meta as $key => $value) {
            $meta[] = array('id' => 1, 'key' => $key, 'value' => $value);
        }
        return new WP_REST_Response(array('id' => $product->get_id(), 'price_html' => '<b>1</b>', 'meta_data' => $meta));
    }
}

function WC(): object
{
    return new class {
        /** @var object */
        public $countries;

        public function __construct()
        {
            $this->countries = new class {
                public function get_countries(): array
                {
                    return array('AT' => 'Austria', 'DE' => 'Germany');
                }
            };
        }

        public function mailer(): object
        {
            return new class {
                public function get_emails(): array
                {
                    return array();
                }
            };
        }
    };
}

function wc_get_order($id)
{
    return FakeShop::$orders[(int) (is_object($id) ? $id->get_id() : $id)] ?? false;
}

/** As WooCommerce: a refund object, and the order's status once nothing is left of it. */
function wc_create_refund(array $arguments): WC_Order_Refund
{
    $order = FakeShop::$orders[$arguments['order_id']];
    $items = array();
    foreach ($arguments['line_items'] as $id => $line) {
        $item = new WC_Order_Item_Product();
        $item->add_meta_data('_refunded_item_id', $id);
        $item->set_quantity(-1 * $line['qty']);
        $item->set_total('-' . $line['refund_total']);
        $items[] = $item;
    }
    $refund = new WC_Order_Refund(++FakeShop::$nextId);
    $refund->set_amount($arguments['amount']);
    $refund->set_items($items);
    do_action('woocommerce_create_refund', $refund, $arguments);
    $order->refunds[] = $refund;
    if ((float) $order->get_remaining_refund_amount() <= 0) {
        $order->set_status(apply_filters('woocommerce_order_fully_refunded_status', 'refunded', $order->get_id(), $refund->get_id()));
    }
    return $refund;
}

function wc_get_orders(array $query): array
{
    $found = array();
    foreach (FakeShop::$orders as $order) {
        if (!isset($query['meta_key']) || $order->get_meta($query['meta_key']) === $query['meta_value']) {
            $found[] = $order;
        }
    }
    return $found;
}

function wc_get_product($id)
{
    return FakeShop::$products[(int) $id] ?? false;
}

function wc_get_product_id_by_sku(string $sku): int
{
    foreach (FakeShop::$products as $product) {
        if ($product->get_sku() === $sku && $product->get_status() !== 'trash') {
            return $product->get_id();
        }
    }
    return 0;
}

function wc_get_order_statuses(): array
{
    return array('wc-pending' => 'a', 'wc-processing' => 'b', 'wc-on-hold' => 'c', 'wc-completed' => 'd', 'wc-cancelled' => 'e');
}

function wc_tax_enabled(): bool
{
    return FakeShop::$taxRates !== array();
}

function wc_prices_include_tax(): bool
{
    return FakeShop::$pricesIncludeTax;
}

function get_woocommerce_currency(): string
{
    return 'EUR';
}

function wc_get_logger(): object
{
    return new class {
        public function error(string $text, array $context = array()): void
        {
            FakeShop::$log[] = $text;
        }
    };
}

/** Stands for the function of Shiptastic that lists the shipments of an order. */
function fake_stc_shipments(WC_Order $order): array
{
    return FakeShop::$shipments;
}

function wc_format_decimal(string $number): string
{
    return $number;
}
