<?php

/**
 * The questions about what waits for the merchant to the bridge (protocol.md, /plugin/orders/*). Asked while a person waits, so with short
 * timeouts and never twice. Only an answer that has what was asked for is a yes: a maintenance page with code 200 is none.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Transport;
use Shopbridge\Screens\Reply;

class DecisionsBridge
{
    private const PATIENCE = 10;
    private const LARGEST = 2097152;

    /** What a right answer has, by question. */
    private const WAITING = array('orders', 'returns');
    private const ANSWERED = array('answer');
    private const REJECTED = array('pieces');

    /** @var Transport */
    private $transport;

    public function __construct(Transport $transport)
    {
        $this->transport = $transport;
    }

    /** Orders that wait for an answer and returns that wait for a decision; at most 100 of each. */
    public function waiting(): Answer
    {
        return $this->ask('waiting', array(), self::WAITING);
    }

    /**
     * @param string $order like ord_5
     * @param string[] $pieces like pc_5, the shown ones: the bridge refuses when others wait by now. Empty when it named none, as older ones do
     */
    public function answer(string $order, bool $accept, array $pieces): Answer
    {
        $question = array('order' => $order, 'accept' => $accept);
        return $this->ask('answer', $pieces === array() ? $question : $question + array('pieces' => $pieces), self::ANSWERED);
    }

    /**
     * @param string $order like ord_6
     * @param string[] $pieces
     * @param string $reason a code of the marketplace's list
     */
    public function rejectReturn(string $order, array $pieces, string $reason, string $note): Answer
    {
        $question = array('order' => $order, 'pieces' => $pieces, 'reason' => $reason, 'note' => $note);
        return $this->ask('reject-return', $question, self::REJECTED);
    }

    /**
     * What is wrong, by field ('' = in general); empty when the bridge said yes.
     *
     * @return array<string, string>
     */
    public static function problems(Answer $answer): array
    {
        return Reply::problems($answer, __('This bridge does not know this page. Is it up to date?', 'shopbridge'));
    }

    /** After no answer, or a broken one, nobody here knows whether the bridge has done it. */
    public static function leavesOpen(Answer $answer): bool
    {
        return $answer->code === 0 || $answer->code >= 500;
    }

    /**
     * @param array<string, mixed> $question
     * @param string[] $needed
     */
    private function ask(string $what, array $question, array $needed): Answer
    {
        $body = (string) wp_json_encode((object) $question);
        $answer = $this->transport->ask('/plugin/orders/' . $what, $body, self::PATIENCE, self::LARGEST);
        if ($answer->code >= 200 && $answer->code < 300 && array_diff($needed, array_keys($answer->body)) !== array()) {
            return new Answer(0, null, __('something else is at its address.', 'shopbridge'));
        }
        return $answer;
    }
}
