<?php

/**
 * The one door out: a signed request to the bridge. It never follows redirects and never throws; no answer is an answer with code 0.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;

class Transport
{
    /** @var Connection */
    private $connection;

    /** @var Secrets */
    private $secrets;

    public function __construct(Connection $connection, Secrets $secrets)
    {
        $this->connection = $connection;
        $this->secrets = $secrets;
    }

    public function event(string $id, string $body, int $timeout): Answer
    {
        return $this->request('POST', $this->connection->webhookUrl(), $this->signed($id, $body), $body, $timeout);
    }

    public function status(int $timeout): Answer
    {
        $headers = $this->signed(EventId::fresh(), '');
        $headers['shopbridge-connection'] = $this->connection->key();
        return $this->request('GET', $this->connection->statusUrl(), $headers, '', $timeout);
    }

    /**
     * A signed question to one of the bridge's addresses for this plugin, JSON in. What is not JSON comes back as it is, in `bytes`.
     *
     * @param string $path like /plugin/packing-slip
     */
    public function ask(string $path, string $body, int $timeout, int $largest = 65536): Answer
    {
        $headers = $this->signed(EventId::fresh(), $body);
        $headers['shopbridge-connection'] = $this->connection->key();
        return $this->request('POST', $this->connection->bridgeUrl() . $path, $headers, $body, $timeout, $largest);
    }

    /** The pairing request: not signed, the code in it is the proof. */
    public function connect(string $bridgeUrl, string $body): Answer
    {
        return $this->request('POST', $bridgeUrl . '/plugin/connect', array(), $body, 15);
    }

    /**
     * @return array<string, string>
     */
    private function signed(string $id, string $body): array
    {
        $now = time();
        return array(
            'webhook-id' => $id,
            'webhook-timestamp' => (string) $now,
            'webhook-signature' => Signature::header($this->secrets->forEvents($now), $id, $now, $body),
        );
    }

    /**
     * Not the "safe" call of WordPress: that one refuses private addresses and unusual ports, where a self-hosted bridge may well be.
     *
     * @param array<string, string> $headers
     */
    private function request(string $method, string $url, array $headers, string $body, int $timeout, int $largest = 65536): Answer
    {
        $arguments = array(
            'method' => $method,
            'timeout' => $timeout,
            'redirection' => 0,
            'sslverify' => true,
            'limit_response_size' => $largest,
            'user-agent' => 'Shopbridge-WooCommerce/' . \Shopbridge\Plugin::VERSION,
            'headers' => $headers + array('Accept' => 'application/json'),
        );
        if ($method === 'POST') {
            $arguments['headers']['Content-Type'] = 'application/json';
            $arguments['body'] = $body;
            $arguments['data_format'] = 'body';
        }
        return $this->answer(wp_remote_request($url, $arguments));
    }

    /**
     * @param array<string, mixed>|\WP_Error $response
     */
    private function answer($response): Answer
    {
        if (is_wp_error($response)) {
            return new Answer(0, null, mb_substr($response->get_error_message(), 0, 300));
        }
        $bytes = (string) wp_remote_retrieve_body($response);
        $decoded = json_decode($bytes, true);
        return new Answer(
            (int) wp_remote_retrieve_response_code($response),
            self::seconds((string) wp_remote_retrieve_header($response, 'retry-after')),
            '',
            is_array($decoded) ? $decoded : array(),
            is_array($decoded) ? '' : $bytes
        );
    }

    /** Retry-After is a number of seconds or a date (RFC 9110). */
    private static function seconds(string $header): ?int
    {
        if ($header === '') {
            return null;
        }
        if (ctype_digit($header)) {
            return (int) $header;
        }
        $date = strtotime($header);
        return $date === false ? null : max(0, $date - time());
    }
}
