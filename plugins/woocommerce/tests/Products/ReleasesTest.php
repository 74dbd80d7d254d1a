<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Products;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Commands\ReleaseProducts;
use Shopbridge\Orders\Refusal;
use Shopbridge\Products\ManagedProduct;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Products\Releases;
use Shopbridge\Products\ReleaseScreens;
use Shopbridge\Tests\ShopTestCase;

final class ReleasesTest extends ShopTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        \FakeShop::$products = array(7 => new \WC_Product(7), 8 => new \WC_Product_Variation(8));
    }

    public function testTheStateOfEachProductIsKeptAndStrangersAreNamed(): void
    {
        $done = $this->obey(
            array(
                $this->not(7, array('code' => 'release.gtin_missing', 'text' => 'No <i>GTIN</i>.', 'field' => null)),
                array('product_id' => '8', 'state' => 'released', 'reasons' => array()),
                array('product_id' => '404', 'state' => 'released'),
            )
        );
        self::assertSame(array('known' => 2, 'unknown' => array('404')), $done);
        self::assertSame('not_released', Releases::state(7));
        self::assertSame(array(array('code' => 'release.gtin_missing', 'text' => 'No GTIN.', 'field' => '')), Releases::reasons(7));
        self::assertSame(array('release.gtin_missing'), \FakeShop::$products[7]->meta[Releases::CODE]);
        self::assertSame('released', Releases::state(8));
        self::assertSame(0, \FakeShop::$products[7]->saves, 'nothing of the product has changed, so it is not saved and not reported');
    }

    public function testAReleaseForgetsTheReasons(): void
    {
        $this->obey(array($this->not(7, array('code' => 'a', 'text' => 'b'))));
        $this->obey(array(array('product_id' => '7', 'state' => 'released', 'reasons' => array(array('code' => 'a')))));
        self::assertSame(array(Releases::STATE => 'released'), \FakeShop::$products[7]->meta);
    }

    /** @dataProvider wrong */
    public function testAWrongMessageIsRefusedAsAWhole(array $products, string $field): void
    {
        try {
            $this->obey($products);
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame($field, $refusal->field);
        }
        self::assertSame('', Releases::state(7));
    }

    /** @return array<string, array{array<int, array<string, mixed>>, string}> */
    public function wrong(): array
    {
        $good = array('product_id' => '7', 'state' => 'released');
        return array(
            'state' => array(array($good, array('product_id' => '8', 'state' => 'maybe')), 'data.products.1.state'),
            'reason without code' => array(array($good, array('state' => 'not_released', 'reasons' => array(array('text' => 'x')))), 'data.products.1.reasons.0.code'),
            'too many' => array(array_fill(0, 101, $good), 'data.products'),
        );
    }

    public function testTheProductPageSaysWhyEachVariationIsNotReleased(): void
    {
        $parent = new \WC_Product_Variable(6);
        $parent->props = array('children' => array(8, 9));
        \FakeShop::$products[6] = $parent;
        \FakeShop::$products[8]->props['name'] = 'Shirt, red';
        \FakeShop::$products[9] = new \WC_Product_Variation(9);
        \FakeShop::$products[9]->props['name'] = 'Shirt, <blue>';
        Releases::remember(8, 'released', array());
        Releases::remember(9, 'not_released', array(array('code' => 'x', 'text' => 'No <b>price</b>', 'field' => '')));
        $box = $this->box(6);
        self::assertMatchesRegularExpression('/red.*Released to retailers.*&lt;blue&gt;.*Not released because:.*<li>No &lt;b&gt;price/s', $box);
        ob_start();
        (new ReleaseScreens())->column('shopbridge_release', 6);
        self::assertStringContainsString('1 of 2 variations released', (string) ob_get_clean());
    }

    public function testAProductThatTheBridgeHasNotSeenAndOneOfTheNetworkSaySo(): void
    {
        self::assertStringContainsString('not looked at', $this->box(7));
        \FakeShop::$products[7]->meta = array(ManagedProduct::MANAGED => 'yes', Releases::STATE => 'released');
        self::assertStringContainsString('came through the network', $this->box(7));
        self::assertStringNotContainsString('Released to', $this->box(7));
    }

    public function testTheFilterOfTheListAsksTheDatabaseSafely(): void
    {
        $query = new class {
            public function is_main_query(): bool
            {
                return true;
            }

            public function get(string $name): string
            {
                return 'product';
            }
        };
        $screens = new ReleaseScreens();
        self::assertSame('WHERE 1', $screens->filter('WHERE 1', $query));
        $_REQUEST = array('shopbridge_release' => "x' OR 1=1 -- ");
        $where = $screens->filter('WHERE 1', $query);
        self::assertStringContainsString("m.meta_key = '_shopbridge_release_code' AND m.meta_value = 'x\\' OR 1=1 --'", $where);
        $_REQUEST = array('shopbridge_release' => 'not_released');
        self::assertStringContainsString("m.meta_key = '_shopbridge_release' AND m.meta_value = 'not_released'", $screens->filter('WHERE 1', $query));
    }

    public function testTheReasonsAreCountedWithTheTextOfOneOfThem(): void
    {
        Releases::remember(7, 'not_released', array(array('code' => 'a', 'text' => 'No GTIN.', 'field' => '')));
        $GLOBALS['wpdb']->results = array(
            array(array('state' => 'not_released', 'number' => '3')),
            array(array('code' => 'a', 'number' => '2', 'example' => '7'), array('code' => 'b', 'number' => '1', 'example' => '8')),
        );
        self::assertSame(array('released' => 0, 'not_released' => 3), Releases::counts());
        $told = array(array('code' => 'a', 'text' => 'No GTIN.', 'count' => 2), array('code' => 'b', 'text' => 'b', 'count' => 1));
        self::assertSame($told, Releases::byReason());
    }

    public function testAShopThatOnlySellsForOthersSeesNoColumn(): void
    {
        $screens = new ReleaseScreens();
        self::assertArrayHasKey('shopbridge_release', $screens->addColumn(array()));
        NetworkCategories::remember(array('retailer' => true), time());
        self::assertSame(array(), $screens->addColumn(array()));
    }

    private function box(int $id): string
    {
        $post = new \WP_Post();
        $post->ID = $id;
        ob_start();
        (new ReleaseScreens())->showBox($post);
        return (string) ob_get_clean();
    }

    /**
     * @param array<string, mixed> $reason
     * @return array<string, mixed>
     */
    private function not(int $id, array $reason): array
    {
        return array('product_id' => (string) $id, 'state' => 'not_released', 'reasons' => array($reason));
    }

    /**
     * @param array<int, array<string, mixed>> $products
     * @return array<string, mixed>
     */
    private function obey(array $products): array
    {
        return (new ReleaseProducts())->run(new CommandData(array('products' => $products)))->data;
    }
}
