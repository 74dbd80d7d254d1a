<?php

/**
 * What the buttons of our pages have in common: right and nonce first, then the page they stand on again, with a memo of how it went.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

abstract class Actions
{
    /** Who may press them. */
    protected const RIGHT = 'manage_woocommerce';

    protected function mayOrDie(string $action): void
    {
        if (!current_user_can(static::RIGHT)) {
            wp_die(esc_html__('You may not do this.', 'shopbridge'), '', array('response' => 403));
        }
        check_admin_referer($action);
    }

    /** @param string $page slug of the page that shows the memo */
    protected function back(Memo $memo, string $page, string $url): void
    {
        $memo->keep($page);
        wp_safe_redirect($url);
        $this->leave();
    }

    protected function leave(): void
    {
        exit;
    }
}
