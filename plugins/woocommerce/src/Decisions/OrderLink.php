<?php

/**
 * The way from a marketplace's order to the page of decisions, once goods of it can come back, for those who may see that page.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Settings\Connection;

class OrderLink
{
    /** @var Connection */
    private $connection;

    public function __construct(Connection $connection)
    {
        $this->connection = $connection;
    }

    public function show(\WC_Order $order): void
    {
        $source = $order->get_meta('_shopbridge_source');
        $marketplace = is_array($source) ? (string) ($source['marketplace'] ?? '') : '';
        $isSold = in_array($order->get_status(), array('completed', 'refunded'), true);
        $isDecided = $isSold && !in_array($marketplace, array('', 'dropshipping'), true);
        if ($isDecided && $this->connection->exists() && current_user_can(DecisionsPage::RIGHT)) {
            echo '<p><a href="' . esc_url(DecisionsPage::url()) . '">' . esc_html__('Decide about returns', 'shopbridge') . '</a></p>';
        }
    }
}
