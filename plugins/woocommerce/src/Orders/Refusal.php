<?php

/**
 * A command that a person must look at: it is answered 422 with a code of protocol.md section 4.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class Refusal extends \RuntimeException
{
    /** @var string */
    public $reason;

    /** @var string */
    public $field;

    public function __construct(string $reason, string $message, string $field = '')
    {
        parent::__construct($message);
        $this->reason = $reason;
        $this->field = $field;
    }
}
