<?php

/**
 * The plugin's four tables: made at activation and whenever the version of this file is newer than the one in the database.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Schema
{
    public const OPTION = 'shopbridge_schema';
    private const VERSION = '1';

    public static function outbox(): string
    {
        return self::name('outbox');
    }

    /** Ids of commands with the answers given (a repeat is answered the same). */
    public static function commands(): string
    {
        return self::name('commands');
    }

    /** Our keys and what they made: `order ord_88` is order 1042. The unique row behind "exactly once". */
    public static function keys(): string
    {
        return self::name('keys');
    }

    /** What was last reported of an order: parcels, stock sequence. */
    public static function orders(): string
    {
        return self::name('orders');
    }

    /**
     * @return string[]
     */
    public static function tables(): array
    {
        return array(self::outbox(), self::commands(), self::keys(), self::orders());
    }

    public static function ensure(): void
    {
        if (get_option(self::OPTION) === self::VERSION) {
            return;
        }
        global $wpdb;
        require_once ABSPATH . 'wp-admin/includes/upgrade.php';
        foreach (self::definitions($wpdb->get_charset_collate()) as $definition) {
            dbDelta($definition);
        }
        if ($wpdb->get_var($wpdb->prepare('SHOW TABLES LIKE %s', $wpdb->esc_like(self::outbox()))) === self::outbox()) {
            update_option(self::OPTION, self::VERSION, true);
        }
    }

    public static function drop(): void
    {
        global $wpdb;
        foreach (self::tables() as $table) {
            $wpdb->query("DROP TABLE IF EXISTS `$table`");
        }
        delete_option(self::OPTION);
    }

    /**
     * InnoDB is named because "exactly once" rests on transactions, and some hosts still default to an engine without.
     *
     * @return string[]
     */
    private static function definitions(string $collate): array
    {
        $outbox = self::outbox();
        $commands = self::commands();
        $keys = self::keys();
        $orders = self::orders();
        return array(
            "CREATE TABLE $outbox (
                id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
                event_id varchar(64) NOT NULL,
                type varchar(40) NOT NULL,
                subject varchar(64) NOT NULL,
                context longtext NULL,
                state varchar(12) NOT NULL DEFAULT 'waiting',
                tries smallint unsigned NOT NULL DEFAULT 0,
                first_try_at bigint(20) unsigned NOT NULL DEFAULT 0,
                next_at bigint(20) unsigned NOT NULL DEFAULT 0,
                created_at bigint(20) unsigned NOT NULL DEFAULT 0,
                sent_at bigint(20) unsigned NOT NULL DEFAULT 0,
                code smallint unsigned NOT NULL DEFAULT 0,
                error varchar(500) NOT NULL DEFAULT '',
                PRIMARY KEY  (id),
                KEY state_id (state,id),
                KEY subject_id (subject,id),
                KEY created_at (created_at)
            ) ENGINE=InnoDB $collate;",
            "CREATE TABLE $commands (
                command_id varchar(64) NOT NULL,
                type varchar(40) NOT NULL,
                answer longtext NULL,
                created_at bigint(20) unsigned NOT NULL DEFAULT 0,
                PRIMARY KEY  (command_id),
                KEY created_at (created_at)
            ) ENGINE=InnoDB $collate;",
            "CREATE TABLE $keys (
                kind varchar(20) NOT NULL,
                name varchar(100) NOT NULL,
                object_id bigint(20) unsigned NOT NULL DEFAULT 0,
                created_at bigint(20) unsigned NOT NULL DEFAULT 0,
                PRIMARY KEY  (kind,name)
            ) ENGINE=InnoDB $collate;",
            "CREATE TABLE $orders (
                order_id bigint(20) unsigned NOT NULL,
                stock_sequence bigint(20) unsigned NULL,
                parcels char(40) NOT NULL DEFAULT '',
                PRIMARY KEY  (order_id)
            ) ENGINE=InnoDB $collate;",
        );
    }

    private static function name(string $table): string
    {
        global $wpdb;
        return $wpdb->prefix . 'shopbridge_' . $table;
    }
}
