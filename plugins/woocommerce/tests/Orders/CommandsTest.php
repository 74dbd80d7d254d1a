<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Orders;

use Shopbridge\Events\Collector;
use Shopbridge\Orders\CommandData;
use Shopbridge\Orders\Commands;
use Shopbridge\Orders\Mails;
use Shopbridge\Orders\Once;
use Shopbridge\Orders\Refusal;
use Shopbridge\Orders\Shelf;
use Shopbridge\Orders\Tracking\Parcels;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\MemoryOutbox;
use Shopbridge\Tests\ShopTestCase;

final class CommandsTest extends ShopTestCase
{
    /** @var Shelf */
    private $shelf;

    /** @var Collector */
    private $notes;

    /** @var \WC_Order */
    private $order;

    protected function setUp(): void
    {
        parent::setUp();
        $this->shelf = new Shelf(static fn (): string => 'global_unique_id');
        $this->notes = new Collector();
        $this->order = new \WC_Order(5);
        $this->order->set_status('processing');
        \FakeShop::$orders[5] = $this->order;
    }

    public function testStatusIsSetOnceAndUnknownOnesAreRefused(): void
    {
        $command = new Commands\ChangeStatus($this->shelf);
        self::assertFalse($command->run($this->data(array('status' => 'completed')))->already);
        self::assertTrue($command->run($this->data(array('status' => 'wc-completed')))->already);
        $this->expectExceptionObject(new Refusal('status.unknown', 'This shop does not know the status flying.'));
        $command->run($this->data(array('status' => 'flying')));
    }

    /** @dataProvider notes */
    public function testANoteIsWrittenOnceForItsKeyAsPlainText(string $told, string $written): void
    {
        $command = new Commands\AddNote($this->shelf, new Once(), $this->notes);
        $command->run($this->data(array('note' => $told, 'key' => 'n1')));
        self::assertTrue($command->run($this->data(array('note' => 'other', 'key' => 'n1')))->already);
        self::assertSame(array($written), $this->order->notes);
    }

    /** @return array<string, array{string, string}> */
    public function notes(): array
    {
        return array(
            'a name' => array('Anna\'s Teeladen & "Söhne"', 'Anna\'s Teeladen & "Söhne"'),
            'markup' => array('<b>late</b>', 'late'),
            'a script' => array('late <script>alert(1)</script>', 'late'),
            'an event' => array('<img src=x onerror="alert(1)">late', 'late'),
            'half a tag' => array('late <img src=x onerror=alert(1) ', 'late &lt;img src=x onerror=alert(1)'),
            'a sign' => array('fewer than < 5', 'fewer than &lt; 5'),
            'two lines' => array("one\ntwo", "one\ntwo"),
        );
    }

    public function testEveryCommandWritesItsNotesAsPlainText(): void
    {
        $name = 'Anna\'s <i>Teeladen</i>';
        (new Commands\StopShipping($this->shelf, Parcels::all(), new Mails()))->run($this->data(array('reason' => $name)));
        (new Commands\LabelSender($this->shelf, $this->notes))->run($this->data(array('address' => array('company' => $name))));
        (new Commands\AddTracking($this->shelf, Parcels::all()))->run($this->data(array('number' => 'T1', 'carrier' => $name)));
        self::assertCount(3, $this->order->notes);
        foreach ($this->order->notes as $note) {
            self::assertStringContainsString('Anna\'s Teeladen', $note);
        }
    }

    public function testStoppingPutsTheOrderOnHoldAndSaysWhetherItIsTooLate(): void
    {
        $command = new Commands\StopShipping($this->shelf, Parcels::all(), new Mails());
        $done = $command->run($this->data(array('reason' => 'buyer cancelled')));
        self::assertSame('on-hold', $done->data['status']);
        self::assertFalse($done->data['already_shipped']);
        self::assertSame('buyer cancelled', $this->order->meta['_shopbridge_stop']);
        self::assertTrue($command->run($this->data(array('reason' => 'x')))->already);
        $this->order->meta['_gls_tracking_codes'] = array('G1');
        self::assertTrue($command->run($this->data(array('reason' => 'x')))->data['already_shipped']);
    }

    public function testATimelineIsKeptWithoutMarkupAndNotEchoed(): void
    {
        $command = new Commands\Timeline($this->shelf, $this->notes);
        $entries = array(array('at' => '2026-11-21T14:00:00Z', 'text' => 'Sold <script>x</script>'));
        $command->run($this->data(array('entries' => $entries, 'next' => 'You: ship it')));
        self::assertSame('Sold x', $this->order->meta['_shopbridge_timeline']['entries'][0]['text']);
        $this->notes->orderChanged(5);
        self::assertSame(array(), $this->notes->take());
        $saves = $this->order->saves;
        self::assertTrue($command->run($this->data(array('entries' => $entries, 'next' => 'You: ship it')))->already);
        self::assertSame($saves, $this->order->saves);
    }

    public function testTheSenderOfTheLabelIsKept(): void
    {
        $command = new Commands\LabelSender($this->shelf, $this->notes);
        $command->run($this->data(array('address' => array('company' => 'Bücher Boldt', 'city' => 'Bonn'))));
        self::assertSame('Bücher Boldt', $this->order->meta['_shopbridge_label_sender']['company']);
    }

