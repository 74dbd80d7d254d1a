<?php

/**
 * Reads what the bridge answered to a page: its refusals in words, and the values of its lists. What comes may lack anything or be of any kind;
 * then it is empty, never an error.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

use Shopbridge\Outbox\Answer;

final class Reply
{
    /** What a bridge says about an address that it does not have, since it is older than this plugin. */
    private const NO_SUCH_ADDRESS = 'http.404';

    /**
     * What is wrong, by field ('' = in general); empty when the bridge said yes.
     *
     * @param string $unknown what is said when the bridge does not know the address
     * @return array<string, string>
     */
    public static function problems(Answer $answer, string $unknown): array
    {
        if ($answer->code >= 200 && $answer->code < 300) {
            return array();
        }
        $error = is_array($answer->body['error'] ?? null) ? $answer->body['error'] : array();
        if ($answer->code === 404 && self::text($error, 'code') === self::NO_SUCH_ADDRESS) {
            return array('' => $unknown);
        }
        $problems = array();
        foreach (array_merge(array($error), self::list($error, 'mistakes')) as $one) {
            $text = is_array($one) ? self::text($one, 'message') : '';
            if ($text !== '') {
                $problems += array(self::text($one, 'field') => $text);
            }
        }
        if ($problems !== array()) {
            return $problems;
        }
        return array('' => $answer->code === 404 ? $unknown : self::silence($answer));
    }

    public static function silence(Answer $answer): string
    {
        /* translators: %s: technical reason */
        return sprintf(__('The bridge does not answer: %s', 'shopbridge'), $answer->summary());
    }

    /**
     * @param array<mixed> $values
     * @return array<int, mixed>
     */
    public static function list(array $values, string $name): array
    {
        return is_array($values[$name] ?? null) ? array_values($values[$name]) : array();
    }

    /**
     * The members of a list that are objects.
     *
     * @param array<mixed> $values
     * @return array<int, array<mixed>>
     */
    public static function objects(array $values, string $name): array
    {
        return array_values(array_filter(self::list($values, $name), 'is_array'));
    }

    /**
     * @param array<mixed> $values
     */
    public static function text(array $values, string $name): string
    {
        $value = $values[$name] ?? '';
        return is_scalar($value) && !is_bool($value) ? (string) $value : '';
    }
}
