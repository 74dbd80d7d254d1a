<?php

/**
 * One extension that makes labels. A new one is one class, and one line in Labels. Where an extension's hook is not asked, its label
 * shows the supplier; Journal then warns.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

interface LabelExtension
{
    /** What merchants call it. */
    public function name(): string;

    public function isInstalled(): bool;

    /** Listen to its hooks. Hooks of an extension that is not there never fire, so nothing is asked before. */
    public function register(): void;
}
