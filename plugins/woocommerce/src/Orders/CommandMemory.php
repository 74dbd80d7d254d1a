<?php

/**
 * Remembers commands by their id, so that a repeat is answered with the first answer. Refusals are not remembered: a person may have put
 * right what was wrong.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Outbox\Schema;

class CommandMemory
{
    /** A command that has no answer after this many seconds died with its process. */
    private const ABANDONED = 120;

    /**
     * The data of the first answer, or null when the command is to be carried out now.
     *
     * @return array<string, mixed>|null
     * @throws Busy When the same command is being carried out at this moment.
     */
    public function begin(string $id, string $type, int $now): ?array
    {
        global $wpdb;
        $table = Schema::commands();
        $insert = $wpdb->prepare("INSERT IGNORE INTO `$table` (command_id, type, created_at) VALUES (%s, %s, %d)", $id, $type, $now);
        if ((int) $wpdb->query($insert) === 1) {
            return null;
        }
        $row = $wpdb->get_row($wpdb->prepare("SELECT answer, created_at FROM `$table` WHERE command_id = %s", $id), ARRAY_A);
        $answer = is_array($row) && $row['answer'] !== null ? json_decode((string) $row['answer'], true) : null;
        if (is_array($answer)) {
            return $answer;
        }
        $seen = is_array($row) ? (int) $row['created_at'] : $now;
        $take = "UPDATE `$table` SET created_at = %d WHERE command_id = %s AND created_at = %d AND answer IS NULL";
        if ($now - $seen > self::ABANDONED && (int) $wpdb->query($wpdb->prepare($take, $now, $id, $seen)) === 1) {
            return null;
        }
        throw new Busy('This command is being carried out.');
    }

    /**
     * @param array<string, mixed> $answer
     */
    public function keep(string $id, array $answer): void
    {
        global $wpdb;
        $wpdb->update(Schema::commands(), array('answer' => (string) wp_json_encode((object) $answer)), array('command_id' => $id));
    }

    public function forget(string $id): void
    {
        global $wpdb;
        $wpdb->delete(Schema::commands(), array('command_id' => $id));
    }

    public function prune(int $before): void
    {
        global $wpdb;
        $table = Schema::commands();
        $wpdb->query($wpdb->prepare("DELETE FROM `$table` WHERE created_at < %d LIMIT 5000", $before));
    }
}
