<?php

/**
 * The two secrets of the connection, and the old pair for the 24 hours of a rotation. Never loaded with every request, never printed.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

final class Secrets
{
    public const OPTION = 'shopbridge_secrets';
    public const OVERLAP = DAY_IN_SECONDS;

    /**
     * Secrets that sign events: the new one first, the old one too while it is still valid.
     *
     * @return string[]
     */
    public function forEvents(int $now): array
    {
        return $this->valid('event', $now);
    }

    /**
     * Secrets that a command may be signed with.
     *
     * @return string[]
     */
    public function forCommands(int $now): array
    {
        return $this->valid('command', $now);
    }

    public function remember(string $event, string $command): void
    {
        $this->write(array('event' => $event, 'command' => $command));
    }

    public function rotate(string $event, string $command, int $now): void
    {
        $old = $this->read();
        if (($old['event'] ?? '') === $event && ($old['command'] ?? '') === $command) {
            return;
        }
        $this->write(
            array(
                'event' => $event,
                'command' => $command,
                'event_old' => $old['event'] ?? '',
                'command_old' => $old['command'] ?? '',
                'old_until' => (string) ($now + self::OVERLAP),
            )
        );
    }

    public function forget(): void
    {
        delete_option(self::OPTION);
    }

    /**
     * @return string[]
     */
    private function valid(string $kind, int $now): array
    {
        $all = $this->read();
        $valid = array($all[$kind] ?? '');
        if ($now < (int) ($all['old_until'] ?? 0)) {
            $valid[] = $all[$kind . '_old'] ?? '';
        }
        return array_values(array_filter($valid));
    }

    /**
     * @return array<string, string>
     */
    private function read(): array
    {
        $all = get_option(self::OPTION, array());
        return is_array($all) ? $all : array();
    }

    /**
     * @param array<string, string> $all
     */
    private function write(array $all): void
    {
        update_option(self::OPTION, $all, false);
    }
}
