<?php

/**
 * Leaves the shop as if the plugin had never been there. Orders that came from the bridge stay: they are the merchant's.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

use Shopbridge\Events\Manifest;
use Shopbridge\Events\ShopFacts;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Schema;
use Shopbridge\Outbox\Transport;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Status\Health;

class Removal
{
    public function run(): void
    {
        $this->leaveBridge();
        $removeData = (new Choices())->removeData();
        $this->unschedule();
        Schema::drop();
        foreach (array(Connection::OPTION, Secrets::OPTION, Choices::OPTION, Breaker::OPTION, Health::OPTION, Manifest::OPTION, NetworkCategories::OPTION) as $option) {
            delete_option($option);
        }
        $this->forgetForTheMoment();
        if ($removeData) {
            $this->removeMeta();
        }
    }

    private function leaveBridge(): void
    {
        $connection = new Connection();
        // WooCommerce may already be gone; then there is nothing left to describe the shop with.
        if ($connection->exists() && function_exists('get_woocommerce_currency')) {
            $secrets = new Secrets();
            $transport = new Transport($connection, $secrets);
            (new Pairing($connection, $secrets, $transport, new Outbox(), new Breaker(), new ShopFacts()))->disconnect();
        }
    }

    private function unschedule(): void
    {
        Schedule::clear();
        global $wpdb;
        $table = $wpdb->prefix . 'actionscheduler_actions';
        if ($wpdb->get_var($wpdb->prepare('SHOW TABLES LIKE %s', $wpdb->esc_like($table))) === $table) {
            $logs = $wpdb->prefix . 'actionscheduler_logs';
            $like = $wpdb->esc_like('shopbridge_') . '%';
            $wpdb->query($wpdb->prepare("DELETE l FROM `$logs` l JOIN `$table` a ON a.action_id = l.action_id WHERE a.hook LIKE %s", $like));
            $wpdb->query($wpdb->prepare("DELETE FROM `$table` WHERE hook LIKE %s", $like));
        }
    }

    private function forgetForTheMoment(): void
    {
        global $wpdb;
        foreach (array('_transient_shopbridge_', '_transient_timeout_shopbridge_') as $prefix) {
            $like = $wpdb->esc_like($prefix) . '%';
            $wpdb->query($wpdb->prepare("DELETE FROM `{$wpdb->options}` WHERE option_name LIKE %s", $like));
        }
    }

    private function removeMeta(): void
    {
        global $wpdb;
        $like = $wpdb->esc_like('_shopbridge_') . '%';
        $tables = array($wpdb->postmeta, $wpdb->termmeta, $wpdb->prefix . 'wc_orders_meta', $wpdb->prefix . 'woocommerce_order_itemmeta');
        foreach ($tables as $table) {
            if ($wpdb->get_var($wpdb->prepare('SHOW TABLES LIKE %s', $wpdb->esc_like($table))) === $table) {
                $wpdb->query($wpdb->prepare("DELETE FROM `$table` WHERE meta_key LIKE %s", $like));
            }
        }
        wp_cache_flush();
    }
}
