<?php

/**
 * Fetches the pictures of a product by Action Scheduler: a download does not belong into the answer to a command.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Schedule;
use Shopbridge\Status\Log;

final class ProductImages
{
    private const MOST = 10;
    private const ORIGIN = '_shopbridge_image';

    public function register(): void
    {
        add_action(Schedule::IMAGES, array($this, 'fetch'), 10, 2);
    }

    /**
     * @param string[] $urls
     */
    public static function later(int $productId, array $urls): void
    {
        $urls = array_slice($urls, 0, self::MOST);
        $arguments = array($productId, $urls);
        if (function_exists('as_enqueue_async_action') && !as_has_scheduled_action(Schedule::IMAGES, $arguments, Schedule::GROUP)) {
            as_enqueue_async_action(Schedule::IMAGES, $arguments, Schedule::GROUP);
        }
    }

    /**
     * @param mixed $productId
     * @param mixed $urls
     */
    public function fetch($productId, $urls): void
    {
        $product = wc_get_product((int) $productId);
        if (!$product instanceof \WC_Product) {
            return;
        }
        $images = array();
        foreach (is_array($urls) ? $urls : array() as $url) {
            $images[] = $this->image((string) $url, $product->get_id());
        }
        $images = array_values(array_filter($images));
        if ($images !== array()) {
            $product->set_image_id($images[0]);
            $product->set_gallery_image_ids(array_slice($images, 1));
            $product->save();
        }
    }

    /** The attachment of this address; an image that was fetched before is not fetched again. */
    private function image(string $url, int $productId): int
    {
        $query = array('post_type' => 'attachment', 'post_status' => 'inherit', 'meta_key' => self::ORIGIN, 'meta_value' => $url, 'fields' => 'ids');
        $known = get_posts($query + array('numberposts' => 1));
        if ($known !== array()) {
            return (int) $known[0];
        }
        $upload = wc_rest_upload_image_from_url(esc_url_raw($url, array('https', 'http')));
        if (is_wp_error($upload)) {
            Log::error('An image of product ' . $productId . ' could not be fetched: ' . $upload->get_error_message());
            return 0;
        }
        $id = (int) wc_rest_set_uploaded_image_as_attachment($upload, $productId);
        update_post_meta($id, self::ORIGIN, $url);
        return $id;
    }
}
