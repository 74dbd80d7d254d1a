<?php

/**
 * Reads the lists that other plugins keep in meta: arrays, JSON text, or one entry where a list was expected.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class Entries
{
    /**
     * @param mixed $stored
     * @return array<int, array<string, mixed>>
     */
    public static function of($stored): array
    {
        $list = is_string($stored) ? json_decode($stored, true) : $stored;
        if (is_object($list)) {
            $list = get_object_vars($list);
        }
        if (!is_array($list) || $list === array()) {
            return array();
        }
        if (self::isOneEntry($list)) {
            $list = array($list);
        }
        $entries = array();
        foreach ($list as $entry) {
            if (is_array($entry) || is_object($entry)) {
                $entries[] = (array) $entry;
            }
        }
        return $entries;
    }

    /**
     * @param array<int|string, mixed> $list
     */
    private static function isOneEntry(array $list): bool
    {
        foreach ($list as $key => $value) {
            if (is_string($key) && !is_array($value) && !is_object($value)) {
                return true;
            }
        }
        return false;
    }
}
