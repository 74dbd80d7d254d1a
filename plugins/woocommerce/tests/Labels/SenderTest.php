<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Labels;

use Shopbridge\Labels\Sender;
use Shopbridge\Labels\Street;

final class SenderTest extends LabelTestCase
{
    public function testOnlyOrdersOfTheNetworkHaveASender(): void
    {
        self::assertNull(Sender::of($this->own));
        self::assertNull(Sender::of(false));
        $sender = Sender::of($this->order);
        self::assertNotNull($sender);
        self::assertSame(array('Bücher Boldt', 'Bernd Boldt', ''), array($sender->name(), $sender->contact(), $sender->refusal()));
    }

    public function testAnAddressThatTheBridgeNamedCountsWhereverTheOrderIsFrom(): void
    {
        $this->own->meta['_shopbridge_label_sender'] = self::BOLDT;
        self::assertNotNull(Sender::of($this->own));
    }

    public function testARefusalSaysWhatIsMissing(): void
    {
        self::assertStringContainsString('has not named the address', Sender::of($this->early)->refusal());
        foreach (array('postcode' => 'postcode', 'city' => 'city', 'country' => 'country', 'address_1' => 'street') as $field => $word) {
            $this->order->meta['_shopbridge_label_sender'] = array($field => ' ') + self::BOLDT;
            self::assertStringEndsWith("lacks $word.", Sender::of($this->order)->refusal());
        }
        $this->order->meta['_shopbridge_label_sender'] = array('company' => '', 'first_name' => '', 'last_name' => '') + self::BOLDT;
        self::assertStringEndsWith('lacks name.', Sender::of($this->order)->refusal());
    }

    public function testAPersonWithoutACompanyIsTheFirstLine(): void
    {
        $this->order->meta['_shopbridge_label_sender'] = array('company' => '') + self::BOLDT;
        $sender = Sender::of($this->order);
        self::assertSame(array('Bernd Boldt', '', true), array($sender->name(), $sender->contact(), $sender->isComplete()));
    }

    public function testWhatIsNotTextIsNotPrinted(): void
    {
        $this->order->meta['_shopbridge_label_sender'] = array('company' => array('x')) + self::BOLDT;
        self::assertSame('Bernd Boldt', Sender::of($this->order)->name());
    }

    /** @dataProvider streets */
    public function testAStreetIsTakenApart(string $line, string $name, string $digits, string $addition): void
    {
        $street = Street::of($line);
        self::assertSame(array($name, $digits, $addition), array($street->name, $street->digits, $street->addition));
    }

    /** @return array<int, array{string, string, string, string}> */
    public function streets(): array
    {
        return array(
            array('Teegasse 1', 'Teegasse', '1', ''),
            array('Musterstr.12a', 'Musterstr.', '12', 'a'),
            array('Straße des 17. Juni 135 b', 'Straße des 17. Juni', '135', 'b'),
            array('Am Markt, 3-5', 'Am Markt', '3', '-5'),
            array('Am Markt 3 a - 5 c', 'Am Markt', '3', 'a - 5 c'),
            array('Q7 24', 'Q7', '24', ''),
            array('Österreichische Straße 7/2/14', 'Österreichische Straße', '7', '/2/14'),
            array('12 rue des Lilas', 'rue des Lilas', '12', ''),
            array('12 b rue des Lilas', 'rue des Lilas', '12', 'b'),
            array('Hauptwache', 'Hauptwache', '', ''),
            array('', '', '', ''),
        );
    }
}
