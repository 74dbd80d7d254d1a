<?php

/**
 * The classes of label extensions that ours extend or call, as far as the tests need them.
 */

declare(strict_types=1);

namespace Vendidero\Shiptastic\Labels {
    class Label
    {
        /** @var object|null */
        private $shipment;

        public function set_shipment(object $shipment): void
        {
            $this->shipment = $shipment;
        }

        public function get_shipment(): ?object
        {
            return $this->shipment;
        }
    }
}

namespace Vendidero\Germanized\Shipments\Labels {
    class Label extends \Vendidero\Shiptastic\Labels\Label
    {
    }
}

namespace Vendidero\Shiptastic {
    class Package
    {
        public static function is_shipping_domestic(string $country, array $way): bool
        {
            return $country === $way['sender_country'];
        }

        public static function is_shipping_inner_eu_country(string $country, array $way): bool
        {
            return $country !== $way['sender_country'];
        }
    }
}

namespace {
    /** A shipment as Shiptastic and Germanized make it: its sender is the shop's, and every value passes the filter (src/Shipment.php). */
    final class FakeShipment
    {
        private const SHOP = array(
            'company' => "Anna's Teeladen", 'first_name' => 'Anna', 'last_name' => 'Ahrens', 'address_1' => 'Teegasse 1', 'address_2' => 'Hof',
            'postcode' => '20095', 'city' => 'Hamburg', 'country' => 'DE', 'state' => 'DE-HH', 'email' => 'anna@tee.example', 'phone' => '040 1',
            'vat_id' => 'DE111111111', 'customs_reference_number' => 'EORI1', 'customs_uk_vat_id' => 'GB1',
        );

        /** @var WC_Order|false */
        private $order;

        /** @var string */
        private $prefix;

        /** @var string */
        private $type;

        /** @var string */
        public $provider = 'dhl';

        public function __construct($order, string $prefix = 'woocommerce_shiptastic_', string $type = 'simple')
        {
            $this->order = $order;
            $this->prefix = $prefix . ($type === 'simple' ? '' : $type . '_') . 'shipment_';
            $this->type = $type;
        }

        public function get_order()
        {
            return $this->order;
        }

        public function get_type(): string
        {
            return $this->type;
        }

        public function get_country(): string
        {
            return 'DE';
        }

        public function get_postcode(): string
        {
            return '50667';
        }

        public function __call(string $name, array $arguments)
        {
            $field = str_replace('get_sender_', '', $name);
            $value = self::SHOP[$field];
            $isView = ($arguments[0] ?? 'view') === 'view';
            return $isView ? apply_filters($this->prefix . 'get_sender_address_' . $field, $value, $this) : $value;
        }

        public function get_sender_address(string $context = 'view'): array
        {
            $address = array();
            foreach (array_keys(self::SHOP) as $field) {
                $address[$field] = $this->{'get_sender_' . $field}($context);
            }
            return apply_filters($this->prefix . 'get_sender_address', $address, $this);
        }

        public function get_sender_address_1(string $context = 'view')
        {
            return $this->__call('get_sender_address_1', array($context));
        }

        public function is_shipping_domestic(): bool
        {
            $domestic = $this->get_sender_country() === $this->get_country();
            return apply_filters($this->prefix . 'is_shipping_domestic', $domestic, $this);
        }

        /** The order of calls of Shipment::create_label() and Auto::create_label(): what its label's fetch() says. */
        public function create_label()
        {
            $name = apply_filters($this->prefix . 'get_shipping_provider', $this->provider, $this);
            do_action($this->prefix . 'before_create_' . $name . '_label', false, $this);
            $class = apply_filters(str_replace('return_', '', $this->prefix) . 'label_class', FakeLabel::class, 0, $this->type, null);
            $label = new $class();
            $label->set_shipment($this);
            $result = $label->fetch();
            if (!is_wp_error($result)) {
                do_action($this->prefix . 'created_label', $this, false);
            }
            return $result;
        }
    }

    final class FakeLabel extends \Vendidero\Shiptastic\Labels\Label
    {
        /** @var string[] what is printed */
        public static $printed = array();

        /** @var bool a carrier that does not ask the shipment */
        public static $asks = true;

        public function fetch()
        {
            self::$printed = self::$asks ? array_filter($this->get_shipment()->get_sender_address()) : array();
            return true;
        }
    }
}
