<?php

/**
 * The button for a packing slip without a trace of the supplier, on the order pages of both shops: the bridge makes the PDF, this passes it
 * on. What goes wrong is said in words on a page of its own; the order is not touched.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Labels\Sender;
use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Transport;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Settings\Connection;

class PackingSlip
{
    public const ACTION = 'shopbridge_packing_slip';
    private const FORM = 'shopbridge-packing-slip';
    private const LARGEST = 10485760;

    /** @var Connection */
    private $connection;

    /** @var Transport */
    private $transport;

    /** @var int order of the button on this page */
    private $shown = 0;

    public function __construct(Connection $connection, Transport $transport)
    {
        $this->connection = $connection;
        $this->transport = $transport;
    }

    public function register(): void
    {
        add_action('admin_post_' . self::ACTION, array($this, 'send'));
        add_action('admin_footer', array($this, 'form'));
    }

    public function button(\WC_Order $order): void
    {
        if (!self::isOfNetwork($order) || !$this->connection->exists()) {
            return;
        }
        $this->shown = $order->get_id();
        echo '<p><button type="submit" class="button" form="' . esc_attr(self::FORM) . '">';
        echo esc_html__('Packing slip (white label)', 'shopbridge') . '</button></p>';
    }

    /** Forms cannot stand inside the form of the order page, so the button's own stands at the end of the page. */
    public function form(): void
    {
        if ($this->shown === 0) {
            return;
        }
        echo '<form id="' . esc_attr(self::FORM) . '" method="post" target="_blank" action="' . esc_url(admin_url('admin-post.php')) . '">';
        echo '<input type="hidden" name="action" value="' . esc_attr(self::ACTION) . '">';
        echo '<input type="hidden" name="order_id" value="' . esc_attr((string) $this->shown) . '">';
        wp_nonce_field(self::ACTION);
        echo '</form>';
    }

    public function send(): void
    {
        $this->mayOrDie(self::ACTION);
        $id = isset($_POST['order_id']) ? sanitize_text_field(wp_unslash($_POST['order_id'])) : '';
        $order = wc_get_order(ctype_digit($id) ? (int) $id : 0);
        if (!$order instanceof \WC_Order || !self::isOfNetwork($order)) {
            $this->fail(__('This is not an order of the dropshipping network.', 'shopbridge'), 404);
            return;
        }
        $question = (string) wp_json_encode(array('order_id' => (string) $order->get_id()));
        $answer = $this->transport->ask('/plugin/packing-slip', $question, 20, self::LARGEST);
        if ($answer->code !== 200 || strncmp($answer->bytes, '%PDF-', 5) !== 0) {
            $this->fail($this->problem($answer), $answer->code === 404 ? 404 : 502);
            return;
        }
        $this->stream('packing-slip-' . $order->get_id() . '.pdf', $answer->bytes);
    }

    /** The supplier's order has a sender; the retailer's own order has products that came through the network. */
    private static function isOfNetwork(\WC_Order $order): bool
    {
        if (Sender::of($order) !== null) {
            return true;
        }
        foreach ($order->get_items() as $item) {
            $id = $item instanceof \WC_Order_Item_Product ? ($item->get_variation_id() ?: $item->get_product_id()) : 0;
            $product = $id > 0 ? wc_get_product($id) : null;
            if ($product instanceof \WC_Product && ManagedProduct::isManaged($product)) {
                return true;
            }
        }
        return false;
    }

    private function problem(Answer $answer): string
    {
        if ($answer->code === 0) {
            /* translators: %s: technical reason */
            return sprintf(__('The bridge does not answer: %s', 'shopbridge'), $answer->summary());
        }
        if ($answer->code === 404) {
            return __('The bridge has no packing slip for this order.', 'shopbridge');
        }
        $error = $answer->body['error'] ?? null;
        $words = is_array($error) && is_string($error['message'] ?? null) ? $error['message'] : '';
        if ($answer->code === 200) {
            $words = __('What came is not a PDF.', 'shopbridge');
        }
        /* translators: %s: what the bridge said */
        return sprintf(__('There is no packing slip: %s', 'shopbridge'), $words === '' ? $answer->summary() : $words);
    }

    private function mayOrDie(string $action): void
    {
        if (!current_user_can('edit_shop_orders')) {
            wp_die(esc_html__('You may not do this.', 'shopbridge'), '', array('response' => 403));
        }
        check_admin_referer($action);
    }

    private function fail(string $words, int $code): void
    {
        $title = esc_html__('Packing slip (white label)', 'shopbridge');
        wp_die(esc_html($words), $title, array('response' => $code));
    }

    protected function stream(string $name, string $pdf): void
    {
        nocache_headers();
        header('Content-Type: application/pdf');
        header('Content-Disposition: inline; filename="' . $name . '"');
        header('Content-Length: ' . strlen($pdf));
        header('X-Content-Type-Options: nosniff');
        // Not echo: these are the bytes of a file, and nothing in them may be escaped.
        file_put_contents('php://output', $pdf);
        exit;
    }
}
