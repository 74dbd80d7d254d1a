<?php

/**
 * True while this request carries out a command of the bridge, so that what it causes can be told from what people in the shop do.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class BridgeWrites
{
    /** @var bool */
    private $active = false;

    /** @var string */
    private $key = '';

    public function begin(string $key): void
    {
        $this->active = true;
        $this->key = $key;
    }

    public function end(): void
    {
        $this->active = false;
        $this->key = '';
    }

    public function active(): bool
    {
        return $this->active;
    }

    /** The key of the command that is running, '' when it has none. */
    public function key(): string
    {
        return $this->key;
    }
}
