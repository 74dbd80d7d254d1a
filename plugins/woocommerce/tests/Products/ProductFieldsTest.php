<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Products;

use Shopbridge\Outbox\Answer;
use Shopbridge\Products\BulkPrice;
use Shopbridge\Products\CsvColumns;
use Shopbridge\Products\ListEditing;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Products\ProductFields;
use Shopbridge\Products\ProductForm;
use Shopbridge\Tests\ShopTestCase;

final class ProductFieldsTest extends ShopTestCase
{
    /** @var \WC_Product */
    private $tea;

    protected function setUp(): void
    {
        parent::setUp();
        $this->tea = new \WC_Product(7);
        $this->tea->props = array('name' => 'Assam', 'regular_price' => '7.90');
        \FakeShop::$products[7] = $this->tea;
        \FakeShop::$capabilities['edit_post'] = true;
        NetworkCategories::remember(array('supplier' => true, 'categories' => array(array('key' => 'food.tea', 'name' => 'Tee'))), time());
    }

    public function testTheProductPageSavesWhatWasTyped(): void
    {
        $this->post(array('shopbridge_dealer_price' => '4,20', 'shopbridge_network_category' => 'food.tea', 'shopbridge_brand' => 'Anna'));
        $this->form()->save($this->tea);
        $expected = array(ProductFields::DEALER_PRICE => '4.20', ProductFields::CATEGORY => 'food.tea', ProductFields::BRAND => 'Anna');
        self::assertSame($expected, $this->tea->meta);
    }

    /** @dataProvider wrongPrices */
    public function testAWrongDealerPriceIsRefusedAloudAndTheOldOneStays(string $typed): void
    {
        ProductFields::setDealerPrice($this->tea, '4.20');
        $this->post(array('shopbridge_dealer_price' => $typed, 'shopbridge_network_category' => 'food.tea'));
        $this->form()->save($this->tea);
        self::assertSame('4.20', ProductFields::dealerPrice($this->tea));
        self::assertSame('food.tea', ProductFields::category($this->tea), 'one wrong field does not lose the others');
        self::assertCount(1, \WC_Admin_Meta_Boxes::$meta_box_errors);
        self::assertStringContainsString('Assam', \WC_Admin_Meta_Boxes::$meta_box_errors[0]);
    }

    /** @return array<string, array{string}> */
    public function wrongPrices(): array
    {
        return array('negative' => array('-3'), 'words' => array('cheap'), 'three decimals' => array('4.205'));
    }

    public function testEmptyFieldsRemoveWhatWasThere(): void
    {
        $this->tea->meta = array(ProductFields::DEALER_PRICE => '4.20', ProductFields::CATEGORY => 'food.tea');
        $this->post(array('shopbridge_dealer_price' => '', 'shopbridge_network_category' => ''));
        $this->form()->save($this->tea);
        self::assertSame(array(), $this->tea->meta);
    }

    public function testNothingIsSavedWithoutNonceRightOrForm(): void
    {
        $this->post(array('shopbridge_dealer_price' => '4,20'));
        \FakeShop::$nonceIsRight = false;
        $this->form()->save($this->tea);
        \FakeShop::$nonceIsRight = true;
        \FakeShop::$capabilities['edit_post'] = false;
        $this->form()->save($this->tea);
        \FakeShop::$capabilities['edit_post'] = true;
        $_REQUEST = array('shopbridge_product' => 'nonce');
        $this->form()->save($this->tea);
        self::assertSame(array(), $this->tea->meta);
    }

    public function testACategoryThatTheNetworkDoesNotHaveIsRefusedAndItsNameIsUnderstood(): void
    {
        self::assertSame('', ProductFields::setCategory($this->tea, 'tee'));
        self::assertSame('food.tea', ProductFields::category($this->tea));
        self::assertStringContainsString('Schuhe', ProductFields::setCategory($this->tea, 'Schuhe'));
        self::assertSame('food.tea', ProductFields::category($this->tea));
    }

    public function testWhileTheBridgeHasToldNoCategoriesAnyKeyIsTakenButNoMarkup(): void
    {
        delete_option(NetworkCategories::OPTION);
        self::assertSame('', ProductFields::setCategory($this->tea, 'food.tea'));
        self::assertNotSame('', ProductFields::setCategory($this->tea, '<b>'));
        self::assertNotSame('', ProductFields::setCategory($this->tea, str_repeat('x', 65)));
        self::assertSame('food.tea', ProductFields::category($this->tea));
    }

