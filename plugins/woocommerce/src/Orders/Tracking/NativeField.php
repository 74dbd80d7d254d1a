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
