<?php

/**
 * The body of an event (protocol.md section 3): UTF-8 JSON that the bridge will not refuse for its form or size.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Envelope
{
    public const LIMIT = 262144;
    private const DEPTH = 24;
    private const LONGEST_TEXT = 60000;

    /** Left out, in this order, when a message is too long: what nobody needs to sell and to ship. */
    private const LUXURY = array('meta_data', 'short_description', 'description', 'attributes', 'images', 'variations');

    /**
     * @param array<string, mixed> $data
     * @throws \LengthException When it is too long even without everything that can be spared.
     */
    public static function body(Row $row, array $data): string
    {
        $data = self::clean($data, 0);
        $body = self::encode($row, $data);
        foreach (self::LUXURY as $field) {
            if (strlen($body) <= self::LIMIT) {
                return $body;
            }
            unset($data[$field]);
            $body = self::encode($row, $data);
        }
        if (strlen($body) > self::LIMIT) {
            throw new \LengthException('The message is longer than ' . self::LIMIT . ' bytes.');
        }
        return $body;
    }

    public static function time(int $unix): string
    {
        return gmdate('Y-m-d\TH:i:s\Z', $unix);
    }

    /**
     * @param mixed $data
     */
    private static function encode(Row $row, $data): string
    {
        $envelope = array(
            'type' => $row->type,
            'timestamp' => self::time($row->createdAt),
            'sequence' => $row->id,
            'subject' => $row->subject,
            'data' => $data === array() ? new \stdClass() : $data,
        );
        $flags = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR;
        return (string) json_encode($envelope, $flags);
    }

    /**
     * No NUL, no endless text, no depth without end, no number that JSON cannot hold: other plugins put strange things into an order.
     *
     * @param mixed $value
     * @return mixed
     */
    private static function clean($value, int $depth)
    {
        if (is_string($value)) {
            $value = strpos($value, "\0") === false ? $value : str_replace("\0", '', $value);
            return strlen($value) > self::LONGEST_TEXT ? mb_strcut($value, 0, self::LONGEST_TEXT, 'UTF-8') : $value;
        }
        if (is_float($value)) {
            return is_finite($value) ? $value : null;
        }
        if (is_int($value)) {
            return abs($value) > 9007199254740991 ? (string) $value : $value;
        }
        if (is_array($value) || is_object($value)) {
            return self::cleanAll($value, $depth);
        }
        return $value;
    }

    /**
     * @param array<mixed>|object $value
     * @return mixed
     */
    private static function cleanAll($value, int $depth)
    {
        if ($depth >= self::DEPTH) {
            return null;
        }
        $plain = is_object($value) ? json_decode((string) json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR), true) : $value;
        if (!is_array($plain)) {
            return self::clean($plain, $depth + 1);
        }
        if ($plain === array() && is_object($value)) {
            return new \stdClass();
        }
        $clean = array();
        foreach ($plain as $key => $one) {
            $key = is_string($key) ? str_replace("\0", '', $key) : $key;
            $clean[$key] = self::clean($one, $depth + 1);
        }
        return $clean;
    }
}
