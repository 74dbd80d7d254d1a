<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\RetryPlan;
use Shopbridge\Tests\ShopTestCase;

final class RetryPlanTest extends ShopTestCase
{
    public function testTenTriesOverSeventyFiveHours(): void
    {
        $now = 1000;
        $waits = array();
        for ($tries = 1; ($wait = RetryPlan::delay($tries, 1000, $now)) !== null; $tries++) {
            $waits[] = $wait;
            $now += $wait;
        }
        self::assertSame(array(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), $waits);
        self::assertSame(10, $tries);
        self::assertSame(75, intdiv($now - 1000, 3600));
    }

    public function testTriesUsedUpEarlyDoNotShortenTheLife(): void
    {
        self::assertSame(86400, RetryPlan::delay(10, 1000, 1000 + 3600));
        self::assertNull(RetryPlan::delay(10, 1000, 1000 + RetryPlan::lifetime()));
    }
}
