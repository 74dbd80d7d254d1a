<?php

/**
 * Only one process of a shop sends at a time. The database lets go of the lock by itself when the process dies.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

class Lock
{
    /** False when another process is sending. A database without such locks lets everybody in: the bridge knows repeats by their id. */
    public function take(): bool
    {
        global $wpdb;
        return (string) $wpdb->get_var($wpdb->prepare('SELECT GET_LOCK(%s, 0)', $this->name())) !== '0';
    }

    public function release(): void
    {
        global $wpdb;
        $wpdb->get_var($wpdb->prepare('SELECT RELEASE_LOCK(%s)', $this->name()));
    }

    private function name(): string
    {
        global $wpdb;
        return substr('shopbridge_' . md5(DB_NAME . $wpdb->prefix), 0, 60);
    }
}
