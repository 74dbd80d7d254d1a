<?php

/**
 * The fields in the quick and bulk editing of the product list. WooCommerce has checked nonce and right before it calls the saving.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Screens\Input;

class ListEditing
{
    private const PRICE = 'shopbridge_list_dealer_price';
    private const CATEGORY = 'shopbridge_list_network_category';
    private const BRAND = 'shopbridge_list_brand';

    /** Empty means "no change" in this form, so removing needs a sign of its own. */
    private const REMOVE = '-';

    public function register(): void
    {
        add_action('woocommerce_product_quick_edit_end', array($this, 'show'));
        add_action('woocommerce_product_bulk_edit_end', array($this, 'show'));
        add_action('woocommerce_product_quick_edit_save', array($this, 'save'));
        add_action('woocommerce_product_bulk_edit_save', array($this, 'save'));
    }

    public function show(): void
    {
        if (!NetworkCategories::mayOfferToDealers()) {
            return;
        }
        self::open(__('Dealer price', 'shopbridge'));
        echo '<input type="text" name="' . esc_attr(self::PRICE) . '" value="" class="text" placeholder="';
        echo esc_attr__('no change; amount, 60% of the price, - removes it', 'shopbridge') . '"></span></label>';
        self::open(__('Network category', 'shopbridge'));
        if (NetworkCategories::names() === array()) {
            echo '<input type="text" name="' . esc_attr(self::CATEGORY) . '" value="" class="text" placeholder="';
            echo esc_attr__('no change; - removes it', 'shopbridge') . '"></span></label>';
        } else {
            $this->showCategories();
        }
        if (!ProductFields::brandsAreTerms()) {
            self::open(__('Brand', 'shopbridge'));
            echo '<input type="text" name="' . esc_attr(self::BRAND) . '" value="" class="text" maxlength="100" placeholder="';
            echo esc_attr__('no change; - removes it', 'shopbridge') . '"></span></label>';
        }
    }

    /** @param mixed $product */
    public function save($product): void
    {
        if (!$product instanceof \WC_Product || !current_user_can('edit_post', $product->get_id())) {
            return;
        }
        $price = Input::text(self::PRICE);
        if ($price !== '' && $product->is_type(array('simple', 'external'))) {
            ProductFields::complain(BulkPrice::apply($product, self::meant($price)));
        }
        $category = Input::text(self::CATEGORY);
        if ($category !== '') {
            ProductFields::complain(ProductFields::setCategory($product, self::meant($category)));
        }
        $brand = Input::text(self::BRAND);
        if ($brand !== '') {
            ProductFields::complain(ProductFields::setBrand($product, self::meant($brand)));
        }
        $product->save_meta_data();
    }

    private function showCategories(): void
    {
        echo '<select name="' . esc_attr(self::CATEGORY) . '"><option value="">' . esc_html__('no change', 'shopbridge') . '</option>';
        echo '<option value="' . esc_attr(self::REMOVE) . '">' . esc_html__('as the shop category', 'shopbridge') . '</option>';
        foreach (NetworkCategories::names() as $key => $name) {
            echo '<option value="' . esc_attr((string) $key) . '">' . esc_html($name) . '</option>';
        }
        echo '</select></span></label>';
    }

    private static function open(string $title): void
    {
        echo '<label class="alignleft" style="clear:both;width:100%"><span class="title">' . esc_html($title) . '</span><span class="input-text-wrap">';
    }

    private static function meant(string $typed): string
    {
        return $typed === self::REMOVE ? '' : $typed;
    }
}
