<?php

/**
 * Connects this shop with a bridge by a pairing code, and leaves it again (protocol.md section 2).
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

use Shopbridge\Events\ShopFacts;
use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Envelope;
use Shopbridge\Outbox\EventId;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Signature;
use Shopbridge\Outbox\Transport;

class Pairing
{
    /** @var Connection */
    private $connection;

    /** @var Secrets */
    private $secrets;

    /** @var Transport */
    private $transport;

    /** @var Outbox */
    private $outbox;

    /** @var Breaker */
    private $breaker;

    /** @var ShopFacts */
    private $shop;

    public function __construct(
        Connection $connection,
        Secrets $secrets,
        Transport $transport,
        Outbox $outbox,
        Breaker $breaker,
        ShopFacts $shop
    ) {
        $this->connection = $connection;
        $this->secrets = $secrets;
        $this->transport = $transport;
        $this->outbox = $outbox;
        $this->breaker = $breaker;
        $this->shop = $shop;
    }

    /** Connect. Answers '' when it worked, else a sentence for the merchant. */
    public function connect(string $typedUrl, string $typedCode): string
    {
        $url = BridgeAddress::read($typedUrl);
        if ($url === '') {
            return __('This bridge address cannot be used. It begins with https:// and has no question mark in it.', 'shopbridge');
        }
        $code = self::code($typedCode);
        if ($code === '') {
            return __('A pairing code has 10 letters and digits. Make one in the bridge; it is valid for 15 minutes.', 'shopbridge');
        }
        $answer = $this->transport->connect($url, (string) wp_json_encode($this->request($code)));
        if ($answer->code !== 201) {
            return self::sentence($answer);
        }
        if (!self::isComplete($answer->body)) {
            return __('The bridge answered something this plugin does not understand. Are both up to date?', 'shopbridge');
        }
        $this->store($answer->body, $url);
        return '';
    }

    /** Leave: tell the bridge, then forget everything about it. Answers whether the bridge has heard it. */
    public function disconnect(): bool
    {
        if (!$this->connection->exists()) {
            return true;
        }
        $heard = $this->sayGoodbye();
        $this->connection->forget();
        $this->secrets->forget();
        $this->breaker->forgive();
        Schedule::clear();
        return $heard;
    }

    private function sayGoodbye(): bool
    {
        $sequence = $this->outbox->draw(time());
        $stored = array('id' => $sequence, 'event_id' => EventId::fresh(), 'type' => 'plugin.removed', 'subject' => 'shop', 'created_at' => time());
        $row = Row::of($stored);
        return in_array($this->transport->event($row->eventId, Envelope::body($row, $this->shop->plugin()), 5)->code, array(200, 202), true);
    }

    /**
     * @param array<string, mixed> $answer
     */
    private function store(array $answer, string $url): void
    {
        $now = time();
        $this->secrets->remember((string) $answer['event_secret'], (string) $answer['command_secret']);
        $this->connection->remember($answer, $url, $now);
        $this->breaker->forgive();
        $this->outbox->lift($now);
        $this->outbox->append(array(array('type' => 'plugin.installed', 'subject' => 'shop')), $now);
        $this->outbox->hurry();
    }

    /**
     * @return array<string, string>
     */
    private function request(string $code): array
    {
        $plugin = $this->shop->plugin();
        return array(
            'code' => $code,
            'platform' => $plugin['platform'],
            'platform_version' => $plugin['platform_version'],
            'plugin_version' => $plugin['plugin_version'],
            'shop_name' => $this->shop->name(),
            'shop_url' => home_url(),
            'command_url' => rest_url('shopbridge/v1/commands'),
        ) + $this->shop->settings();
    }

    private static function code(string $typed): string
    {
        $code = strtoupper((string) preg_replace('/[\s-]+/', '', $typed));
        return preg_match('/^[23456789ABCDEFGHJKLMNPQRSTUVWXYZ]{10}$/', $code) === 1 ? $code : '';
    }

    /**
     * @param array<string, mixed> $answer
     */
    private static function isComplete(array $answer): bool
    {
        foreach (array('connection_key', 'webhook_url', 'status_url', 'event_secret', 'command_secret') as $field) {
            if (!is_string($answer[$field] ?? null)) {
                return false;
            }
        }
        return preg_match('/^[A-Za-z0-9_-]{1,100}$/', $answer['connection_key']) === 1
            && BridgeAddress::allowed($answer['webhook_url'])
            && BridgeAddress::allowed($answer['status_url'])
            && Signature::isSecret($answer['event_secret'])
            && Signature::isSecret($answer['command_secret']);
    }

    private static function sentence(Answer $answer): string
    {
        $error = is_array($answer->body['error'] ?? null) ? $answer->body['error'] : array();
        if ($answer->code === 0) {
            /* translators: %s: technical reason */
            return sprintf(__('The bridge cannot be reached from this shop: %s', 'shopbridge'), $answer->message);
        }
        if (($error['code'] ?? '') === 'pairing.code_invalid') {
            return __('The pairing code is wrong, used or older than 15 minutes. Make a new one in the bridge.', 'shopbridge');
        }
        if (($error['code'] ?? '') === 'address.forbidden') {
            return __('The bridge may not call this shop at its address. Is the shop reachable from the internet by https?', 'shopbridge');
        }
        if ($answer->code === 429) {
            return __('Too many tries. Wait a minute and try again.', 'shopbridge');
        }
        if ($answer->code === 404) {
            return __('There is no bridge at this address.', 'shopbridge');
        }
        /* translators: %s: technical reason */
        return sprintf(__('The bridge refused the connection: %s', 'shopbridge'), $answer->summary());
    }
}
