<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Orders\Money;
use Shopbridge\Tests\ShopTestCase;

final class MoneyTest extends ShopTestCase
{
    /** @dataProvider texts */
    public function testDecimalTextIsReadAsCents(string $text, int $cents): void
    {
        self::assertSame($cents, Money::cents($text));
    }

    /** @return array<int, array{string, int}> */
    public function texts(): array
    {
        return array(
            array('7.90', 790), array('7.9', 790), array('7', 700), array('0.07', 7), array('.5', 50), array('-7.905', -791),
            array('6.638655', 664), array('1234567.89', 123456789), array('', 0), array('x', 0),
        );
    }

    public function testCentsAreWrittenWithTwoDecimals(): void
    {
        self::assertSame(array('0.00', '0.07', '-0.07', '15.80'), array_map(array(Money::class, 'text'), array(0, 7, -7, 1580)));
    }

    public function testNetAndTaxAddUpToGrossForEveryAmountAndRate(): void
    {
        foreach (array('19', '7', '5.5', '20', '0', '27') as $percent) {
            for ($gross = 0; $gross < 3000; $gross += 7) {
                $net = Money::net($gross, $percent);
                $tax = $gross - $net;
                $off = abs($net * Money::scaled($percent, 4) - $tax * 1000000);
                self::assertLessThanOrEqual(1000000 + Money::scaled($percent, 4), $off, "$gross at $percent");
            }
        }
        self::assertSame(664, Money::net(790, '19'));
    }

    public function testAShareIsRounded(): void
    {
        self::assertSame(333, Money::share(1000, 1, 3));
        self::assertSame(667, Money::share(1000, 2, 3));
        self::assertSame(0, Money::share(1000, 1, 0));
    }

    /** @dataProvider amounts */
    public function testAnAmountOfTheProtocolIsPlainDecimalText(string $text, bool $isAmount): void
    {
        self::assertSame($isAmount, Money::isAmount($text));
    }

    /** @return array<int, array{string, bool}> */
    public function amounts(): array
    {
        return array(
            array('7.90', true), array('7', true), array('7.905', false), array('-1.00', false), array('1e3', false), array('5,00', false),
            array('1_000', false), array('٣', false), array('', false), array('NaN', false),
        );
    }

    public function testNoFloatIsNearMoney(): void
    {
        foreach (array('Money', 'OrderWriter', 'RefundWriter', 'Taxes') as $name) {
            $source = (string) file_get_contents(__DIR__ . '/../../src/Orders/' . $name . '.php');
            self::assertDoesNotMatchRegularExpression('/\(float\)|floatval|\bround\(|number_format/', $source, $name);
        }
    }
}
