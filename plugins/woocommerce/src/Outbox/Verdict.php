<?php

/**
 * What the bridge's answer means for a message and for the sending (protocol.md section 3, table of answers).
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Verdict
{
    public const DONE = 'done';
    public const PARK = 'park';
    public const SIGNATURE = 'signature';
    public const REMOVED = 'removed';
    public const BUSY = 'busy';
    public const ERROR = 'error';
    public const SILENCE = 'silence';

    /** 502 and 504 come from a machine in front of a bridge that is not there. */
    private const UNREACHABLE = array(0, 502, 504);

    /** @param int $code HTTP status, 0 when there was no answer */
    public static function of(int $code): string
    {
        if ($code === 202 || $code === 200) {
            return self::DONE;
        }
        if (in_array($code, array(400, 413, 415, 422), true)) {
            return self::PARK;
        }
        if ($code === 401) {
            return self::SIGNATURE;
        }
        if ($code === 410) {
            return self::REMOVED;
        }
        if ($code === 429 || $code === 503) {
            return self::BUSY;
        }
        return in_array($code, self::UNREACHABLE, true) ? self::SILENCE : self::ERROR;
    }
}
