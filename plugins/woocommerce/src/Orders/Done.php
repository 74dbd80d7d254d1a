<?php

/**
 * What is true after a command, and whether anything had to be done for it.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class Done
{
    /** @var array<string, mixed> */
    public $data;

    /** @var bool */
    public $already;

    /**
     * @param array<string, mixed> $data
     */
    public function __construct(array $data, bool $already = false)
    {
        $this->data = $data;
        $this->already = $already;
    }
}