    public function testEachVariationHasItsOwnFields(): void
    {
        $red = new \WC_Product_Variation(8);
        $this->post(array('shopbridge_variation_dealer_price' => array('0' => '9,90', '1' => '8'), 'shopbridge_variation_network_category' => array('1' => 'food.tea')));
        $this->form()->saveVariation($red, 1);
        self::assertSame(array(ProductFields::DEALER_PRICE => '8.00', ProductFields::CATEGORY => 'food.tea'), $red->meta);
        $blue = new \WC_Product_Variation(9);
        $this->form()->saveVariation($blue, 2);
        self::assertSame(array(), $blue->meta, 'a variation that is not in the form');
    }

    public function testTheBulkActionSetsAllVariationsAndOnlyThose(): void
    {
        foreach (array(8, 9) as $id) {
            \FakeShop::$products[$id] = new \WC_Product_Variation($id);
            \FakeShop::$products[$id]->props = array('regular_price' => '19.90');
        }
        $this->form()->bulk('variable_regular_price', array('value' => '1'), 7, array(8, 9));
        self::assertSame(array(), \FakeShop::$products[8]->meta);
        $this->form()->bulk('shopbridge_dealer_price', array('value' => '60%'), 7, array(8, 9));
        self::assertSame('11.94', ProductFields::dealerPrice(\FakeShop::$products[8]));
        $this->form()->bulk('shopbridge_dealer_price', array('value' => '-1'), 7, array(8, 9));
        self::assertSame('11.94', ProductFields::dealerPrice(\FakeShop::$products[9]));
        self::assertCount(2, \WC_Admin_Meta_Boxes::$meta_box_errors);
        $this->form()->bulk('shopbridge_dealer_price', array('value' => ''), 7, array(8, 9));
        self::assertSame(array(), \FakeShop::$products[9]->meta);
    }

    /** @dataProvider shares */
    public function testAPercentageIsTakenOfTheProductsOwnPrice(string $regular, string $typed, string $price, bool $refused): void
    {
        $this->tea->props['regular_price'] = $regular;
        self::assertSame($refused, BulkPrice::apply($this->tea, $typed) !== '');
        self::assertSame($price, ProductFields::dealerPrice($this->tea));
    }

    /** @return array<int, array{string, string, string, bool}> */
    public function shares(): array
    {
        return array(
            array('7.90', '60%', '4.74', false),
            array('7.99', '50 %', '4.00', false),
            array('0.01', '33,33%', '0.00', false),
            array('7.90', '101%', '', true),
            array('7.90', '-5%', '', true),
            array('7.90', '%', '', true),
            array('', '60%', '', true),
        );
    }

    public function testInTheListAnEmptyFieldChangesNothingAndADashRemoves(): void
    {
        $this->tea->meta = array(ProductFields::DEALER_PRICE => '4.20', ProductFields::CATEGORY => 'food.tea', ProductFields::BRAND => 'Anna');
        $before = $this->tea->meta;
        $this->post(array('shopbridge_list_dealer_price' => '', 'shopbridge_list_network_category' => ''));
        (new ListEditing())->save($this->tea);
        self::assertSame($before, $this->tea->meta);
        $this->post(array('shopbridge_list_dealer_price' => '3,10', 'shopbridge_list_network_category' => '-', 'shopbridge_list_brand' => '-'));
        (new ListEditing())->save($this->tea);
        self::assertSame(array(ProductFields::DEALER_PRICE => '3.10'), $this->tea->meta);
    }

    public function testAParentOfVariationsGetsNoDealerPriceInTheList(): void
    {
        $this->tea->props['type'] = 'variable';
        $this->post(array('shopbridge_list_dealer_price' => '3,10', 'shopbridge_list_network_category' => 'food.tea'));
        (new ListEditing())->save($this->tea);
        self::assertSame(array(ProductFields::CATEGORY => 'food.tea'), $this->tea->meta);
    }