    public function testATrackingNumberIsAddedOnce(): void
    {
        $command = new Commands\AddTracking($this->shelf, Parcels::all());
        self::assertFalse($command->run($this->data(array('number' => 'N1', 'carrier' => 'DHL', 'url' => null, 'lines' => null)))->already);
        $again = $command->run($this->data(array('number' => 'N1')));
        self::assertTrue($again->already);
        self::assertCount(1, $again->data['tracking']);
    }

    public function testMoreLinesOfAKnownNumberAreTakenInOnce(): void
    {
        $ids = $this->lines(2, 3);
        $command = new Commands\AddTracking($this->shelf, Parcels::all());
        $first = array(array('id' => (string) $ids[0], 'quantity' => 1));
        $both = array(array('id' => (string) $ids[0], 'quantity' => 2), array('id' => (string) $ids[1], 'quantity' => 3));
        $command->run($this->data(array('number' => 'N1', 'carrier' => 'DHL', 'lines' => $first)));
        self::assertFalse($command->run($this->data(array('number' => 'N1', 'carrier' => 'DHL', 'lines' => $both)))->already);
        $saves = $this->order->saves;
        foreach (array($both, $first) as $again) {
            $done = $command->run($this->data(array('number' => 'N1', 'carrier' => 'DHL', 'lines' => $again)));
            self::assertTrue($done->already);
        }
        self::assertSame($saves, $this->order->saves);
        self::assertCount(1, $done->data['tracking']);
        $inside = array(array('id' => $ids[0], 'quantity' => 2), array('id' => $ids[1], 'quantity' => 3));
        self::assertSame($inside, $done->data['tracking'][0]['lines']);
    }

    public function testAParcelOfTheWholeOrderStaysThat(): void
    {
        $ids = $this->lines(2);
        $command = new Commands\AddTracking($this->shelf, Parcels::all());
        $command->run($this->data(array('number' => 'N1', 'carrier' => 'DHL', 'lines' => null)));
        $done = $command->run($this->data(array('number' => 'N1', 'lines' => array(array('id' => (string) $ids[0], 'quantity' => 1)))));
        self::assertTrue($done->already);
        self::assertNull($done->data['tracking'][0]['lines']);
    }

    public function testSecretsAreRotatedAndTheOldPairStaysForADay(): void
    {
        $this->connect();
        $new = 'whsec_' . base64_encode(str_repeat('n', 32));
        (new Commands\RotateSecrets(new Secrets()))->run(new CommandData(array('event_secret' => $new, 'command_secret' => $new)));
        self::assertSame(array($new, self::SECRET), (new Secrets())->forEvents(time()));
        self::assertSame(array($new), (new Secrets())->forEvents(time() + DAY_IN_SECONDS + 5));
        (new Secrets())->rotate($new, $new, time());
        self::assertSame(array($new, self::SECRET), (new Secrets())->forEvents(time()), 'a repeat does not push out the old pair');
    }

    public function testARotationToSomethingElseIsRefused(): void
    {
        $this->connect();
        try {
            (new Commands\RotateSecrets(new Secrets()))->run(new CommandData(array('event_secret' => 'x', 'command_secret' => self::SECRET)));
            self::fail('not refused');
        } catch (Refusal $refusal) {
            self::assertSame('data.event_secret', $refusal->field);
        }
        self::assertSame(array(self::SECRET), (new Secrets())->forEvents(time()));
    }

    public function testRangesToResendAreListsOfTwoNumbers(): void
    {
        $command = new Commands\ResendEvents(new MemoryOutbox());
        self::assertSame(2, $command->run(new CommandData(array('ranges' => array(array(1, 2), array(5, 9)))))->data['queued']);
        $this->expectException(Refusal::class);
        $command->run(new CommandData(array('ranges' => array(array(1)))));
    }

    /** @dataProvider strangers */
    public function testAnOrderThatIsNotThereIsRefused(string $id): void
    {
        $trashed = new \WC_Order(6);
        $trashed->set_status('trash');
        \FakeShop::$orders[6] = $trashed;
        $this->expectException(Refusal::class);
        (new Commands\ChangeStatus($this->shelf))->run(new CommandData(array('order_id' => $id, 'status' => 'completed')));
    }

    /** @return array<string, array{string}> */
    public function strangers(): array
    {
        return array('unknown' => array('404'), 'trash' => array('6'), 'no id' => array(''), 'sql' => array('5 OR 1=1'), 'zero' => array('0'));
    }

    /**
     * @return array<int, int> ids of the lines, one for each quantity
     */
    private function lines(int ...$quantities): array
    {
        $ids = array();
        foreach ($quantities as $quantity) {
            $item = new \WC_Order_Item_Product();
            $item->set_quantity($quantity);
            $item->set_total((string) ($quantity * 5));
            $this->order->add_item($item);
            $ids[] = $item->save();
        }
        return $ids;
    }

    /**
     * @param array<string, mixed> $data
     */
    private function data(array $data): CommandData
    {
        return new CommandData($data + array('order_id' => '5'));
    }
}
