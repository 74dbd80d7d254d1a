<?php

/**
 * A button that asks "are you sure" before it sends its form, for what cannot be taken back. A convenience: without JavaScript it sends at once.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

final class AskingButton
{
    public static function show(string $value, string $text, string $question): void
    {
        echo '<button type="submit" class="button" name="deed" value="' . esc_attr($value) . '" data-question="' . esc_attr($question);
        echo '" onclick="return confirm(this.getAttribute(\'data-question\'))">' . esc_html($text) . '</button>';
    }
}
