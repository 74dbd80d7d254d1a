<?php

/**
 * When a message that did not arrive is tried again: ten tries over 75 hours (protocol.md section 3), then it is dead and shown.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class RetryPlan
{
    /** Seconds to wait after the first, second ... ninth try. */
    public const DELAYS = array(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400);

    /**
     * Seconds until the next try, or null when it is given up.
     *
     * A message is given up only when both are used up, the ten tries and the 75 hours: when the bridge comes back for a moment and
     * falls again, extra tries are made early, and they must not shorten the life of a message.
     */
    public static function delay(int $tries, int $firstTryAt, int $now): ?int
    {
        if ($tries <= count(self::DELAYS)) {
            return self::DELAYS[max(0, $tries - 1)];
        }
        $left = $firstTryAt + self::lifetime() - $now;
        return $left <= 0 ? null : max(60, min($left, 86400));
    }

    public static function lifetime(): int
    {
        return array_sum(self::DELAYS);
    }
}
