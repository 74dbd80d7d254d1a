<?php

/**
 * Not now: the same thing is being done by another process. It is answered 503, the bridge comes again.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class Busy extends \RuntimeException
{
}
