<?php

/**
 * Does something exactly once for a key: the unique row and everything that is written with it are one database transaction.
 *
 * Two processes with the same key: the second waits at the unique row until the first has committed, and then finds what it made.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Schema;

class Once
{
    /** Seconds to wait for a command that is being carried out. */
    private const PATIENCE = 10;

    /**
     * @param callable(): int $make makes the object and says its id
     * @return array{id: int, already: bool}
     * @throws Busy When the database could not decide now.
     */
    public function run(string $kind, string $key, callable $make): array
    {
        $known = $this->find($kind, $key);
        if ($known > 0) {
            return array('id' => $known, 'already' => true);
        }
        if (!$this->lock()) {
            throw new Busy('Another command is being carried out.');
        }
        try {
            return $this->locked($kind, $key, $make);
        } finally {
            $this->unlock();
        }
    }

    /**
     * @param callable(): int $make
     * @return array{id: int, already: bool}
     */
    private function locked(string $kind, string $key, callable $make): array
    {
        global $wpdb;
        $wpdb->query('START TRANSACTION');
        if (!$this->claim($kind, $key)) {
            $wpdb->query('ROLLBACK');
            $known = $this->find($kind, $key);
            if ($known > 0) {
                return array('id' => $known, 'already' => true);
            }
            throw new Busy('The database is busy with the same key.');
        }
        try {
            $id = $make();
            $this->fill($kind, $key, $id);
            return array('id' => $id, 'already' => false);
        } catch (\Throwable $fault) {
            $this->undo($kind, $key);
            throw $fault;
        }
    }

    /** What this key made, 0 when nothing. */
    public function find(string $kind, string $key): int
    {
        global $wpdb;
        $table = Schema::keys();
        return (int) $wpdb->get_var($wpdb->prepare("SELECT object_id FROM `$table` WHERE kind = %s AND name = %s", $kind, $key));
    }

    /** As if this key had never made anything. */
    public function forget(string $kind, string $key): void
    {
        global $wpdb;
        $wpdb->delete(Schema::keys(), array('kind' => $kind, 'name' => $key));
    }

    private function claim(string $kind, string $key): bool
    {
        global $wpdb;
        // A second process is expected to fail here; that is no error for the log.
        $hidden = $wpdb->suppress_errors(true);
        $row = array('kind' => $kind, 'name' => $key, 'created_at' => time());
        $claimed = $wpdb->insert(Schema::keys(), $row) !== false;
        $wpdb->suppress_errors($hidden);
        return $claimed;
    }

    private function fill(string $kind, string $key, int $id): void
    {
        global $wpdb;
        $filled = $wpdb->update(Schema::keys(), array('object_id' => $id), array('kind' => $kind, 'name' => $key));
        // No row: the database has ended our transaction by itself (a deadlock with another plugin), and the claim went with it.
        if ($filled !== 1 || $wpdb->query('COMMIT') === false) {
            throw new \RuntimeException('The database did not keep what was written.');
        }
    }

    /** One command that writes at a time: two that reduce the same products in another order would lock each other out. */
    private function lock(): bool
    {
        global $wpdb;
        $name = $this->lockName();
        return (string) $wpdb->get_var($wpdb->prepare('SELECT GET_LOCK(%s, %d)', $name, self::PATIENCE)) !== '0';
    }

    private function unlock(): void
    {
        global $wpdb;
        $wpdb->get_var($wpdb->prepare('SELECT RELEASE_LOCK(%s)', $this->lockName()));
    }

    private function lockName(): string
    {
        global $wpdb;
        return 'shopbridge_once_' . md5(DB_NAME . $wpdb->prefix);
    }

    private function undo(string $kind, string $key): void
    {
        global $wpdb;
        $wpdb->query('ROLLBACK');
        // Where a table has no transactions, or another plugin has ended ours, the claim is still there.
        $table = Schema::keys();
        $wpdb->query($wpdb->prepare("DELETE FROM `$table` WHERE kind = %s AND name = %s AND object_id = 0", $kind, $key));
        // Caches hold orders and stock that the database has just forgotten.
        wp_cache_flush();
    }
}
