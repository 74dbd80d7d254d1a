<?php

/**
 * Where the merchant sees whether a product is released to retailers: a box on the product page, a column and a filter in the product list.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Screens\Input;

class ReleaseScreens
{
    private const FILTER = 'shopbridge_release';
    private const COLUMN = 'shopbridge_release';

    public function register(): void
    {
        add_action('add_meta_boxes_product', array($this, 'addBox'));
        add_filter('manage_edit-product_columns', array($this, 'addColumn'), 20);
        add_action('manage_product_posts_custom_column', array($this, 'column'), 10, 2);
        add_action('restrict_manage_posts', array($this, 'showFilter'));
        add_filter('posts_where', array($this, 'filter'), 10, 2);
    }

    /** The product list with only those that are not released for this reason. */
    public static function listUrl(string $state): string
    {
        return admin_url('edit.php?post_type=product&' . self::FILTER . '=' . rawurlencode($state));
    }

    /** @param mixed $post */
    public function addBox($post = null): void
    {
        $product = is_object($post) ? wc_get_product($post->ID) : null;
        $isManaged = $product instanceof \WC_Product && ManagedProduct::isManaged($product);
        if ($isManaged || NetworkCategories::mayOfferToDealers()) {
            add_meta_box('shopbridge-release', __('Dropshipping', 'shopbridge'), array($this, 'showBox'), 'product', 'side', 'default');
        }
    }

    /** @param mixed $post */
    public function showBox($post): void
    {
        $product = is_object($post) ? wc_get_product($post->ID) : null;
        if (!$product instanceof \WC_Product) {
            return;
        }
        if (ManagedProduct::isManaged($product)) {
            echo '<p>' . esc_html__('This product came through the network. The bridge keeps its price and its stock: a change by hand does not last.', 'shopbridge') . '</p>';
            return;
        }
        if (!$product->is_type('variable')) {
            self::showState($product->get_id());
            return;
        }
        foreach (self::variations($product) as $id => $name) {
            echo '<p><strong>' . esc_html($name) . '</strong></p>';
            self::showState($id);
        }
    }

    /**
     * @param mixed $columns
     * @return mixed
     */
    public function addColumn($columns)
    {
        if (is_array($columns) && NetworkCategories::mayOfferToDealers()) {
            $columns[self::COLUMN] = __('Dropshipping', 'shopbridge');
        }
        return $columns;
    }

    /**
     * @param mixed $column
     * @param int|string $id
     */
    public function column($column, $id): void
    {
        if ($column !== self::COLUMN) {
            return;
        }
        $product = wc_get_product((int) $id);
        if (!$product instanceof \WC_Product) {
            return;
        }
        if ($product->is_type('variable')) {
            self::showVariationCount($product);
            return;
        }
        $state = Releases::state($product->get_id());
        $why = implode(' ', array_column(Releases::reasons($product->get_id()), 'text'));
        echo '<span title="' . esc_attr($why) . '">' . esc_html(self::name($state)) . '</span>';
    }

    /** @param mixed $postType */
    public function showFilter($postType): void
    {
        if ($postType !== 'product' || !NetworkCategories::mayOfferToDealers()) {
            return;
        }
        $chosen = Input::text(self::FILTER);
        echo '<select name="' . esc_attr(self::FILTER) . '"><option value="">' . esc_html__('Dropshipping: all', 'shopbridge') . '</option>';
        foreach (self::choices($chosen) as $value => $name) {
            echo '<option value="' . esc_attr((string) $value) . '"';
            if ($value === $chosen) {
                echo ' selected';
            }
            echo '>' . esc_html($name) . '</option>';
        }
        echo '</select>';
    }

    /**
     * @param mixed $where
     * @param mixed $query
     * @return mixed
     */
    public function filter($where, $query)
    {
        $chosen = is_admin() && is_object($query) && $query->is_main_query() && $query->get('post_type') === 'product' ? Input::text(self::FILTER) : '';
        if ($chosen === '' || !is_string($where)) {
            return $where;
        }
        global $wpdb;
        $key = in_array($chosen, array(Releases::RELEASED, Releases::NOT_RELEASED), true) ? Releases::STATE : Releases::CODE;
        // A product is shown when it or one of its variations is meant.
        $meant = "SELECT IF(p.post_type = 'product_variation', p.post_parent, p.ID) FROM {$wpdb->postmeta} m JOIN {$wpdb->posts} p ON p.ID = m.post_id
            WHERE m.meta_key = %s AND m.meta_value = %s AND " . Releases::sold();
        return $where . $wpdb->prepare(" AND {$wpdb->posts}.ID IN ($meant)", $key, $chosen);
    }

    private static function showState(int $id): void
    {
        $state = Releases::state($id);
        if ($state === '') {
            echo '<p>' . esc_html__('The bridge has not looked at this product yet.', 'shopbridge') . '</p>';
            return;
        }
        if ($state === Releases::RELEASED) {
            echo '<p><span class="dashicons dashicons-yes" style="color:#007017"></span> ';
            echo esc_html__('Released to retailers', 'shopbridge') . '</p>';
            return;
        }
        echo '<p><span class="dashicons dashicons-no" style="color:#b32d2e"></span> ' . esc_html__('Not released because:', 'shopbridge') . '</p>';
        echo '<ul style="list-style:disc;margin-left:1.5em">';
        foreach (Releases::reasons($id) as $reason) {
            echo '<li>' . esc_html($reason['text'] === '' ? $reason['code'] : $reason['text']) . '</li>';
        }
        echo '</ul>';
    }

    private static function showVariationCount(\WC_Product $product): void
    {
        $released = 0;
        $why = array();
        $variations = self::variations($product);
        foreach ($variations as $id => $name) {
            $released += Releases::state($id) === Releases::RELEASED ? 1 : 0;
            $texts = array_column(Releases::reasons($id), 'text');
            if ($texts !== array()) {
                $why[] = $name . ': ' . implode(' ', $texts);
            }
        }
        /* translators: 1: number of released variations, 2: number of all variations */
        $text = sprintf(__('%1$d of %2$d variations released', 'shopbridge'), $released, count($variations));
        echo '<span title="' . esc_attr(implode("\n", $why)) . '">' . esc_html($text) . '</span>';
    }

    /**
     * @return array<int, string> name by id
     */
    private static function variations(\WC_Product $product): array
    {
        $names = array();
        foreach ($product->get_children() as $id) {
            $variation = wc_get_product((int) $id);
            if ($variation instanceof \WC_Product) {
                $names[$variation->get_id()] = (string) $variation->get_name();
            }
        }
        return $names;
    }

    private static function name(string $state): string
    {
        $names = self::stateNames();
        return $names[$state] ?? '–';
    }

    /**
     * @return array<string, string>
     */
    private static function stateNames(): array
    {
        return array(Releases::RELEASED => __('Released', 'shopbridge'), Releases::NOT_RELEASED => __('Not released', 'shopbridge'));
    }

    /**
     * @return array<string, string>
     */
    private static function choices(string $chosen): array
    {
        $choices = self::stateNames();
        if ($chosen !== '' && !isset($choices[$chosen])) {
            /* translators: %s: code of the reason */
            $choices[$chosen] = sprintf(__('Not released: %s', 'shopbridge'), $chosen);
        }
        return $choices;
    }
}
