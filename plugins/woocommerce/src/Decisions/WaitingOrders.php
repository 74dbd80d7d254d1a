<?php

/**
 * Orders that a marketplace holds until the merchant has accepted or refused them.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\AskingButton;
use Shopbridge\Screens\Reply;
use Shopbridge\Screens\Times;
use Shopbridge\Settings\SettingsPage;

class WaitingOrders
{
    /** PHP drops what a form has beyond 1,000 fields, the button among it. An order of more pieces is answered without naming them. */
    private const MOST_PIECES = 900;

    /** @var array<int, array<mixed>> */
    private $orders;

    /**
     * @param array<int, array<mixed>> $orders of the answer of /plugin/orders/waiting
     */
    public function __construct(array $orders)
    {
        $this->orders = $orders;
    }

    public function show(): void
    {
        echo '<h2>' . esc_html__('Orders that wait for your answer', 'shopbridge') . '</h2>';
        if ($this->orders === array()) {
            echo '<p>' . esc_html__('There are none at the moment.', 'shopbridge') . '</p>';
            return;
        }
        echo '<table class="widefat striped"><thead><tr>';
        foreach (self::columns() as $name) {
            echo '<th scope="col">' . esc_html($name) . '</th>';
        }
        echo '</tr></thead><tbody>';
        foreach ($this->orders as $order) {
            $this->showOrder($order);
        }
        echo '</tbody></table>';
    }

    /**
     * @return string[]
     */
    private static function columns(): array
    {
        return array(
            __('Marketplace', 'shopbridge'),
            __('Order', 'shopbridge'),
            __('Placed', 'shopbridge'),
            __('Ship by', 'shopbridge'),
            __('Products', 'shopbridge'),
            __('Total', 'shopbridge'),
            __('Why it waits', 'shopbridge'),
            __('Your answer', 'shopbridge'),
        );
    }

    /**
     * @param array<mixed> $order
     */
    private function showOrder(array $order): void
    {
        $shipBy = Reply::text($order, 'ship_by');
        echo '<tr><td>' . esc_html(Reply::text($order, 'marketplace')) . '</td><td>' . esc_html(Reply::text($order, 'external_id')) . '</td>';
        echo '<td>' . esc_html(Times::shown(Reply::text($order, 'placed_at'))) . '</td>';
        echo '<td>' . esc_html($shipBy === '' ? '–' : Times::shown($shipBy)) . '</td><td>';
        foreach (Reply::objects($order, 'lines') as $line) {
            echo '<div>' . esc_html(Reply::text($line, 'quantity') . ' × ' . Goods::name($line)) . '</div>';
        }
        echo '</td><td>' . esc_html(Amounts::shown($order['total'] ?? null, Reply::text($order, 'currency'))) . '</td>';
        echo '<td>' . esc_html(Reply::text($order, 'reason')) . '</td><td>';
        $this->showButtons($order);
        echo '</td></tr>';
    }

    /**
     * The pieces go with the answer, so that it is about what was seen.
     *
     * @param array<mixed> $order
     */
    private function showButtons(array $order): void
    {
        $id = Reply::text($order, 'id');
        if ($id === '') {
            return;
        }
        SettingsPage::openForm(DecisionActions::ANSWER);
        $pieces = array_filter(Reply::list($order, 'pieces'), 'is_string');
        foreach (count($pieces) > self::MOST_PIECES ? array() : $pieces as $piece) {
            echo '<input type="hidden" name="pieces[]" value="' . esc_attr($piece) . '">';
        }
        echo '<input type="hidden" name="order" value="' . esc_attr($id) . '"><button type="submit" class="button button-primary" name="deed" value="';
        echo esc_attr(DecisionActions::ACCEPTING) . '">' . esc_html__('Accept', 'shopbridge') . '</button> ';
        $question = __('Refuse this order? The marketplace then cancels it for the buyer.', 'shopbridge');
        AskingButton::show(DecisionActions::REFUSING, __('Refuse', 'shopbridge'), $question);
        echo '</form>';
    }
}
