<?php

/**
 * The fields as columns of WooCommerce's CSV export and import. A cell that cannot be taken fails its row with a sentence in the report of
 * the import; a file without our columns changes nothing of them, an empty cell removes the value.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

class CsvColumns
{
    private const PRICE = 'shopbridge_dealer_price';
    private const CATEGORY = 'shopbridge_network_category';
    private const BRAND = 'shopbridge_brand';

    public function register(): void
    {
        add_filter('woocommerce_product_export_column_names', array($this, 'exportColumns'));
        add_filter('woocommerce_product_export_product_default_columns', array($this, 'exportColumns'));
        foreach (array(self::PRICE, self::CATEGORY, self::BRAND) as $column) {
            add_filter('woocommerce_product_export_product_column_' . $column, array($this, 'export'), 10, 3);
        }
        add_filter('woocommerce_product_export_skip_meta_keys', array($this, 'skipMeta'));
        add_filter('woocommerce_csv_product_import_mapping_options', array($this, 'importOptions'));
        add_filter('woocommerce_csv_product_import_mapping_default_columns', array($this, 'importMapping'));
        add_filter('woocommerce_product_import_pre_insert_product_object', array($this, 'import'), 10, 2);
    }

    /**
     * @param mixed $columns
     * @return mixed
     */
    public function exportColumns($columns)
    {
        return is_array($columns) ? $columns + self::shown() : $columns;
    }

    /**
     * @param mixed $value
     * @param mixed $product
     * @param mixed $column
     * @return mixed
     */
    public function export($value, $product, $column)
    {
        if (!$product instanceof \WC_Product) {
            return $value;
        }
        switch ($column) {
            case self::PRICE:
                return ProductFields::dealerPrice($product);
            case self::CATEGORY:
                return ProductFields::category($product);
            case self::BRAND:
                return ProductFields::brand($product);
            default:
                return $value;
        }
    }

    /**
     * They have columns of their own, and what the bridge wrote belongs to this shop only.
     *
     * @param mixed $keys
     * @return mixed
     */
    public function skipMeta($keys)
    {
        return is_array($keys) ? array_merge($keys, ProductFields::ALL, ManagedProduct::METAS, Releases::METAS) : $keys;
    }

    /**
     * @param mixed $options
     * @return mixed
     */
    public function importOptions($options)
    {
        if (is_array($options)) {
            $options['shopbridge'] = array('name' => __('Dropshipping', 'shopbridge'), 'options' => self::shown());
        }
        return $options;
    }

    /**
     * Which headings of a file are recognised: in the language of the shop, in English, and the bare names.
     *
     * @param mixed $mapping
     * @return mixed
     */
    public function importMapping($mapping)
    {
        if (is_array($mapping)) {
            $mapping += array('Dealer price' => self::PRICE, 'Network category' => self::CATEGORY);
            $mapping += array_flip(self::shown()) + array('dealer_price' => self::PRICE, 'network_category' => self::CATEGORY);
        }
        return $mapping;
    }

    /**
     * @param mixed $product
     * @param mixed $row
     * @return mixed
     * @throws \UnexpectedValueException The importer shows its message as the reason why this row failed.
     */
    public function import($product, $row)
    {
        if (!$product instanceof \WC_Product || !is_array($row)) {
            return $product;
        }
        $problems = array();
        if (isset($row[self::PRICE])) {
            $problems[] = ProductFields::setDealerPrice($product, trim((string) $row[self::PRICE]));
        }
        if (isset($row[self::CATEGORY])) {
            $problems[] = ProductFields::setCategory($product, trim((string) $row[self::CATEGORY]));
        }
        if (isset($row[self::BRAND])) {
            $problems[] = ProductFields::setBrand($product, (string) $row[self::BRAND]);
        }
        $problem = implode(' ', array_filter($problems));
        if ($problem !== '') {
            throw new \UnexpectedValueException($problem);
        }
        return $product;
    }

    /**
     * @return array<string, string>
     */
    private static function shown(): array
    {
        $columns = self::columns();
        if (ProductFields::brandsAreTerms()) {
            // WooCommerce has a column of its own for its brands.
            unset($columns[self::BRAND]);
        }
        return $columns;
    }

    /**
     * @return array<string, string>
     */
    private static function columns(): array
    {
        return array(
            self::PRICE => __('Dealer price', 'shopbridge'),
            self::CATEGORY => __('Network category', 'shopbridge'),
            self::BRAND => __('Brand', 'shopbridge'),
        );
    }
}
