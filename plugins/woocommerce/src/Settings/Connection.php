<?php

/**
 * What this shop knows of its bridge. No secrets in here, so that it may be loaded with every request.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

final class Connection
{
    public const OPTION = 'shopbridge_connection';

    public function exists(): bool
    {
        return $this->key() !== '';
    }

    public function key(): string
    {
        return $this->fact('connection_key');
    }

    public function bridgeUrl(): string
    {
        return $this->fact('bridge_url');
    }

    public function webhookUrl(): string
    {
        return $this->fact('webhook_url');
    }

    public function statusUrl(): string
    {
        return $this->fact('status_url');
    }

    public function connectedAt(): int
    {
        return (int) $this->fact('connected_at');
    }

    /**
     * Keep the bridge's answer to a pairing (protocol.md section 2).
     *
     * @param array<string, mixed> $answer
     */
    public function remember(array $answer, string $bridgeUrl, int $now): void
    {
        update_option(
            self::OPTION,
            array(
                'bridge_url' => $bridgeUrl,
                'connection_key' => (string) $answer['connection_key'],
                'webhook_url' => (string) $answer['webhook_url'],
                'status_url' => (string) $answer['status_url'],
                'connected_at' => (string) $now,
            ),
            true
        );
    }

    public function forget(): void
    {
        delete_option(self::OPTION);
    }

    private function fact(string $name): string
    {
        $facts = get_option(self::OPTION, array());
        return is_array($facts) && isset($facts[$name]) ? (string) $facts[$name] : '';
    }
}
