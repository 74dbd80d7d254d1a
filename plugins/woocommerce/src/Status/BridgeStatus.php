<?php

/**
 * Asks the bridge how it sees this connection, when a person looks at the page; remembered for a minute.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

use Shopbridge\Outbox\Transport;

class BridgeStatus
{
    private const REMEMBERED = 'shopbridge_bridge_status';

    /** @var Transport */
    private $transport;

    public function __construct(Transport $transport)
    {
        $this->transport = $transport;
    }

    /**
     * @return array<string, mixed> the answer of /plugin/status, or `unreachable` with the reason
     */
    public function read(): array
    {
        $known = get_transient(self::REMEMBERED);
        if (is_array($known)) {
            return $known;
        }
        $answer = $this->transport->status(5);
        $status = $answer->code === 200 ? $answer->body : array('unreachable' => $answer->summary());
        set_transient(self::REMEMBERED, $status, MINUTE_IN_SECONDS);
        return $status;
    }

    public static function forget(): void
    {
        delete_transient(self::REMEMBERED);
    }

    /**
     * @param array<string, mixed> $status
     */
    public function sentence(array $status): string
    {
        if (isset($status['unreachable'])) {
            /* translators: %s: technical reason */
            return sprintf(__('The bridge does not answer: %s', 'shopbridge'), (string) $status['unreachable']);
        }
        $reason = is_array($status['reason'] ?? null) ? (string) ($status['reason']['message'] ?? '') : '';
        switch ($status['state'] ?? '') {
            case 'active':
                return __('connected', 'shopbridge');
            case 'pending':
                return __('waiting for the bridge to reach this shop for the first time', 'shopbridge');
            case 'paused':
                return trim(__('paused in the bridge', 'shopbridge') . ' ' . $reason);
            case 'needs_attention':
                return trim(__('needs attention:', 'shopbridge') . ' ' . $reason);
            case 'removed':
                return __('removed in the bridge', 'shopbridge');
            default:
                return __('unknown', 'shopbridge');
        }
    }
}
