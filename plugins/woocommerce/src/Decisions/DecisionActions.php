<?php

/**
 * The buttons of the page of decisions. Each asks for the right to edit everybody's orders and for its own nonce before it reads anything. A
 * second click gets the bridge's refusal in words; nothing is done twice.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Outbox\Answer;
use Shopbridge\Screens\Actions;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Memo;

class DecisionActions extends Actions
{
    public const ANSWER = 'shopbridge_answer_order';
    public const REJECT = 'shopbridge_reject_return';
    public const ACCEPTING = 'accept';
    public const REFUSING = 'refuse';
    public const REJECTING = 'reject';
    protected const RIGHT = DecisionsPage::RIGHT;

    /** @var DecisionsBridge */
    private $bridge;

    public function __construct(DecisionsBridge $bridge)
    {
        $this->bridge = $bridge;
    }

    public function register(): void
    {
        add_action('admin_post_' . self::ANSWER, array($this, 'answer'));
        add_action('admin_post_' . self::REJECT, array($this, 'reject'));
    }

    public function answer(): void
    {
        $this->mayOrDie(self::ANSWER);
        $order = Input::text('order');
        $deed = Input::text('deed');
        if ($order === '' || !in_array($deed, array(self::ACCEPTING, self::REFUSING), true)) {
            $this->show(Memo::trouble(array('' => self::unclear())));
            return;
        }
        $answer = $this->bridge->answer($order, $deed === self::ACCEPTING, Input::texts('pieces'));
        $problems = self::problems($answer);
        if ($problems !== array()) {
            $this->show(Memo::trouble($problems));
            return;
        }
        // The bridge's word, not the button's.
        $this->show(Memo::success(
            ($answer->body['answer'] ?? '') === 'accepted'
                ? __('The order is accepted; the marketplace is told.', 'shopbridge')
                : __('The order is refused; the marketplace is told.', 'shopbridge')
        ));
    }

    public function reject(): void
    {
        $this->mayOrDie(self::REJECT);
        $typed = array(
            'order' => Input::text('order'),
            'return' => Input::text('return'),
            'pieces' => Input::texts('pieces'),
            'reason' => Input::text('reason'),
            'note' => Input::note('note'),
        );
        $problem = self::lacking($typed);
        if ($problem !== '') {
            $this->show(Memo::trouble(array('' => $problem), $typed));
            return;
        }
        $answer = $this->bridge->rejectReturn($typed['order'], $typed['pieces'], $typed['reason'], $typed['note']);
        $problems = self::problems($answer);
        if ($problems !== array()) {
            $this->show(Memo::trouble($problems, $typed));
            return;
        }
        /* translators: %d: number of pieces */
        $text = __('The return is rejected (pieces: %d); the marketplace is told.', 'shopbridge');
        $this->show(Memo::success(sprintf($text, (int) $answer->body['pieces'])));
    }

    /**
     * What is not worth a question, in words; '' when everything is there.
     *
     * @param array{order: string, pieces: string[], reason: string} $typed
     */
    private static function lacking(array $typed): string
    {
        if ($typed['order'] === '') {
            return self::unclear();
        }
        if ($typed['pieces'] === array()) {
            return __('No piece is ticked. Nothing was rejected.', 'shopbridge');
        }
        return $typed['reason'] === '' ? __('Choose a reason. Nothing was rejected.', 'shopbridge') : '';
    }

    /**
     * @return array<string, string>
     */
    private static function problems(Answer $answer): array
    {
        $problems = DecisionsBridge::problems($answer);
        if (DecisionsBridge::leavesOpen($answer)) {
            $problems['open'] = __('Whether it was done is not known. If it still stands here, do it again.', 'shopbridge');
        }
        return $problems;
    }

    private static function unclear(): string
    {
        return __('It is not clear what was meant, so nothing was done. Please try again.', 'shopbridge');
    }

    private function show(Memo $memo): void
    {
        $this->back($memo, DecisionsPage::SLUG, DecisionsPage::url());
    }
}
