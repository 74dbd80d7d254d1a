<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Events\Collector;
use Shopbridge\Orders\BridgeWrites;
use Shopbridge\Orders\Busy;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\CommandList;
use Shopbridge\Orders\CommandMemory;
use Shopbridge\Orders\CommandRoute;
use Shopbridge\Orders\Commands\Command;
use Shopbridge\Orders\CommandVerifier;
use Shopbridge\Orders\Done;
use Shopbridge\Orders\Refusal;
use Shopbridge\Outbox\Signature;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

final class CommandRouteTest extends ShopTestCase
{
    /** @var int */
    private $runs = 0;

    /** @var callable(CommandData): Done */
    private $deed;

    /** @var BridgeWrites */
    private $writes;

    /** @var Collector */
    private $notes;

    /** @var CommandRoute */
    private $route;

    protected function setUp(): void
    {
        parent::setUp();
        $this->connect();
        $this->writes = new BridgeWrites();
        $this->notes = new Collector();
        $this->deed = static fn (CommandData $data): Done => new Done(array('challenge' => $data->optional('challenge')));
        $command = new class (fn (CommandData $data): Done => $this->carryOut($data)) implements Command {
            /** @var callable(CommandData): Done */
            private $deed;

            public function __construct(callable $deed)
            {
                $this->deed = $deed;
            }

            public function run(CommandData $data): Done
            {
                return ($this->deed)($data);
            }
        };
        $list = new CommandList(array('ping' => static fn (): Command => $command));
        $this->route = new CommandRoute(new CommandVerifier(new Secrets()), new CommandMemory(), $list, $this->writes, $this->notes);
        $this->route->register();
    }

    public function testTheRouteIsOpenedOnlyByTheSignature(): void
    {
        $route = \FakeShop::$routes['/shopbridge/v1/commands'];
        self::assertSame(array($this->route, 'isSigned'), $route['permission_callback']);
        self::assertTrue($this->route->isSigned($this->request('cmd_1', 'ping')));
    }

    /** @dataProvider forgeries */
    public function testAForgeryIsUnauthorised(string $secret, int $skew, string $addition): void
    {
        $request = $this->request('cmd_1', 'ping', array(), $secret, $skew, $addition);
        $answer = $this->route->isSigned($request);
        self::assertInstanceOf(\WP_Error::class, $answer);
        self::assertSame(401, $answer->data['status']);
    }

    /** @return array<string, array{string, int, string}> */
    public function forgeries(): array
    {
        return array(
            'the event secret' => array(self::SECRET, 0, ''),
            'too old' => array(self::OTHER_SECRET, -301, ''),
            'from the future' => array(self::OTHER_SECRET, 302, ''),
            'one byte more' => array(self::OTHER_SECRET, 0, ' '),
        );
    }

    public function testWithoutAConnectionNothingIsAccepted(): void
    {
        (new Secrets())->forget();
        self::assertInstanceOf(\WP_Error::class, $this->route->isSigned($this->request('cmd_1', 'ping')));
    }

    public function testTheOldSecretIsValidForADayAfterARotation(): void
    {
        $secrets = new Secrets();
        $new = 'whsec_' . base64_encode(str_repeat('n', 32));
        $secrets->rotate($new, $new, time());
        self::assertTrue($this->route->isSigned($this->request('cmd_1', 'ping')));
        $secrets->remember(self::SECRET, self::OTHER_SECRET);
        $secrets->rotate($new, $new, time() - DAY_IN_SECONDS - 1);
        self::assertInstanceOf(\WP_Error::class, $this->route->isSigned($this->request('cmd_1', 'ping')));
    }

    public function testARepeatIsAnsweredWithTheFirstAnswer(): void
    {
        $first = $this->route->handle($this->request('cmd_1', 'ping', array('challenge' => 'a')));
        $again = $this->route->handle($this->request('cmd_1', 'ping', array('challenge' => 'b')));
        self::assertSame(array('done', 'already'), array($first->data['result'], $again->data['result']));
        self::assertEquals($first->data['data'], $again->data['data']);
        self::assertSame(1, $this->runs);
    }

