<?php

/**
 * The way from a marketplace's order to the page of decisions, once goods of it can come back.
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
        if ($isSold && !in_array($marketplace, array('', 'dropshipping'), true) && $this->connection->exists()) {
            echo '<p><a href="' . esc_url(DecisionsPage::url()) . '">' . esc_html__('Decide about returns', 'shopbridge') . '</a></p>';
        }
    }
}
