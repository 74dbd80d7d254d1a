<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Products;

use Shopbridge\Events\ProductSnapshot;
use Shopbridge\Outbox\Answer;
use Shopbridge\Products\CategoryMapping;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Products\NetworkFacts;
use Shopbridge\Products\ProductFields;
use Shopbridge\Products\Releases;
use Shopbridge\Settings\Choices;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class NetworkFactsTest extends ShopTestCase
{
    /** @var \WC_Product */
    private $shirt;

    /** @var \WC_Product_Variation */
    private $red;

    protected function setUp(): void
    {
        parent::setUp();
        $this->shirt = new \WC_Product_Variable(7);
        $this->red = new \WC_Product_Variation(8);
        $this->red->props = array('parent_id' => 7, 'tax_status' => 'taxable', 'tax_class' => '');
        \FakeShop::$products = array(7 => $this->shirt, 8 => $this->red);
        \FakeTerms::add(1, 'Kleidung');
        \FakeTerms::add(2, 'Shirts &amp; mehr', 'product_cat', 1);
        \FakeTerms::$of['product_cat 7'] = array(2);
    }

    public function testAVariationSaysWhatItsProductSaysUnlessItHasItsOwn(): void
    {
        $this->shirt->meta = array(ProductFields::CATEGORY => 'fashion.shirts', ProductFields::BRAND => 'Anna', ProductFields::DEALER_PRICE => '1.00');
        $told = NetworkFacts::of($this->red);
        self::assertSame(array(null, 'fashion.shirts', 'Anna'), array($told['dealer_price'], $told['network_category'], $told['brand']));
        $this->red->meta = array(ProductFields::CATEGORY => 'fashion.red', ProductFields::DEALER_PRICE => '9.90');
        $told = NetworkFacts::of($this->red);
        self::assertSame(array('9.90', 'fashion.red'), array($told['dealer_price'], $told['network_category']));
    }

    public function testTheBrandOfWooCommerceComesFirst(): void
    {
        \FakeTerms::$taxonomies['product_brand'] = true;
        $this->shirt->meta = array(ProductFields::BRAND => 'old field');
        self::assertSame('old field', NetworkFacts::of($this->red)['brand']);
        \FakeTerms::add(5, 'Tom &amp; Sons', 'product_brand');
        \FakeTerms::$of['product_brand 7'] = array(5);
        self::assertSame('Tom & Sons', NetworkFacts::of($this->red)['brand']);
    }

    public function testAVariationHasTheCategoriesOfItsProductWithTheNearestMapping(): void
    {
        \FakeTerms::$meta[1][CategoryMapping::META] = 'fashion';
        $expected = array(array('id' => 2, 'name' => 'Shirts & mehr', 'slug' => 'shirts &amp; mehr', 'network_category' => 'fashion'));
        self::assertSame($expected, NetworkFacts::categories($this->red));
        \FakeTerms::$meta[2][CategoryMapping::META] = 'fashion.shirts';
        self::assertSame('fashion.shirts', NetworkFacts::categories($this->red)[0]['network_category']);
        \FakeTerms::$meta = array();
        self::assertNull(NetworkFacts::categories($this->red)[0]['network_category']);
    }

    /** @dataProvider taxes */
    public function testTheTaxRateIsThatOfTheProductsClass(array $rates, string $status, string $class, ?string $told): void
    {
        foreach ($rates as $rate) {
            \FakeShop::$taxRates[] = (object) ($rate + array('tax_rate_class' => '', 'tax_rate_country' => 'DE'));
        }
        $this->red->props = array('tax_status' => $status, 'tax_class' => $class) + $this->red->props;
        self::assertSame($told, NetworkFacts::of($this->red)['tax_rate']);
    }

    /** @return array<string, array{array<int, array<string, string>>, string, string, string|null}> */
    public function taxes(): array
    {
        $german = array(array('tax_rate' => '19.0000'), array('tax_rate' => '7.0000', 'tax_rate_class' => 'reduced-rate'));
        return array(
            'standard' => array($german, 'taxable', '', '19'),
            'reduced' => array($german, 'taxable', 'reduced-rate', '7'),
            'not taxed' => array($german, 'none', '', '0'),
            'a class without rates' => array($german, 'taxable', 'books', null),
            'the class for goods without VAT' => array($german, 'taxable', 'zero-rate', '0'),
            'that class with a rate all the same' => array(array_merge($german, array(array('tax_rate' => '5', 'tax_rate_class' => 'zero-rate'))), 'taxable', 'zero-rate', '5'),
            'not taxed in a shop without taxes' => array(array(), 'none', '', '0'),
            'a shop without taxes' => array(array(), 'taxable', '', '0'),
            'decimals' => array(array(array('tax_rate' => '8.1000')), 'taxable', '', '8.1'),
            'hundred' => array(array(array('tax_rate' => '100')), 'taxable', '', '100'),
            'two rates' => array(array(array('tax_rate' => '5'), array('tax_rate' => '9.975')), 'taxable', '', '14.975'),
            'compound' => array(array(array('tax_rate' => '5'), array('tax_rate' => '9', 'compound' => 'yes')), 'taxable', '', null),
        );
    }

    public function testTheEventCarriesThemAndNotWhatTheBridgeItselfWrote(): void
    {
        $this->red->meta = array(ProductFields::DEALER_PRICE => '9.90', '_shopbridge_key' => 'network:1', '_token' => 'secret');
        Releases::remember(8, Releases::NOT_RELEASED, array(array('code' => 'x', 'text' => 'y', 'field' => '')));
        $data = (new ProductSnapshot(new Choices(), new MemoryOutbox()))->of(8);
        self::assertSame('9.90', $data['shopbridge']['dealer_price']);
        self::assertSame('Shirts & mehr', $data['categories'][0]['name']);
        self::assertSame(array('_shopbridge_key'), array_column($data['meta_data'], 'key'));
        self::assertSame(array('currency', 'prices_include_tax', 'gtin', 'handling_days', 'dealer_price', 'network_category', 'brand', 'tax_rate', 'taxes'), array_keys($data['shopbridge']));
    }

    public function testTheMappingIsSavedFromItsFormOnly(): void
    {
        \FakeShop::$capabilities['manage_product_terms'] = true;
        $mapping = new CategoryMapping(new NetworkCategories(static fn (): Answer => new Answer(0)));
        $mapping->save(1);
        self::assertSame('', CategoryMapping::own(1), 'no form');
        $_REQUEST = array('shopbridge_network_category' => 'fashion', 'shopbridge_category' => 'nonce');
        \FakeShop::$nonceIsRight = false;
        $mapping->save(1);
        \FakeShop::$nonceIsRight = true;
        \FakeShop::$capabilities['manage_product_terms'] = false;
        $mapping->save(1);
        self::assertSame('', CategoryMapping::own(1), 'no nonce, no right');
        \FakeShop::$capabilities['manage_product_terms'] = true;
        $mapping->save(1);
        self::assertSame('fashion', CategoryMapping::own(1));
        $_REQUEST['shopbridge_network_category'] = '';
        $mapping->save(1);
        self::assertSame('', CategoryMapping::own(1));
    }
}
