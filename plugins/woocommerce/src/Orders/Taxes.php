<?php

/**
 * Splits a gross amount by the shop's own tax rate of that percentage. A shop without taxes, or without that rate, gets the gross amount.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class Taxes
{
    /**
     * @return array{net: int, tax: int, rate_id: int} cents; rate_id 0 = no tax
     */
    public function split(int $gross, string $percent, string $country): array
    {
        $rate = $this->rateId($percent, $country);
        if ($rate === 0) {
            return array('net' => $gross, 'tax' => 0, 'rate_id' => 0);
        }
        $net = Money::net($gross, $percent);
        return array('net' => $net, 'tax' => $gross - $net, 'rate_id' => $rate);
    }

    private function rateId(string $percent, string $country): int
    {
        if (!wc_tax_enabled() || preg_match('/^\d{1,2}(\.\d{1,4})?$/', $percent) !== 1) {
            return 0;
        }
        $anywhere = 0;
        foreach ($this->rates() as $rate) {
            if (Money::scaled((string) $rate->tax_rate, 4) !== Money::scaled($percent, 4)) {
                continue;
            }
            if ($rate->tax_rate_country === $country) {
                return (int) $rate->tax_rate_id;
            }
            if ($rate->tax_rate_country === '' && $anywhere === 0) {
                $anywhere = (int) $rate->tax_rate_id;
            }
        }
        return $anywhere;
    }

    /**
     * @return object[]
     */
    private function rates(): array
    {
        $rates = array();
        foreach (array_merge(array(''), \WC_Tax::get_tax_class_slugs()) as $class) {
            $rates = array_merge($rates, array_values(\WC_Tax::get_rates_for_tax_class($class)));
        }
        return $rates;
    }
}
