<?php

/**
 * Returns that wait for the merchant: refunding in the shop accepts one, the form here rejects it. What was typed before a refusal is shown again.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\AskingButton;
use Shopbridge\Screens\Reply;
use Shopbridge\Screens\Times;
use Shopbridge\Settings\SettingsPage;

class WaitingReturns
{
    private const LONGEST_NOTE = '500';

    /** @var array<int, array<mixed>> */
    private $returns;

    /** @var array<string, mixed> what was typed into the form that was refused */
    private $typed;

    /**
     * @param array<int, array<mixed>> $returns of the answer of /plugin/orders/waiting
     * @param array<string, mixed> $typed
     */
    public function __construct(array $returns, array $typed)
    {
        $this->returns = $returns;
        $this->typed = $typed;
    }

    public function show(): void
    {
        echo '<h2>' . esc_html__('Returns', 'shopbridge') . '</h2>';
        if ($this->returns === array()) {
            echo '<p>' . esc_html__('There are none at the moment.', 'shopbridge') . '</p>';
            return;
        }
        echo '<p>' . esc_html__('You accept a return by refunding the order in your shop: the marketplace then refunds the buyer.', 'shopbridge') . ' ';
        echo esc_html__('Goods that you do not take back are rejected here.', 'shopbridge') . '</p>';
        foreach ($this->returns as $return) {
            $this->showReturn($return);
        }
    }

    /**
     * @param array<mixed> $return
     */
    private function showReturn(array $return): void
    {
        $title = trim(Reply::text($return, 'marketplace') . ' ' . Reply::text($return, 'external_id'));
        echo '<div style="background:#fff;border:1px solid #c3c4c7;max-width:60em;margin:12px 0;padding:0 12px 12px"><h3>' . esc_html($title) . '</h3><p>';
        $this->showShopOrder($return);
        /* translators: 1: number of a return, may be empty 2: time */
        $text = sprintf(__('Return %1$s since %2$s.', 'shopbridge'), Reply::text($return, 'return'), Times::shown(Reply::text($return, 'since')));
        $arrival = self::hasArrived($return) ? __('The goods have arrived.', 'shopbridge') : __('The goods have not arrived yet.', 'shopbridge');
        echo esc_html(str_replace('  ', ' ', $text)) . '</p><p>' . esc_html($arrival) . '</p>';
        if (self::canBeRejected($return)) {
            $this->showForm($return);
        } else {
            $this->showGoods($return);
            echo '<p>' . esc_html__('This return cannot be rejected here, only at the marketplace.', 'shopbridge') . '</p>';
        }
        echo '</div>';
    }

    /**
     * @param array<mixed> $return
     */
    private function showShopOrder(array $return): void
    {
        $id = Reply::text($return, 'shop_order_id');
        $order = ctype_digit($id) ? wc_get_order((int) $id) : null;
        $number = $order instanceof \WC_Order ? $order->get_order_number() : Reply::text($return, 'shop_number');
        if ($number === '') {
            echo esc_html__('This order is not in your shop.', 'shopbridge') . ' ';
            return;
        }
        /* translators: %s: number of an order in the shop */
        $text = sprintf(__('Order %s in your shop.', 'shopbridge'), $number);
        if ($order instanceof \WC_Order) {
            echo '<a href="' . esc_url($order->get_edit_order_url()) . '">' . esc_html($text) . '</a> ';
        } else {
            echo esc_html($text) . ' ';
        }
    }

    /**
     * @param array<mixed> $return
     */
    private function showForm(array $return): void
    {
        $typed = $this->typedFor($return);
        SettingsPage::openForm(DecisionActions::REJECT);
        echo '<input type="hidden" name="order" value="' . esc_attr(Reply::text($return, 'order')) . '">';
        echo '<input type="hidden" name="return" value="' . esc_attr(Reply::text($return, 'return')) . '">';
        if (self::isChosenByPiece($return)) {
            $this->showTicks($return, $typed);
        } else {
            $this->showWhole($return);
        }
        $this->showReasons($return, Reply::text($typed, 'reason'));
        echo '<p><label>' . esc_html__('Note for the marketplace (optional)', 'shopbridge') . '<br><input type="text" class="large-text" name="note" maxlength="';
        echo esc_attr(self::LONGEST_NOTE) . '" value="' . esc_attr(Reply::text($typed, 'note')) . '"></label></p><p>';
        if (!self::hasArrived($return)) {
            echo esc_html__('Rejecting also tells the marketplace that the goods have come.', 'shopbridge') . '</p><p>';
        }
        $question = __('Reject this return? The buyer then gets no money back for it, and this cannot be undone here.', 'shopbridge');
        AskingButton::show(DecisionActions::REJECTING, __('Reject this return', 'shopbridge'), $question);
        echo '</p></form>';
    }

    /**
     * Everything is ticked at first; after a refusal what was ticked then.
     *
     * @param array<mixed> $return
     * @param array<string, mixed> $typed
     */
    private function showTicks(array $return, array $typed): void
    {
        $ticked = $typed === array() ? self::pieces($return) : Reply::list($typed, 'pieces');
        echo '<fieldset><legend>' . esc_html__('What you do not take back:', 'shopbridge') . '</legend>';
        foreach (Reply::objects($return, 'pieces') as $piece) {
            $id = Reply::text($piece, 'id');
            echo '<p><label>';
            if ($id !== '') {
                echo '<input type="checkbox" name="pieces[]" value="' . esc_attr($id) . '"';
                echo esc_attr(in_array($id, $ticked, true) ? ' checked' : '') . '> ';
            }
            echo esc_html(self::told($piece)) . '</label></p>';
        }
        echo '</fieldset>';
    }

    /**
     * @param array<mixed> $return
     */
    private function showWhole(array $return): void
    {
        $this->showGoods($return);
        foreach (self::pieces($return) as $id) {
            echo '<input type="hidden" name="pieces[]" value="' . esc_attr($id) . '">';
        }
        if (!empty($return['whole'])) {
            echo '<p>' . esc_html__('This marketplace decides about the whole return; single pieces cannot be rejected.', 'shopbridge') . '</p>';
        }
    }

    /**
     * @param array<mixed> $return
     */
    private function showGoods(array $return): void
    {
        echo '<ul>';
        foreach (Reply::objects($return, 'pieces') as $piece) {
            echo '<li>' . esc_html(self::told($piece)) . '</li>';
        }
        echo '</ul>';
    }

    /**
     * @param array<mixed> $return
     */
    private function showReasons(array $return, string $chosen): void
    {
        echo '<p><label>' . esc_html__('Why you reject it', 'shopbridge') . '<br><select name="reason" required><option value="">';
        echo esc_html__('Choose a reason', 'shopbridge') . '</option>';
        foreach (Reply::objects($return, 'rejections') as $rejection) {
            $code = Reply::text($rejection, 'code');
            echo '<option value="' . esc_attr($code) . '"' . esc_attr($code === $chosen && $code !== '' ? ' selected' : '') . '>';
            echo esc_html(Reply::text($rejection, 'text')) . '</option>';
        }
        echo '</select></label></p>';
    }

    /**
     * "Assam (TEE-001): too bitter", as the buyer said it.
     *
     * @param array<mixed> $piece
     */
    private static function told(array $piece): string
    {
        $reason = Reply::text($piece, 'reason');
        if ($reason === '') {
            return Goods::name($piece);
        }
        /* translators: 1: name of a product 2: what the buyer wrote */
        return sprintf(__('%1$s. The buyer says: %2$s', 'shopbridge'), Goods::name($piece), $reason);
    }

    /**
     * What was typed into the form of this return, empty for all others.
     *
     * @param array<mixed> $return
     * @return array<string, mixed>
     */
    private function typedFor(array $return): array
    {
        foreach (array('order', 'return') as $name) {
            if (Reply::text($this->typed, $name) !== Reply::text($return, $name)) {
                return array();
            }
        }
        return $this->typed;
    }

    /**
     * @param array<mixed> $return
     * @return string[]
     */
    private static function pieces(array $return): array
    {
        $ids = array_map(static fn (array $piece): string => Reply::text($piece, 'id'), Reply::objects($return, 'pieces'));
        return array_values(array_filter($ids, static fn (string $id): bool => $id !== ''));
    }

    /**
     * @param array<mixed> $return
     */
    private static function isChosenByPiece(array $return): bool
    {
        return empty($return['whole']) && count(self::pieces($return)) > 1;
    }

    /**
     * @param array<mixed> $return
     */
    private static function canBeRejected(array $return): bool
    {
        return Reply::text($return, 'order') !== '' && self::pieces($return) !== array() && Reply::objects($return, 'rejections') !== array();
    }

    /**
     * @param array<mixed> $return
     */
    private static function hasArrived(array $return): bool
    {
        return !empty($return['arrived']);
    }
}
