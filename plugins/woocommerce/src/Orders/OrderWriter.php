<?php

/**
 * Writes an order of the bridge with its lines, prices and taxes as they were given. Saves it once, as pending.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class OrderWriter
{
    private const ADDRESS = array('first_name', 'last_name', 'company', 'address_1', 'address_2', 'postcode', 'city', 'state', 'country', 'phone');

    /** @var Shelf */
    private $shelf;

    /** @var Taxes */
    private $taxes;

    public function __construct(Shelf $shelf, Taxes $taxes)
    {
        $this->shelf = $shelf;
        $this->taxes = $taxes;
    }

    public function write(CommandData $data, string $key): \WC_Order
    {
        $order = new \WC_Order();
        $order->set_created_via('shopbridge');
        $order->set_currency($data->text('currency', 3));
        $order->set_prices_include_tax(true);
        $this->writeSource($order, $data, $key);
        $this->writeAddresses($order, $data);
        $totals = $this->writeLines($order, $data);
        $totals = $this->writeShipping($order, $data, $totals);
        $totals = $this->writeDifference($order, $data, $totals);
        $this->writeTaxes($order, $totals);
        $order->set_total(Money::text($totals['gross']));
        $order->set_status('pending');
        $order->save();
        $this->writeNotes($order, $data);
        return $order;
    }

    /** What only some carriers read (Packstation, post number) must reach the label: where no field has it, as a note (protocol.md 4). */
    private function writeNotes(\WC_Order $order, CommandData $data): void
    {
        $note = Note::plain($data->optional('note'));
        if ($note !== '') {
            $order->add_order_note($note);
        }
        $told = array();
        foreach ($data->object('shipping')->texts('extra', 190) as $name => $value) {
            $told[] = str_replace('_', ' ', $name) . ': ' . $value;
        }
        if ($told !== array()) {
            /* translators: %s: names and values, such as a post number */
            $order->add_order_note(Note::plain(sprintf(__('For the label: %s', 'shopbridge'), implode(', ', $told))));
        }
    }

    private function writeSource(\WC_Order $order, CommandData $data, string $key): void
    {
        $source = $data->object('source');
        $name = $source->optional('name', 100);
        $order->set_payment_method_title($name === '' ? $source->text('marketplace', 100) : $name);
        $order->update_meta_data('_shopbridge_key', $key);
        $order->update_meta_data(
            '_shopbridge_source',
            array(
                'marketplace' => $source->text('marketplace', 100),
                'name' => $name,
                'order_id' => $source->text('order_id', 100),
                'placed_at' => $data->optional('placed_at', 40),
                'ship_by' => $data->optional('ship_by', 40),
            )
        );
    }

    private function writeAddresses(\WC_Order $order, CommandData $data): void
    {
        foreach (array('billing', 'shipping') as $kind) {
            $address = $data->object($kind);
            foreach (self::ADDRESS as $field) {
                $order->{'set_' . $kind . '_' . $field}(sanitize_text_field($address->optional($field, 200)));
            }
        }
        $this->writeExtra($order, $data->object('shipping')->texts('extra', 190));
        $email = sanitize_email($data->object('billing')->optional('email', 200));
        // An address that WooCommerce would refuse must not cost the merchant the order.
        if (is_email($email)) {
            $order->set_billing_email($email);
        }
    }

    /**
     * A parcel to a Packstation needs the post number of its recipient; label extensions read it from the second address line.
     *
     * @param array<string, string> $extra
     */
    private function writeExtra(\WC_Order $order, array $extra): void
    {
        if ($extra === array()) {
            return;
        }
        $order->update_meta_data('_shopbridge_address_extra', array_map('sanitize_text_field', $extra));
        $number = sanitize_text_field($extra['dhl_post_number'] ?? $extra['post_number'] ?? '');
        $isThere = strpos($order->get_shipping_address_1() . ' ' . $order->get_shipping_company(), $number) !== false;
        if ($number !== '' && !$isThere && $order->get_shipping_address_2() === '') {
            $order->set_shipping_address_2($number);
        }
    }

    /**
     * @return array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string}
     */
    private function writeLines(\WC_Order $order, CommandData $data): array
    {
        $totals = array('gross' => 0, 'taxes' => array(), 'shipping_taxes' => array(), 'percent' => '');
        $lines = $data->objects('lines');
        if ($lines === array()) {
            throw $data->invalid('lines', 'is empty');
        }
        foreach ($lines as $line) {
            $gross = $line->cents('unit_price') * $line->quantity('quantity');
            $percent = $line->optional('tax_rate', 10);
            $split = $this->taxes->split($gross, $percent, $order->get_shipping_country());
            $order->add_item($this->line($line, $split));
            $totals['gross'] += $gross;
            $totals['percent'] = $totals['percent'] === '' ? $percent : $totals['percent'];
            if ($split['rate_id'] > 0) {
                $totals['taxes'][$split['rate_id']] = ($totals['taxes'][$split['rate_id']] ?? 0) + $split['tax'];
            }
        }
        return $totals;
    }

    /**
     * @param array{net: int, tax: int, rate_id: int} $split
     */
    private function line(CommandData $line, array $split): \WC_Order_Item_Product
    {
        $item = new \WC_Order_Item_Product();
        $sku = $line->optional('sku', 100);
        $gtin = $line->optional('gtin', 50);
        $product = $this->shelf->product($line->optional('product_id', 20), $sku, $gtin);
        if ($product !== null) {
            $item->set_product($product);
        } else {
            // Without a product the merchant needs to see what was sold.
            $item->add_meta_data('SKU', $sku);
            $item->add_meta_data('GTIN', $gtin);
        }
        $item->set_name(sanitize_text_field($line->text('name', 500)));
        $item->set_quantity($line->quantity('quantity'));
        $item->set_subtotal(Money::text($split['net']));
        $item->set_total(Money::text($split['net']));
        $this->setTaxes($item, $split);
        $item->add_meta_data('_shopbridge_line', $line->key());
        return $item;
    }

    /**
     * @param array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string} $totals
     * @return array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string}
     */
    private function writeShipping(\WC_Order $order, CommandData $data, array $totals): array
    {
        $gross = $data->has('shipping_total') ? $data->cents('shipping_total') : 0;
        // Postage shares the tax of what is in the parcel; the first line stands for it.
        $split = $this->taxes->split($gross, $totals['percent'], $order->get_shipping_country());
        $item = new \WC_Order_Item_Shipping();
        $item->set_method_title($order->get_payment_method_title());
        $item->set_method_id('shopbridge');
        $item->set_total(Money::text($split['net']));
        $item->set_taxes(array('total' => $split['rate_id'] > 0 ? array($split['rate_id'] => Money::text($split['tax'])) : array()));
        $order->add_item($item);
        $order->set_shipping_total(Money::text($split['net']));
        $totals['gross'] += $gross;
        if ($split['rate_id'] > 0 && $split['tax'] > 0) {
            $totals['shipping_taxes'][$split['rate_id']] = $split['tax'];
        }
        return $totals;
    }

    /**
     * What the buyer paid is the truth. When the lines do not add up to it (a voucher of the marketplace), a fee line shows the difference.
     *
     * @param array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string} $totals
     * @return array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string}
     */
    private function writeDifference(\WC_Order $order, CommandData $data, array $totals): array
    {
        $difference = $data->cents('total') - $totals['gross'];
        if ($difference !== 0) {
            $item = new \WC_Order_Item_Fee();
            $item->set_name(__('Difference to the total of the marketplace', 'shopbridge'));
            $item->set_tax_status('none');
            $item->set_amount(Money::text($difference));
            $item->set_total(Money::text($difference));
            $order->add_item($item);
            $totals['gross'] += $difference;
        }
        return $totals;
    }

    /**
     * @param array{gross: int, taxes: array<int, int>, shipping_taxes: array<int, int>, percent: string} $totals
     */
    private function writeTaxes(\WC_Order $order, array $totals): void
    {
        foreach (array_keys($totals['taxes'] + $totals['shipping_taxes']) as $rate) {
            $item = new \WC_Order_Item_Tax();
            $item->set_rate($rate);
            $item->set_tax_total(Money::text($totals['taxes'][$rate] ?? 0));
            $item->set_shipping_tax_total(Money::text($totals['shipping_taxes'][$rate] ?? 0));
            $order->add_item($item);
        }
        $order->set_cart_tax(Money::text(array_sum($totals['taxes'])));
        $order->set_shipping_tax(Money::text(array_sum($totals['shipping_taxes'])));
    }

    /**
     * @param array{net: int, tax: int, rate_id: int} $split
     */
    private function setTaxes(\WC_Order_Item_Product $item, array $split): void
    {
        if ($split['rate_id'] > 0) {
            $tax = array($split['rate_id'] => Money::text($split['tax']));
            $item->set_taxes(array('total' => $tax, 'subtotal' => $tax));
        }
    }
}
