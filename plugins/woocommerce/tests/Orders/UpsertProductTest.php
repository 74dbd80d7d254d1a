<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Commands\SetStock;
use Shopbridge\Orders\Commands\UpsertProduct;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\ProductImages;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Products\ProductFields;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class UpsertProductTest extends ShopTestCase
{
    private const ASSAM = '4006381333931';

    /** @var MemoryOutbox */
    private $outbox;

    /** @var string */
    private $gtinSource = 'global_unique_id';

    protected function setUp(): void
    {
        parent::setUp();
        $this->outbox = new MemoryOutbox();
    }

    public function testAProductIsMadeWithWhatTheNetworkGivesAndNoDescription(): void
    {
        $done = $this->upsert(array('description' => 'the supplier\'s words', 'short_description' => 'too', 'sku' => 'DS-1'));
        $product = $this->product($done);
        self::assertTrue($done->data['created']);
        $expected = array(
            'name' => 'Assam',
            'sku' => 'DS-1',
            'global_unique_id' => self::ASSAM,
            'regular_price' => '7.90',
            'manage_stock' => true,
            'stock_quantity' => 4,
            'backorders' => 'no',
            'status' => 'publish',
        );
        self::assertEquals($expected, $product->props);
        self::assertSame('yes', $product->meta[ManagedProduct::MANAGED]);
        self::assertSame(array(4, 1), array($done->data['stock_quantity'], $done->data['sequence']));
    }

    public function testARepeatFindsTheSameProductByItsKeyAndSaysThatNothingWasMade(): void
    {
        $first = $this->upsert(array());
        $again = $this->upsert(array('price' => '8.00', 'stock_quantity' => 0));
        self::assertSame($first->data['product_id'], $again->data['product_id']);
        self::assertFalse($again->data['created']);
        self::assertSame('8.00', $this->product($again)->props['regular_price']);
        self::assertSame(0, $again->data['stock_quantity']);
        self::assertCount(1, \FakeShop::$products);
    }

    public function testWithoutAStockInTheMessageTheStockIsLeftAlone(): void
    {
        $this->upsert(array());
        $done = $this->upsert(array('stock_quantity' => null));
        self::assertSame(4, $this->product($done)->props['stock_quantity']);
        self::assertArrayNotHasKey('sequence', $done->data);
    }

    /** @dataProvider spellings */
    public function testAProductOfTheMerchantIsUsedInsteadOfASecondOne(string $ofShop, string $told): void
    {
        $own = $this->own(array('global_unique_id' => $ofShop));
        $done = $this->upsert(array('gtin' => $told));
        self::assertSame(array('product_id' => '7', 'created' => false), array_intersect_key($done->data, array('product_id' => 1, 'created' => 1)));
        self::assertSame($ofShop, $own->props['global_unique_id'], 'the merchant\'s own way of writing it stays');
    }

    /** @return array<string, array{string, string}> */
    public function spellings(): array
    {
        return array(
            'the same' => array(self::ASSAM, self::ASSAM),
            'fourteen digits' => array(self::ASSAM, '0' . self::ASSAM),
            'stored with fourteen' => array('0' . self::ASSAM, self::ASSAM),
            'twelve' => array('036000291452', '0036000291452'),
            'hyphens' => array('9783161484100', '978-3-16-148410-0'),
        );
    }

    public function testWhatTheMerchantHadStaysAsHeHasIt(): void
    {
        $own = $this->own(array('global_unique_id' => self::ASSAM, 'name' => 'Mein Assam', 'sku' => 'TEE-1', 'status' => 'private'));
        $own->meta[ProductFields::BRAND] = 'Anna';
        $this->upsert(array('sku' => 'DS-1', 'brand' => 'Other', 'category' => 'Tee', 'status' => 'draft'));
        $kept = array('name' => 'Mein Assam', 'sku' => 'TEE-1', 'status' => 'private');
        self::assertSame($kept, array_intersect_key($own->props, $kept));
        self::assertSame('Anna', $own->meta[ProductFields::BRAND]);
        self::assertSame(array(), \FakeTerms::$of);
        self::assertSame(array('7.90', 4, 'no'), array($own->props['regular_price'], $own->props['stock_quantity'], $own->props['backorders']));
    }

    public function testATitleFollowsTheSupplierUntilTheMerchantWritesHisOwn(): void
    {
        $product = $this->product($this->upsert(array()));
        $this->upsert(array('name' => 'Assam, neue Ernte'));
        self::assertSame('Assam, neue Ernte', $product->props['name']);
        $product->props['name'] = 'Meiner';
        $this->upsert(array('name' => 'Assam 2027'));
        self::assertSame('Meiner', $product->props['name']);
    }

    public function testAListingIsHiddenAndShownByTheBridgeAndMayBeHiddenByTheMerchant(): void
    {
        $product = $this->product($this->upsert(array()));
        $product->props['status'] = 'draft';
        $this->upsert(array());
        self::assertSame('draft', $product->props['status'], 'hidden by the merchant, and nothing new said');
        $this->upsert(array('status' => 'draft'));
        $this->upsert(array('status' => 'publish'));
        self::assertSame('publish', $product->props['status'], 'imported again');
    }

    public function testWhatIsNotManagedIsWrittenAsTold(): void
    {
        $own = $this->own(array('global_unique_id' => self::ASSAM, 'name' => 'Old', 'sku' => 'OLD', 'status' => 'private'));
        $this->upsert(array('managed' => null, 'sku' => 'NEW'));
        self::assertSame(array('Assam', 'NEW', 'publish'), array($own->props['name'], $own->props['sku'], $own->props['status']));
        self::assertArrayNotHasKey(ManagedProduct::MANAGED, $own->meta);
    }

    public function testTheSameSkuIsNotTheSameProductWhenTheGtinIsAnother(): void
    {
        $other = $this->own(array('sku' => 'TEE-1', 'global_unique_id' => '4012345678901'));
        $done = $this->upsert(array('sku' => 'TEE-1'));
        self::assertTrue($done->data['created']);
        self::assertArrayNotHasKey('regular_price', $other->props);
        self::assertArrayNotHasKey('sku', $this->product($done)->props, 'the number is taken, so this one goes without');
    }

    public function testASkuInTheTrashIsTakenTooBecauseWooCommerceSaysSo(): void
    {
        $this->own(array('sku' => 'DS-1', 'status' => 'trash'));
        self::assertArrayNotHasKey('sku', $this->product($this->upsert(array('sku' => 'DS-1')))->props);
        $this->expectExceptionObject(new Refusal('data.invalid', 'data.sku belongs to another product.', 'data.sku'));
        $this->upsert(array('key' => 'network:2', 'gtin' => null, 'sku' => 'DS-1', 'managed' => null));
    }

    public function testASkuMatchesAProductWithoutAGtinAndGivesItTheGtin(): void
    {
        $own = $this->own(array('sku' => 'TEE-1'));
        self::assertFalse($this->upsert(array('sku' => 'TEE-1'))->data['created']);
        self::assertSame(self::ASSAM, $own->props['global_unique_id']);
    }

    /** @dataProvider unsellable */
    public function testWhatCannotBeSoldIsNoMatch(string $type): void
    {
        $this->own(array('global_unique_id' => self::ASSAM, 'type' => $type));
        self::assertTrue($this->upsert(array())->data['created']);
    }

    /** @return array<string, array{string}> */
    public function unsellable(): array
    {
        return array('parent' => array('variable'), 'group' => array('grouped'), 'elsewhere' => array('external'));
    }

    public function testTwoSuppliersDoNotKeepOneStock(): void
    {
        $this->upsert(array());
        $stock = \FakeShop::$products[1001]->props['stock_quantity'];
        try {
            $this->upsert(array('key' => 'network:2', 'stock_quantity' => 99));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame('product.gtin_taken', $refusal->reason);
        }
        self::assertSame($stock, \FakeShop::$products[1001]->props['stock_quantity']);
        $this->upsert(array('managed' => false));
        self::assertFalse($this->upsert(array('key' => 'network:2'))->data['created'], 'let go by the first, taken by the second');
    }

    public function testWhatIsLetGoIsHiddenWhenItCameFromTheNetworkAndTheMerchantsOwnFromThenOn(): void
    {
        $product = $this->product($this->upsert(array()));
        $product->props['name'] = 'Meiner';
        $done = $this->upsert(array('managed' => false, 'price' => null, 'stock_quantity' => 0, 'status' => 'draft'));
        self::assertSame(array('1001', false, 0), array($done->data['product_id'], $done->data['created'], $done->data['stock_quantity']));
        self::assertSame(array('Meiner', 'draft'), array($product->props['name'], $product->props['status']));
        self::assertFalse(ManagedProduct::isManaged($product));
        $this->upsert(array());
        self::assertSame(array('publish', true), array($product->props['status'], ManagedProduct::isManaged($product)), 'imported again');
    }

    /** @dataProvider notOurs */
    public function testWhatIsLetGoIsNeverMadeAndNeverFoundByItsGtin(string $key): void
    {
        $own = $this->own(array('global_unique_id' => self::ASSAM, 'status' => 'publish', 'stock_quantity' => 3));
        $own->meta[ManagedProduct::KEY] = $key;
        try {
            $this->upsert(array('managed' => false, 'stock_quantity' => 0, 'status' => 'draft'));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame('product.not_found', $refusal->reason);
        }
        self::assertSame(array(1, 3, 'publish'), array(count(\FakeShop::$products), $own->props['stock_quantity'], $own->props['status']));
    }

    /** @return array<string, array{string}> */
    public function notOurs(): array
    {
        return array('the merchant\'s own' => array(''), 'another supplier\'s by now' => array('network:2'));
    }

    /** @dataProvider keptPrices */
    public function testAPriceIsKeptAsTheShopKeepsIts(bool $withTax, ?string $rate, string $class, string $kept): void
    {
        $this->german();
        \FakeShop::$pricesIncludeTax = $withTax;
        $product = $this->product($this->upsert(array('price' => '7.90', 'tax_rate' => $rate)));
        self::assertSame(array($class, $kept), array($product->props['tax_class'] ?? '', $product->props['regular_price']));
    }

    /** @return array<string, array{bool, string|null, string, string}> */
    public function keptPrices(): array
    {
        return array(
            'with tax' => array(true, '7', 'reduced-rate', '7.90'),
            'reduced' => array(false, '7', 'reduced-rate', '7.383178'),
            'reduced, written longer' => array(false, '7.00', 'reduced-rate', '7.383178'),
            'standard' => array(false, '19', '', '6.638655'),
            'no class has it' => array(false, '5.5', '', '6.638655'),
            'no number' => array(false, 'seven', '', '6.638655'),
            'not told' => array(false, null, '', '6.638655'),
        );
    }

    public function testThePriceWithTaxIsTheSameToTheCentAgain(): void
    {
        $this->german();
        \FakeShop::$pricesIncludeTax = false;
        foreach (array(1, 99, 790, 1190, 12345, 9999999, 99999999999) as $cents) {
            $product = $this->product($this->upsert(array('price' => \Shopbridge\Orders\Money::text($cents))));
            $net = \Shopbridge\Orders\Money::scaled($product->props['regular_price'], 6);
            self::assertSame($cents, intdiv(intdiv($net * 119, 100) + 5000, 10000));
        }
    }

    public function testTheTaxClassOfTheMerchantIsLeftAloneAndCountsForThePrice(): void
    {
        $this->german();
        \FakeShop::$pricesIncludeTax = false;
        $own = $this->own(array('global_unique_id' => self::ASSAM, 'tax_class' => ''));
        $this->upsert(array('tax_rate' => '7', 'price' => '11.90'));
        self::assertSame(array('', '10'), array($own->props['tax_class'], $own->props['regular_price']));
        $own->props['tax_status'] = 'none';
        $this->upsert(array('price' => '11.90'));
        self::assertSame('11.90', $own->props['regular_price']);
    }

    /** @dataProvider zeroClasses */
    public function testGoodsWithoutVatGetTheClassThatIsMeantForThem(array $classes, ?array $rate, string $name, string $chosen): void
    {
        $this->german();
        \FakeShop::$taxClasses = $classes;
        \FakeShop::$words = array('Zero rate' => $name);
        if ($rate !== null) {
            \FakeShop::$taxRates[] = (object) ($rate + array('tax_rate_country' => 'DE'));
        }
        $product = $this->product($this->upsert(array('tax_rate' => '0')));
        self::assertSame($chosen, $product->props['tax_class']);
    }

    /** @return array<string, array{string[], array<string, string>|null, string, string}> */
    public function zeroClasses(): array
    {
        $pv = array('tax_rate' => '0.0000', 'tax_rate_class' => 'pv');
        return array(
            'as WooCommerce makes it' => array(array('reduced-rate', 'zero-rate'), null, 'Zero rate', 'zero-rate'),
            'in the shop\'s language' => array(array('reduced-rate', 'nullsatz'), null, 'Nullsatz', 'nullsatz'),
            'with a rate of 0' => array(array('reduced-rate', 'pv', 'zero-rate'), $pv, 'Zero rate', 'pv'),
        );
    }

    public function testAShopWithoutAClassForGoodsWithoutVatSaysSo(): void
    {
        $this->german();
        \FakeShop::$taxClasses = array('reduced-rate', 'books', 'zero-rate');
        \FakeShop::$taxRates[] = (object) array('tax_rate' => '5', 'tax_rate_class' => 'zero-rate', 'tax_rate_country' => 'DE');
        try {
            $this->upsert(array('tax_rate' => '0'));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame(array('product.no_tax_class', 'data.tax_rate'), array($refusal->reason, $refusal->field));
        }
        self::assertSame(array(), \FakeShop::$products);
    }

    private function german(): void
    {
        foreach (array('' => '19.0000', 'reduced-rate' => '7.0000') as $class => $rate) {
            \FakeShop::$taxRates[] = (object) array('tax_rate' => $rate, 'tax_rate_class' => $class, 'tax_rate_country' => 'DE');
        }
    }

    public function testAProductThatTheMerchantDeletedIsMadeAgainOnlyWhenEverythingIsSent(): void
    {
        $first = $this->upsert(array());
        $this->product($first)->props['status'] = 'trash';
        try {
            $this->upsert(array('price' => null));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame(array('product.not_found', 'data.key'), array($refusal->reason, $refusal->field));
        }
        $again = $this->upsert(array());
        self::assertSame(array($first->data['product_id'], false), array($again->data['product_id'], $again->data['created']));
        self::assertSame('publish', $this->product($again)->props['status'], 'out of the trash and on sale, as the import says');
        unset(\FakeShop::$products[(int) $again->data['product_id']]);
        $anew = $this->upsert(array());
        self::assertTrue($anew->data['created']);
        self::assertNotSame($first->data['product_id'], $anew->data['product_id']);
    }

    public function testTheKeyInTheProductItselfIsFoundWhenOurTableIsLost(): void
    {
        $first = $this->upsert(array('gtin' => null));
        $GLOBALS['wpdb']->keys = array();
        $again = $this->upsert(array('gtin' => null));
        self::assertSame(array($first->data['product_id'], false), array($again->data['product_id'], $again->data['created']));
    }

    public function testTheGtinIsAlsoWrittenWhereTheMerchantKeepsIt(): void
    {
        $this->gtinSource = '_ean';
        $product = $this->product($this->upsert(array()));
        self::assertSame(array(self::ASSAM, self::ASSAM), array($product->meta['_ean'], $product->props['global_unique_id']));
        $GLOBALS['wpdb']->keys = array();
        unset($product->meta[ManagedProduct::KEY]);
        self::assertFalse($this->upsert(array())->data['created'], 'found by that field');
    }

    public function testCategoryAndBrandAreMadeByNameAndOnlyForANewProduct(): void
    {
        \FakeTerms::$taxonomies['product_brand'] = true;
        $id = $this->upsert(array('category' => 'Tee', 'brand' => 'Tee GmbH'))->data['product_id'];
        self::assertSame('Tee', get_the_terms((int) $id, 'product_cat')[0]->name);
        self::assertSame('Tee GmbH', get_the_terms((int) $id, 'product_brand')[0]->name);
        $this->upsert(array('category' => 'Kaffee', 'brand' => 'Other'));
        self::assertSame('Tee', get_the_terms((int) $id, 'product_cat')[0]->name);
        self::assertSame('Tee GmbH', get_the_terms((int) $id, 'product_brand')[0]->name);
        self::assertCount(2, \FakeTerms::$terms);
    }

    public function testPicturesAreFetchedLaterAndOnlyFromTheWeb(): void
    {
        $this->upsert(array('images' => array('https://tee.example/1.jpg', 'javascript:alert(1)', 7, 'https://tee.example/1.jpg', 'https://t.example/' . str_repeat('x', 700))));
        self::assertCount(1, \FakeShop::$scheduled);
        self::assertSame(array(1001, array('https://tee.example/1.jpg')), \FakeShop::$scheduled[0]['args']);
        self::assertSame(array(), \FakeShop::$requests);
    }

    public function testPicturesOfTheBridgeAreReplacedAndThoseOfTheMerchantAreNot(): void
    {
        $product = $this->product($this->upsert(array()));
        \FakeTerms::$pictures = array('https://a.example/1' => 31, 'https://a.example/2' => 32);
        $images = new ProductImages();
        $images->fetch(1001, array('https://a.example/1', 'https://a.example/2'));
        self::assertSame(array(31, array(32)), array($product->props['image_id'], $product->props['gallery_image_ids']));
        $saves = $product->saves;
        $images->fetch(1001, array('https://a.example/1', 'https://a.example/2'));
        self::assertSame($saves, $product->saves, 'nothing new, nothing saved, nothing reported');
        $images->fetch(1001, array('https://a.example/2'));
        self::assertSame(32, $product->props['image_id']);
        $product->props['image_id'] = 99;
        $images->fetch(1001, array('https://a.example/1'));
        self::assertSame(99, $product->props['image_id']);
    }

    public function testAPictureThatCouldNotBeFetchedIsTriedAgainThreeTimes(): void
    {
        $this->upsert(array());
        \FakeTerms::$pictures = array('https://a.example/1' => 31);
        $tries = 0;
        foreach (array(0, 1, 2, 3) as $try) {
            \FakeShop::$scheduled = array();
            (new ProductImages())->fetch(1001, array('https://a.example/1', 'https://a.example/gone'), $try);
            $tries += count(\FakeShop::$scheduled);
        }
        self::assertSame(3, $tries);
        self::assertSame(31, \FakeShop::$products[1001]->props['image_id'], 'what could be had is shown');
    }

    public function testTheStockOfAProductInTheTrashIsNotSet(): void
    {
        $own = $this->own(array('status' => 'trash', 'stock_quantity' => 3));
        try {
            (new SetStock(new Once(), $this->outbox))->run(new CommandData(array('product_id' => '7', 'stock_quantity' => 5, 'key' => 's1')));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame('product.not_found', $refusal->reason);
        }
        self::assertSame(3, $own->props['stock_quantity']);
    }

    /** @param array<string, mixed> $data */
    private function upsert(array $data): Done
    {
        $told = array('key' => 'network:1', 'gtin' => self::ASSAM, 'name' => 'Assam', 'price' => '7.90', 'stock_quantity' => 4, 'status' => 'publish', 'managed' => true);
        $shelf = new Shelf(fn (): string => $this->gtinSource);
        return (new UpsertProduct(new Once(), $shelf, $this->outbox))->run(new CommandData($data + $told));
    }

    /** @param array<string, mixed> $props */
    private function own(array $props): \WC_Product
    {
        $product = new \WC_Product(7);
        $product->props = $props;
        \FakeShop::$products[7] = $product;
        return $product;
    }

    private function product(Done $done): \WC_Product
    {
        return \FakeShop::$products[(int) $done->data['product_id']];
    }
}
