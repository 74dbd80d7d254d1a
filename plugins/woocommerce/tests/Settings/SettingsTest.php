<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Settings;

use Shopbridge\Events\ShopFacts;
use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Breaker;
use Shopbridge\Outbox\Row;
use Shopbridge\Outbox\Schedule;
use Shopbridge\Outbox\Sender;
use Shopbridge\Outbox\Transport;
use Shopbridge\Outbox\Verdict;
use Shopbridge\Settings\BridgeAddress;
use Shopbridge\Settings\Choices;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Pairing;
use Shopbridge\Settings\Secrets;
use Shopbridge\Settings\SettingsActions;
use Shopbridge\Settings\SettingsPage;
use Shopbridge\Status\BridgeStatus;
use Shopbridge\Status\Health;
use Shopbridge\Status\QueueCheck;
use Shopbridge\Status\StatusPanel;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;
use Shopbridge\Tests\ToldTransport;

final class SettingsTest extends ShopTestCase
{
    private const EVIL = '"><script>alert(1)</script>';

    /** @var MemoryOutbox */
    private $outbox;

    protected function setUp(): void
    {
        parent::setUp();
        $this->outbox = new MemoryOutbox();
    }

    /** @dataProvider addresses */
    public function testSecretsTravelOnlyToHttpsOrNearby(string $typed, string $read): void
    {
        self::assertSame($read, BridgeAddress::read($typed));
    }

    /** @return array<int, array{string, string}> */
    public function addresses(): array
    {
        return array(
            array('https://bridge.example/', 'https://bridge.example'),
            array(' bridge.example ', 'https://bridge.example'),
            array('http://bridge.example', ''),
            array('http://127.0.0.1:8000', 'http://127.0.0.1:8000'),
            array('http://192.168.1.5', 'http://192.168.1.5'),
            array('http://8.8.8.8', ''),
            array('http://bridge:8000', 'http://bridge:8000'),
            array('https://user:pass@bridge.example', ''),
            array('https://bridge.example/?x=1', ''),
            array('ftp://bridge.example', ''),
            array('javascript:alert(1)', ''),
            array('', ''),
        );
    }

    public function testConnectingKeepsTheSecretsApartAndUnloaded(): void
    {
        \FakeShop::$answers = array(array('code' => 201, 'body' => json_encode($this->answer())));
        self::assertSame('', $this->pairing()->connect('https://bridge.example', '7kq2m-px9td'));
        $sent = json_decode(\FakeShop::$requests[0]['body'], true);
        self::assertSame('7KQ2MPX9TD', $sent['code']);
        self::assertSame("Anna's Teeladen", $sent['shop_name']);
        self::assertSame('https://tee.example/wp-json/shopbridge/v1/commands', $sent['command_url']);
        self::assertArrayNotHasKey('webhook-signature', \FakeShop::$requests[0]['headers']);
        self::assertFalse(\FakeShop::$autoload['shopbridge_secrets']);
        self::assertStringNotContainsString('whsec_', (string) json_encode(\FakeShop::$options['shopbridge_connection']));
        $first = array_values($this->outbox->rows)[0];
        self::assertSame('plugin.installed', $first->type);
        self::assertGreaterThan(10 * 1700000000, $first->id, 'ahead of any number used before a reinstallation');
    }

    /**
     * @dataProvider refusals
     * @param array<string, mixed> $body
     */
    public function testARefusedConnectionIsExplainedAndNothingIsKept(int $code, array $body, string $word): void
    {
        \FakeShop::$answers = array(array('code' => $code, 'body' => json_encode($body)));
        self::assertStringContainsString($word, $this->pairing()->connect('https://bridge.example', '7KQ2MPX9TD'));
        self::assertFalse((new Connection())->exists());
        self::assertSame(array(), (new Secrets())->forEvents(time()));
    }

