<?php

/**
 * The table of messages to the bridge. A row is written in the shop's own request; its auto-increment id is the sequence (I13).
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

class Outbox
{
    /**
     * Write messages in one INSERT, because the buyer's request may be waiting for it.
     *
     * @param array<int, array{type: string, subject: string, context?: array<string, mixed>}> $messages
     * @return int the first sequence given, 0 when nothing was written
     */
    public function append(array $messages, int $now): int
    {
        if ($messages === array()) {
            return 0;
        }
        global $wpdb;
        $places = array();
        $values = array();
        foreach ($messages as $message) {
            $places[] = '(%s,%s,%s,%s,%d)';
            array_push($values, EventId::fresh(), $message['type'], $message['subject'], self::json($message['context'] ?? array()), $now);
        }
        $table = Schema::outbox();
        $columns = 'event_id,type,subject,context,created_at';
        $done = $wpdb->query($wpdb->prepare("INSERT INTO `$table` ($columns) VALUES " . implode(',', $places), $values));
        return $done === false ? 0 : (int) $wpdb->insert_id;
    }

    /** A number of the sequence for its own sake: everything that happened before now has a lower one. */
    public function draw(int $now): int
    {
        return $this->mark(null, $now);
    }

    /**
     * Keep the sequence ahead of any number used before the database was restored from a backup or the plugin was installed anew:
     * it is lifted to ten times the clock, which no shop outruns with fewer than ten events a second over its whole life.
     */
    public function lift(int $now): void
    {
        if ($this->newest() < ($now - HOUR_IN_SECONDS) * 10) {
            $this->mark($now * 10, $now);
        }
    }

    /**
     * Waiting messages after a sequence, oldest first.
     *
     * @return Row[]
     */
    public function waiting(int $after, int $limit): array
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "SELECT * FROM `$table` WHERE state = %s AND id > %d ORDER BY id LIMIT %d";
        return $this->rows($wpdb->get_results($wpdb->prepare($query, Row::WAITING, $after, $limit), ARRAY_A));
    }

    /**
     * @return Row[] newest first
     */
    public function newestOf(string $state, int $limit): array
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "SELECT * FROM `$table` WHERE state = %s ORDER BY id DESC LIMIT %d";
        return $this->rows($wpdb->get_results($wpdb->prepare($query, $state, $limit), ARRAY_A));
    }

    public function done(Row $row, int $code, int $now): void
    {
        $this->update($row->id, array('state' => Row::DONE, 'sent_at' => $now, 'code' => $code, 'error' => '', 'tries' => $row->tries + 1));
    }

    /** It was wrong and stays wrong, or was tried often enough: keep it for the merchant to see. */
    public function giveUp(Row $row, string $state, int $code, string $error): void
    {
        $this->update($row->id, array('state' => $state, 'code' => $code, 'error' => self::short($error), 'tries' => $row->tries + 1));
    }

    public function postpone(Row $row, int $nextAt, int $code, string $error, int $now): void
    {
        $this->update(
            $row->id,
            array(
                'tries' => $row->tries + 1,
                'first_try_at' => $row->firstTryAt === 0 ? $now : $row->firstTryAt,
                'next_at' => $nextAt,
                'code' => $code,
                'error' => self::short($error),
            )
        );
    }

    /**
     * Let the survivor carry what the replaced ones knew, in one transaction: a transition is never in no row.
     *
     * @param int[] $replaced
     * @param array<string, mixed> $context
     */
    public function replace(int $survivor, array $replaced, array $context): void
    {
        global $wpdb;
        $table = Schema::outbox();
        $ids = implode(',', array_map('intval', $replaced));
        $wpdb->query('START TRANSACTION');
        $kept = $wpdb->update($table, array('context' => self::json($context)), array('id' => $survivor));
        $gone = $wpdb->query($wpdb->prepare("UPDATE `$table` SET state = %s WHERE state = %s AND id IN ($ids)", Row::REPLACED, Row::WAITING));
        $wpdb->query($kept === false || $gone === false ? 'ROLLBACK' : 'COMMIT');
    }

    /** There is nothing left to say: the object is gone and its deletion is a message of its own. */
    public function drop(Row $row, string $why): void
    {
        $this->update($row->id, array('state' => Row::REPLACED, 'error' => self::short($why)));
    }

    /** The bridge is back: what waited for its next try does not wait any longer. */
    public function hurry(): void
    {
        global $wpdb;
        $table = Schema::outbox();
        $wpdb->query($wpdb->prepare("UPDATE `$table` SET next_at = 0 WHERE state = %s AND next_at > 0", Row::WAITING));
    }

    /**
     * Send messages of these ranges of the sequence again, as far as they are still here.
     *
     * @param array<int, array{0: int, 1: int}> $ranges
     */
    public function resend(array $ranges): int
    {
        global $wpdb;
        $table = Schema::outbox();
        $again = 0;
        foreach ($ranges as $range) {
            $query = "UPDATE `$table` SET state = %s, tries = 0, first_try_at = 0, next_at = 0, error = ''
                WHERE id BETWEEN %d AND %d AND state IN (%s, %s, %s)";
            $values = array(Row::WAITING, $range[0], $range[1], Row::DONE, Row::PARKED, Row::DEAD);
            $again += (int) $wpdb->query($wpdb->prepare($query, $values));
        }
        return $again;
    }

    /** Send the dead and the parked again. */
    public function resendDead(): int
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "UPDATE `$table` SET state = %s, tries = 0, first_try_at = 0, next_at = 0, error = '' WHERE state IN (%s, %s)";
        return (int) $wpdb->query($wpdb->prepare($query, Row::WAITING, Row::PARKED, Row::DEAD));
    }

    /**
     * @return array<string, int> number of rows by state
     */
    public function counts(): array
    {
        global $wpdb;
        $table = Schema::outbox();
        $counts = array();
        foreach ((array) $wpdb->get_results("SELECT state, COUNT(*) AS n FROM `$table` GROUP BY state", ARRAY_A) as $line) {
            $counts[(string) $line['state']] = (int) $line['n'];
        }
        return $counts;
    }

    public function countWaiting(): int
    {
        global $wpdb;
        $table = Schema::outbox();
        return (int) $wpdb->get_var($wpdb->prepare("SELECT COUNT(*) FROM `$table` WHERE state = %s", Row::WAITING));
    }

    /** Unix time at which the oldest waiting message happened, null when none waits. */
    public function oldestWaiting(): ?int
    {
        $rows = $this->waiting(0, 1);
        return $rows === array() ? null : $rows[0]->createdAt;
    }

    public function hasLater(Row $row, string $type): bool
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "SELECT 1 FROM `$table` WHERE subject = %s AND type = %s AND id > %d LIMIT 1";
        return $wpdb->get_var($wpdb->prepare($query, $row->subject, $type, $row->id)) !== null;
    }

    /**
     * What was sent of the messages of a time span (for the manifest).
     *
     * @return array<int, array{id: int, event_id: string, type: string}> by sequence
     */
    public function sentBetween(int $from, int $to): array
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "SELECT id, event_id, type FROM `$table` WHERE created_at >= %d AND created_at < %d AND state = %s ORDER BY id";
        $lines = array();
        foreach ((array) $wpdb->get_results($wpdb->prepare($query, $from, $to, Row::DONE), ARRAY_A) as $line) {
            $lines[] = array('id' => (int) $line['id'], 'event_id' => (string) $line['event_id'], 'type' => (string) $line['type']);
        }
        return $lines;
    }

    /** Remove old rows that need nobody. The newest row always stays, so that no database forgets how far it had counted. */
    public function prune(int $before): int
    {
        global $wpdb;
        $table = Schema::outbox();
        $query = "DELETE FROM `$table` WHERE state IN (%s, %s, %s) AND created_at < %d AND id < %d LIMIT 5000";
        $values = array(Row::DONE, Row::REPLACED, Row::MARK, $before, $this->newest());
        return (int) $wpdb->query($wpdb->prepare($query, $values));
    }

    private function newest(): int
    {
        global $wpdb;
        $table = Schema::outbox();
        return (int) $wpdb->get_var("SELECT MAX(id) FROM `$table`");
    }

    private function mark(?int $id, int $now): int
    {
        global $wpdb;
        $row = array('event_id' => '', 'type' => '', 'subject' => '', 'state' => Row::MARK, 'created_at' => $now);
        if ($id !== null) {
            $row['id'] = $id;
        }
        return $wpdb->insert(Schema::outbox(), $row) === false ? 0 : (int) $wpdb->insert_id;
    }

    /**
     * @param array<string, int|string> $values
     */
    private function update(int $id, array $values): void
    {
        global $wpdb;
        $wpdb->update(Schema::outbox(), $values, array('id' => $id));
    }

    /**
     * @param array<int, array<string, mixed>>|null $stored
     * @return Row[]
     */
    private function rows(?array $stored): array
    {
        return array_map(array(Row::class, 'of'), (array) $stored);
    }

    /**
     * @param array<string, mixed> $context
     */
    private static function json(array $context): string
    {
        return $context === array() ? '' : (string) wp_json_encode($context);
    }

    private static function short(string $text): string
    {
        return mb_substr($text, 0, 500);
    }
}
