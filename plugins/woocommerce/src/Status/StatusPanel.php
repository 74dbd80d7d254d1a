<?php

/**
 * Connected? Last event, last error and why, what waits, what is dead: one look for the merchant, and what to do about it.
 */

declare(strict_types=1);

namespace Shopbridge\Status;

use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Verdict;
use Shopbridge\Products\Releases;
use Shopbridge\Products\ReleaseScreens;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\SettingsActions;
use Shopbridge\Settings\SettingsPage;

class StatusPanel
{
    /** @var Connection */
    private $connection;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var Health */
    private $health;

    /** @var BridgeStatus */
    private $bridge;

    /** @var QueueCheck */
    private $queue;

    public function __construct(
        Connection $connection,
        Outbox $outbox,
        Breaker $breaker,
        Health $health,
        BridgeStatus $bridge,
        QueueCheck $queue
    ) {
        $this->connection = $connection;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->health = $health;
        $this->bridge = $bridge;
        $this->queue = $queue;
    }

    public function show(): void
    {
        $this->showWarnings();
        echo '<h2>' . esc_html__('Status', 'shopbridge') . '</h2><table class="widefat striped" style="max-width:60em"><tbody>';
        foreach ($this->lines() as $name => $text) {
            echo '<tr><th scope="row" style="width:16em">' . esc_html($name) . '</th><td>' . esc_html($text) . '</td></tr>';
        }
        echo '</tbody></table><p>';
        echo '<a class="button" href="' . esc_url($this->connection->bridgeUrl()) . '" target="_blank" rel="noopener noreferrer">';
        echo esc_html__('Open the bridge', 'shopbridge') . '</a></p>';
        $this->showButton(SettingsActions::SEND_NOW, __('Send now', 'shopbridge'));
        $this->showReleases();
        $this->showDead();
    }

    /**
     * @return array<string, string> what is shown, by its heading
     */
    public function lines(): array
    {
        $counts = $this->outbox->counts();
        $health = $this->health->read();
        $oldest = $this->outbox->oldestWaiting();
        $bridge = $this->bridge->read();
        return array(
            __('Connection', 'shopbridge') => $this->bridge->sentence($bridge),
            __('Bridge', 'shopbridge') => $this->connection->bridgeUrl() . ' (' . $this->connection->key() . ')',
            __('Sending', 'shopbridge') => $this->sending(),
            __('Last message that arrived', 'shopbridge') => self::time((int) $health['ok_at']),
            __('Last error', 'shopbridge') => self::error($health),
            __('Waiting', 'shopbridge') => (string) ($counts[Row::WAITING] ?? 0),
            __('Oldest waiting', 'shopbridge') => $oldest === null ? '–' : self::time($oldest),
            __('Refused by the bridge', 'shopbridge') => (string) ($counts[Row::PARKED] ?? 0),
            __('Given up', 'shopbridge') => (string) ($counts[Row::DEAD] ?? 0),
            __('Messages the bridge got today', 'shopbridge') => isset($bridge['events_today']) ? (string) $bridge['events_today'] : '–',
            __('Open cases in the bridge', 'shopbridge') => isset($bridge['open_cases']) ? (string) $bridge['open_cases'] : '–',
        );
    }

    private function sending(): string
    {
        $state = $this->breaker->read();
        switch ($state['kind']) {
            case '':
                return __('works', 'shopbridge');
            case Verdict::SIGNATURE:
                return __('stopped: the bridge does not accept our signature. Is the clock of this server right? Otherwise connect anew.', 'shopbridge');
            case Verdict::REMOVED:
                return __('stopped: the bridge says this connection was removed. Connect anew.', 'shopbridge');
            default:
                /* translators: 1: time, 2: technical reason */
                $text = __('waits: the bridge cannot be reached since %1$s (%2$s). Nothing is lost, everything is sent when it is back.', 'shopbridge');
                return sprintf($text, self::time($state['since']), $state['message']);
        }
    }

    private function showWarnings(): void
    {
        foreach ($this->queue->warnings(time()) as $warning) {
            echo '<div class="notice notice-warning inline"><p>' . esc_html($warning) . '</p></div>';
        }
    }

    /** What the bridge releases to retailers of the dropshipping network, and what keeps the others back (K1). */
    private function showReleases(): void
    {
        $counts = Releases::counts();
        if (array_sum($counts) === 0) {
            return;
        }
        echo '<h2>' . esc_html__('Dropshipping network', 'shopbridge') . '</h2><table class="widefat striped" style="max-width:60em"><tbody>';
        self::countRow(__('Released to retailers', 'shopbridge'), $counts['released'], Releases::RELEASED);
        self::countRow(__('Not released', 'shopbridge'), $counts['not_released'], Releases::NOT_RELEASED);
        foreach (Releases::byReason() as $reason) {
            self::countRow('– ' . $reason['text'], $reason['count'], $reason['code']);
        }
        echo '</tbody></table>';
    }

    private static function countRow(string $name, int $count, string $filter): void
    {
        echo '<tr><th scope="row">' . esc_html($name) . '</th><td><a href="' . esc_url(ReleaseScreens::listUrl($filter)) . '">';
        echo esc_html((string) $count) . '</a></td></tr>';
    }

    private function showDead(): void
    {
        $dead = array_merge($this->outbox->newestOf(Row::DEAD, 20), $this->outbox->newestOf(Row::PARKED, 20));
        if ($dead === array()) {
            return;
        }
        echo '<h2>' . esc_html__('Messages that did not arrive', 'shopbridge') . '</h2>';
        echo '<table class="widefat striped" style="max-width:60em"><thead><tr><th>' . esc_html__('When', 'shopbridge') . '</th><th>';
        echo esc_html__('What', 'shopbridge') . '</th><th>' . esc_html__('Why', 'shopbridge') . '</th></tr></thead><tbody>';
        foreach ($dead as $row) {
            echo '<tr><td>' . esc_html(self::time($row->createdAt)) . '</td><td>' . esc_html($row->type . ' ' . $row->subject) . '</td>';
            echo '<td>' . esc_html($row->error) . '</td></tr>';
        }
        echo '</tbody></table>';
        $this->showButton(SettingsActions::RESEND, __('Send all of them again', 'shopbridge'));
    }

    private function showButton(string $action, string $text): void
    {
        SettingsPage::openForm($action);
        submit_button($text, 'secondary', 'submit', false);
        echo '</form>';
    }

    /**
     * @param array<string, int|string> $health
     */
    private static function error(array $health): string
    {
        if ((int) $health['failed_at'] === 0) {
            return '–';
        }
        return self::time((int) $health['failed_at']) . ': ' . $health['failed_what'] . ': ' . $health['failed_why'];
    }

    private static function time(int $unix): string
    {
        return $unix === 0 ? '–' : (string) wp_date('Y-m-d H:i:s', $unix);
    }
}
