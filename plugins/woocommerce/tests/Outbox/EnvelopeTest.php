<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Envelope;
use Shopbridge\Outbox\EventId;
use Shopbridge\Tests\ShopTestCase;

final class EnvelopeTest extends ShopTestCase
{
    public function testItHasTheFiveFieldsOfTheProtocol(): void
    {
        $message = json_decode(Envelope::body($this->row(4711), array('id' => 1042)), true);
        self::assertSame(array('type', 'timestamp', 'sequence', 'subject', 'data'), array_keys($message));
        self::assertSame('1970-01-01T00:16:40Z', $message['timestamp']);
        self::assertSame(4711, $message['sequence']);
        self::assertSame('order/1042', $message['subject']);
    }

    public function testNoDataIsAnEmptyObjectNotAnEmptyList(): void
    {
        self::assertStringEndsWith('"data":{}}', Envelope::body($this->row(1), array()));
    }

    public function testWhatTheBridgeWouldRefuseIsCleaned(): void
    {
        $deep = 'bottom';
        for ($level = 0; $level < 60; $level++) {
            $deep = array($deep);
        }
        $data = array('nul' => "a\0b", 'utf8' => "a\xff", 'nan' => NAN, 'big' => PHP_INT_MAX, 'deep' => $deep, 'object' => (object) array('x' => 1));
        $body = Envelope::body($this->row(1), $data);
        $clean = json_decode($body, true, 32, JSON_THROW_ON_ERROR)['data'];
        self::assertSame('ab', $clean['nul']);
        self::assertSame("a\u{fffd}", $clean['utf8']);
        self::assertNull($clean['nan']);
        self::assertSame((string) PHP_INT_MAX, $clean['big']);
        self::assertSame(array('x' => 1), $clean['object']);
        self::assertStringNotContainsString('\u0000', $body);
    }

    public function testATooLongMessageLosesWhatNobodyNeedsToSell(): void
    {
        $data = array('id' => 17, 'description' => str_repeat('Tee ', 14000), 'attributes' => array_fill(0, 30, str_repeat('x', 10000)), 'sku' => 'TEE-001');
        $body = Envelope::body($this->row(1), $data);
        self::assertLessThanOrEqual(Envelope::LIMIT, strlen($body));
        self::assertSame('TEE-001', json_decode($body, true)['data']['sku']);
    }

    public function testWhatIsStillTooLongIsSaidAndNotSent(): void
    {
        $this->expectException(\LengthException::class);
        Envelope::body($this->row(1), array('line_items' => array_fill(0, 10, str_repeat('x', 50000))));
    }

    public function testEventIdsHaveTheFormOfTheProtocolAndNeverRepeat(): void
    {
        $ids = array();
        for ($number = 0; $number < 500; $number++) {
            $ids[EventId::fresh()] = true;
        }
        self::assertCount(500, $ids);
        self::assertMatchesRegularExpression('/^evt_[A-Za-z0-9_-]{26,60}$/', (string) array_key_first($ids));
    }
}
