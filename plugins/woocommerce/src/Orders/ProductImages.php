<?php

/**
 * Fetches the pictures of a product by Action Scheduler: a download does not belong into the answer to a command. Pictures that the merchant
 * has chosen himself are left alone; what could not be fetched is tried again later.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Schedule;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Status\Log;

final class ProductImages
{
    private const MOST = 10;
    private const ORIGIN = '_shopbridge_image';

    /** Seconds until the next try, after the first, second and third one that failed. */
    private const PAUSES = array(300, 3600, 21600);

    /** Action Scheduler takes arguments of at most 8000 characters. */
    private const LONGEST = 700;

    public function register(): void
    {
        add_action(Schedule::IMAGES, array($this, 'fetch'), 10, 3);
    }

    /**
     * @param string[] $urls
     */
    public static function later(int $productId, array $urls): void
    {
        $urls = array_filter($urls, static fn (string $url): bool => strlen($url) <= self::LONGEST && preg_match('#^https?://#i', $url) === 1);
        $arguments = array($productId, array_slice(array_values(array_unique($urls)), 0, self::MOST));
        if ($urls !== array() && function_exists('as_enqueue_async_action') && !as_has_scheduled_action(Schedule::IMAGES, $arguments, Schedule::GROUP)) {
            as_enqueue_async_action(Schedule::IMAGES, $arguments, Schedule::GROUP);
        }
    }

    /**
     * @param mixed $productId
     * @param mixed $urls
     * @param mixed $tries that failed before
     */
    public function fetch($productId, $urls, $tries = 0): void
    {
        $product = wc_get_product((int) $productId);
        if (!$product instanceof \WC_Product || $product->get_status() === 'trash' || !self::mayReplace($product)) {
            return;
        }
        $urls = is_array($urls) ? $urls : array();
        $images = array();
        foreach ($urls as $url) {
            $images[] = $this->image((string) $url, $product->get_id());
        }
        $found = array_values(array_unique(array_filter($images)));
        if ($found !== array() && $found !== self::shown($product)) {
            $this->put($product, $found);
        }
        $arguments = array($product->get_id(), $urls, (int) $tries + 1);
        $isMissing = in_array(0, $images, true) && isset(self::PAUSES[(int) $tries]);
        if ($isMissing && !as_has_scheduled_action(Schedule::IMAGES, $arguments, Schedule::GROUP)) {
            as_schedule_single_action(time() + self::PAUSES[(int) $tries], Schedule::IMAGES, $arguments, Schedule::GROUP);
        }
    }

    /**
     * @param int[] $images
     */
    private function put(\WC_Product $product, array $images): void
    {
        $product->set_image_id($images[0]);
        if ($product->get_parent_id() === 0) {
            $product->set_gallery_image_ids(array_slice($images, 1));
        } else {
            // A variation has one picture.
            $images = array($images[0]);
        }
        $product->update_meta_data(ManagedProduct::IMAGES, implode(',', $images));
        $product->save();
    }

    private static function mayReplace(\WC_Product $product): bool
    {
        $shown = self::shown($product);
        return $shown === array() || implode(',', $shown) === (string) $product->get_meta(ManagedProduct::IMAGES);
    }

    /**
     * @return int[] the picture and those of the gallery
     */
    private static function shown(\WC_Product $product): array
    {
        // A variation without a picture answers its product's, unless it is asked for its own.
        $images = array((int) $product->get_image_id('edit'));
        foreach ($product->get_parent_id() === 0 ? (array) $product->get_gallery_image_ids('edit') : array() as $image) {
            $images[] = (int) $image;
        }
        return array_values(array_filter($images));
    }

    /** The attachment of this address; an image that was fetched before is not fetched again. 0 when it could not be had. */
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
