<?php

/**
 * What the next page shows of the form just sent: how it went, what is wrong with which field, and what was typed. For one person, one
 * minute; a form with a mistake is never empty again.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

final class Memo
{
    private const KEPT = 60;

    /** @var string */
    public $success = '';

    /** @var array<string, string> by field, '' = in general */
    public $problems = array();

    /** @var array<string, mixed> */
    public $typed = array();

    public static function success(string $text): self
    {
        $memo = new self();
        $memo->success = $text;
        return $memo;
    }

    /**
     * @param array<string, string> $problems
     * @param array<string, mixed> $typed
     */
    public static function trouble(array $problems, array $typed = array()): self
    {
        $memo = new self();
        $memo->problems = $problems;
        $memo->typed = $typed;
        return $memo;
    }

    /** @param string $page slug of the page that shows it */
    public function keep(string $page): void
    {
        $kept = array('success' => $this->success, 'problems' => $this->problems, 'typed' => $this->typed);
        set_transient(self::name($page), $kept, self::KEPT);
    }

    /** The memo of the form just sent, an empty one when there is none. */
    public static function take(string $page): self
    {
        $kept = get_transient(self::name($page));
        $memo = new self();
        if (is_array($kept)) {
            delete_transient(self::name($page));
            $memo->success = (string) ($kept['success'] ?? '');
            $memo->problems = is_array($kept['problems'] ?? null) ? $kept['problems'] : array();
            $memo->typed = is_array($kept['typed'] ?? null) ? $kept['typed'] : array();
        }
        return $memo;
    }

    private static function name(string $page): string
    {
        return str_replace('-', '_', $page) . '_memo_' . get_current_user_id();
    }
}
