<?php

/**
 * The fields on the product page and on each variation, and the bulk action of the variations. WooCommerce has checked its own nonce before
 * it calls the saving; the right to edit this very product and our own nonce are checked here too.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Screens\Input;

class ProductForm
{
    private const NONCE = 'shopbridge_product';
    private const PRICE = 'shopbridge_dealer_price';
    private const CATEGORY = 'shopbridge_network_category';
    private const BRAND = 'shopbridge_brand';
    private const VARIATION_PRICE = 'shopbridge_variation_dealer_price';
    private const VARIATION_CATEGORY = 'shopbridge_variation_network_category';
    private const BULK = 'shopbridge_dealer_price';

    /** @var NetworkCategories */
    private $categories;

    public function __construct(NetworkCategories $categories)
    {
        $this->categories = $categories;
    }

    public function register(): void
    {
        add_action('woocommerce_product_options_pricing', array($this, 'showPrice'));
        add_action('woocommerce_product_options_general_product_data', array($this, 'showGroup'));
        add_action('woocommerce_admin_process_product_object', array($this, 'save'));
        add_action('woocommerce_variation_options_pricing', array($this, 'showVariation'), 10, 3);
        add_action('woocommerce_admin_process_variation_object', array($this, 'saveVariation'), 10, 2);
        add_action('woocommerce_variable_product_bulk_edit_actions', array($this, 'showBulkAction'));
        add_action('woocommerce_bulk_edit_variations', array($this, 'bulk'), 10, 4);
        add_action('admin_enqueue_scripts', array($this, 'addPrompt'), 20);
        add_filter('woocommerce_duplicate_product_exclude_meta', array($this, 'leaveOutOfCopies'));
    }

    public function showPrice(): void
    {
        if (!NetworkCategories::mayOfferToDealers()) {
            return;
        }
        $product = self::shown();
        $field = array(
            'id' => self::PRICE,
            'value' => $product === null ? '' : ProductFields::dealerPrice($product),
            'data_type' => 'price',
            'label' => self::priceLabel(),
            'desc_tip' => true,
            'description' => __('What a retailer of the network pays you for one piece. Whether it is net or gross is set in the bridge.', 'shopbridge'),
        );
        woocommerce_wp_text_input($field);
    }

    public function showGroup(): void
    {
        if (!NetworkCategories::mayOfferToDealers()) {
            return;
        }
        $this->categories->refreshWhenOld();
        $product = self::shown();
        echo '<div class="options_group">';
        wp_nonce_field(self::NONCE, self::NONCE, false);
        self::categoryField(self::CATEGORY, self::CATEGORY, $product === null ? '' : ProductFields::category($product), __('as the shop category', 'shopbridge'));
        if (!ProductFields::brandsAreTerms()) {
            $brand = array(
                'id' => self::BRAND,
                'value' => $product === null ? '' : ProductFields::brand($product),
                'label' => __('Brand', 'shopbridge'),
                'custom_attributes' => array('maxlength' => '100'),
            );
            woocommerce_wp_text_input($brand);
        }
        echo '</div>';
    }

    /** @param mixed $product */
    public function save($product): void
    {
        if (!$product instanceof \WC_Product || wp_verify_nonce(Input::text(self::NONCE), self::NONCE) === false) {
            return;
        }
        if (!current_user_can('edit_post', $product->get_id())) {
            return;
        }
        if (Input::has(self::PRICE)) {
            ProductFields::complain(ProductFields::setDealerPrice($product, Input::text(self::PRICE)));
        }
        if (Input::has(self::CATEGORY)) {
            ProductFields::complain(ProductFields::setCategory($product, Input::text(self::CATEGORY)));
        }
        if (Input::has(self::BRAND)) {
            ProductFields::complain(ProductFields::setBrand($product, Input::text(self::BRAND)));
        }
    }

    /**
     * @param int|string $loop
     * @param mixed $data
     * @param mixed $post
     */
    public function showVariation($loop, $data, $post): void
    {
        $variation = is_object($post) ? wc_get_product($post->ID) : null;
        if (!$variation instanceof \WC_Product || !NetworkCategories::mayOfferToDealers()) {
            return;
        }
        $field = array(
            'id' => self::VARIATION_PRICE . '_' . $loop,
            'name' => self::VARIATION_PRICE . '[' . $loop . ']',
            'value' => ProductFields::dealerPrice($variation),
            'data_type' => 'price',
            'label' => self::priceLabel(),
            'wrapper_class' => 'form-row form-row-first',
        );
        woocommerce_wp_text_input($field);
        $id = self::VARIATION_CATEGORY . '_' . $loop;
        $name = self::VARIATION_CATEGORY . '[' . $loop . ']';
        self::categoryField($id, $name, ProductFields::category($variation), __('as the product', 'shopbridge'), 'form-row form-row-last');
    }

    /**
     * @param mixed $variation
     * @param int|string $loop
     */
    public function saveVariation($variation, $loop): void
    {
        if (!$variation instanceof \WC_Product || !current_user_can('edit_post', $variation->get_id())) {
            return;
        }
        $price = Input::part(self::VARIATION_PRICE, (string) $loop);
        if ($price !== null) {
            ProductFields::complain(ProductFields::setDealerPrice($variation, $price));
        }
        $category = Input::part(self::VARIATION_CATEGORY, (string) $loop);
        if ($category !== null) {
            ProductFields::complain(ProductFields::setCategory($variation, $category));
        }
    }

    public function showBulkAction(): void
    {
        if (NetworkCategories::mayOfferToDealers()) {
            echo '<optgroup label="' . esc_attr__('Dropshipping', 'shopbridge') . '">';
            echo '<option value="' . esc_attr(self::BULK) . '">' . esc_html__('Set dealer prices', 'shopbridge') . '</option></optgroup>';
        }
    }

    /**
     * @param mixed $action
     * @param mixed $data
     * @param mixed $productId
     * @param mixed $variations ids
     */
    public function bulk($action, $data, $productId, $variations): void
    {
        if ($action !== self::BULK || !is_array($data) || !is_string($data['value'] ?? null)) {
            return;
        }
        foreach (is_array($variations) ? $variations : array() as $id) {
            $variation = wc_get_product((int) $id);
            if ($variation instanceof \WC_Product && current_user_can('edit_post', $variation->get_id())) {
                $problem = BulkPrice::apply($variation, trim($data['value']));
                if ($problem === '') {
                    $variation->save_meta_data();
                } else {
                    ProductFields::complain($problem);
                }
            }
        }
    }

    /** WooCommerce asks for a value only for its own bulk actions; ours answers the event that it sends for the others. */
    public function addPrompt(): void
    {
        if (!wp_script_is('wc-admin-variation-meta-boxes', 'enqueued')) {
            return;
        }
        $question = __('Dealer price of all variations: an amount, or a percentage of the price such as 60%. Empty removes it.', 'shopbridge');
        $action = self::BULK;
        $script = "jQuery(function ($) {
            $(document.body).on('$action', 'select.variation_actions', function () {
                $('select.variation_actions').off('{$action}_ajax_data').on('{$action}_ajax_data', function () {
                    var value = window.prompt(" . wp_json_encode($question) . ");
                    return value === null ? null : { value: value };
                });
            });
        });";
        wp_add_inline_script('wc-admin-variation-meta-boxes', $script);
    }

    /**
     * A copy is another product: the bridge knows nothing of it, and it is not what came through the network.
     *
     * @param mixed $keys
     * @return mixed
     */
    public function leaveOutOfCopies($keys)
    {
        return is_array($keys) ? array_merge($keys, ManagedProduct::METAS, Releases::METAS) : $keys;
    }

    private static function priceLabel(): string
    {
        /* translators: %s: currency symbol */
        return sprintf(__('Dealer price (%s)', 'shopbridge'), get_woocommerce_currency_symbol());
    }

    private static function categoryField(string $id, string $name, string $chosen, string $none, string $class = ''): void
    {
        $field = array('id' => $id, 'name' => $name, 'value' => $chosen, 'label' => __('Network category', 'shopbridge'), 'wrapper_class' => $class);
        if (NetworkCategories::names() === array()) {
            woocommerce_wp_text_input($field + array('placeholder' => $none));
        } else {
            woocommerce_wp_select($field + array('options' => NetworkCategories::options($chosen, $none)));
        }
    }

    private static function shown(): ?\WC_Product
    {
        global $product_object;
        return $product_object instanceof \WC_Product ? $product_object : null;
    }
}
