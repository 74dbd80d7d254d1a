<?php

/**
 * One command of protocol.md section 4. All are safe to repeat.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;

interface Command
{
    /** @throws \Shopbridge\Orders\Refusal|\Shopbridge\Orders\Busy */
    public function run(CommandData $data): Done;
}
