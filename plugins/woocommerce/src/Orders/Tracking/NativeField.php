<?php

/**
 * Our own field on the order page, and what the command order.tracking writes.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

final class NativeField implements TrackingReader
{
    public const SENT = '_shopbridge_tracking';
    public const RETURNING = '_shopbridge_return_tracking';

    public function isInstalled(): bool
    {
        return true;
    }

    public function parcels(\WC_Order $order): array
    {
        return array_merge(self::read($order, self::SENT, false), self::read($order, self::RETURNING, true));
    }

    /**
     * Add a parcel; false when its number is already there.
     *
     * @param array<int, array{id: int, quantity: int}>|null $lines
     */
    public static function add(\WC_Order $order, string $meta, string $number, ?string $carrier, ?string $url, int $now, ?array $lines = null): bool
    {
        $list = Entries::of($order->get_meta($meta));
        foreach ($list as $entry) {
            if (($entry['number'] ?? '') === $number) {
                return false;
            }
        }
        $parcel = new Parcel($number, $carrier, $url, $now, $lines);
        $list[] = $parcel->told();
        $order->update_meta_data($meta, $list);
        return true;
    }

    /**
     * More is in a parcel of ours: of each line the higher quantity counts. False when nothing is new, or the parcel is the whole order.
     *
     * @param array<int, array{id: int, quantity: int}> $lines everything that is told to be in it
     */
    public static function addLines(\WC_Order $order, string $meta, string $number, array $lines): bool
    {
        $list = Entries::of($order->get_meta($meta));
        $changed = false;
        foreach ($list as $place => $entry) {
            if (($entry['number'] ?? '') === $number && isset($entry['lines']) && is_array($entry['lines'])) {
                $known = array_column($entry['lines'], 'quantity', 'id');
                foreach ($lines as $line) {
                    $more = $line['quantity'] > ($known[$line['id']] ?? 0);
                    $changed = $changed || $more;
                    $known[$line['id']] = $more ? $line['quantity'] : $known[$line['id']];
                }
                $list[$place]['lines'] = array_map(
                    static fn (int $id, int $quantity): array => array('id' => $id, 'quantity' => $quantity),
                    array_keys($known),
                    array_values($known)
                );
            }
        }
        if ($changed) {
            $order->update_meta_data($meta, $list);
        }
        return $changed;
    }

    public static function remove(\WC_Order $order, string $meta, string $number): void
    {
        $left = array();
        foreach (Entries::of($order->get_meta($meta)) as $entry) {
            if (($entry['number'] ?? '') !== $number) {
                $left[] = $entry;
            }
        }
        $order->update_meta_data($meta, $left);
    }

    /**
     * @return Parcel[]
     */
    private static function read(\WC_Order $order, string $meta, bool $returning): array
    {
        $parcels = array();
        foreach (Entries::of($order->get_meta($meta)) as $entry) {
            $lines = isset($entry['lines']) && is_array($entry['lines']) ? $entry['lines'] : null;
            $number = $entry['number'] ?? '';
            $parcel = new Parcel($number, $entry['carrier'] ?? null, $entry['url'] ?? null, $entry['shipped_at'] ?? null, $lines);
            $parcel->returning = $returning;
            $parcels[] = $parcel;
        }
        return $parcels;
    }
}
