<?php

/**
 * DHL for WooCommerce (seen: 4.1.0): the arguments of a label pass one filter, and an exception in it is shown. A pickup asks the same
 * filter but starts at the supplier's door. Deutsche Post International and INTERNETMARKE have no sender that a hook could change.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class DhlForWooCommerce implements LabelExtension
{
    private const LAST = 999;

    /** @var Journal */
    private $journal;

    /** @var bool whether a pickup is being ordered */
    private $isPickup = false;

    public function __construct(Journal $journal)
    {
        $this->journal = $journal;
    }

    public function name(): string
    {
        return 'DHL for WooCommerce';
    }

    public function isInstalled(): bool
    {
        return function_exists('PR_DHL');
    }

    public function register(): void
    {
        add_filter('pr_shipping_dhl_label_args', array($this, 'arguments'), self::LAST, 2);
        add_action('pr_shipping_dhl_label_created', array($this, 'created'), 10, 1);
        foreach (array('handle_bulk_actions-edit-shop_order', 'handle_bulk_actions-woocommerce_page_wc-orders') as $hook) {
            add_filter($hook, array($this, 'bulkBegins'), 1, 2);
            add_filter($hook, array($this, 'bulkEnds'), self::LAST, 1);
        }
        add_action('wp_ajax_wc_shipment_internetmarke_gen_label', array($this, 'stamp'), 1);
    }

    /**
     * @param mixed $arguments
     * @param mixed $orderId
     * @return mixed
     * @throws LabelRefused
     */
    public function arguments($arguments, $orderId)
    {
        $order = $this->isPickup ? null : wc_get_order($orderId);
        $sender = Sender::of($order);
        if (!$order instanceof \WC_Order || $sender === null || !is_array($arguments)) {
            return $arguments;
        }
        if (!$sender->isComplete()) {
            throw $this->journal->refused($order, $sender->refusal());
        }
        if (!isset($arguments['dhl_settings']['shipper_country'])) {
            throw $this->journal->refused($order, self::noSender());
        }
        $this->journal->swapped($order, $sender);
        return $this->withoutReturn($order, self::swap($arguments, $sender));
    }

    /** @param mixed $orderId */
    public function created($orderId): void
    {
        $this->journal->printed(wc_get_order($orderId), $this->name());
    }

    /**
     * @param mixed $url
     * @param mixed $action
     * @return mixed
     */
    public function bulkBegins($url, $action)
    {
        $this->isPickup = $action === 'pr_dhl_request_pickup';
        return $url;
    }

    /**
     * @param mixed $url
     * @return mixed
     */
    public function bulkEnds($url)
    {
        $this->isPickup = false;
        return $url;
    }

    /** INTERNETMARKE takes the sender from its settings and has no hook, so its button is answered here, before the stamp is paid. */
    public function stamp(): void
    {
        $this->mayOrDie();
        $order = wc_get_order(isset($_POST['order_id']) ? absint(sanitize_text_field(wp_unslash($_POST['order_id']))) : 0);
        if ($order instanceof \WC_Order && Sender::of($order) !== null) {
            wp_send_json(array('error' => $this->journal->refused($order, self::noSender())->getMessage()));
        }
    }

    /** The extension's own nonce: who fails here would fail there. */
    private function mayOrDie(): void
    {
        if (!current_user_can('edit_shop_orders')) {
            wp_die(esc_html__('You may not do this.', 'shopbridge'), '', array('response' => 403));
        }
        check_ajax_referer('create-internetmarke-label', 'pr_dhl_im_label_nonce');
    }

    /**
     * @param array<string, mixed> $arguments
     * @return array<string, mixed>
     */
    private static function swap(array $arguments, Sender $sender): array
    {
        $street = $sender->street();
        $shipper = array(
            'shipper_name' => $sender->name(),
            'shipper_company' => $sender->get('company'),
            'shipper_address' => $street->name,
            'shipper_address_no' => $street->number(),
            'shipper_address_city' => $sender->get('city'),
            'shipper_address_state' => $sender->get('state'),
            'shipper_address_zip' => $sender->get('postcode'),
            'shipper_country' => $sender->get('country'),
            'shipper_phone' => $sender->get('phone'),
            'shipper_email' => $sender->get('email'),
            // A reference stands for an address that is kept at DHL, and that is the supplier's.
            'shipper_reference' => '',
            'add_logo' => 'no',
        );
        $arguments['dhl_settings'] = array_merge($arguments['dhl_settings'], $shipper);
        // The details of the order win over the settings.
        $arguments['order_details'] = array_diff_key($arguments['order_details'] ?? array(), $shipper);
        // The buyer's e-mail is not handed to the supplier (K6), and without this the extension refuses the label.
        $arguments['shipping_address'] = ($arguments['shipping_address'] ?? array()) + array('email' => '');
        return $arguments;
    }

    /**
     * @param array<string, mixed> $arguments
     * @return array<string, mixed>
     */
    private function withoutReturn(\WC_Order $order, array $arguments): array
    {
        if (($arguments['order_details']['return_address_enabled'] ?? '') === 'yes') {
            $arguments['order_details']['return_address_enabled'] = 'no';
            $this->journal->leftReturnOut($order);
        }
        return $arguments;
    }

    private static function noSender(): string
    {
        return __('No label: this product takes the sender from your account, so your address would stand on it. Choose a DHL parcel.', 'shopbridge');
    }
}
