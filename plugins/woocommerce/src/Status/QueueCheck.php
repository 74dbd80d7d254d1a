<?php

/**
 * Notices a shop whose Action Scheduler does not run: no visitors and no cron, or WP-Cron switched off without a replacement.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Settings\Connection;

class QueueCheck
{
    private const LATE = 900;

    /** @var Connection */
    private $connection;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var Health */
    private $health;

    public function __construct(Connection $connection, Outbox $outbox, Breaker $breaker, Health $health)
    {
        $this->connection = $connection;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->health = $health;
    }

    /**
     * @return string[]
     */
    public function warnings(int $now): array
    {
        if (!$this->connection->exists()) {
            return array();
        }
        $warnings = array();
        $turn = max((int) $this->health->read()['swept_at'], $this->connection->connectedAt());
        if ($now - $turn > self::LATE) {
            $warnings[] = $this->notRunning($turn);
        }
        $oldest = $this->outbox->oldestWaiting();
        if ($oldest !== null && $now - $oldest > self::LATE && !$this->breaker->probing()) {
            $warnings[] = __('Messages have been waiting for more than 15 minutes although the bridge could be reached. Press "Send now".', 'shopbridge');
        }
        return $warnings;
    }

    private function notRunning(int $turn): string
    {
        $off = defined('DISABLE_WP_CRON') && DISABLE_WP_CRON
            ? ' ' . __('WP-Cron is switched off in wp-config.php (DISABLE_WP_CRON).', 'shopbridge')
            : '';
        /* translators: %s: time */
        $text = __('Action Scheduler has not run since %s, so messages leave late. Ask your host for a cron job that calls wp-cron.php every minute.', 'shopbridge');
        return sprintf($text, (string) wp_date('Y-m-d H:i', $turn)) . $off;
    }
}
