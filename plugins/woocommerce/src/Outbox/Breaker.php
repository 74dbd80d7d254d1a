<?php

/**
 * Whether messages may be sent now. While the bridge cannot be reached, or refuses our signature, nothing is lost and nothing is sent but
 * one message now and then to see whether it is over.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

class Breaker
{
    public const OPTION = 'shopbridge_breaker';

    /** Seconds between two looks at a bridge that is away: soon at first, at last every five minutes, so that a backlog leaves quickly. */
    private const PROBES = array(5, 30, 60, 120, 300);
    private const SIGNATURE_PROBE = 300;
    private const LONGEST_WAIT = 3600;

    /** True when nothing may be sent at this moment. */
    public function closed(int $now): bool
    {
        $state = $this->read();
        return $state['kind'] === Verdict::REMOVED || ($state['kind'] !== '' && $now < $state['until']);
    }

    /** True when there was trouble and one message may be tried to see whether it is over. */
    public function probing(): bool
    {
        return $this->read()['kind'] !== '';
    }

    public function trip(string $kind, int $now, ?int $retryAfter, string $message): void
    {
        $state = $this->read();
        $failures = $state['kind'] === $kind ? $state['failures'] + 1 : 1;
        update_option(
            self::OPTION,
            array(
                'kind' => $kind,
                'since' => $state['kind'] === '' ? $now : $state['since'],
                'until' => $now + self::wait($kind, $failures, $retryAfter),
                'failures' => $failures,
                'message' => $message,
            ),
            false
        );
    }

    public function reset(): void
    {
        if ($this->probing()) {
            delete_option(self::OPTION);
        }
    }

    /** Let the next run try at once, whatever happened. For "send now" and a new connection. */
    public function forgive(): void
    {
        delete_option(self::OPTION);
    }

    /**
     * @return array{kind: string, since: int, until: int, failures: int, message: string}
     */
    public function read(): array
    {
        $state = get_option(self::OPTION, array());
        $state = is_array($state) ? $state : array();
        return array(
            'kind' => (string) ($state['kind'] ?? ''),
            'since' => (int) ($state['since'] ?? 0),
            'until' => (int) ($state['until'] ?? 0),
            'failures' => (int) ($state['failures'] ?? 0),
            'message' => (string) ($state['message'] ?? ''),
        );
    }

    private static function wait(string $kind, int $failures, ?int $retryAfter): int
    {
        if ($kind === Verdict::SIGNATURE) {
            return self::SIGNATURE_PROBE;
        }
        $wait = self::PROBES[min($failures, count(self::PROBES)) - 1];
        return min(self::LONGEST_WAIT, max($wait, (int) $retryAfter));
    }
}