    public function testARefusalIsNotRememberedBecauseAPersonMayPutItRight(): void
    {
        $this->deed = static function (): Done {
            throw new Refusal('order.not_found', 'There is no order 1.', 'data.order_id');
        };
        $refused = $this->route->handle($this->request('cmd_1', 'ping'));
        self::assertSame(422, $refused->status);
        $error = array('code' => 'order.not_found', 'message' => 'There is no order 1.', 'field' => 'data.order_id');
        self::assertSame(array('id' => 'cmd_1', 'result' => 'refused', 'error' => $error), $refused->data);
        $this->deed = static fn (): Done => new Done(array());
        self::assertSame(200, $this->route->handle($this->request('cmd_1', 'ping'))->status);
    }

    public function testACommandThatIsStillRunningIsBusy(): void
    {
        (new CommandMemory())->begin('cmd_1', 'ping', time());
        $answer = $this->route->handle($this->request('cmd_1', 'ping'));
        self::assertSame(503, $answer->status);
        self::assertSame('5', $answer->headers['Retry-After']);
        self::assertSame(0, $this->runs);
    }

    public function testACommandThatDiedWithItsProcessIsCarriedOutAgain(): void
    {
        (new CommandMemory())->begin('cmd_1', 'ping', time() - 121);
        self::assertSame(200, $this->route->handle($this->request('cmd_1', 'ping'))->status);
        self::assertSame(1, $this->runs);
    }

    public function testAFaultIsA500WithoutTraceAndItsEventsAreForgotten(): void
    {
        $this->deed = function (): Done {
            $this->notes->orderPlaced(1);
            throw new \RuntimeException('database is away');
        };
        $answer = $this->route->handle($this->request('cmd_1', 'ping'));
        self::assertSame(500, $answer->status);
        self::assertArrayNotHasKey('result', $answer->data);
        self::assertSame(array(), $this->notes->take());
        self::assertStringContainsString('database is away', \FakeShop::$log[0]);
    }

    public function testWhatACommandCausesIsMarkedAsOurs(): void
    {
        $seen = array();
        $this->deed = function () use (&$seen): Done {
            $seen = array($this->writes->active(), $this->writes->key());
            return new Done(array());
        };
        $this->route->handle($this->request('cmd_1', 'ping', array('key' => 'rf_1')));
        self::assertSame(array(true, 'rf_1'), $seen);
        self::assertFalse($this->writes->active());
    }

    /** @dataProvider nonsense */
    public function testNonsenseIsRefusedByName(string $body, string $code): void
    {
        $answer = $this->route->handle(new \WP_REST_Request('POST', $body, array('webhook-id' => 'cmd_1')));
        self::assertSame(422, $answer->status);
        self::assertSame($code, $answer->data['error']['code']);
        self::assertSame(0, $this->runs);
    }

    /** @return array<string, array{string, string}> */
    public function nonsense(): array
    {
        return array(
            'no json' => array('{', 'data.invalid'),
            'a list' => array('[]', 'data.invalid'),
            'another id' => array('{"id": "cmd_2", "type": "ping", "data": {}}', 'data.invalid'),
            'no type' => array('{"id": "cmd_1", "data": {}}', 'data.invalid'),
            'data is text' => array('{"id": "cmd_1", "type": "ping", "data": "x"}', 'data.invalid'),
            'unknown' => array('{"id": "cmd_1", "type": "order.fly", "data": {}}', 'command.unknown'),
        );
    }

    public function testBusyOfADeedIsNotForgottenAsDone(): void
    {
        $this->deed = static function (): Done {
            throw new Busy('locked');
        };
        self::assertSame(503, $this->route->handle($this->request('cmd_1', 'ping'))->status);
    }

    private function carryOut(CommandData $data): Done
    {
        $this->runs++;
        return ($this->deed)($data);
    }

    /**
     * @param array<string, mixed> $data
     */
    private function request(
        string $id,
        string $type,
        array $data = array(),
        string $secret = self::OTHER_SECRET,
        int $skew = 0,
        string $addition = ''
    ): \WP_REST_Request {
        $body = (string) json_encode(array('id' => $id, 'type' => $type, 'data' => (object) $data));
        $time = time() + $skew;
        $headers = array(
            'webhook-id' => $id,
            'webhook-timestamp' => (string) $time,
            'webhook-signature' => Signature::sign($secret, $id, $time, $body),
        );
        return new \WP_REST_Request('POST', $body . $addition, $headers);
    }
}
