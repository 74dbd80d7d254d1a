<?php

/**
 * Doubles of our own parts: an outbox in memory, a bridge that answers as told.
 */

declare(strict_types=1);

namespace Shopbridge\Tests;

use Shopbridge\Events\Snapshots;
use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Lock;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Transport;

class MemoryOutbox extends Outbox
{
    /** @var array<int, Row> */
    public $rows = array();

    /** @var int */
    public $sequence = 0;

    public function append(array $messages, int $now): int
    {
        $first = 0;
        foreach ($messages as $message) {
            $id = ++$this->sequence;
            $first = $first === 0 ? $id : $first;
            $stored = array('id' => $id, 'event_id' => 'evt_' . $id, 'type' => $message['type'], 'subject' => $message['subject'], 'created_at' => $now);
            $this->rows[$id] = Row::of($stored + array('context' => json_encode($message['context'] ?? array())));
        }
        return $first;
    }

    public function draw(int $now): int
    {
        return ++$this->sequence;
    }

    public function lift(int $now): void
    {
        $this->sequence = max($this->sequence, $now * 10);
    }

    public function waiting(int $after, int $limit): array
    {
        $found = array_filter($this->rows, static fn (Row $row): bool => $row->state === Row::WAITING && $row->id > $after);
        ksort($found);
        // A copy, as a database would give: what the sender changes in memory is not stored.
        return array_map(static fn (Row $row): Row => clone $row, array_values(array_slice($found, 0, $limit)));
    }

    public function newestOf(string $state, int $limit): array
    {
        $found = array_filter($this->rows, static fn (Row $row): bool => $row->state === $state);
        krsort($found);
        return array_values(array_slice($found, 0, $limit));
    }

    public function done(Row $row, int $code, int $now): void
    {
        $this->rows[$row->id]->state = Row::DONE;
        $this->rows[$row->id]->tries++;
    }

    public function giveUp(Row $row, string $state, int $code, string $error): void
    {
        $this->rows[$row->id]->state = $state;
        $this->rows[$row->id]->error = $error;
        $this->rows[$row->id]->tries++;
    }

    public function postpone(Row $row, int $nextAt, int $code, string $error, int $now): void
    {
        $stored = $this->rows[$row->id];
        $stored->tries++;
        $stored->firstTryAt = $stored->firstTryAt === 0 ? $now : $stored->firstTryAt;
        $stored->nextAt = $nextAt;
        $stored->error = $error;
    }

    public function replace(int $survivor, array $replaced, array $context): void
    {
        $this->rows[$survivor]->context = $context;
        foreach ($replaced as $id) {
            $this->rows[$id]->state = Row::REPLACED;
        }
    }

    public function drop(Row $row, string $why): void
    {
        $this->rows[$row->id]->state = Row::REPLACED;
    }

    public function hurry(): void
    {
        foreach ($this->rows as $row) {
            $row->nextAt = 0;
        }
    }

    public function resendDead(): int
    {
        $again = 0;
        foreach ($this->rows as $row) {
            if (in_array($row->state, array(Row::DEAD, Row::PARKED), true)) {
                $row->state = Row::WAITING;
                $again++;
            }
        }
        return $again;
    }

    public function resend(array $ranges): int
    {
        return count($ranges);
    }

    public function counts(): array
    {
        return array_count_values(array_map(static fn (Row $row): string => $row->state, $this->rows));
    }

    public function countWaiting(): int
    {
        return $this->counts()[Row::WAITING] ?? 0;
    }

    public function hasLater(Row $row, string $type): bool
    {
        foreach ($this->rows as $other) {
            if ($other->id > $row->id && $other->subject === $row->subject && $other->type === $type) {
                return true;
            }
        }
        return false;
    }

    public function sentBetween(int $from, int $to): array
    {
        $lines = array();
        foreach ($this->rows as $row) {
            if ($row->state === Row::DONE && $row->createdAt >= $from && $row->createdAt < $to) {
                $lines[] = array('id' => $row->id, 'event_id' => $row->eventId, 'type' => $row->type);
            }
        }
        return $lines;
    }
}

final class ToldTransport extends Transport
{
    /** @var callable(string, array<string, mixed>): Answer */
    public $bridge;

    /** @var array<int, array<string, mixed>> what was tried, decoded */
    public $tried = array();

    public function __construct(callable $bridge)
    {
        $this->bridge = $bridge;
    }

    public function event(string $id, string $body, int $timeout): Answer
    {
        $message = json_decode($body, true);
        $this->tried[] = $message;
        return ($this->bridge)($id, $message);
    }

    public function status(int $timeout): Answer
    {
        return new Answer(200, null, '', array('state' => 'active', 'reason' => null));
    }
}

final class OpenLock extends Lock
{
    /** @var bool */
    public $free = true;

    public function take(): bool
    {
        return $this->free;
    }

    public function release(): void
    {
    }
}

final class PlainSnapshots extends Snapshots
{
    /** @var callable(Row): (array<string, mixed>|null) */
    private $view;

    public function __construct(?callable $view = null)
    {
        $this->view = $view ?? static fn (Row $row): array => array('id' => $row->objectId(), 'context' => $row->context);
    }

    public function of(Row $row): ?array
    {
        return ($this->view)($row);
    }
}
