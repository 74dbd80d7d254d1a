<?php

/**
 * WooCommerce > Dropshipping: the merchant's place in the network. Every page asks the bridge how things are now; without an answer it says so
 * and shows no forms that could overwrite something.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Products\NetworkCategories;
use Shopbridge\Products\Releases;
use Shopbridge\Products\ReleaseScreens;
use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Memo;
use Shopbridge\Screens\Notices;
use Shopbridge\Screens\Reply;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\SettingsPage;

class NetworkPage
{
    public const SLUG = 'shopbridge-network';

    /** @var Connection */
    private $connection;

    /** @var NetworkBridge */
    private $bridge;

    public function __construct(Connection $connection, NetworkBridge $bridge)
    {
        $this->connection = $connection;
        $this->bridge = $bridge;
    }

    public function register(): void
    {
        add_action('admin_menu', array($this, 'addMenu'), 61);
    }

    /**
     * @param array<string, string> $more
     */
    public static function url(string $tab, array $more = array()): string
    {
        $query = http_build_query(array('page' => self::SLUG, 'tab' => $tab) + array_filter($more), '', '&', PHP_QUERY_RFC3986);
        return admin_url('admin.php?' . $query);
    }

    public function addMenu(): void
    {
        $title = __('Shopbridge: Network', 'shopbridge');
        add_submenu_page('woocommerce', $title, $title, 'manage_woocommerce', self::SLUG, array($this, 'show'));
    }

    public function show(): void
    {
        if (!current_user_can('manage_woocommerce')) {
            return;
        }
        echo '<div class="wrap"><h1>' . esc_html__('Dropshipping network', 'shopbridge') . '</h1>';
        if ($this->connection->exists()) {
            $this->showConnected();
        } else {
            echo '<p>' . esc_html__('Connect this shop with a bridge first.', 'shopbridge') . ' <a href="' . esc_url(SettingsPage::url()) . '">';
            echo esc_html__('Settings', 'shopbridge') . '</a></p>';
        }
        echo '</div>';
    }

    private function showConnected(): void
    {
        $memo = Memo::take(self::SLUG);
        $answer = $this->bridge->state();
        $problems = NetworkBridge::problems($answer);
        if ($problems !== array()) {
            Notices::problems(array_merge(array_values($memo->problems), array_values($problems)));
            return;
        }
        NetworkCategories::remember($answer->body, time());
        $tab = $this->tab();
        $this->showTabs($tab);
        Notices::success($memo->success);
        $this->showTab($tab, $answer->body, $memo);
    }

    /**
     * @param array<string, mixed> $state
     */
    private function showTab(string $tab, array $state, Memo $memo): void
    {
        if ($tab === 'profile') {
            $profile = is_array($state['profile'] ?? null) ? $state['profile'] : array();
            $this->showProfile($profile, $memo);
            return;
        }
        Notices::problems(array_values($memo->problems));
        if ($tab === 'partners') {
            (new PartnerList($state))->show();
        } elseif ($tab === 'catalogue') {
            (new Catalogue($this->bridge, $state))->show();
        } else {
            $this->showOverview($state);
        }
    }

    private function showTabs(string $here): void
    {
        echo '<nav class="nav-tab-wrapper">';
        foreach (self::tabs() as $tab => $name) {
            $class = $tab === $here ? 'nav-tab nav-tab-active' : 'nav-tab';
            echo '<a class="' . esc_attr($class) . '" href="' . esc_url(self::url($tab)) . '">' . esc_html($name) . '</a>';
        }
        echo '</nav>';
    }

    /**
     * @param array<string, mixed> $profile
     */
    private function showProfile(array $profile, Memo $memo): void
    {
        echo '<p><strong>' . esc_html(self::stateSentence($profile)) . '</strong></p>';
        if (!empty($profile['payout_blocked'])) {
            Notices::problems(array(__('Nothing is paid out until the operator has approved the new bank account.', 'shopbridge')));
        }
        $form = new ProfileForm($profile, $memo);
        if (isset($memo->problems[''])) {
            Notices::problems(array($memo->problems['']));
        } elseif ($memo->problems !== array()) {
            Notices::problems(array(__('This was not saved. What is wrong stands beside the fields.', 'shopbridge')));
        }
        $form->show();
        // Below the form, because only now is it known which of them found a field.
        Notices::problems(array_diff($form->others(), array($memo->problems[''] ?? '')));
    }

    /**
     * @param array<string, mixed> $state
     */
    private function showOverview(array $state): void
    {
        $profile = is_array($state['profile'] ?? null) ? $state['profile'] : array();
        echo '<h2>' . esc_html__('Your profile', 'shopbridge') . '</h2><p>' . esc_html(self::stateSentence($profile)) . '</p>';
        if (!empty($state['supplier'])) {
            $this->showReleases($state);
        }
        $this->showMoney(is_array($state['money'] ?? null) ? $state['money'] : array());
    }

    /**
     * @param array<string, mixed> $state
     */
    private function showReleases(array $state): void
    {
        echo '<h2>' . esc_html__('Your products', 'shopbridge') . '</h2><table class="widefat striped" style="max-width:60em"><tbody>';
        self::row(__('Released to retailers', 'shopbridge'), (string) (int) ($state['released'] ?? 0), ReleaseScreens::listUrl(Releases::RELEASED));
        self::row(__('Not released', 'shopbridge'), (string) (int) ($state['not_released'] ?? 0), ReleaseScreens::listUrl(Releases::NOT_RELEASED));
        foreach (Reply::list($state, 'by_reason') as $reason) {
            if (is_array($reason)) {
                $code = Reply::text($reason, 'code');
                $text = Reply::text($reason, 'text');
                self::row('– ' . ($text === '' ? $code : $text), (string) (int) ($reason['count'] ?? 0), ReleaseScreens::listUrl($code));
            }
        }
        echo '</tbody></table>';
    }

    /**
     * @param array<string, mixed> $money
     */
    private function showMoney(array $money): void
    {
        if ($money === array()) {
            return;
        }
        $currency = Reply::text($money, 'currency');
        echo '<h2>' . esc_html__('Money', 'shopbridge') . '</h2><table class="widefat striped" style="max-width:60em"><tbody>';
        foreach (self::moneyNames() as $name => $text) {
            if (isset($money[$name])) {
                self::row($text, Amounts::shown($money[$name], $currency));
            }
        }
        echo '</tbody></table>';
    }

    private static function row(string $name, string $value, string $url = ''): void
    {
        echo '<tr><th scope="row">' . esc_html($name) . '</th><td>';
        if ($url === '') {
            echo esc_html($value);
        } else {
            echo '<a href="' . esc_url($url) . '">' . esc_html($value) . '</a>';
        }
        echo '</td></tr>';
    }

    /**
     * @param array<string, mixed> $profile
     */
    private static function stateSentence(array $profile): string
    {
        switch (Reply::text($profile, 'state')) {
            case 'submitted':
                return __('Submitted: the operator of the network will look at your profile.', 'shopbridge');
            case 'approved':
                return __('Approved.', 'shopbridge');
            case 'refused':
                /* translators: %s: reason of the operator */
                return sprintf(__('Refused by the operator: %s', 'shopbridge'), Reply::text($profile, 'reason'));
            default:
                return __('Not submitted yet. Fill in your profile and submit it.', 'shopbridge');
        }
    }

    private function tab(): string
    {
        $asked = Input::text('tab');
        return isset(self::tabs()[$asked]) ? $asked : 'overview';
    }

    /**
     * @return array<string, string>
     */
    private static function tabs(): array
    {
        return array(
            'overview' => __('Overview', 'shopbridge'),
            'profile' => __('Profile', 'shopbridge'),
            'partners' => __('Partners', 'shopbridge'),
            'catalogue' => __('Catalogue', 'shopbridge'),
        );
    }

    /**
     * @return array<string, string>
     */
    private static function moneyNames(): array
    {
        return array(
            'held' => __('Held until the parcels are on their way', 'shopbridge'),
            'released' => __('Released for suppliers', 'shopbridge'),
            'paid_out' => __('Paid out', 'shopbridge'),
            'receivable' => __('To be set off against later payments', 'shopbridge'),
            'refunded' => __('Refunded', 'shopbridge'),
        );
    }
}
