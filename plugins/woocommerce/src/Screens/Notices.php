<?php

/**
 * The coloured bars of our pages: what went well and what did not, as plain text.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

final class Notices
{
    public static function success(string $text): void
    {
        if ($text !== '') {
            echo '<div class="notice notice-success"><p>' . esc_html($text) . '</p></div>';
        }
    }

    public static function warning(string $text): void
    {
        if ($text !== '') {
            echo '<div class="notice notice-warning inline"><p>' . esc_html($text) . '</p></div>';
        }
    }

    /**
     * @param array<int|string, string> $problems
     */
    public static function problems(array $problems): void
    {
        foreach (array_filter($problems) as $problem) {
            echo '<div class="notice notice-error inline"><p>' . esc_html($problem) . '</p></div>';
        }
    }
}
