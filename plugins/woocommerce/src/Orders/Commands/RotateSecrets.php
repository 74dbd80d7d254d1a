<?php

/**
 * secret.rotate: a new pair; the old one stays valid for 24 hours.
 */

declare(strict_types=1);

namespace Shopbridge\Orders\Commands;

use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Done;
use Shopbridge\Outbox\Signature;
use Shopbridge\Settings\Secrets;

final class RotateSecrets implements Command
{
    /** @var Secrets */
    private $secrets;

    public function __construct(Secrets $secrets)
    {
        $this->secrets = $secrets;
    }

    public function run(CommandData $data): Done
    {
        foreach (array('event_secret', 'command_secret') as $name) {
            if (!Signature::isSecret($data->text($name, 200))) {
                throw $data->invalid($name, 'is not a secret');
            }
        }
        $this->secrets->rotate($data->text('event_secret', 200), $data->text('command_secret', 200), time());
        return new Done(array());
    }
}
