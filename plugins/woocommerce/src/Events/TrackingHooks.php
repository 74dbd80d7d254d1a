<?php

/**
 * Listens to the label and tracking plugins that say when they have a number (FACTS section 7). Those that only save meta are found by the
 * sweep.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

class TrackingHooks
{
    /** @var Collector */
    private $collector;

    public function __construct(Collector $collector)
    {
        $this->collector = $collector;
    }

    public function register(): void
    {
        // AST (zorem); DHL for WooCommerce; DHL eCommerce Benelux: the order id comes first.
        foreach (array('ast_save_tracking_details_end', 'pr_save_dhl_label_tracking', 'dhlpwc_create_label', 'gls_label_generated') as $hook) {
            add_action($hook, array($this, 'orderFirst'), 20, 1);
        }
        foreach (array('woocommerce_shiptastic_shipment', 'woocommerce_gzd_shipment') as $prefix) {
            add_action($prefix . '_created_label', array($this, 'shipmentFirst'), 20, 1);
            add_action($prefix . '_after_save', array($this, 'shipmentFirst'), 20, 1);
            add_action($prefix . '_status_changed', array($this, 'shipmentLast'), 20, 4);
        }
        foreach (array('create', 'update', 'fulfill', 'delete') as $deed) {
            add_action('woocommerce_fulfillment_after_' . $deed, array($this, 'fulfillment'), 20, 1);
        }
    }

    /** @param mixed $order an order or its id */
    public function orderFirst($order): void
    {
        $id = is_object($order) && method_exists($order, 'get_id') ? $order->get_id() : $order;
        if (is_numeric($id)) {
            $this->collector->shipmentChanged((int) $id);
        }
    }

    /** @param mixed $shipment */
    public function shipmentFirst($shipment): void
    {
        // While a shipment is being packed it has no number yet and there is nothing to report.
        if (is_object($shipment) && method_exists($shipment, 'get_order_id') && (string) $shipment->get_tracking_id() !== '') {
            $this->collector->shipmentChanged((int) $shipment->get_order_id());
        }
    }

    /**
     * @param mixed $id
     * @param mixed $from
     * @param mixed $to
     * @param mixed $shipment
     */
    public function shipmentLast($id, $from, $to, $shipment = null): void
    {
        $this->shipmentFirst($shipment);
    }

    /** @param mixed $fulfillment */
    public function fulfillment($fulfillment): void
    {
        if (is_object($fulfillment) && method_exists($fulfillment, 'get_entity_id') && $fulfillment->get_entity_type() === 'WC_Order') {
            $this->collector->shipmentChanged((int) $fulfillment->get_entity_id());
        }
    }
}
