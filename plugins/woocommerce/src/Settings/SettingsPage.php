<?php

/**
 * WooCommerce > Shopbridge: connect, choose, and see how the connection is doing. Secrets are never printed.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

use Shopbridge\Status\StatusPanel;

class SettingsPage
{
    public const SLUG = 'shopbridge';

    /** @var Connection */
    private $connection;

    /** @var Choices */
    private $choices;

    /** @var StatusPanel */
    private $panel;

    public function __construct(Connection $connection, Choices $choices, StatusPanel $panel)
    {
        $this->connection = $connection;
        $this->choices = $choices;
        $this->panel = $panel;
    }

    public function register(): void
    {
        add_action('admin_menu', array($this, 'addMenu'), 60);
        add_filter('plugin_action_links_shopbridge/shopbridge.php', array($this, 'addLink'));
    }

    public static function url(): string
    {
        return admin_url('admin.php?page=' . self::SLUG);
    }

    public function addMenu(): void
    {
        $title = __('Shopbridge', 'shopbridge');
        add_submenu_page('woocommerce', $title, $title, 'manage_woocommerce', self::SLUG, array($this, 'show'));
    }

    /**
     * @param mixed $links
     * @return mixed
     */
    public function addLink($links)
    {
        if (is_array($links)) {
            array_unshift($links, '<a href="' . esc_url(self::url()) . '">' . esc_html__('Settings', 'shopbridge') . '</a>');
        }
        return $links;
    }

    public function show(): void
    {
        if (!current_user_can('manage_woocommerce')) {
            return;
        }
        echo '<div class="wrap"><h1>' . esc_html__('Shopbridge', 'shopbridge') . '</h1>';
        $this->showNotice();
        if ($this->connection->exists()) {
            $this->panel->show();
            $this->showChoices();
            $this->showDisconnect();
        } else {
            $this->showConnect();
            $this->showChoices();
        }
        echo '</div>';
    }

    /** Opens a form that posts to one action of SettingsActions. */
    public static function openForm(string $action): void
    {
        echo '<form method="post" action="' . esc_url(admin_url('admin-post.php')) . '">';
        echo '<input type="hidden" name="action" value="' . esc_attr($action) . '">';
        wp_nonce_field($action);
    }

    private function showNotice(): void
    {
        $name = 'shopbridge_notice_' . get_current_user_id();
        $notice = get_transient($name);
        if (is_array($notice)) {
            delete_transient($name);
            $kind = ($notice['kind'] ?? '') === 'success' ? 'success' : 'error';
            echo '<div class="notice notice-' . esc_attr($kind) . '"><p>' . esc_html((string) ($notice['text'] ?? '')) . '</p></div>';
        }
    }

    private function showConnect(): void
    {
        echo '<h2>' . esc_html__('Connect', 'shopbridge') . '</h2><p>';
        echo esc_html__('Make a pairing code in your bridge and enter it here within 15 minutes.', 'shopbridge') . '</p><p>';
        echo esc_html__('From then on this shop reports products, stock and orders (with the addresses of the buyers) to that bridge.', 'shopbridge');
        echo '</p>';
        self::openForm(SettingsActions::CONNECT);
        echo '<table class="form-table"><tr><th><label for="shopbridge-url">' . esc_html__('Bridge address', 'shopbridge') . '</label></th>';
        echo '<td><input type="url" class="regular-text" id="shopbridge-url" name="bridge_url" placeholder="https://" required></td></tr>';
        echo '<tr><th><label for="shopbridge-code">' . esc_html__('Pairing code', 'shopbridge') . '</label></th>';
        echo '<td><input type="text" class="regular-text code" id="shopbridge-code" name="code" autocomplete="off" maxlength="20" required></td></tr></table>';
        submit_button(__('Connect', 'shopbridge'));
        echo '</form>';
    }

    private function showChoices(): void
    {
        $source = $this->choices->gtinSource();
        $isMeta = $source !== Choices::GTIN_FIELD;
        echo '<h2>' . esc_html__('Options', 'shopbridge') . '</h2>';
        self::openForm(SettingsActions::SAVE);
        echo '<table class="form-table"><tr><th>' . esc_html__('GTIN / EAN of a product', 'shopbridge') . '</th><td><fieldset>';
        echo '<label><input type="radio" name="gtin_source" value="field"' . ($isMeta ? '' : ' checked') . '> ';
        echo esc_html__('WooCommerce\'s own field "GTIN, UPC, EAN, or ISBN"', 'shopbridge') . '</label><br>';
        echo '<label><input type="radio" name="gtin_source" value="meta"' . ($isMeta ? ' checked' : '') . '> ';
        echo esc_html__('the field of another plugin, meta key:', 'shopbridge') . '</label> ';
        echo '<input type="text" class="code" name="gtin_meta" placeholder="_ean" value="' . esc_attr($isMeta ? $source : '') . '">';
        echo '</fieldset></td></tr><tr><th>' . esc_html__('When the plugin is deleted', 'shopbridge') . '</th><td>';
        echo '<label><input type="checkbox" name="remove_data" value="yes"' . ($this->choices->removeData() ? ' checked' : '') . '> ';
        echo esc_html__('also remove what it has written into orders and products', 'shopbridge') . '</label></td></tr></table>';
        submit_button(__('Save', 'shopbridge'));
        echo '</form>';
    }

    private function showDisconnect(): void
    {
        echo '<h2>' . esc_html__('Disconnect', 'shopbridge') . '</h2><p>';
        echo esc_html__('The bridge is told, and this shop forgets its secrets. Offers on marketplaces are no longer updated: switch them off in the bridge first.', 'shopbridge');
        echo '</p>';
        self::openForm(SettingsActions::DISCONNECT);
        submit_button(__('Disconnect', 'shopbridge'), 'delete');
        echo '</form>';
    }
}
