<?php

/**
 * The box on the order page: stop-shipping warning, who is on the label, why it is not shipped yet, and a field for the tracking number
 * where no plugin has one.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Decisions\OrderLink;
use Shopbridge\Labels\LabelPanel;
use Shopbridge\Orders\Commands\StopShipping;
use Shopbridge\Orders\Commands\Timeline;
use Shopbridge\Orders\Tracking\Entries;
use Shopbridge\Orders\Tracking\NativeField;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Screens\Times;

class OrderBox
{
    private const NONCE = 'shopbridge_order_box';

    /** @var Parcels */
    private $parcels;

    /** @var LabelPanel */
    private $labels;

    /** @var PackingSlip */
    private $slip;

    /** @var OrderLink */
    private $decisions;

    public function __construct(Parcels $parcels, LabelPanel $labels, PackingSlip $slip, OrderLink $decisions)
    {
        $this->parcels = $parcels;
        $this->labels = $labels;
        $this->slip = $slip;
        $this->decisions = $decisions;
    }

    public function register(): void
    {
        add_action('add_meta_boxes', array($this, 'add'), 30);
        add_action('woocommerce_process_shop_order_meta', array($this, 'save'), 60, 1);
        add_action('woocommerce_admin_order_data_after_order_details', array($this, 'warn'));
    }

    public function add(): void
    {
        $screen = function_exists('wc_get_page_screen_id') ? wc_get_page_screen_id('shop-order') : 'shop_order';
        add_meta_box('shopbridge-order', __('Shopbridge', 'shopbridge'), array($this, 'show'), $screen, 'side', 'high');
    }

    /** @param mixed $shown a post or an order, by the order storage */
    public function show($shown): void
    {
        $order = $shown instanceof \WC_Order ? $shown : wc_get_order(is_object($shown) && isset($shown->ID) ? $shown->ID : 0);
        if (!$order instanceof \WC_Order) {
            return;
        }
        $this->warn($order);
        $this->showSource($order);
        $this->labels->show($order);
        $this->slip->button($order);
        $this->decisions->show($order);
        $this->showTimeline($order);
        $this->showParcels($order);
    }

    /** @param mixed $order */
    public function warn($order): void
    {
        $reason = $order instanceof \WC_Order ? (string) $order->get_meta(StopShipping::META) : '';
        if ($reason !== '' && $order->get_status() !== 'cancelled') {
            echo '<div role="alert" style="background:#b32d2e;color:#fff;padding:8px 12px;margin:8px 0;font-size:14px;clear:both"><strong>';
            echo esc_html__('Do not ship!', 'shopbridge') . '</strong> ' . esc_html($reason) . '</div>';
        }
    }

    /** @param int|string $orderId */
    public function save($orderId): void
    {
        $nonce = isset($_POST['shopbridge_nonce']) ? sanitize_text_field(wp_unslash($_POST['shopbridge_nonce'])) : '';
        if (!wp_verify_nonce($nonce, self::NONCE) || !current_user_can('edit_shop_orders')) {
            return;
        }
        $order = wc_get_order($orderId);
        if (!$order instanceof \WC_Order) {
            return;
        }
        $changed = $this->saveNumbers($order, NativeField::SENT, 'shopbridge_number', 'shopbridge_carrier');
        $changed = $this->saveNumbers($order, NativeField::RETURNING, 'shopbridge_return_number', 'shopbridge_return_carrier') || $changed;
        if ($changed) {
            $order->save();
        }
    }

    /** The nonce was checked before this is called. */
    private function saveNumbers(\WC_Order $order, string $meta, string $numberField, string $carrierField): bool
    {
        $changed = false;
        $number = mb_substr(self::posted($numberField), 0, 100);
        if ($number !== '') {
            $changed = NativeField::add($order, $meta, $number, mb_substr(self::posted($carrierField), 0, 100), null, time());
        }
        $remove = isset($_POST[$numberField . '_remove']) && is_array($_POST[$numberField . '_remove'])
            ? array_map('sanitize_text_field', wp_unslash($_POST[$numberField . '_remove']))
            : array();
        foreach ($remove as $gone) {
            NativeField::remove($order, $meta, (string) $gone);
            $changed = true;
        }
        return $changed;
    }

    private static function posted(string $name): string
    {
        return isset($_POST[$name]) && is_string($_POST[$name]) ? trim(sanitize_text_field(wp_unslash($_POST[$name]))) : '';
    }

    private function showSource(\WC_Order $order): void
    {
        $source = $order->get_meta('_shopbridge_source');
        if (is_array($source)) {
            $name = ($source['name'] ?? '') === '' ? ($source['marketplace'] ?? '') : $source['name'];
            echo '<p><strong>' . esc_html((string) $name) . '</strong> ' . esc_html((string) ($source['order_id'] ?? '')) . '</p>';
            if (!empty($source['ship_by'])) {
                echo '<p>' . esc_html__('Ship by:', 'shopbridge') . ' ' . esc_html(Times::shown((string) $source['ship_by'])) . '</p>';
            }
        }
    }

    private function showTimeline(\WC_Order $order): void
    {
        $timeline = $order->get_meta(Timeline::META);
        if (!is_array($timeline)) {
            return;
        }
        if (!empty($timeline['next'])) {
            echo '<p><strong>' . esc_html__('Next:', 'shopbridge') . '</strong> ' . esc_html((string) $timeline['next']) . '</p>';
        }
        echo '<ul style="max-height:16em;overflow:auto">';
        foreach (array_reverse((array) ($timeline['entries'] ?? array())) as $entry) {
            echo '<li><time>' . esc_html(Times::shown((string) ($entry['at'] ?? ''))) . '</time><br>' . esc_html((string) ($entry['text'] ?? '')) . '</li>';
        }
        echo '</ul>';
    }

    private function showParcels(\WC_Order $order): void
    {
        wp_nonce_field(self::NONCE, 'shopbridge_nonce');
        if ($this->parcels->hasPlugin()) {
            echo '<p class="description">' . esc_html__('Tracking numbers are read from your shipping plugin.', 'shopbridge') . '</p>';
        } else {
            $this->showField($order, NativeField::SENT, 'shopbridge_number', 'shopbridge_carrier', __('Tracking number', 'shopbridge'));
        }
        $title = __('Return tracking number', 'shopbridge');
        $this->showField($order, NativeField::RETURNING, 'shopbridge_return_number', 'shopbridge_return_carrier', $title);
    }

    private function showField(\WC_Order $order, string $meta, string $numberField, string $carrierField, string $title): void
    {
        foreach (Entries::of($order->get_meta($meta)) as $entry) {
            $number = (string) ($entry['number'] ?? '');
            echo '<p>' . esc_html(trim(($entry['carrier'] ?? '') . ' ' . $number)) . ' <label><input type="checkbox" name="';
            echo esc_attr($numberField) . '_remove[]" value="' . esc_attr($number) . '"> ' . esc_html__('remove', 'shopbridge') . '</label></p>';
        }
        echo '<p><label>' . esc_html($title) . '<input type="text" class="widefat" name="' . esc_attr($numberField) . '" value=""></label>';
        echo '<label>' . esc_html__('Carrier', 'shopbridge') . '<input type="text" class="widefat" name="' . esc_attr($carrierField);
        echo '" value="" placeholder="DHL"></label></p>';
    }
}
