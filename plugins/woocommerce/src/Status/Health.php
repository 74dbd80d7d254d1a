<?php

/**
 * What the merchant sees about the sending: when it last worked, and what last went wrong.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

class Health
{
    public const OPTION = 'shopbridge_health';

    /** @var array<string, int|string> */
    private $changes = array();

    public function ok(int $now): void
    {
        $this->changes['ok_at'] = $now;
    }

    public function failed(int $now, string $what, string $why): void
    {
        $this->changes['failed_at'] = $now;
        $this->changes['failed_what'] = $what;
        $this->changes['failed_why'] = $why;
    }

    /** Action Scheduler gave us a turn. */
    public function swept(int $now): void
    {
        $this->changes['swept_at'] = $now;
    }

    /** Written once for a whole batch. */
    public function save(): void
    {
        if ($this->changes !== array()) {
            update_option(self::OPTION, $this->changes + $this->read(), false);
            $this->changes = array();
        }
    }

    /**
     * @return array<string, int|string>
     */
    public function read(): array
    {
        $stored = get_option(self::OPTION, array());
        $none = array('ok_at' => 0, 'failed_at' => 0, 'failed_what' => '', 'failed_why' => '', 'swept_at' => 0);
        return (is_array($stored) ? $stored : array()) + $none;
    }
}
