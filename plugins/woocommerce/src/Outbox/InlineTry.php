<?php

/**
 * One try at the end of the request that wrote the message, after the visitor has got the answer: seconds instead of a minute (K5).
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

class InlineTry
{
    private const SECONDS = 2;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var callable(): Sender */
    private $sender;

    public function __construct(Outbox $outbox, Breaker $breaker, callable $sender)
    {
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->sender = $sender;
    }

    /** @param int $written how many messages this request wrote: with more than these waiting, the queue has its order to keep */
    public function run(int $written): void
    {
        if (!$this->nobodyWaits() || $this->breaker->probing()) {
            return;
        }
        if ($this->outbox->countWaiting() <= $written) {
            ($this->sender)()->drain(self::SECONDS, self::SECONDS);
        }
    }

    /**
     * The answer can be closed first (PHP-FPM, LiteSpeed), or there is no visitor. A command of the bridge counts as a visitor: with one
     * PHP process a call back to the bridge would wait for itself.
     */
    private function nobodyWaits(): bool
    {
        if (wp_doing_cron() || (defined('WP_CLI') && WP_CLI)) {
            return true;
        }
        if (function_exists('fastcgi_finish_request')) {
            return fastcgi_finish_request();
        }
        if (function_exists('litespeed_finish_request')) {
            return litespeed_finish_request();
        }
        return false;
    }
}
