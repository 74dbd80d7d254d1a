<?php

/**
 * Sends what waits in the outbox, in order. What may go wrong: the bridge is away (all wait), one message is refused (the others go on).
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

use Shopbridge\Settings\Connection;
use Shopbridge\Events\Snapshots;
use Shopbridge\Status\Health;

class Sender
{
    private const BATCH = 200;
    private const TIMEOUT = 15;

    /** So many different messages answered with an error in a row mean that the bridge is ill, not the messages. */
    private const ERRORS_IN_A_ROW = 3;

    /** @var Connection */
    private $connection;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var Lock */
    private $lock;

    /** @var Transport */
    private $transport;

    /** @var Snapshots */
    private $snapshots;

    /** @var Health */
    private $health;

    /** @var callable(): int */
    private $clock;

    /** @var int */
    private $errors = 0;

    public function __construct(
        Connection $connection,
        Outbox $outbox,
        Breaker $breaker,
        Lock $lock,
        Transport $transport,
        Snapshots $snapshots,
        Health $health,
        ?callable $clock = null
    ) {
        $this->connection = $connection;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->lock = $lock;
        $this->transport = $transport;
        $this->snapshots = $snapshots;
        $this->health = $health;
        $this->clock = $clock ?? 'time';
    }

    /**
     * Send for at most so many seconds.
     *
     * @return bool whether messages that could be sent now are left over
     */
    public function drain(int $seconds, int $timeout = self::TIMEOUT): bool
    {
        if (!$this->connection->exists() || $this->breaker->closed($this->now()) || !$this->lock->take()) {
            return false;
        }
        try {
            $this->errors = 0;
            return $this->sendUntil($this->now() + $seconds, $timeout);
        } finally {
            $this->health->save();
            $this->lock->release();
        }
    }

    private function sendUntil(int $deadline, int $timeout): bool
    {
        $after = 0;
        $held = array();
        do {
            $rows = $this->outbox->waiting($after, self::BATCH);
            self::forgetWhatWasRead();
            foreach ($this->coalesced($rows) as $row) {
                $after = $row->id;
                if ($this->now() >= $deadline) {
                    return true;
                }
                if (!isset($held[$row->subject]) && $this->isDue($row)) {
                    $looking = $this->breaker->probing();
                    $verdict = $this->send($row, $timeout);
                    if ($this->mustStop($verdict)) {
                        return false;
                    }
                    if ($looking && !$this->breaker->probing()) {
                        // The bridge is back: begin again with the oldest, none has to wait for its next try.
                        return $this->sendUntil($deadline, $timeout);
                    }
                    $sent = $verdict === Verdict::DONE || $verdict === Verdict::PARK;
                } else {
                    $sent = false;
                }
                if (!$sent) {
                    // The order of one subject is kept: its later messages wait for this one.
                    $held[$row->subject] = true;
                }
            }
        } while ($rows !== array());
        return false;
    }

    /**
     * What this process has read before (products, options, tax rates) may have been changed by another one, and the message about that
     * change is among those just fetched. Only this process's memory is emptied, never a cache that others share.
     */
    private static function forgetWhatWasRead(): void
    {
        if (function_exists('wp_cache_supports') && wp_cache_supports('flush_runtime')) {
            wp_cache_flush_runtime();
        }
    }

    /** While it is not known whether the bridge is back, the oldest message is the one that finds out, due or not. */
    private function isDue(Row $row): bool
    {
        return $row->nextAt <= $this->now() || $this->breaker->probing();
    }

    /**
     * @param Row[] $rows
     * @return Row[]
     */
    private function coalesced(array $rows): array
    {
        $plan = Coalescing::plan($rows);
        $gone = array();
        foreach ($plan as $survivor => $merge) {
            $this->outbox->replace($survivor, $merge['replaced'], $merge['context']);
            $gone += array_flip($merge['replaced']);
        }
        $left = array();
        foreach ($rows as $row) {
            if (!isset($gone[$row->id])) {
                $row->context = isset($plan[$row->id]) ? $plan[$row->id]['context'] : $row->context;
                $left[] = $row;
            }
        }
        return $left;
    }

    private function send(Row $row, int $timeout): string
    {
        try {
            $data = $this->snapshots->of($row);
            $body = $data === null ? null : Envelope::body($row, $data);
        } catch (\LengthException $tooLong) {
            $this->outbox->giveUp($row, Row::PARKED, 413, $tooLong->getMessage());
            return Verdict::PARK;
        } catch (\Throwable $fault) {
            // Another plugin may break the reading of one order; that must not hold up the rest.
            return $this->later($row, new Answer(0, null, 'Reading ' . $row->subject . ' failed: ' . $fault->getMessage()), Verdict::ERROR);
        }
        if ($body === null) {
            $this->gone($row);
            return Verdict::DONE;
        }
        return $this->judge($row, $this->transport->event($row->eventId, $body, $timeout));
    }

    private function judge(Row $row, Answer $answer): string
    {
        $verdict = Verdict::of($answer->code);
        if ($verdict === Verdict::DONE) {
            $this->outbox->done($row, $answer->code, $this->now());
            $this->health->ok($this->now());
            $this->reachable();
            return $verdict;
        }
        $this->health->failed($this->now(), $row->type . ' ' . $row->subject, $answer->summary());
        if ($verdict === Verdict::PARK) {
            $this->outbox->giveUp($row, Row::PARKED, $answer->code, $answer->summary());
            $this->reachable();
            return $verdict;
        }
        return $this->later($row, $answer, $verdict);
    }

    private function later(Row $row, Answer $answer, string $verdict): string
    {
        $now = $this->now();
        if ($verdict === Verdict::ERROR && $answer->code !== 0) {
            $this->errors++;
            $verdict = $this->errors >= self::ERRORS_IN_A_ROW ? Verdict::SILENCE : $verdict;
        }
        if ($verdict !== Verdict::ERROR) {
            $this->breaker->trip($verdict, $now, $answer->retryAfter, $answer->summary());
        }
        if ($verdict === Verdict::SIGNATURE || $verdict === Verdict::REMOVED || $row->nextAt > $now) {
            // Not the message's fault, or only a look whether the bridge is back: it costs the message none of its ten tries.
            return $verdict;
        }
        $first = $row->firstTryAt === 0 ? $now : $row->firstTryAt;
        $delay = RetryPlan::delay($row->tries + 1, $first, $now);
        if ($delay === null) {
            $this->outbox->giveUp($row, Row::DEAD, $answer->code, $answer->summary());
        } else {
            $wait = $verdict === Verdict::BUSY ? max($delay, (int) $answer->retryAfter) : $delay;
            $this->outbox->postpone($row, $now + $wait, $answer->code, $answer->summary(), $now);
        }
        return $verdict;
    }

    /** The first message that arrives after trouble frees all that wait. */
    private function reachable(): void
    {
        $this->errors = 0;
        if ($this->breaker->probing()) {
            $this->breaker->reset();
            $this->outbox->hurry();
        }
    }

    private function mustStop(string $verdict): bool
    {
        return in_array($verdict, array(Verdict::SIGNATURE, Verdict::REMOVED, Verdict::BUSY, Verdict::SILENCE), true);
    }

    /** The object is no longer there: say so, unless its deletion is already on its way. */
    private function gone(Row $row): void
    {
        $kind = explode('/', $row->subject)[0];
        $type = $kind . '.deleted';
        if (in_array($kind, array('order', 'product'), true) && !$this->outbox->hasLater($row, $type)) {
            $context = array('force' => true);
            $this->outbox->append(array(array('type' => $type, 'subject' => $row->subject, 'context' => $context)), $this->now());
        }
        $this->outbox->drop($row, 'gone');
    }

    private function now(): int
    {
        return (int) ($this->clock)();
    }
}
