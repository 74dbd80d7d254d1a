<?php

/**
 * wp shopbridge connect | status | outbox | send | resend
 */

declare(strict_types=1);

namespace Shopbridge\Status;

use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Sender;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Pairing;

class Cli
{
    /** @var Connection */
    private $connection;

    /** @var Pairing */
    private $pairing;

    /** @var StatusPanel */
    private $panel;

    /** @var QueueCheck */
    private $queue;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var Schedule */
    private $schedule;

    /** @var callable(): Sender */
    private $sender;

    public function __construct(
        Connection $connection,
        Pairing $pairing,
        StatusPanel $panel,
        QueueCheck $queue,
        Outbox $outbox,
        Breaker $breaker,
        Schedule $schedule,
        callable $sender
    ) {
        $this->connection = $connection;
        $this->pairing = $pairing;
        $this->panel = $panel;
        $this->queue = $queue;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->schedule = $schedule;
        $this->sender = $sender;
    }

    /**
     * Connects this shop with a bridge.
     *
     * ## OPTIONS
     *
     * <address>
     * : Address of the bridge, e.g. https://bridge.example
     *
     * <code>
     * : Pairing code
     *
     * @param string[] $arguments
     */
    public function connect(array $arguments): void
    {
        $problem = $this->pairing->connect($arguments[0], $arguments[1]);
        if ($problem !== '') {
            \WP_CLI::error($problem);
        }
        $this->schedule->ensureSweep();
        ($this->sender)()->drain(5, 5);
        \WP_CLI::success('Connected as ' . $this->connection->key() . '.');
    }

    /** Shows what the status panel shows. */
    public function status(): void
    {
        if (!$this->connection->exists()) {
            \WP_CLI::line('Not connected.');
            return;
        }
        foreach ($this->panel->lines() as $name => $text) {
            \WP_CLI::line($name . ': ' . $text);
        }
        foreach ($this->queue->warnings(time()) as $warning) {
            \WP_CLI::warning($warning);
        }
    }

    /**
     * Lists messages of the outbox, newest first.
     *
     * ## OPTIONS
     *
     * [--state=<state>]
     * : waiting, done, parked, dead or replaced
     * ---
     * default: waiting
     * ---
     *
     * [--limit=<number>]
     * : How many
     * ---
     * default: 50
     * ---
     *
     * @param string[] $arguments
     * @param array<string, string> $options
     */
    public function outbox(array $arguments, array $options): void
    {
        $lines = array();
        foreach ($this->outbox->newestOf($options['state'] ?? Row::WAITING, (int) ($options['limit'] ?? 50)) as $row) {
            $lines[] = array(
                'sequence' => $row->id,
                'type' => $row->type,
                'subject' => $row->subject,
                'tries' => $row->tries,
                'happened' => gmdate('Y-m-d H:i:s', $row->createdAt),
                'error' => $row->error,
            );
        }
        \WP_CLI\Utils\format_items('table', $lines, array('sequence', 'type', 'subject', 'tries', 'happened', 'error'));
    }

    /** Sends what waits, now, for at most ten minutes. */
    public function send(): void
    {
        $this->breaker->forgive();
        $this->outbox->hurry();
        ($this->sender)()->drain(600);
        \WP_CLI::success($this->outbox->countWaiting() . ' messages are waiting now.');
    }

    /**
     * Sends messages again: the refused and the given up, or a range of sequences.
     *
     * ## OPTIONS
     *
     * [--from=<sequence>]
     * : First sequence
     *
     * [--to=<sequence>]
     * : Last sequence
     *
     * @param string[] $arguments
     * @param array<string, string> $options
     */
    public function resend(array $arguments, array $options): void
    {
        $ranged = isset($options['from'], $options['to']);
        $again = $ranged ? $this->outbox->resend(array(array((int) $options['from'], (int) $options['to']))) : $this->outbox->resendDead();
        \WP_CLI::success($again . ' messages are sent again.');
    }
}
