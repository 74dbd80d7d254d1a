<?php

/**
 * Runs when the plugin is deleted: tells the bridge, removes options, tables and scheduled actions; order and product meta when wanted.
 */

declare(strict_types=1);

if (!defined('WP_UNINSTALL_PLUGIN')) {
    exit;
}

require_once __DIR__ . '/src/autoload.php';

(new Shopbridge\Settings\Removal())->run();
