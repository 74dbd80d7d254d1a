<?php

/**
 * All label extensions that put the retailer on the label (K7). They listen also while the shop is disconnected: an order that waits for
 * its label must not get the supplier's address because of that.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

class Labels
{
    /** @var LabelExtension[] */
    private $extensions;

    /**
     * @param LabelExtension[] $extensions
     */
    public function __construct(array $extensions)
    {
        $this->extensions = $extensions;
    }

    public static function all(): self
    {
        $journal = new Journal();
        return new self(
            array(
                new Shiptastic($journal),
                DhlShipper::ofShiptastic($journal),
                new Germanized($journal),
                DhlShipper::ofGermanized($journal),
                new DhlForWooCommerce($journal),
                new Gls($journal),
                new DhlEcommerce($journal),
            )
        );
    }

    public function register(): void
    {
        foreach ($this->extensions as $extension) {
            $extension->register();
        }
    }

    /**
     * @return string[] names of the installed ones
     */
    public function installed(): array
    {
        $names = array();
        foreach ($this->extensions as $extension) {
            if ($extension->isInstalled()) {
                $names[] = $extension->name();
            }
        }
        return $names;
    }
}
