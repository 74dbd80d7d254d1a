<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Products;

use Shopbridge\Events\Collector;
use Shopbridge\Events\Recorder;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\InlineTry;
use Shopbridge\Products\CategoryMapping;
use Shopbridge\Products\ProductFields;
use Shopbridge\Products\ReportAgain;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class ReportAgainTest extends ShopTestCase
{
    /** @var Collector */
    private $notes;

    protected function setUp(): void
    {
        parent::setUp();
        \FakeShop::$products = array(7 => new \WC_Product_Variable(7), 8 => new \WC_Product_Variation(8), 9 => new \WC_Product(9));
        \FakeShop::$products[8]->props = array('parent_id' => 7);
        \FakeTerms::add(1, 'Tee');
        \FakeTerms::add(2, 'Grün', 'product_cat', 1);
        \FakeTerms::$of = array('product_cat 7' => array(2), 'product_cat 9' => array(1));
        $this->notes = new Collector();
        $outbox = new MemoryOutbox();
        $recorder = new Recorder($this->notes, $outbox, new InlineTry($outbox, new Breaker(), static fn () => null));
        (new ReportAgain($this->notes, $recorder, $outbox))->register();
    }

    public function testAFieldOfAProductReportsItsVariationsToo(): void
    {
        do_action('updated_post_meta', 1, 7, ProductFields::CATEGORY, 'food.tea');
        self::assertSame(array('product/7', 'product/8'), $this->reported());
    }

    public function testADealerPriceIsTheProductsOwnMatter(): void
    {
        do_action('added_post_meta', 1, 7, ProductFields::DEALER_PRICE, '1.00');
        self::assertSame(array('product/7'), $this->reported());
    }

    public function testOtherMetaAndOtherPostsAreNobodysBusiness(): void
    {
        do_action('updated_post_meta', 1, 7, '_price', '1');
        do_action('updated_post_meta', 1, 7, '_shopbridge_release', 'released');
        do_action('updated_post_meta', 1, 4711, ProductFields::BRAND, 'x');
        do_action('updated_term_meta', 1, 1, 'thumbnail_id', '4');
        self::assertSame(array(), $this->reported());
    }

    public function testTheMappingOfACategoryReportsAllProductsInItAndBelowIt(): void
    {
        do_action('updated_term_meta', 1, 1, CategoryMapping::META, 'food.tea');
        self::assertSame(array('product/7', 'product/8', 'product/9'), $this->reported());
        do_action('deleted_term_meta', array(1), 2, CategoryMapping::META, '');
        self::assertSame(array('product/7', 'product/8'), $this->reported());
    }

    public function testCategoriesOfAProductCountOnlyWhenTheyChange(): void
    {
        do_action('set_object_terms', 9, array(), array(11), 'product_cat', false, array('11'));
        do_action('set_object_terms', 9, array(), array(11), 'product_tag', false, array());
        do_action('set_object_terms', 9, array(), array(), 'product_cat', true, array(11));
        self::assertSame(array(), $this->reported());
        do_action('set_object_terms', 9, array(), array(11, 12), 'product_cat', false, array(11));
        self::assertSame(array('product/9'), $this->reported());
        do_action('set_object_terms', 9, array(), array(), 'product_brand', false, array(5));
        self::assertSame(array('product/9'), $this->reported());
        do_action('deleted_term_relationships', 9, array(5), 'product_brand');
        self::assertSame(array('product/9'), $this->reported());
    }

    public function testARenamedCategoryIsReportedWithItsProducts(): void
    {
        do_action('edited_term', 2, 2, 'product_cat');
        self::assertSame(array('product/7', 'product/8'), $this->reported());
        do_action('edited_term', 2, 2, 'category');
        self::assertSame(array(), $this->reported());
    }

    public function testChangedTaxRatesReportEveryProductOnce(): void
    {
        $GLOBALS['wpdb']->columns = array(array('7', '8', '9'), array('7'));
        do_action('woocommerce_tax_rate_updated', 1);
        do_action('woocommerce_tax_rate_added', 2);
        do_action('updated_option', 'woocommerce_calc_taxes');
        do_action('shutdown');
        do_action('shutdown');
        self::assertCount(1, $GLOBALS['wpdb']->columns, 'asked for once');
    }

    /** @return string[] */
    private function reported(): array
    {
        $subjects = array_column($this->notes->take(), 'subject');
        sort($subjects);
        return $subjects;
    }
}
