<?php

/**
 * What the bridge said last of each product: released to retailers, or not and why (K1). Written past the product's own saving, because
 * nothing of the product has changed and nothing is to be reported.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

class Releases
{
    public const RELEASED = 'released';
    public const NOT_RELEASED = 'not_released';

    public const STATE = '_shopbridge_release';
    public const REASONS = '_shopbridge_release_reasons';

    /** One row for each reason, so that the database can count them. */
    public const CODE = '_shopbridge_release_code';

    public const METAS = array(self::STATE, self::REASONS, self::CODE);

    /**
     * @param array<int, array{code: string, text: string, field: string}> $reasons
     */
    public static function remember(int $productId, string $state, array $reasons): void
    {
        update_metadata('post', $productId, self::STATE, $state);
        if ($reasons === array()) {
            delete_metadata('post', $productId, self::REASONS);
        } else {
            // update_metadata() takes slashes away.
            update_metadata('post', $productId, self::REASONS, wp_slash($reasons));
        }
        delete_metadata('post', $productId, self::CODE);
        foreach (array_unique(array_column($reasons, 'code')) as $code) {
            add_metadata('post', $productId, self::CODE, $code);
        }
    }

    /** '' while the bridge has said nothing. */
    public static function state(int $productId): string
    {
        $state = get_metadata('post', $productId, self::STATE, true);
        return is_string($state) ? $state : '';
    }

    /**
     * @return array<int, array{code: string, text: string, field: string}>
     */
    public static function reasons(int $productId): array
    {
        $reasons = get_metadata('post', $productId, self::REASONS, true);
        return is_array($reasons) ? $reasons : array();
    }

    /**
     * @return array{released: int, not_released: int}
     */
    public static function counts(): array
    {
        global $wpdb;
        $query = "SELECT m.meta_value AS state, COUNT(DISTINCT m.post_id) AS number FROM {$wpdb->postmeta} m
            JOIN {$wpdb->posts} p ON p.ID = m.post_id
            WHERE m.meta_key = %s AND " . self::sold() . ' GROUP BY m.meta_value';
        $counts = array(self::RELEASED => 0, self::NOT_RELEASED => 0);
        foreach ($wpdb->get_results($wpdb->prepare($query, self::STATE), ARRAY_A) as $row) {
            $counts[(string) $row['state']] = (int) $row['number'];
        }
        return array('released' => $counts[self::RELEASED], 'not_released' => $counts[self::NOT_RELEASED]);
    }

    /**
     * How many products each reason keeps back, most first; the text is that of one of them.
     *
     * @return array<int, array{code: string, text: string, count: int}>
     */
    public static function byReason(): array
    {
        global $wpdb;
        $query = "SELECT m.meta_value AS code, COUNT(DISTINCT m.post_id) AS number, MAX(m.post_id) AS example FROM {$wpdb->postmeta} m
            JOIN {$wpdb->posts} p ON p.ID = m.post_id
            WHERE m.meta_key = %s AND " . self::sold() . ' GROUP BY m.meta_value ORDER BY number DESC, code LIMIT 50';
        $told = array();
        foreach ($wpdb->get_results($wpdb->prepare($query, self::CODE), ARRAY_A) as $row) {
            $code = (string) $row['code'];
            $told[] = array('code' => $code, 'text' => self::textOf((int) $row['example'], $code), 'count' => (int) $row['number']);
        }
        return $told;
    }

    /** The posts `p` that are sold themselves: a product with variations is none of them. */
    public static function sold(): string
    {
        global $wpdb;
        return "p.post_type IN ('product', 'product_variation') AND p.post_status <> 'trash'
            AND NOT EXISTS (SELECT 1 FROM {$wpdb->posts} v WHERE v.post_parent = p.ID AND v.post_type = 'product_variation')";
    }

    private static function textOf(int $productId, string $code): string
    {
        foreach (self::reasons($productId) as $reason) {
            if ($reason['code'] === $code && $reason['text'] !== '') {
                return $reason['text'];
            }
        }
        return $code;
    }
}
