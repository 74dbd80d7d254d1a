<?php

/**
 * Objects as WooCommerce's REST API v3 shows them, without a request and without a user.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

class RestView
{
    /**
     * @return array<string, mixed>
     */
    public static function product(\WC_Product $product): array
    {
        return self::render(new \WC_REST_Products_Controller(), $product);
    }

    /**
     * @return array<string, mixed>
     */
    public static function order(\WC_Order $order): array
    {
        return self::render(new \WC_REST_Orders_Controller(), $order);
    }

    /**
     * Only our own meta leaves the shop: what other plugins keep there (tokens, notes about people) is nobody's business.
     *
     * @param mixed $meta
     * @return array<int, array{key: string, value: mixed}>
     */
    public static function ourMeta($meta): array
    {
        $ours = array();
        foreach (is_array($meta) ? $meta : array() as $one) {
            $plain = is_object($one) && is_callable(array($one, 'get_data')) ? $one->get_data() : (array) $one;
            if (strncmp((string) ($plain['key'] ?? ''), '_shopbridge_', 12) === 0) {
                $ours[] = array('key' => (string) $plain['key'], 'value' => $plain['value'] ?? null);
            }
        }
        return $ours;
    }

    /**
     * @param \WC_REST_Controller|object $controller
     * @return array<string, mixed>
     */
    private static function render(object $controller, object $shown): array
    {
        $request = new \WP_REST_Request('GET');
        $request->set_param('context', 'view');
        $data = $controller->prepare_object_for_response($shown, $request)->get_data();
        $plain = json_decode((string) wp_json_encode($data), true);
        return is_array($plain) ? $plain : array();
    }
}
