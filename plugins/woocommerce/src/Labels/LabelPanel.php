<?php

/**
 * The part of the order box about labels: who is on them, why there is none yet, and which extensions cannot do it.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class LabelPanel
{
    /** @var Labels */
    private $labels;

    /** @var Unsupported */
    private $unsupported;

    public function __construct(Labels $labels, Unsupported $unsupported)
    {
        $this->labels = $labels;
        $this->unsupported = $unsupported;
    }

    public function show(\WC_Order $order): void
    {
        $sender = Sender::of($order);
        if ($sender === null) {
            return;
        }
        if ($sender->lines() !== array()) {
            echo '<p>' . esc_html__('Sender on the label:', 'shopbridge') . '<br>' . esc_html(implode(', ', $sender->lines())) . '</p>';
        }
        if (!$sender->isComplete()) {
            echo '<p role="alert" style="color:#b32d2e"><strong>' . esc_html($sender->refusal()) . '</strong></p>';
        }
        $this->showExtensions();
    }

    private function showExtensions(): void
    {
        $names = $this->labels->installed();
        if ($names !== array()) {
            /* translators: %s: names of label extensions */
            $sentence = __('Label extensions that take the sender from here: %s.', 'shopbridge');
            echo '<p class="description">' . esc_html(sprintf($sentence, implode(', ', $names))) . '</p>';
        } else {
            echo '<p>' . esc_html__('No label extension is active that takes this sender: write it on the label yourself.', 'shopbridge') . '</p>';
        }
        foreach ($this->unsupported->active() as $name => $advice) {
            echo '<p role="alert"><strong>' . esc_html($name) . ':</strong> ' . esc_html($advice) . '</p>';
        }
    }
}