    /** @return array<string, array{int, array<string, mixed>, string}> */
    public function refusals(): array
    {
        return array(
            'code' => array(422, array('error' => array('code' => 'pairing.code_invalid', 'message' => 'x')), '15 minutes'),
            'address' => array(422, array('error' => array('code' => 'address.forbidden', 'message' => 'x')), 'reachable'),
            'too many' => array(429, array(), 'Wait'),
            'not a bridge' => array(404, array(), 'no bridge'),
            'strange' => array(201, array('connection_key' => 'x'), 'understand'),
            'webhook over http' => array(201, array('webhook_url' => 'http://evil.example/') + $this->answer(), 'understand'),
            'broken secret' => array(201, array('event_secret' => 'whsec_x') + $this->answer(), 'understand'),
        );
    }

    public function testAWrongCodeIsNotEvenSent(): void
    {
        foreach (array('', '7KQ2MPX9T', '7KQ2MPX9TDD', '7KQ2MPX9T0', '7KQ2MPX9TI') as $code) {
            self::assertNotSame('', $this->pairing()->connect('https://bridge.example', $code));
        }
        self::assertSame(array(), \FakeShop::$requests);
    }

    public function testLeavingTellsTheBridgeAndForgetsTheSecrets(): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 202, 'body' => '{}'));
        self::assertTrue($this->pairing()->disconnect());
        self::assertSame('plugin.removed', json_decode(\FakeShop::$requests[0]['body'], true)['type']);
        self::assertArrayNotHasKey('shopbridge_secrets', \FakeShop::$options);
        self::assertFalse((new Connection())->exists());
    }

    public function testThePageEscapesWhateverComesFromOutside(): void
    {
        $this->connect();
        \FakeShop::$options['shopbridge_connection']['connection_key'] = self::EVIL;
        \FakeShop::$options['shopbridge_health'] = array('failed_at' => 5, 'failed_what' => self::EVIL, 'failed_why' => self::EVIL);
        \FakeShop::$transients['shopbridge_notice_1'] = array('kind' => self::EVIL, 'text' => self::EVIL);
        (new Choices())->remember(self::EVIL, true);
        (new Breaker())->trip(Verdict::BUSY, time(), null, self::EVIL);
        $this->outbox->append(array(array('type' => self::EVIL, 'subject' => self::EVIL)), 1000);
        $this->outbox->rows[1]->state = Row::DEAD;
        $this->outbox->rows[1]->error = self::EVIL;
        $status = array('state' => 'needs_attention', 'reason' => array('message' => self::EVIL), 'events_today' => self::EVIL);
        set_transient('shopbridge_bridge_status', $status);
        $page = $this->page();
        self::assertStringNotContainsString('<script', $page);
        self::assertGreaterThanOrEqual(7, substr_count($page, '&lt;script&gt;'));
    }

    public function testTheSecretsAreNeverPrinted(): void
    {
        $this->connect();
        self::assertStringNotContainsString('whsec_', $this->page());
        self::assertStringNotContainsString(substr(self::SECRET, 6, 20), $this->page());
    }

    public function testEveryFormHasANonceOfItsOwnAction(): void
    {
        $this->connect();
        $this->outbox->append(array(array('type' => 'order.changed', 'subject' => 'order/1')), 1000);
        $this->outbox->rows[1]->state = Row::DEAD;
        $page = $this->page();
        delete_option('shopbridge_connection');
        $page .= $this->page();
        preg_match_all('/name="action" value="(\w+)"><input type="hidden" name="_wpnonce" value="nonce-of-(\w+)"/', $page, $found);
        self::assertSame($found[1], $found[2]);
        self::assertSame(substr_count($page, '<form'), count($found[1]));
        self::assertEqualsCanonicalizing(
            array('shopbridge_connect', 'shopbridge_disconnect', 'shopbridge_save', 'shopbridge_resend', 'shopbridge_send_now'),
            array_values(array_unique($found[1]))
        );
    }

    public function testWithoutTheRightToManageTheShopThePageIsEmpty(): void
    {
        $this->connect();
        \FakeShop::$capabilities = array();
        self::assertSame('', $this->page());
    }

    /** @dataProvider buttons */
    public function testEveryActionAsksForTheRightAndTheNonce(string $method): void
    {
        $this->connect();
        \FakeShop::$answers = array(array('code' => 202, 'body' => '{}'));
        $before = \FakeShop::$options;
        foreach (array('capability', 'nonce') as $missing) {
            \FakeShop::$capabilities = array('manage_woocommerce' => $missing !== 'capability');
            \FakeShop::$nonceIsRight = $missing !== 'nonce';
            try {
                $this->actions()->$method();
                self::fail("$method ran without $missing");
            } catch (\RuntimeException $stopped) {
                self::assertMatchesRegularExpression('/^(died|wrong nonce)/', $stopped->getMessage());
            }
        }
        self::assertSame($before, \FakeShop::$options);
        self::assertSame(array(), \FakeShop::$requests);
    }

    /** @return array<string, array{string}> */
    public function buttons(): array
    {
        return array(
            'connect' => array('connect'),
            'disconnect' => array('disconnect'),
            'save' => array('save'),
            'resend' => array('resend'),
            'sendNow' => array('sendNow'),
        );
    }

    public function testTheChoiceOfTheGtinFieldIsChecked(): void
    {
        $_POST = array('gtin_source' => 'meta', 'gtin_meta' => '_ean; DROP TABLE', 'remove_data' => 'yes');
        $this->actions()->save();
        self::assertSame('error', \FakeShop::$transients['shopbridge_notice_1']['kind']);
        $_POST['gtin_meta'] = '_ean';
        $this->actions()->save();
        self::assertSame('_ean', (new Choices())->gtinSource());
        self::assertTrue((new Choices())->removeData());
    }

    public function testAShopWhoseQueueStandsStillIsWarned(): void
    {
        $this->connect();
        $check = new QueueCheck(new Connection(), $this->outbox, new Breaker(), new Health());
        self::assertCount(1, $check->warnings(5000));
        \FakeShop::$options['shopbridge_health'] = array('swept_at' => 4500);
        self::assertSame(array(), $check->warnings(5000));
        $this->outbox->append(array(array('type' => 'order.changed', 'subject' => 'order/1')), 4000);
        self::assertCount(1, $check->warnings(5000));
    }

    private function page(): string
    {
        $panel = new StatusPanel(
            new Connection(),
            $this->outbox,
            new Breaker(),
            new Health(),
            new BridgeStatus(new ToldTransport(static fn (): Answer => new Answer(202))),
            new QueueCheck(new Connection(), $this->outbox, new Breaker(), new Health())
        );
        ob_start();
        (new SettingsPage(new Connection(), new Choices(), $panel))->show();
        return (string) ob_get_clean();
    }

    private function pairing(): Pairing
    {
        $transport = new Transport(new Connection(), new Secrets());
        return new Pairing(new Connection(), new Secrets(), $transport, $this->outbox, new Breaker(), new ShopFacts());
    }

    private function actions(): SettingsActions
    {
        $sender = fn (): Sender => $this->createStub(Sender::class);
        $schedule = new Schedule(new Connection(), $this->outbox, new Breaker(), $sender);
        return new class ($this->pairing(), new Choices(), $this->outbox, new Breaker(), $schedule, $sender) extends SettingsActions {
            protected function leave(): void
            {
            }
        };
    }

    /** @return array<string, mixed> the example of docs/protocol.md */
    private function answer(): array
    {
        return array(
            'connection_key' => 'cn_3f9c1c0e5b7a4d2e8f60',
            'webhook_url' => 'https://bridge.example/webhooks/cn_3f9c1c0e5b7a4d2e8f60',
            'status_url' => 'https://bridge.example/plugin/status',
            'event_secret' => self::SECRET,
            'command_secret' => self::OTHER_SECRET,
            'state' => 'pending',
            'server_time' => 1700000000,
        );
    }
}
