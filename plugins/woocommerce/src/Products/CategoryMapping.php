<?php

/**
 * Which network category the products of a shop category belong to (K1): a field on Products > Categories. A category without one says what
 * the category above it says.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Screens\Input;

class CategoryMapping
{
    public const META = '_shopbridge_network_category';
    private const FIELD = 'shopbridge_network_category';
    private const NONCE = 'shopbridge_category';

    /** @var NetworkCategories */
    private $categories;

    public function __construct(NetworkCategories $categories)
    {
        $this->categories = $categories;
    }

    public function register(): void
    {
        add_action('product_cat_add_form_fields', array($this, 'showOnNew'), 20);
        add_action('product_cat_edit_form_fields', array($this, 'showOnEdit'), 20);
        add_action('created_product_cat', array($this, 'save'));
        add_action('edited_product_cat', array($this, 'save'));
        add_filter('manage_edit-product_cat_columns', array($this, 'addColumn'));
        add_filter('manage_product_cat_custom_column', array($this, 'column'), 10, 3);
    }

    /** The network category of this shop category or of the nearest one above it, '' when there is none. */
    public static function of(int $termId): string
    {
        foreach (array_merge(array($termId), get_ancestors($termId, 'product_cat', 'taxonomy')) as $id) {
            $key = self::own((int) $id);
            if ($key !== '') {
                return $key;
            }
        }
        return '';
    }

    public static function own(int $termId): string
    {
        $key = get_term_meta($termId, self::META, true);
        return is_string($key) ? $key : '';
    }

    public function showOnNew(): void
    {
        $this->categories->refreshWhenOld();
        echo '<div class="form-field"><label for="' . esc_attr(self::FIELD) . '">' . esc_html__('Network category', 'shopbridge') . '</label>';
        self::field('', __('as the category above', 'shopbridge'));
        echo '<p>' . esc_html__('For dropshipping: where retailers find the products of this category.', 'shopbridge') . '</p></div>';
    }

    /** @param mixed $term */
    public function showOnEdit($term): void
    {
        $this->categories->refreshWhenOld();
        $own = is_object($term) ? self::own((int) $term->term_id) : '';
        echo '<tr class="form-field"><th scope="row"><label for="' . esc_attr(self::FIELD) . '">' . esc_html__('Network category', 'shopbridge');
        echo '</label></th><td>';
        self::field($own, __('as the category above', 'shopbridge'));
        echo '<p class="description">' . esc_html__('For dropshipping: where retailers find the products of this category.', 'shopbridge');
        echo '</p></td></tr>';
    }

    /** @param int|string $termId */
    public function save($termId): void
    {
        // Also called where no form was sent (imports, REST): then there is nothing of ours to save.
        if (!Input::has(self::FIELD) || wp_verify_nonce(Input::text(self::NONCE), self::NONCE) === false) {
            return;
        }
        if (!current_user_can('manage_product_terms')) {
            return;
        }
        $typed = Input::text(self::FIELD);
        $key = $typed === '' ? '' : NetworkCategories::find($typed);
        if ($key === '') {
            delete_term_meta((int) $termId, self::META);
        } elseif ($key !== null) {
            update_term_meta((int) $termId, self::META, $key);
        }
    }

    /**
     * @param mixed $columns
     * @return mixed
     */
    public function addColumn($columns)
    {
        return is_array($columns) ? $columns + array('shopbridge_network' => __('Network category', 'shopbridge')) : $columns;
    }

    /**
     * @param mixed $content
     * @param mixed $column
     * @param mixed $termId
     * @return mixed
     */
    public function column($content, $column, $termId)
    {
        return $column === 'shopbridge_network' ? esc_html(NetworkCategories::name(self::of((int) $termId))) : $content;
    }

    private static function field(string $chosen, string $none): void
    {
        wp_nonce_field(self::NONCE, self::NONCE, false);
        if (NetworkCategories::names() === array()) {
            echo '<input type="text" id="' . esc_attr(self::FIELD) . '" name="' . esc_attr(self::FIELD) . '" value="' . esc_attr($chosen) . '">';
            return;
        }
        echo '<select id="' . esc_attr(self::FIELD) . '" name="' . esc_attr(self::FIELD) . '">';
        foreach (NetworkCategories::options($chosen, $none) as $key => $name) {
            echo '<option value="' . esc_attr((string) $key) . '"';
            if ((string) $key === $chosen) {
                echo ' selected';
            }
            echo '>' . esc_html($name) . '</option>';
        }
        echo '</select>';
    }
}
