<?php

/**
 * Label extensions that are active and whose sender no hook can change, with what to do instead (docs/labels.md).
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class Unsupported
{
    /**
     * @return array<string, string> advice by name
     */
    public function active(): array
    {
        $active = (array) get_option('active_plugins', array());
        $found = array();
        foreach ($this->known() as $folder => list($name, $advice)) {
            foreach ($active as $plugin) {
                if (strpos((string) $plugin, $folder . '/') === 0) {
                    $found[$name] = $advice;
                }
            }
        }
        return $found;
    }

    /**
     * @return array<string, array{string, string}> name and advice by the plugin's folder
     */
    private function known(): array
    {
        $sendcloud = __('Sendcloud makes its labels itself. Choose the sender or brand of the retailer there.', 'shopbridge');
        $byHand = __('This extension always prints your own address. Make labels for this order elsewhere.', 'shopbridge');
        return array(
            'sendcloud-shipping' => array('Sendcloud', $sendcloud),
            'sendcloud-connected-shipping' => array('Sendcloud', $sendcloud),
            'woocommerce-shipping' => array('WooCommerce Shipping', $byHand),
            'woocommerce-services' => array('WooCommerce Shipping & Tax', $byHand),
            'woo-shipping-dpd-baltic' => array('DPD Baltic', $byHand),
        );
    }
}
