<?php

/**
 * Ids of events: `evt_` and 32 characters of chance, the same in every try, never used for two things.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class EventId
{
    public static function fresh(): string
    {
        return 'evt_' . bin2hex(random_bytes(16));
    }
}
