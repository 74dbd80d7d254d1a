<?php

/**
 * Decides whether a request really comes from the bridge: signature over the raw bytes, constant time, within 300 seconds.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Signature;
use Shopbridge\Settings\Secrets;

class CommandVerifier
{
    public const LIMIT = 262144;

    /** @var Secrets */
    private $secrets;

    public function __construct(Secrets $secrets)
    {
        $this->secrets = $secrets;
    }

    /** True only for a body that the bridge has signed. Without a connection nothing is. */
    public function accepts(string $id, string $timestamp, string $signature, string $body, int $now): bool
    {
        $secrets = $this->secrets->forCommands($now);
        if ($secrets === array() || strlen($body) > self::LIMIT || preg_match('/^[A-Za-z0-9_-]{1,64}$/', $id) !== 1) {
            return false;
        }
        return Signature::holds($secrets, $id, $timestamp, $signature, $body, $now);
    }
}
