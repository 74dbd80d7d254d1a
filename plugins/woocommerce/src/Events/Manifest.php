<?php

/**
 * The daily count of what was sent, so that the bridge can show completeness instead of hoping for it (D7, protocol.md 3.4).
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;

class Manifest
{
    public const OPTION = 'shopbridge_manifest_day';
    private const TYPE = 'manifest.daily';

    /** @var Outbox */
    private $outbox;

    public function __construct(Outbox $outbox)
    {
        $this->outbox = $outbox;
    }

    /** Write the message for yesterday once, as soon as the day of the shop is ten minutes old. */
    public function writeWhenDue(\DateTimeImmutable $now, \DateTimeZone $zone): void
    {
        // The clock goes back before it becomes a date of the shop: "one day earlier" is not 24 hours on two days of the year.
        $yesterday = $now->modify('-10 minutes')->setTimezone($zone)->modify('-1 day')->format('Y-m-d');
        if (get_option(self::OPTION) === $yesterday) {
            return;
        }
        $message = array('type' => self::TYPE, 'subject' => 'shop', 'context' => array('day' => $yesterday));
        if ($this->outbox->append(array($message), $now->getTimestamp()) > 0) {
            update_option(self::OPTION, $yesterday, false);
        }
    }

    /**
     * @return array<string, mixed>
     */
    public function of(string $day): array
    {
        $from = new \DateTimeImmutable($day . ' 00:00:00', wp_timezone());
        $lines = array();
        foreach ($this->outbox->sentBetween($from->getTimestamp(), $from->modify('+1 day')->getTimestamp()) as $line) {
            // The bridge does not count the counting itself.
            if ($line['type'] !== self::TYPE) {
                $lines[] = $line;
            }
        }
        $counts = $this->outbox->counts();
        $byType = array_count_values(array_column($lines, 'type'));
        ksort($byType);
        $ids = array_column($lines, 'event_id');
        sort($ids, SORT_STRING);
        return array(
            'day' => $day,
            'first_sequence' => $lines === array() ? null : $lines[0]['id'],
            'last_sequence' => $lines === array() ? null : $lines[count($lines) - 1]['id'],
            'count' => count($lines),
            'by_type' => $byType === array() ? new \stdClass() : $byType,
            'ids_digest' => hash('sha256', implode("\n", $ids)),
            'waiting' => $counts[Row::WAITING] ?? 0,
            'dead' => ($counts[Row::DEAD] ?? 0) + ($counts[Row::PARKED] ?? 0),
        );
    }
}
