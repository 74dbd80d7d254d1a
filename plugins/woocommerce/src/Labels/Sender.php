<?php

/**
 * Whose address stands on the labels of an order (K7). An order of the dropshipping network has a sender from its first moment on,
 * but its address comes later; until it is complete there is no label.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

use Shopbridge\Orders\Commands\LabelSender;

final class Sender
{
    public const NETWORK = 'dropshipping';

    /** @var array<string, mixed> */
    private $address;

    /**
     * @param array<string, mixed> $address
     */
    private function __construct(array $address)
    {
        $this->address = $address;
    }

    /**
     * The sender that the labels of this order must carry; null for the shop's own orders, which nobody touches.
     *
     * @param mixed $order what an extension calls its order
     */
    public static function of($order): ?self
    {
        if (!$order instanceof \WC_Order) {
            return null;
        }
        $address = $order->get_meta(LabelSender::META);
        $address = is_array($address) ? $address : array();
        $source = $order->get_meta('_shopbridge_source');
        $isNetwork = is_array($source) && ($source['marketplace'] ?? '') === self::NETWORK;
        return $isNetwork || $address !== array() ? new self($address) : null;
    }

    /** A field by WooCommerce's name for it; '' when it is not known. */
    public function get(string $field): string
    {
        $value = $this->address[$field] ?? '';
        return is_string($value) ? trim($value) : '';
    }

    /** The first line of the address: the company, or the person where there is none. */
    public function name(): string
    {
        return $this->get('company') === '' ? $this->person() : $this->get('company');
    }

    public function person(): string
    {
        return trim($this->get('first_name') . ' ' . $this->get('last_name'));
    }

    /** The second line: the person at the company. */
    public function contact(): string
    {
        return $this->get('company') === '' ? '' : $this->person();
    }

    public function street(): Street
    {
        return Street::of($this->get('address_1'));
    }

    public function isComplete(): bool
    {
        return $this->missing() === array();
    }

    /** Why there is no label, for the merchant; '' when there may be one. */
    public function refusal(): string
    {
        if ($this->address === array()) {
            return __('No label yet: the bridge has not named the address of the retailer, which must stand on it instead of yours.', 'shopbridge');
        }
        if ($this->isComplete()) {
            return '';
        }
        /* translators: %s: fields of an address */
        $sentence = __('No label: the address of the retailer, which must stand on it instead of yours, lacks %s.', 'shopbridge');
        return sprintf($sentence, implode(', ', $this->missing()));
    }

    /**
     * The address in lines, for the screen; not escaped.
     *
     * @return string[]
     */
    public function lines(): array
    {
        $place = trim($this->get('country') . ' ' . $this->get('postcode') . ' ' . $this->get('city'));
        return array_filter(array($this->name(), $this->contact(), $this->get('address_1'), $this->get('address_2'), $place));
    }

    /**
     * @return string[] the missing fields as merchants call them
     */
    private function missing(): array
    {
        $needed = array(
            __('name', 'shopbridge') => $this->name(),
            __('street', 'shopbridge') => $this->get('address_1'),
            __('postcode', 'shopbridge') => $this->get('postcode'),
            __('city', 'shopbridge') => $this->get('city'),
            __('country', 'shopbridge') => $this->get('country'),
        );
        return array_keys($needed, '', true);
    }
}
