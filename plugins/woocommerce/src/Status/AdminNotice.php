<?php

/**
 * Tells the merchant on every page of the shop's admin when messages no longer leave.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Verdict;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\SettingsPage;

class AdminNotice
{
    private const PATIENCE = HOUR_IN_SECONDS;

    /** @var Connection */
    private $connection;

    /** @var Breaker */
    private $breaker;

    public function __construct(Connection $connection, Breaker $breaker)
    {
        $this->connection = $connection;
        $this->breaker = $breaker;
    }

    public function register(): void
    {
        add_action('admin_notices', array($this, 'show'));
    }

    public function show(): void
    {
        if (!$this->connection->exists() || !current_user_can('manage_woocommerce') || !$this->isSerious()) {
            return;
        }
        echo '<div class="notice notice-error"><p><strong>Shopbridge:</strong> ';
        echo esc_html__('Messages to the bridge are not being delivered. Offers on marketplaces may show old stock.', 'shopbridge');
        echo ' <a href="' . esc_url(SettingsPage::url()) . '">' . esc_html__('What is wrong?', 'shopbridge') . '</a></p></div>';
    }

    private function isSerious(): bool
    {
        $state = $this->breaker->read();
        if ($state['kind'] === Verdict::SIGNATURE || $state['kind'] === Verdict::REMOVED) {
            return true;
        }
        return $state['kind'] !== '' && time() - $state['since'] > self::PATIENCE;
    }
}
