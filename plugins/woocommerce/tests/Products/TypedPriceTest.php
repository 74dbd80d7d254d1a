<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Products;

use Shopbridge\Products\TypedPrice;
use Shopbridge\Tests\ShopTestCase;

final class TypedPriceTest extends ShopTestCase
{
    /** @dataProvider prices */
    public function testAPriceIsReadAsPeopleTypeIt(string $typed, ?string $read): void
    {
        self::assertSame($read, TypedPrice::read($typed));
    }

    /** @return array<int, array{string, string|null}> */
    public function prices(): array
    {
        return array(
            array('4,20', '4.20'),
            array('4.2', '4.20'),
            array(' 4 ', '4.00'),
            array('0', '0.00'),
            array("4,20\u{00A0}€", '4.20'),
            array('EUR 12.50', '12.50'),
            array('1.234,56', '1234.56'),
            array('1,234.56', '1234.56'),
            array("1'234.50", '1234.50'),
            array('-3', null),
            array('4,205', null),
            array('abc', null),
            array('', null),
            array('12.34.56', null),
            array('1,23,456', null),
            array('99999999', null),
            array('4,20,', null),
            array('١٢', null),
        );
    }

    /** A thousand, or three decimals of another program: a thousandfold price is worse than a question. */
    public function testWhatMayBeAThousandOrThreeDecimalsIsNotGuessed(): void
    {
        foreach (array(',', '.') as $separator) {
            update_option('woocommerce_price_decimal_sep', $separator);
            self::assertSame(array(null, null), array(TypedPrice::read('1.234'), TypedPrice::read('1,234')));
        }
    }
}
