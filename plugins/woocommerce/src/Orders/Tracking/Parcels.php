<?php

/**
 * All parcels of an order, from whichever plugin knows them; the same number is told once, by the first reader that has it.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

use Shopbridge\Status\Log;

class Parcels
{
    /** @var TrackingReader[] */
    private $readers;

    /**
     * @param TrackingReader[] $readers in the order in which they are believed
     */
    public function __construct(array $readers)
    {
        $this->readers = $readers;
    }

    /** The readers in the order of FACTS section 7; our own field last. */
    public static function all(): self
    {
        return new self(
            array(
                new ShipmentTracking(),
                new Shiptastic('wc_stc_get_shipments_by_order'),
                new Shiptastic('wc_gzd_get_shipments_by_order'),
                new DhlForWooCommerce(),
                new Gls(),
                new DhlEcommerce(),
                new WooShipping(),
                new OrdersTracking(),
                new Fulfillments(),
                new NativeField(),
            )
        );
    }

    /**
     * @return array<int, array<string, mixed>>
     */
    public function sent(\WC_Order $order): array
    {
        return $this->told($order, false);
    }

    /**
     * @return array<int, array<string, mixed>>
     */
    public function returning(\WC_Order $order): array
    {
        return $this->told($order, true);
    }

    /** Whether a plugin for tracking numbers is installed, so that two fields for the same number are not shown. */
    public function hasPlugin(): bool
    {
        foreach ($this->readers as $reader) {
            if (!$reader instanceof NativeField && $reader->isInstalled()) {
                return true;
            }
        }
        return false;
    }

    /**
     * @return array<int, array<string, mixed>>
     */
    private function told(\WC_Order $order, bool $returning): array
    {
        $told = array();
        foreach ($this->readers as $reader) {
            foreach ($this->read($reader, $order) as $parcel) {
                $same = strtoupper((string) preg_replace('/[\s-]+/', '', $parcel->number));
                if ($same !== '' && $parcel->returning === $returning && !isset($told[$same])) {
                    $told[$same] = $parcel->told();
                }
            }
        }
        return array_values($told);
    }

    /**
     * @return Parcel[]
     */
    private function read(TrackingReader $reader, \WC_Order $order): array
    {
        try {
            return $reader->parcels($order);
        } catch (\Throwable $fault) {
            // A new version of a label plugin must not keep the whole order from being told.
            Log::error(get_class($reader) . ' could not read order ' . $order->get_id() . ': ' . $fault->getMessage());
            return array();
        }
    }
}
