<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Signature;
use Shopbridge\Outbox\Transport;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

final class TransportTest extends ShopTestCase
{
    public function testAnEventIsPostedSignedAndFollowsNoRedirect(): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 202, 'body' => '{}'));
        $answer = $this->transport()->event('evt_1', '{"a":1}', 7);
        $request = \FakeShop::$requests[0];
        self::assertSame(202, $answer->code);
        self::assertSame('https://bridge.example/webhooks/cn_anna', $request['url']);
        self::assertSame(0, $request['redirection']);
        self::assertTrue($request['sslverify']);
        self::assertSame(7, $request['timeout']);
        $headers = $request['headers'];
        self::assertSame('evt_1', $headers['webhook-id']);
        self::assertTrue(
            Signature::holds(array(self::SECRET), 'evt_1', $headers['webhook-timestamp'], $headers['webhook-signature'], '{"a":1}', time())
        );
    }

    public function testTheStatusIsAskedWithTheConnectionKeyAndASignedEmptyBody(): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 200, 'body' => '{"state": "active"}'));
        self::assertSame('active', $this->transport()->status(5)->body['state']);
        $headers = \FakeShop::$requests[0]['headers'];
        self::assertSame('cn_anna', $headers['shopbridge-connection']);
        self::assertTrue(
            Signature::holds(array(self::SECRET), $headers['webhook-id'], $headers['webhook-timestamp'], $headers['webhook-signature'], '', time())
        );
    }

    public function testAQuestionIsSignedNamesTheConnectionAndKeepsBytes(): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 200, 'body' => '%PDF-1.4 x'));
        $answer = $this->transport()->ask('/plugin/packing-slip', '{"order_id":"5"}', 20, 1000);
        $request = \FakeShop::$requests[0];
        self::assertSame(array('%PDF-1.4 x', array()), array($answer->bytes, $answer->body));
        self::assertSame('https://bridge.example/plugin/packing-slip', $request['url']);
        self::assertSame(array('POST', 1000, '{"order_id":"5"}'), array($request['method'], $request['limit_response_size'], $request['body']));
        $headers = $request['headers'];
        self::assertSame('cn_anna', $headers['shopbridge-connection']);
        $signature = $headers['webhook-signature'];
        self::assertTrue(Signature::holds(array(self::SECRET), $headers['webhook-id'], $headers['webhook-timestamp'], $signature, $request['body'], time()));
    }

    public function testNoAnswerIsAnAnswerWithCodeZero(): void
    {
        $this->connect();
        \FakeShop::$answers = array(new \WP_Error('http_request_failed', 'timed out'));
        $answer = $this->transport()->event('evt_1', '{}', 2);
        self::assertSame(array(0, 'timed out'), array($answer->code, $answer->message));
    }

    /** @dataProvider waits */
    public function testRetryAfterIsSecondsOrADate(string $header, ?int $from, ?int $to): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 503, 'headers' => array('retry-after' => $header)));
        $wait = $this->transport()->event('evt_1', '{}', 2)->retryAfter;
        if ($from === null) {
            self::assertNull($wait);
        } else {
            self::assertGreaterThanOrEqual($from, $wait);
            self::assertLessThanOrEqual($to, $wait);
        }
    }

    /** @return array<string, array{string, int|null, int|null}> */
    public function waits(): array
    {
        return array(
            'seconds' => array('7', 7, 7),
            'date' => array(gmdate('D, d M Y H:i:s', time() + 100) . ' GMT', 50, 100),
            'past' => array('Thu, 01 Jan 1970 00:00:01 GMT', 0, 0),
            'nothing' => array('', null, null),
            'nonsense' => array('soon!?', null, null),
        );
    }

    private function transport(): Transport
    {
        return new Transport(new Connection(), new Secrets());
    }
}
