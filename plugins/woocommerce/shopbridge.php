<?php

/**
 * Plugin Name:          Shopbridge
 * Description:          Connects this shop with your Shopbridge: reports products, stock and orders, and carries out what the bridge asks for.
 * Version:              0.1.0
 * Author:               The Shopbridge contributors
 * Requires at least:    6.5
 * Requires PHP:         7.4
 * Requires Plugins:     woocommerce
 * WC requires at least: 9.2
 * WC tested up to:      10.9
 * Text Domain:          shopbridge
 * Domain Path:          /languages
 * License:              GPL-2.0-or-later
 * License URI:          https://www.gnu.org/licenses/gpl-2.0.html
 *
 * Bootstrap only: everything else is in src/.
 *
 * @package Shopbridge
 */

declare(strict_types=1);

if (!defined('ABSPATH')) {
    exit;
}

require_once __DIR__ . '/src/autoload.php';

Shopbridge\Plugin::of(__FILE__)->start();
