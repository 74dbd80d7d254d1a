<?php

/**
 * The buttons of the settings page. Each asks for the right to manage the shop and for its own nonce before it does anything.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Sender;

class SettingsActions
{
    public const CONNECT = 'shopbridge_connect';
    public const DISCONNECT = 'shopbridge_disconnect';
    public const SAVE = 'shopbridge_save';
    public const RESEND = 'shopbridge_resend';
    public const SEND_NOW = 'shopbridge_send_now';

    /** @var Pairing */
    private $pairing;

    /** @var Choices */
    private $choices;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var Schedule */
    private $schedule;

    /** @var callable(): Sender */
    private $sender;

    public function __construct(Pairing $pairing, Choices $choices, Outbox $outbox, Breaker $breaker, Schedule $schedule, callable $sender)
    {
        $this->pairing = $pairing;
        $this->choices = $choices;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->schedule = $schedule;
        $this->sender = $sender;
    }

    public function register(): void
    {
        add_action('admin_post_' . self::CONNECT, array($this, 'connect'));
        add_action('admin_post_' . self::DISCONNECT, array($this, 'disconnect'));
        add_action('admin_post_' . self::SAVE, array($this, 'save'));
        add_action('admin_post_' . self::RESEND, array($this, 'resend'));
        add_action('admin_post_' . self::SEND_NOW, array($this, 'sendNow'));
    }

    public function connect(): void
    {
        $this->mayOrDie(self::CONNECT);
        $problem = $this->pairing->connect(self::posted('bridge_url'), self::posted('code'));
        if ($problem === '') {
            $this->schedule->ensureSweep();
            ($this->sender)()->drain(5, 5);
        }
        $this->back($problem, __('Connected. The bridge now checks whether it can reach this shop.', 'shopbridge'));
    }

    public function disconnect(): void
    {
        $this->mayOrDie(self::DISCONNECT);
        $heard = $this->pairing->disconnect();
        $problem = $heard ? '' : __('Disconnected, but the bridge could not be told. Remove the connection there too.', 'shopbridge');
        $this->back($problem, __('Disconnected.', 'shopbridge'));
    }

    public function save(): void
    {
        $this->mayOrDie(self::SAVE);
        $source = self::posted('gtin_source') === 'meta' ? self::posted('gtin_meta') : Choices::GTIN_FIELD;
        if (preg_match('/^[A-Za-z0-9_-]{1,100}$/', $source) !== 1) {
            $this->back(__('The name of a meta key has only letters, digits, dashes and underscores.', 'shopbridge'), '');
            return;
        }
        $this->choices->remember($source, self::posted('remove_data') === 'yes');
        $this->back('', __('Saved.', 'shopbridge'));
    }

    public function resend(): void
    {
        $this->mayOrDie(self::RESEND);
        $again = $this->outbox->resendDead();
        /* translators: %d: number of messages */
        $this->back('', sprintf(__('%d messages are sent again.', 'shopbridge'), $again));
    }

    public function sendNow(): void
    {
        $this->mayOrDie(self::SEND_NOW);
        $this->breaker->forgive();
        $this->outbox->hurry();
        ($this->sender)()->drain(15, 5);
        $trouble = $this->breaker->read()['message'];
        $this->back($trouble, __('Sent.', 'shopbridge'));
    }

    private function mayOrDie(string $action): void
    {
        if (!current_user_can('manage_woocommerce')) {
            wp_die(esc_html__('You may not do this.', 'shopbridge'), '', array('response' => 403));
        }
        check_admin_referer($action);
    }

    /** The nonce was checked before this is called. */
    private static function posted(string $name): string
    {
        return isset($_POST[$name]) && is_string($_POST[$name]) ? sanitize_text_field(wp_unslash($_POST[$name])) : '';
    }

    private function back(string $problem, string $success): void
    {
        $notice = array('kind' => $problem === '' ? 'success' : 'error', 'text' => $problem === '' ? $success : $problem);
        set_transient('shopbridge_notice_' . get_current_user_id(), $notice, 60);
        wp_safe_redirect(SettingsPage::url());
        $this->leave();
    }

    protected function leave(): void
    {
        exit;
    }
}
