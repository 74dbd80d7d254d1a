<?php

/**
 * What the product and network parts use of WordPress and WooCommerce: terms, meta of posts, fields of forms, pictures.
 */

declare(strict_types=1);

final class FakeTerms
{
    /** @var array<string, bool> */
    public static $taxonomies = array('product_cat' => true);

    /** @var array<int, object> */
    public static $terms = array();

    /** @var array<int, array<string, string>> */
    public static $meta = array();

    /** @var array<string, int[]> term ids by "taxonomy product id" */
    public static $of = array();

    /** @var array<string, int> attachment by url; missing = cannot be fetched */
    public static $pictures = array();

    public static function reset(): void
    {
        self::$taxonomies = array('product_cat' => true);
        self::$terms = array();
        self::$meta = array();
        self::$of = array();
        self::$pictures = array();
        WC_Admin_Meta_Boxes::$meta_box_errors = array();
        $_REQUEST = array();
    }

    /** Whether the product is in that term or in one below it. */
    public static function has(int $product, array $asked): bool
    {
        foreach (self::$of[$asked['taxonomy'] . ' ' . $product] ?? array() as $term) {
            if (array_intersect(array_merge(array($term), get_ancestors($term, '', '')), $asked['terms']) !== array()) {
                return true;
            }
        }
        return false;
    }

    public static function add(int $id, string $name, string $taxonomy = 'product_cat', int $parent = 0): void
    {
        self::$terms[$id] = (object) array(
            'term_id' => $id,
            'name' => $name,
            'slug' => strtolower($name),
            'taxonomy' => $taxonomy,
            'parent' => $parent,
        );
    }
}

class WC_Admin_Meta_Boxes
{
    /** @var string[] */
    public static $meta_box_errors = array();

    public static function add_error(string $text): void
    {
        self::$meta_box_errors[] = $text;
    }
}

class WC_Product_Variable extends WC_Product
{
    public function is_type($type): bool
    {
        return in_array('variable', (array) $type, true);
    }
}

function taxonomy_exists(string $name): bool
{
    return FakeTerms::$taxonomies[$name] ?? false;
}

function get_the_terms(int $id, string $taxonomy)
{
    $found = array();
    foreach (FakeTerms::$of[$taxonomy . ' ' . $id] ?? array() as $term) {
        $found[] = FakeTerms::$terms[$term];
    }
    return $found === array() ? false : $found;
}

function get_ancestors(int $id, string $type, string $kind): array
{
    $above = array();
    while (isset(FakeTerms::$terms[$id]) && FakeTerms::$terms[$id]->parent > 0) {
        $id = FakeTerms::$terms[$id]->parent;
        $above[] = $id;
    }
    return $above;
}

function get_term_meta(int $id, string $key, bool $single)
{
    return FakeTerms::$meta[$id][$key] ?? '';
}

function update_term_meta(int $id, string $key, $value): void
{
    FakeTerms::$meta[$id][$key] = $value;
}

function delete_term_meta(int $id, string $key): void
{
    unset(FakeTerms::$meta[$id][$key]);
}

function term_exists(string $name, string $taxonomy)
{
    foreach (FakeTerms::$terms as $term) {
        if ($term->name === $name && $term->taxonomy === $taxonomy) {
            return array('term_id' => (string) $term->term_id);
        }
    }
    return null;
}

function wp_insert_term(string $name, string $taxonomy)
{
    $id = ++FakeShop::$nextId;
    FakeTerms::add($id, $name, $taxonomy);
    return array('term_id' => $id);
}

function wp_set_object_terms(int $id, array $terms, string $taxonomy)
{
    FakeTerms::$of[$taxonomy . ' ' . $id] = $terms;
    return $terms;
}

function get_metadata(string $type, int $id, string $key, bool $single)
{
    return FakeShop::$products[$id]->meta[$key] ?? '';
}

function update_metadata(string $type, int $id, string $key, $value): bool
{
    FakeShop::$products[$id]->meta[$key] = $value;
    return true;
}

function add_metadata(string $type, int $id, string $key, $value): bool
{
    FakeShop::$products[$id]->meta[$key][] = $value;
    return true;
}

function delete_metadata(string $type, int $id, string $key): bool
{
    unset(FakeShop::$products[$id]->meta[$key]);
    return true;
}

function update_post_meta(int $id, string $key, $value): bool
{
    return true;
}

function wp_slash($value)
{
    return $value;
}

function wc_get_price_decimal_separator(): string
{
    return (string) get_option('woocommerce_price_decimal_sep', ',');
}

function get_woocommerce_currency_symbol(): string
{
    return '€';
}

function woocommerce_wp_text_input(array $field): void
{
    echo '<input name="' . esc_attr($field['name'] ?? $field['id']) . '" value="' . esc_attr($field['value']) . '">';
}

function woocommerce_wp_select(array $field): void
{
    echo '<select name="' . esc_attr($field['name'] ?? $field['id']) . '">';
    foreach ($field['options'] as $key => $name) {
        echo '<option value="' . esc_attr($key) . '"' . ((string) $key === $field['value'] ? ' selected' : '') . '>' . esc_html($name) . '</option>';
    }
    echo '</select>';
}

function esc_attr__($text, string $domain = 'default'): string
{
    return esc_attr($text);
}

function is_admin(): bool
{
    return true;
}

function wc_get_product_id_by_global_unique_id(string $gtin): int
{
    foreach (FakeShop::$products as $product) {
        if ($gtin !== '' && $product->get_status() !== 'trash' && ($product->props['global_unique_id'] ?? '') === $gtin) {
            return $product->get_id();
        }
    }
    return 0;
}

function as_schedule_single_action(int $at, string $hook, array $arguments = array(), string $group = ''): int
{
    FakeShop::$scheduled[] = array('hook' => $hook, 'at' => $at, 'args' => $arguments);
    return count(FakeShop::$scheduled);
}

function wp_untrash_post(int $id): bool
{
    FakeShop::$products[$id]->props['status'] = 'draft';
    return true;
}

function wc_rest_upload_image_from_url(string $url)
{
    return isset(FakeTerms::$pictures[$url]) ? array('url' => $url) : new WP_Error('upload', 'not found');
}

function wc_rest_set_uploaded_image_as_attachment(array $upload, int $id): int
{
    return FakeTerms::$pictures[$upload['url']];
}
