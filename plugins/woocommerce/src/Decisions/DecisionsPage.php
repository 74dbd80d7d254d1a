<?php

/**
 * WooCommerce > Shopbridge: Decisions: what waits for the merchant at his marketplaces. The page asks the bridge how things are now; without an
 * answer it says so and shows no forms.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\Memo;
use Shopbridge\Screens\Notices;
use Shopbridge\Screens\Reply;

class DecisionsPage
{
    public const SLUG = 'shopbridge-decisions';

    /** As WooCommerce's own list of orders asks for. With edit_shop_orders alone the vendors of a marketplace plugin would see everybody's orders. */
    public const RIGHT = 'edit_others_shop_orders';

    /** @var DecisionsBridge */
    private $bridge;

    public function __construct(DecisionsBridge $bridge)
    {
        $this->bridge = $bridge;
    }

    public function register(): void
    {
        add_action('admin_menu', array($this, 'addMenu'), 62);
    }

    public static function url(): string
    {
        return admin_url('admin.php?page=' . self::SLUG);
    }

    public function addMenu(): void
    {
        $title = __('Shopbridge: Decisions', 'shopbridge');
        add_submenu_page('woocommerce', $title, $title, self::RIGHT, self::SLUG, array($this, 'show'));
    }

    public function show(): void
    {
        if (!current_user_can(self::RIGHT)) {
            return;
        }
        echo '<div class="wrap"><h1>' . esc_html__('What waits for your decision', 'shopbridge') . '</h1>';
        $memo = Memo::take(self::SLUG);
        $answer = $this->bridge->waiting();
        $problems = DecisionsBridge::problems($answer);
        Notices::success($memo->success);
        Notices::problems(array_unique(array_merge(array_values($memo->problems), array_values($problems))));
        if ($problems === array()) {
            $this->showWaiting($answer->body, $memo->typed);
        } else {
            $this->keepTyped($memo);
        }
        echo '</div>';
    }

    /**
     * @param array<string, mixed> $waiting the answer of /plugin/orders/waiting
     * @param array<string, mixed> $typed
     */
    private function showWaiting(array $waiting, array $typed): void
    {
        $orders = Reply::objects($waiting, 'orders');
        $returns = Reply::objects($waiting, 'returns');
        if ($orders === array() && $returns === array()) {
            echo '<p>' . esc_html__('Nothing waits for you.', 'shopbridge') . '</p>';
            return;
        }
        if (!empty($waiting['more'])) {
            echo '<p>' . esc_html__('There are more than are shown here. They move up when these are decided.', 'shopbridge') . '</p>';
        }
        (new WaitingOrders($orders))->show();
        (new WaitingReturns($returns, $typed))->show();
    }

    /** There is no form to show it in; it is there again when the bridge answers soon. */
    private function keepTyped(Memo $memo): void
    {
        if ($memo->typed !== array()) {
            Memo::trouble(array(), $memo->typed)->keep(self::SLUG);
        }
    }
}
