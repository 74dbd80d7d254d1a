<?php

/**
 * One message in the outbox. Its id is its sequence (I13).
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Row
{
    public const WAITING = 'waiting';
    public const DONE = 'done';
    public const PARKED = 'parked';
    public const DEAD = 'dead';
    public const REPLACED = 'replaced';
    /** Not a message: a number drawn from the sequence. */
    public const MARK = 'mark';

    /** @var int */
    public $id;

    /** @var string */
    public $eventId;

    /** @var string */
    public $type;

    /** @var string e.g. order/1042 */
    public $subject;

    /** @var array<string, mixed> what is not in the snapshot: transitions, the order behind a stock change */
    public $context;

    /** @var string */
    public $state;

    /** @var int */
    public $tries;

    /** @var int Unix time, 0 before the first try */
    public $firstTryAt;

    /** @var int Unix time */
    public $nextAt;

    /** @var int Unix time at which it happened */
    public $createdAt;

    /** @var string */
    public $error;

    /**
     * @param array<string, mixed> $stored a row as the database gives it
     */
    public static function of(array $stored): self
    {
        $row = new self();
        $row->id = (int) $stored['id'];
        $row->eventId = (string) $stored['event_id'];
        $row->type = (string) $stored['type'];
        $row->subject = (string) $stored['subject'];
        $context = json_decode((string) ($stored['context'] ?? ''), true);
        $row->context = is_array($context) ? $context : array();
        $row->state = (string) ($stored['state'] ?? self::WAITING);
        $row->tries = (int) ($stored['tries'] ?? 0);
        $row->firstTryAt = (int) ($stored['first_try_at'] ?? 0);
        $row->nextAt = (int) ($stored['next_at'] ?? 0);
        $row->createdAt = (int) ($stored['created_at'] ?? 0);
        $row->error = (string) ($stored['error'] ?? '');
        return $row;
    }

    /** The number behind the slash of the subject; 0 for `shop`. */
    public function objectId(): int
    {
        $parts = explode('/', $this->subject);
        return isset($parts[1]) ? (int) $parts[1] : 0;
    }

    public function is(string $kind): bool
    {
        return strncmp($this->type, $kind . '.', strlen($kind) + 1) === 0;
    }
}
