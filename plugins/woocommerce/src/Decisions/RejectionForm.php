<?php

/**
 * The form by which goods of one return are rejected. What was typed before a refusal is shown again.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\AskingButton;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Reply;
use Shopbridge\Settings\SettingsPage;

final class RejectionForm
{
    /** @var array<mixed> */
    private $return;

    /** @var ReturnedPieces */
    private $pieces;

    /** @var array<string, mixed> */
    private $typed;

    /**
     * @param array<mixed> $return of the answer of /plugin/orders/waiting
     * @param array<string, mixed> $typed into this form before it was refused, else empty
     */
    public function __construct(array $return, array $typed)
    {
        $this->return = $return;
        $this->pieces = new ReturnedPieces($return);
        $this->typed = $typed;
    }

    /** Whether the bridge has named all that a rejection has to name. */
    public function isPossible(): bool
    {
        $hasReasons = Reply::objects($this->return, 'rejections') !== array();
        return $hasReasons && Reply::text($this->return, 'order') !== '' && $this->pieces->ids() !== array();
    }

    public function show(): void
    {
        SettingsPage::openForm(DecisionActions::REJECT);
        echo '<input type="hidden" name="order" value="' . esc_attr(Reply::text($this->return, 'order')) . '">';
        echo '<input type="hidden" name="return" value="' . esc_attr(Reply::text($this->return, 'return')) . '">';
        if ($this->isChosenByPiece()) {
            $this->showTicks();
        } else {
            $this->showWhole();
        }
        $this->showReasons();
        $this->showNote();
        if (empty($this->return['arrived'])) {
            echo '<p>' . esc_html__('Where the marketplace waits for it, rejecting also tells that the goods have come.', 'shopbridge') . '</p>';
        }
        echo '<p>';
        $button = $this->isChosenByPiece() ? __('Reject the ticked pieces', 'shopbridge') : __('Reject this return', 'shopbridge');
        AskingButton::show(DecisionActions::REJECTING, $button, $this->question());
        echo '</p></form>';
    }

    private function isChosenByPiece(): bool
    {
        return empty($this->return['whole']) && count($this->pieces->ids()) > 1;
    }

    /** None is ticked at first: nobody may lose his money for a piece that was overlooked. After a refusal it is what was ticked then. */
    private function showTicks(): void
    {
        echo '<fieldset><legend>' . esc_html__('What you do not take back:', 'shopbridge') . '</legend>';
        $this->pieces->showTicks(Reply::list($this->typed, 'pieces'));
        echo '</fieldset>';
    }

    private function showWhole(): void
    {
        $this->pieces->showList();
        foreach ($this->pieces->ids() as $id) {
            echo '<input type="hidden" name="pieces[]" value="' . esc_attr($id) . '">';
        }
        if (!empty($this->return['whole'])) {
            echo '<p>' . esc_html__('This marketplace decides about the whole return; single pieces cannot be rejected.', 'shopbridge') . '</p>';
        }
    }

    private function showReasons(): void
    {
        $chosen = Reply::text($this->typed, 'reason');
        echo '<p><label>' . esc_html__('Why you reject it', 'shopbridge') . '<br><select name="reason" required><option value="">';
        echo esc_html__('Choose a reason', 'shopbridge') . '</option>';
        foreach (Reply::objects($this->return, 'rejections') as $rejection) {
            $code = Reply::text($rejection, 'code');
            echo '<option value="' . esc_attr($code) . '"' . esc_attr($code === $chosen && $code !== '' ? ' selected' : '') . '>';
            echo esc_html(Reply::text($rejection, 'text')) . '</option>';
        }
        echo '</select></label></p>';
    }

    private function showNote(): void
    {
        echo '<p><label>' . esc_html(self::noteLabel(Reply::text($this->return, 'note_for'))) . '<br><input type="text" class="large-text" name="note" maxlength="';
        echo esc_attr((string) Input::LONGEST_NOTE) . '" value="' . esc_attr(Reply::text($this->typed, 'note')) . '"></label></p>';
    }

    /** @param string $reader who reads it: buyer, marketplace or nobody; '' when the bridge is older and does not say */
    private static function noteLabel(string $reader): string
    {
        $labels = array(
            'buyer' => __('Note (the buyer reads it)', 'shopbridge'),
            'nobody' => __('Note (only in your order; this marketplace takes none)', 'shopbridge'),
        );
        return $labels[$reader] ?? __('Note for the marketplace (optional)', 'shopbridge');
    }

    /** Names the marketplace, and the number of pieces where it is fixed; what the buyer loses only where he has got nothing back yet. */
    private function question(): string
    {
        $marketplace = Reply::text($this->return, 'marketplace');
        $number = count($this->pieces->ids());
        if ($this->isChosenByPiece()) {
            /* translators: %s: name of a marketplace */
            $question = sprintf(__('Reject the ticked pieces at %s?', 'shopbridge'), $marketplace);
        } else {
            /* translators: 1: number of pieces 2: name of a marketplace */
            $text = _n('Reject this return of %1$d piece at %2$s?', 'Reject this return of %1$d pieces at %2$s?', $number, 'shopbridge');
            $question = sprintf($text, $number, $marketplace);
        }
        return $question . ' ' . ($this->pieces->areRefunded()
            ? __('This cannot be undone here.', 'shopbridge')
            : __('The buyer then gets no money back for these goods, and this cannot be undone here.', 'shopbridge'));
    }
}
