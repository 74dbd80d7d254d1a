<?php

/**
 * GLS Shipping for WooCommerce (seen: 1.4.1). Its sender is the pickup address of GLS's API; whether GLS accepts one that is not the
 * customer's own is between the merchant and GLS. An exception is shown for one label, and stops a batch that is printed as one file.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class Gls implements LabelExtension
{
    /** @var Journal */
    private $journal;

    public function __construct(Journal $journal)
    {
        $this->journal = $journal;
    }

    public function name(): string
    {
        return 'GLS Shipping for WooCommerce';
    }

    public function isInstalled(): bool
    {
        return class_exists('GLS_Shipping_For_Woo');
    }

    public function register(): void
    {
        add_filter('gls_shipping_for_woocommerce_api_get_pickup_address', array($this, 'address'), 999, 2);
        add_action('gls_label_generated', array($this, 'created'), 10, 2);
        add_action('gls_bulk_labels_generated', array($this, 'createdMany'), 10, 2);
    }

    /**
     * @param mixed $address
     * @param mixed $order
     * @return mixed
     * @throws LabelRefused
     */
    public function address($address, $order)
    {
        $sender = Sender::of($order);
        if ($sender === null) {
            return $address;
        }
        if (!$sender->isComplete()) {
            /* translators: 1: number of an order 2: why there is no label */
            $sentence = sprintf(__('Order %1$s: %2$s', 'shopbridge'), $order->get_order_number(), $sender->refusal());
            throw $this->journal->refused($order, $sentence);
        }
        $this->journal->swapped($order, $sender);
        return array(
            'Name' => $sender->name(),
            'Street' => trim($sender->get('address_1') . ' ' . $sender->get('address_2')),
            'City' => $sender->get('city'),
            'ZipCode' => $sender->get('postcode'),
            'CountryIsoCode' => $sender->get('country'),
            'ContactName' => $sender->person() === '' ? $sender->name() : $sender->person(),
            'ContactPhone' => $sender->get('phone'),
            'ContactEmail' => $sender->get('email'),
        );
    }

    /**
     * @param mixed $orderId
     * @param mixed $order
     */
    public function created($orderId, $order): void
    {
        $this->journal->printed($order, $this->name());
    }

    /**
     * @param mixed $orderIds
     * @param mixed $printed ids of the orders that got a label
     */
    public function createdMany($orderIds, $printed): void
    {
        foreach ((array) $printed as $id) {
            $this->journal->printed(wc_get_order($id), $this->name());
        }
    }
}
