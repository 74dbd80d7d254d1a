<?php

/**
 * DHL eCommerce Benelux (seen: 2.1.8). Nothing is caught around its filter, so a refusal empties the sender: the extension then says that
 * the street of the shipper is missing, and our note says why.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class DhlEcommerce implements LabelExtension
{
    /** @var Journal */
    private $journal;

    public function __construct(Journal $journal)
    {
        $this->journal = $journal;
    }

    public function name(): string
    {
        return 'DHL eCommerce';
    }

    public function isInstalled(): bool
    {
        return class_exists('DHLPWC_Model_Core_Singleton_Abstract');
    }

    public function register(): void
    {
        add_filter('dhlpwc_shipment_request', array($this, 'request'), 999, 2);
        add_action('dhlpwc_create_label', array($this, 'created'), 10, 2);
    }

    /**
     * @param mixed $request
     * @param mixed $orderId
     * @return mixed
     */
    public function request($request, $orderId)
    {
        $order = wc_get_order($orderId);
        $sender = Sender::of($order);
        if (!$order instanceof \WC_Order || $sender === null || !is_object($request) || !is_object($request->shipper ?? null)) {
            return $request;
        }
        if ($sender->isComplete()) {
            $this->journal->swapped($order, $sender);
        } else {
            $this->journal->refused($order, $sender->refusal());
        }
        // On behalf of whom it is sent is printed; the shipper is named in DHL's messages to the buyer. Neither may be the supplier.
        $request->shipper = self::address($request->shipper, $sender);
        $request->on_behalf_of = self::address($request->shipper, $sender);
        return $request;
    }

    /**
     * @param mixed $orderId
     * @param mixed $label
     */
    public function created($orderId, $label): void
    {
        if (!is_array($label) || empty($label['is_return'])) {
            $this->journal->printed(wc_get_order($orderId), $this->name());
        }
    }

    /** A copy in the shape that the extension made, all of it overwritten. */
    private static function address(object $shape, Sender $sender): object
    {
        $isComplete = $sender->isComplete();
        $copy = clone $shape;
        $copy->name = clone $shape->name;
        $copy->address = clone $shape->address;
        $street = $sender->street();
        $values = array(
            array($copy->name, 'first_name', $sender->get('first_name')),
            array($copy->name, 'last_name', $sender->get('last_name')),
            array($copy->name, 'company_name', $sender->get('company')),
            array($copy->address, 'country_code', $sender->get('country')),
            array($copy->address, 'postal_code', $sender->get('postcode')),
            array($copy->address, 'city', $sender->get('city')),
            array($copy->address, 'street', $street->name),
            array($copy->address, 'number', $street->digits),
            array($copy->address, 'addition', trim($street->addition . ' ' . $sender->get('address_2'))),
            array($copy, 'email', $sender->get('email')),
            array($copy, 'phone_number', $sender->get('phone')),
        );
        foreach ($values as list($part, $field, $value)) {
            $part->$field = $isComplete ? $value : '';
        }
        return $copy;
    }
}
