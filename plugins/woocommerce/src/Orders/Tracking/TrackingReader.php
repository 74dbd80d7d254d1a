<?php

/**
 * Knows where one label or tracking plugin keeps its numbers (FACTS section 7).
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Tracking;

interface TrackingReader
{
    /** Whether the plugin is there: then the shop does not need our own field. */
    public function isInstalled(): bool;

    /**
     * @return Parcel[]
     */
    public function parcels(\WC_Order $order): array;
}
