<?php

/**
 * Returns that wait for the merchant: refunding in the shop accepts one, the form here rejects it.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\Notices;
use Shopbridge\Screens\Reply;
use Shopbridge\Screens\Times;

class WaitingReturns
{
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
        echo esc_html(str_replace('  ', ' ', $text)) . '</p>';
        self::showArrival($return);
        Notices::warning(Reply::text($return, 'problem'));
        $form = new RejectionForm($return, $this->typedFor($return));
        if ($form->isPossible()) {
            $form->show();
        } else {
            (new ReturnedPieces($return))->showList();
            echo '<p>' . esc_html__('This return cannot be rejected here, only at the marketplace.', 'shopbridge') . '</p>';
        }
        echo '</div>';
    }

    /**
     * @param array<mixed> $return
     */
    private static function showArrival(array $return): void
    {
        if (empty($return['arrived'])) {
            echo '<p>' . esc_html__('The goods have not arrived yet. Wait for them before you decide.', 'shopbridge') . '</p>';
        } else {
            echo '<p>' . esc_html__('The goods have arrived.', 'shopbridge') . '</p>';
        }
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
}
