<?php

/**
 * No label, and why, in words for the merchant (K7). Label extensions catch it and show its message.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class LabelRefused extends \RuntimeException
{
}
