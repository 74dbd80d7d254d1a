<?php

/**
 * The sender of a shipment in Shiptastic and in its ancestor, Germanized Shipments: the same hooks under two prefixes (FACTS section 8).
 * All their carriers (DHL, Deutsche Post, UPS, DPD, GLS, Hermes) read it. Returns have hooks of their own and stay as they are.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

abstract class Shipments implements LabelExtension
{
    private const FIELDS = array(
        'company', 'first_name', 'last_name', 'address_1', 'address_2', 'postcode', 'city', 'country', 'state', 'email', 'phone',
        'vat_id', 'customs_reference_number', 'customs_uk_vat_id',
    );
    private const LAST = 999;

    /** @var Journal */
    private $journal;

    /** @var bool whether the label that is being made must not be made */
    private $refuses = false;

    public function __construct(Journal $journal)
    {
        $this->journal = $journal;
    }

    /** What the names of its hooks begin with. */
    abstract protected function prefix(): string;

    /** Its class that knows which countries are domestic. */
    abstract protected function package(): string;

    /** A label of ours whose fetch() fails with the reason. */
    abstract protected function refusal(): string;

    public function register(): void
    {
        $shipment = $this->prefix() . 'shipment_';
        foreach (self::FIELDS as $field) {
            $swap = fn ($value, $of) => $this->field($field, $value, $of);
            add_filter($shipment . 'get_sender_address_' . $field, $swap, self::LAST, 2);
        }
        add_filter($shipment . 'get_sender_address', array($this, 'address'), self::LAST, 2);
        foreach (array('is_shipping_domestic', 'is_shipping_inner_eu') as $question) {
            $answer = fn ($value, $of) => $this->fromTheSupplier($question, $value, $of);
            add_filter($shipment . $question, $answer, self::LAST, 2);
        }
        add_filter($shipment . 'get_shipping_provider', array($this, 'watch'), self::LAST, 2);
        add_filter($shipment . 'label_class', array($this, 'labelClass'), self::LAST, 3);
        add_action($shipment . 'created_label', array($this, 'created'), 10, 1);
    }

    /**
     * The whole address; also asked for editing, where the single fields are not filtered.
     *
     * @param mixed $address
     * @param mixed $shipment
     * @return mixed
     */
    public function address($address, $shipment)
    {
        if (is_array($address)) {
            foreach (array_keys($address) as $field) {
                $address[$field] = $this->field((string) $field, $address[$field], $shipment);
            }
        }
        return $address;
    }

    /**
     * The hook before a label is made has the carrier's name in it. It is learned when the shipment is asked for its carrier, which is
     * the first thing that happens.
     *
     * @param mixed $provider
     * @param mixed $shipment
     * @return mixed
     */
    public function watch($provider, $shipment)
    {
        if (is_string($provider) && $provider !== '') {
            $hook = $this->prefix() . 'shipment_before_create_' . $provider . '_label';
            if (has_action($hook, array($this, 'begin')) === false) {
                add_action($hook, array($this, 'begin'), 10, 2);
            }
        }
        return $provider;
    }

    /**
     * @param mixed $options
     * @param mixed $shipment
     */
    public function begin($options, $shipment): void
    {
        $sender = self::sender($shipment);
        $this->refuses = $sender !== null && !$sender->isComplete();
        if ($sender !== null) {
            $this->journal->begin($shipment->get_order());
        }
        if ($sender !== null && $this->refuses) {
            $this->journal->refused($shipment->get_order(), $sender->refusal());
        }
    }

    /**
     * Nobody catches exceptions around a new label, but every caller shows the error of its fetch().
     *
     * @param mixed $class
     * @param mixed $id 0 for a new label
     * @param mixed $type
     * @return mixed
     */
    public function labelClass($class, $id, $type)
    {
        return $this->refuses && empty($id) && $type !== 'return' ? $this->refusal() : $class;
    }

    /** @param mixed $shipment */
    public function created($shipment): void
    {
        if (self::sender($shipment) !== null) {
            $this->journal->printed($shipment->get_order(), $this->name());
        }
    }

    /**
     * @param mixed $value
     * @param mixed $shipment
     * @return mixed
     */
    private function field(string $field, $value, $shipment)
    {
        $sender = self::sender($shipment);
        if ($sender === null) {
            return $value;
        }
        if (!$sender->isComplete()) {
            return '';
        }
        if ($field === 'address_1') {
            $this->journal->swapped($shipment->get_order(), $sender);
        }
        return $sender->get($field);
    }

    /**
     * Whether a parcel stays in the country is a matter of where it starts, and that is the supplier's door.
     *
     * @param mixed $value
     * @param mixed $shipment
     * @return mixed
     */
    private function fromTheSupplier(string $question, $value, $shipment)
    {
        $knows = array($this->package(), $question === 'is_shipping_inner_eu' ? 'is_shipping_inner_eu_country' : $question);
        if (self::sender($shipment) === null || !is_callable($knows)) {
            return $value;
        }
        $way = array(
            'sender_country' => $shipment->get_sender_country('edit'),
            'sender_postcode' => $shipment->get_sender_postcode('edit'),
            'postcode' => $shipment->get_postcode(),
        );
        return $knows($shipment->get_country(), $way);
    }

    /** @param mixed $shipment */
    private static function sender($shipment): ?Sender
    {
        if (!is_object($shipment) || !is_callable(array($shipment, 'get_order')) || $shipment->get_type() === 'return') {
            return null;
        }
        return Sender::of($shipment->get_order());
    }
}