    public function testAFileWithOurColumnsIsTakenAndOneWithoutChangesNothing(): void
    {
        $csv = new CsvColumns();
        $csv->import($this->tea, array('shopbridge_dealer_price' => ' 4,20 ', 'shopbridge_network_category' => 'Tee', 'shopbridge_brand' => 'Anna'));
        $full = $this->tea->meta;
        self::assertSame(array('4.20', 'food.tea', 'Anna'), array_values($full));
        $csv->import($this->tea, array('name' => 'Assam'));
        self::assertSame($full, $this->tea->meta);
        $csv->import($this->tea, array('shopbridge_dealer_price' => ''));
        self::assertSame('', ProductFields::dealerPrice($this->tea));
    }

    public function testARowWithAWrongPriceFailsWithTheReason(): void
    {
        $this->expectException(\UnexpectedValueException::class);
        $this->expectExceptionMessage('-5');
        (new CsvColumns())->import($this->tea, array('shopbridge_dealer_price' => '-5'));
    }

    public function testTheColumnsAreExportedAndFoundAgainByTheirHeadings(): void
    {
        $csv = new CsvColumns();
        ProductFields::setDealerPrice($this->tea, '4.20');
        self::assertSame('4.20', $csv->export('', $this->tea, 'shopbridge_dealer_price'));
        $mapping = $csv->importMapping(array('SKU' => 'sku'));
        foreach ($csv->exportColumns(array()) as $column => $heading) {
            self::assertSame($column, $mapping[$heading]);
        }
        self::assertSame('sku', $mapping['SKU']);
        self::assertSame(array('name' => 'Dropshipping', 'options' => $csv->exportColumns(array())), $csv->importOptions(array())['shopbridge']);
    }

    public function testWhereBrandsAreTermsThereIsNoFieldAndNoColumnOfOurs(): void
    {
        \FakeTerms::$taxonomies['product_brand'] = true;
        self::assertArrayNotHasKey('shopbridge_brand', (new CsvColumns())->exportColumns(array()));
        ob_start();
        $this->form()->showGroup();
        self::assertStringNotContainsString('shopbridge_brand', (string) ob_get_clean());
    }

    public function testAShopThatOnlySellsForOthersSeesNoFields(): void
    {
        NetworkCategories::remember(array('supplier' => false, 'retailer' => true), time());
        ob_start();
        $this->form()->showPrice();
        $this->form()->showGroup();
        $this->form()->showBulkAction();
        (new ListEditing())->show();
        self::assertSame('', ob_get_clean());
    }

    public function testAChosenCategoryThatIsGoneStaysVisible(): void
    {
        self::assertSame(array('' => 'none', 'food.tea' => 'Tee', 'food.old' => 'food.old'), NetworkCategories::options('food.old', 'none'));
    }

    public function testTheListOfCategoriesIsAskedForOnceADayAndASilentBridgeOnceAnHour(): void
    {
        $asked = 0;
        $categories = new NetworkCategories(
            static function () use (&$asked): Answer {
                $asked++;
                return new Answer(0, null, 'timed out');
            }
        );
        $categories->refreshWhenOld();
        self::assertSame(0, $asked, 'fresh');
        update_option(NetworkCategories::OPTION, array('at' => time() - 2 * DAY_IN_SECONDS, 'names' => array('food.tea' => 'Tee')));
        $categories->refreshWhenOld();
        $categories->refreshWhenOld();
        self::assertSame(1, $asked);
        self::assertSame(array('food.tea' => 'Tee'), NetworkCategories::names(), 'the old list is kept');
    }

    public function testACopyOfAProductIsNotTheOneOfTheNetwork(): void
    {
        $left = $this->form()->leaveOutOfCopies(array('_sku'));
        foreach (array('_sku', '_shopbridge_key', '_shopbridge_managed', '_shopbridge_release') as $key) {
            self::assertContains($key, $left);
        }
        self::assertNotContains(ProductFields::DEALER_PRICE, $left);
    }

    private function form(): ProductForm
    {
        return new ProductForm(new NetworkCategories(static fn (): Answer => new Answer(0)));
    }

    /** @param array<string, mixed> $fields */
    private function post(array $fields): void
    {
        $_REQUEST = $fields + array('shopbridge_product' => 'nonce');
    }
}
