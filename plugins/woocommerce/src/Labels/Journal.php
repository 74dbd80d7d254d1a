<?php

/**
 * Writes into the order what became of the sender on its labels: one note for each label, and one for a refusal. A label for which the
 * sender was never asked may show the supplier; that is said too.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class Journal
{
    /** @var array<int, string> names of senders by order, since its label was begun */
    private $swapped = array();

    /** @var array<int, array<string, bool>> what was noted in this request */
    private $said = array();

    /** A label is about to be made: what only a screen asked for before does not count. */
    public function begin(\WC_Order $order): void
    {
        unset($this->swapped[$order->get_id()]);
    }

    public function swapped(\WC_Order $order, Sender $sender): void
    {
        $this->swapped[$order->get_id()] = $sender->name();
    }

    /**
     * A label was made.
     *
     * @param mixed $order
     */
    public function printed($order, string $extension): void
    {
        if (!$order instanceof \WC_Order || Sender::of($order) === null) {
            return;
        }
        $name = $this->swapped[$order->get_id()] ?? '';
        if ($name === '') {
            /* translators: %s: name of a label extension */
            $warning = __('Look at this label before you ship: %s did not ask for the sender, so your own address may stand on it.', 'shopbridge');
            $order->add_order_note(esc_html(sprintf($warning, $extension)));
            return;
        }
        /* translators: %s: name of the sender */
        $order->add_order_note(sprintf(esc_html__('Sender on the label: %s', 'shopbridge'), esc_html($name)));
    }

    /** Note a refusal and hand it back, to be thrown where the extension catches it. */
    public function refused(\WC_Order $order, string $why): LabelRefused
    {
        $this->say($order, $why);
        return new LabelRefused($why);
    }

    /** The slip for a return in the parcel would show the supplier's address. */
    public function leftReturnOut(\WC_Order $order): void
    {
        $this->say($order, __('The enclosed return label was left out, because it would show your own address.', 'shopbridge'));
    }

    private function say(\WC_Order $order, string $text): void
    {
        if (!isset($this->said[$order->get_id()][$text])) {
            $this->said[$order->get_id()][$text] = true;
            $order->add_order_note(esc_html($text));
        }
    }
}
