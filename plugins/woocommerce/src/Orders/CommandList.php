<?php

/**
 * Which class carries out which command.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

use Shopbridge\Orders\Commands\Command;

class CommandList
{
    /** @var array<string, callable(): Command> */
    private $makers;

    /**
     * @param array<string, callable(): Command> $makers
     */
    public function __construct(array $makers)
    {
        $this->makers = $makers;
    }

    public function find(string $type): Command
    {
        if (!isset($this->makers[$type])) {
            throw new Refusal('command.unknown', 'This plugin does not know the command ' . mb_substr($type, 0, 40) . '.', 'type');
        }
        return $this->makers[$type]();
    }

    /**
     * @return string[]
     */
    public function types(): array
    {
        return array_keys($this->makers);
    }
}
