<?php

/**
 * What a person typed, ticked or clicked. The only reader of addresses and forms of our pages; whoever writes something has
 * checked right and nonce before. Bulk editing of products is a form with GET, so both ways are read.
 */

declare(strict_types=1);

namespace Shopbridge\Screens;

final class Input
{
    public const LONGEST_NOTE = 500;

    public static function has(string $name): bool
    {
        return isset($_REQUEST[$name]);
    }

    /** One line of text, '' when it is missing. */
    public static function text(string $name): string
    {
        return isset($_REQUEST[$name]) && is_string($_REQUEST[$name]) ? sanitize_text_field(wp_unslash($_REQUEST[$name])) : '';
    }

    /**
     * One line of prose for other people to read, as it was typed: sanitize_text_field would make "3" of "3<4" and "30fekt" of "30%defekt".
     * It may hold markup, so whoever shows it escapes it. '' when it is missing or no UTF-8; at most LONGEST_NOTE characters.
     */
    public static function note(string $name): string
    {
        $typed = isset($_REQUEST[$name]) && is_string($_REQUEST[$name]) ? wp_check_invalid_utf8(wp_unslash($_REQUEST[$name])) : '';
        $line = trim((string) preg_replace('/[\p{Cc}\p{Zl}\p{Zp}]+/u', ' ', $typed));
        return rtrim(mb_substr($line, 0, self::LONGEST_NOTE, 'UTF-8'));
    }

    /** The field of a list or of a group: `address[city]`, `price[3]`. Null when it was not in the form. */
    public static function part(string $name, string $part): ?string
    {
        if (!isset($_REQUEST[$name][$part]) || !is_array($_REQUEST[$name]) || !is_string($_REQUEST[$name][$part])) {
            return null;
        }
        return sanitize_text_field(wp_unslash($_REQUEST[$name][$part]));
    }

    /**
     * The ticked ones of a list.
     *
     * @return string[]
     */
    public static function texts(string $name): array
    {
        $given = isset($_REQUEST[$name]) && is_array($_REQUEST[$name]) ? array_map('sanitize_text_field', wp_unslash($_REQUEST[$name])) : array();
        return array_values(array_filter($given, static fn ($one): bool => is_string($one) && $one !== ''));
    }

    public static function number(string $name): int
    {
        $text = self::text($name);
        return preg_match('/^\d{1,9}$/', $text) === 1 ? (int) $text : 0;
    }
}
