<?php

/**
 * The DHL add-ons of Shiptastic and of Germanized. They read the shipment's sender, but a reference to an address kept at DHL would win
 * over it, so there is none for our orders.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class DhlShipper implements LabelExtension
{
    private const FIELDS = array(
        'name1', 'name2', 'name3', 'street', 'street_name', 'street_number', 'zip', 'city', 'state', 'country', 'email', 'phone',
    );
    private const LAST = 999;

    /** @var Journal */
    private $journal;

    /** @var string */
    private $prefix;

    /** @var string a class of the add-on */
    private $package;

    public function __construct(Journal $journal, string $prefix, string $package)
    {
        $this->journal = $journal;
        $this->prefix = $prefix;
        $this->package = $package;
    }

    public static function ofShiptastic(Journal $journal): self
    {
        return new self($journal, 'woocommerce_shiptastic_dhl_', '\Vendidero\Shiptastic\DHL\Package');
    }

    public static function ofGermanized(Journal $journal): self
    {
        return new self($journal, 'woocommerce_gzd_dhl_', '\Vendidero\Germanized\DHL\Package');
    }

    public function name(): string
    {
        return $this->prefix === 'woocommerce_gzd_dhl_' ? 'Germanized DHL' : 'Shiptastic DHL';
    }

    public function isInstalled(): bool
    {
        return class_exists($this->package);
    }

    public function register(): void
    {
        add_filter($this->prefix . 'label_api_shipper_reference', array($this, 'reference'), self::LAST, 2);
        foreach (self::FIELDS as $field) {
            $swap = fn ($value, $label) => $this->field($field, $value, $label);
            add_filter($this->prefix . 'label_api_shipper_' . $field, $swap, self::LAST, 2);
        }
        add_filter($this->prefix . 'label_rest_api_create_label_request', array($this, 'request'), self::LAST, 2);
    }

    /**
     * The first thing asked for a label; the add-on shows an exception as an error of the carrier.
     *
     * @param mixed $reference
     * @param mixed $label
     * @return mixed
     * @throws LabelRefused
     */
    public function reference($reference, $label)
    {
        $order = self::order($label);
        $sender = Sender::of($order);
        if ($order === null || $sender === null) {
            return $reference;
        }
        if (!$sender->isComplete()) {
            throw $this->journal->refused($order, $sender->refusal());
        }
        return '';
    }

    /**
     * The whole request, last of all.
     *
     * @param mixed $request
     * @param mixed $label
     * @return mixed
     */
    public function request($request, $label)
    {
        $order = self::order($label);
        if ($order !== null && Sender::of($order) !== null && isset($request['services']['dhlRetoure'])) {
            unset($request['services']['dhlRetoure']);
            if ($request['services'] === array()) {
                unset($request['services']);
            }
            $this->journal->leftReturnOut($order);
        }
        return $request;
    }

    /**
     * @param mixed $value
     * @param mixed $label
     * @return mixed
     */
    private function field(string $field, $value, $label)
    {
        $sender = Sender::of(self::order($label));
        if ($sender === null) {
            return $value;
        }
        return $sender->isComplete() ? self::shipper($sender)[$field] : '';
    }

    /**
     * @return array<string, string>
     */
    private static function shipper(Sender $sender): array
    {
        return array(
            'name1' => $sender->name(),
            'name2' => $sender->contact(),
            'name3' => $sender->get('address_2'),
            'street' => $sender->get('address_1'),
            'street_name' => $sender->street()->name,
            'street_number' => $sender->street()->number(),
            'zip' => $sender->get('postcode'),
            'city' => $sender->get('city'),
            'state' => $sender->get('state'),
            'country' => $sender->get('country'),
            'email' => $sender->get('email'),
            'phone' => $sender->get('phone'),
        );
    }

    /** @param mixed $label */
    private static function order($label): ?\WC_Order
    {
        $shipment = is_object($label) && is_callable(array($label, 'get_shipment')) ? $label->get_shipment() : null;
        if (!is_object($shipment) || $shipment->get_type() === 'return') {
            return null;
        }
        $order = $shipment->get_order();
        return $order instanceof \WC_Order ? $order : null;
    }
}
