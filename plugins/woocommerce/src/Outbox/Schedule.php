<?php

/**
 * When the outbox is emptied: by Action Scheduler, which asks us each time its queue runs. No action is stored in the buyer's request.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

use Shopbridge\Settings\Connection;

class Schedule
{
    public const SEND = 'shopbridge_send';
    public const SWEEP = 'shopbridge_sweep';
    public const IMAGES = 'shopbridge_images';
    public const GROUP = 'shopbridge';

    private const SWEEP_EVERY = 300;
    /** Action Scheduler gives an action 30 seconds before it stops claiming; leave room for the last answer. */
    private const SECONDS = 20;

    /** @var Connection */
    private $connection;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var callable(): Sender */
    private $sender;

    public function __construct(Connection $connection, Outbox $outbox, Breaker $breaker, callable $sender)
    {
        $this->connection = $connection;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->sender = $sender;
    }

    public function register(): void
    {
        add_action('action_scheduler_before_process_queue', array($this, 'enqueueWhenNeeded'));
        add_action(self::SEND, array($this, 'send'));
        add_action('admin_init', array($this, 'ensureSweep'));
        if (defined('WP_CLI') && WP_CLI) {
            // `wp action-scheduler run` counts what is due before it fires the hook above.
            \WP_CLI::add_hook('before_invoke:action-scheduler run', array($this, 'enqueueWhenNeeded'));
        }
    }

    /** Called each time the queue of Action Scheduler runs (about once a minute): the action then runs in that same run. */
    public function enqueueWhenNeeded(): void
    {
        $this->ensureSweep();
        if ($this->connection->exists() && !$this->breaker->closed(time()) && $this->outbox->countWaiting() > 0) {
            $this->enqueue();
        }
    }

    public function send(): void
    {
        if (($this->sender)()->drain(self::SECONDS)) {
            $this->enqueue();
        }
    }

    public function ensureSweep(): void
    {
        if (!$this->connection->exists() || !function_exists('as_has_scheduled_action')) {
            return;
        }
        if (!as_has_scheduled_action(self::SWEEP, array(), self::GROUP)) {
            as_schedule_recurring_action(time() + 60, self::SWEEP_EVERY, self::SWEEP, array(), self::GROUP, true);
        }
    }

    public static function clear(): void
    {
        if (!function_exists('as_unschedule_all_actions')) {
            return;
        }
        foreach (array(self::SEND, self::SWEEP, self::IMAGES) as $hook) {
            as_unschedule_all_actions($hook, array(), self::GROUP);
        }
    }

    private function enqueue(): void
    {
        // While a send action runs it does not count as pending: the next batch may be stored before this one has ended.
        if (as_next_scheduled_action(self::SEND, array(), self::GROUP) === false || doing_action(self::SEND)) {
            as_enqueue_async_action(self::SEND, array(), self::GROUP, false, 0);
        }
    }
}
