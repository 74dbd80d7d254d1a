<?php

/**
 * One parcel, as it is told to the bridge (protocol.md 3.2).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

use Shopbridge\Outbox\Envelope;

final class Parcel
{
    /** @var string */
    public $number;

    /** @var string|null as the shop calls it */
    public $carrier;

    /** @var string|null */
    public $url;

    /** @var string|null ISO 8601 UTC */
    public $shippedAt;

    /** @var array<int, array{id: int, quantity: int}>|null null = the whole order */
    public $lines;

    /** @var bool a label for the way back */
    public $returning = false;

    /**
     * @param mixed $number
     * @param mixed $carrier
     * @param mixed $url
     * @param mixed $shippedAt Unix time or a date in words
     * @param array<int, array{id: int, quantity: int}>|null $lines
     */
    public function __construct($number, $carrier = null, $url = null, $shippedAt = null, ?array $lines = null)
    {
        $this->number = self::word($number) ?? '';
        $this->carrier = self::word($carrier);
        $this->url = self::word($url);
        $this->shippedAt = self::time($shippedAt);
        $this->lines = $lines;
    }

    /**
     * @return array{number: string, carrier: string|null, url: string|null, shipped_at: string|null, lines: array<int, array{id: int, quantity: int}>|null}
     */
    public function told(): array
    {
        return array(
            'number' => $this->number,
            'carrier' => $this->carrier,
            'url' => $this->url,
            'shipped_at' => $this->shippedAt,
            'lines' => $this->lines,
        );
    }

    /** @param mixed $value */
    private static function word($value): ?string
    {
        $word = is_scalar($value) ? trim((string) $value) : '';
        return $word === '' ? null : mb_substr($word, 0, 500);
    }

    /** @param mixed $value */
    private static function time($value): ?string
    {
        if ($value instanceof \DateTimeInterface) {
            return Envelope::time($value->getTimestamp());
        }
        $word = self::word($value);
        if ($word === null) {
            return null;
        }
        $unix = ctype_digit($word) ? (int) $word : strtotime($word);
        return $unix === false || $unix <= 0 ? null : Envelope::time($unix);
    }
}
