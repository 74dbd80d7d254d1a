<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Network;

use Shopbridge\Network\NetworkActions;
use Shopbridge\Network\NetworkBridge;
use Shopbridge\Network\NetworkPage;
use Shopbridge\Outbox\Signature;
use Shopbridge\Outbox\Transport;
use Shopbridge\Products\NetworkCategories;
use Shopbridge\Screens\Memo;
use Shopbridge\Settings\Connection;
use Shopbridge\Settings\Secrets;
use Shopbridge\Tests\ShopTestCase;

final class NetworkPagesTest extends ShopTestCase
{
    private const EVIL = '"><script>alert(1)</script>';

    protected function setUp(): void
    {
        parent::setUp();
        $this->connect();
    }

    public function testEveryQuestionIsASignedPostWithTheConnection(): void
    {
        $this->answer(200, array('partner' => array()));
        $this->bridge()->partner('pts_1', 'accept');
        $request = \FakeShop::$requests[0];
        self::assertSame('https://bridge.example/plugin/network/partner', $request['url']);
        self::assertSame('{"id":"pts_1","action":"accept"}', $request['body']);
        $headers = $request['headers'];
        self::assertSame('cn_anna', $headers['shopbridge-connection']);
        $id = $headers['webhook-id'];
        self::assertTrue(Signature::holds(array(self::SECRET), $id, $headers['webhook-timestamp'], $headers['webhook-signature'], $request['body'], time()));
    }

    public function testAnEmptyQuestionIsAnObject(): void
    {
        $this->answer(200, array());
        $this->bridge()->state();
        self::assertSame('{}', \FakeShop::$requests[0]['body']);
    }

    /** @dataProvider refusals */
    public function testWhatIsWrongComesBackByField(int $code, array $body, array $problems): void
    {
        $this->answer($code, $body);
        self::assertSame($problems, NetworkBridge::problems($this->bridge()->saveProfile(array())));
    }

    /** @return array<string, array{int, array<string, mixed>, array<string, string>}> */
    public function refusals(): array
    {
        $postcode = array('code' => 'postal.postcode_invalid', 'message' => 'No such postcode.', 'field' => 'address.postcode');
        $iban = array('code' => 'bank.iban', 'message' => 'No IBAN.', 'field' => 'bank.iban');
        $older = array('' => 'This bridge knows no dropshipping network. Is it up to date?');
        return array(
            'yes' => array(200, array(), array()),
            'one' => array(422, array('error' => $postcode), array('address.postcode' => 'No such postcode.')),
            'all of them' => array(
                422,
                array('error' => $postcode + array('mistakes' => array($postcode, $iban))),
                array('address.postcode' => 'No such postcode.', 'bank.iban' => 'No IBAN.'),
            ),
            'no field' => array(422, array('error' => array('message' => 'Not approved.', 'field' => null)), array('' => 'Not approved.')),
            'an old bridge' => array(404, array('error' => array('code' => 'http.404', 'message' => 'There is nothing here.')), $older),
            'another server' => array(404, array(), $older),
            'not this merchant\'s' => array(404, array('error' => array('code' => 'partnership.unknown', 'message' => 'Unknown.')), array('' => 'Unknown.')),
            'broken' => array(500, array(), array('' => 'The bridge does not answer: HTTP 500')),
        );
    }

    public function testAProfileIsSentAsTheBridgeReadsIt(): void
    {
        $this->answer(200, array('profile' => array()));
        $this->submit('profile', $this->typed(array('shipping_price' => '4,90', 'shipping_free_from' => '', 'hold_minutes' => '15', 'retailer' => '')));
        $sent = $this->sent();
        self::assertSame(array(true, false, '4.90', null, 15, true), array($sent['supplier'], $sent['retailer'], $sent['shipping_price'], $sent['shipping_free_from'], $sent['hold_minutes'], $sent['submit']));
        self::assertSame('Anna\'s Teeladen', $sent['address']['company']);
        self::assertNull($sent['return_address']);
        self::assertSame(array('iban' => 'DE89370400440532013000', 'bic' => '', 'holder' => 'Anna'), $sent['bank']);
        self::assertSame('Saved.', Memo::take(NetworkPage::SLUG)->success);
    }

    public function testWhatDealerPricesMeanIsShownAndSentToABridgeThatKnowsIt(): void
    {
        self::assertStringNotContainsString('dealer_prices', $this->shown('profile'), 'an older bridge');
        $state = $this->state();
        $state['profile'] += array('dealer_prices' => 'gross', 'dealer_vat_percent' => '7');
        $this->answer(200, $state);
        $page = $this->page('profile');
        self::assertStringContainsString('<option value="gross" selected>', $page);
        self::assertStringContainsString('name="dealer_vat_percent" value="7"', $page);
        $this->answer(200, array());
        $this->submit('profile', $this->typed(array('dealer_prices' => 'net', 'dealer_vat_percent' => '19 %')));
        self::assertSame(array('net', '19'), array($this->sent()['dealer_prices'], $this->sent()['dealer_vat_percent']));
        $this->submit('profile', $this->typed(array()));
        self::assertArrayNotHasKey('dealer_prices', $this->sent());
    }

    public function testAProductThatWasDeletedHereSaysSoInTheCatalogue(): void
    {
        $item = array('product' => 'prd_12', 'title' => 'Assam', 'currency' => 'EUR', 'listed' => false);
        $item += array('state' => 'withdrawn', 'reason' => array('code' => 'x', 'message' => 'You deleted it.'));
        \FakeShop::$answers = array($this->json(200, $this->state()), $this->json(200, array('items' => array($item), 'next_page' => null, 'total' => 1)));
        $page = $this->page('catalogue');
        self::assertStringContainsString('You deleted it.', $page);
        self::assertStringNotContainsString('<td>in this shop', $page);
    }

    public function testADraftIsNotSubmittedAndAnotherAddressForReturnsIsTaken(): void
    {
        $this->answer(200, array());
        $this->submit('profile', $this->typed(array('draft' => 'yes', 'other_return_address' => 'yes', 'return_address' => array('city' => 'Bonn'))));
        self::assertFalse($this->sent()['submit']);
        self::assertSame('Bonn', $this->sent()['return_address']['city']);
    }

    /** @dataProvider accounts */
    public function testAnAccountNumberIsSentOnlyWhenItWasTyped(array $bank, string $shown, $sent, bool $refused): void
    {
        $this->answer(200, array());
        $this->submit('profile', $this->typed(array('bank' => $bank, 'bank_shown' => $shown)));
        self::assertSame($refused, isset(Memo::take(NetworkPage::SLUG)->problems['bank.iban']));
        self::assertSame($refused ? 0 : 1, count(\FakeShop::$requests));
        if (!$refused) {
            self::assertSame($sent, array_key_exists('bank', $this->sent()) ? $this->sent()['bank'] : 'not sent');
        }
    }

    /** @return array<string, array{array<string, string>, string, mixed, bool}> */
    public function accounts(): array
    {
        $masked = array('iban' => 'DE** **** 3000', 'bic' => '', 'holder' => 'Anna');
        return array(
            'untouched' => array($masked, '|Anna', 'not sent', false),
            'another holder' => array(array('holder' => 'Berta') + $masked, '|Anna', null, true),
            'emptied' => array(array('iban' => '', 'bic' => '', 'holder' => ''), '|Anna', null, false),
            'only a holder' => array(array('iban' => '', 'bic' => '', 'holder' => 'A'), '|', array('iban' => '', 'bic' => '', 'holder' => 'A'), false),
        );
    }

    public function testATaxNumberJoinsTheOtherDocuments(): void
    {
        $kept = array('kind' => 'trade_register', 'number' => 'HRB 1');
        $old = array('kind' => 'tax_number', 'number' => '1');
        \FakeShop::$answers = array($this->json(200, array('profile' => array('documents' => array($old, $kept)))), $this->json(200, array()));
        $this->submit('profile', $this->typed(array('tax_number' => '12/345', 'tax_number_shown' => '1')));
        self::assertSame(array($kept, array('kind' => 'tax_number', 'number' => '12/345')), $this->sent()['documents']);
        $this->submit('profile', $this->typed(array('tax_number' => '12/345', 'tax_number_shown' => '12/345')));
        self::assertArrayNotHasKey('documents', $this->sent());
    }

    public function testAMistakeStandsBesideItsFieldAndNothingThatWasTypedIsLost(): void
    {
        $error = array('code' => 'x', 'message' => 'No such postcode.', 'field' => 'address.postcode', 'mistakes' => array(array('field' => 'currency', 'message' => 'Which money?')));
        $this->answer(422, array('error' => $error));
        $this->submit('profile', $this->typed(array('shipping_price' => '4,90', 'accepts_partners' => 'yes')));
        $this->answer(200, $this->state());
        $page = $this->page('profile');
        self::assertMatchesRegularExpression('/name="address\[postcode\]" value="1"[^>]*><p[^>]*><strong>No such postcode\./', $page);
        self::assertStringContainsString('name="shipping_price" value="4,90"', $page);
        self::assertStringContainsString('name="accepts_partners" value="yes" checked', $page);
        self::assertStringContainsString('Which money?', $page, 'a mistake without a field of ours is not lost');
        $this->answer(200, $this->state());
        self::assertStringNotContainsString('No such postcode', $this->page('profile'), 'shown once');
    }

    public function testAnAmountThatCannotBeReadDoesNotReachTheBridge(): void
    {
        $this->submit('profile', $this->typed(array('shipping_price' => 'cheap', 'hold_minutes' => '-1')));
        self::assertSame(array(), \FakeShop::$requests);
        self::assertSame(array('shipping_price', 'hold_minutes'), array_keys(Memo::take(NetworkPage::SLUG)->problems));
    }

    public function testPartnersHaveTheButtonsOfTheirState(): void
    {
        $page = $this->shown('partners');
        self::assertMatchesRegularExpression('/Bücher Boldt.*value="accept".*value="refuse"/s', $page);
        self::assertMatchesRegularExpression('/Chai GmbH<\/td><td>paused<\/td>.*value="end"/s', $page);
        self::assertStringNotContainsString('value="resume"', $page, 'paused by them');
        self::assertStringContainsString('Teekontor', $page);
        self::assertStringNotContainsString('value="acc_9"', $page, 'known suppliers are not asked again');
        self::assertStringContainsString('<option value="Gold">Gold (-5 %)</option>', $page);
    }

    public function testAPartnerIsAnsweredAndPutIntoAGroup(): void
    {
        $this->answer(200, array());
        $this->submit('partner', array('partner' => 'pts_1', 'deed' => 'accept'));
        self::assertSame(array('id' => 'pts_1', 'action' => 'accept'), $this->sent());
        $this->submit('partner', array('partner' => 'pts_1', 'deed' => 'price_group', 'price_group' => ''));
        self::assertSame(array('id' => 'pts_1', 'price_group' => null), $this->sent());
    }

    public function testPriceGroupsAreSavedAsAListAndTouchNothingElse(): void
    {
        $this->answer(200, array());
        $typed = array('group_name' => array('0' => 'Gold', '1' => '', '2' => 'Silber'), 'group_discount' => array('0' => '5 %', '1' => '9', '2' => '2,5'));
        $this->submit('groups', $typed);
        $groups = array(array('name' => 'Gold', 'discount' => '5'), array('name' => 'Silber', 'discount' => '2,5'));
        self::assertSame(array('price_groups' => $groups, 'submit' => false), $this->sent());
    }

    public function testTheCatalogueIsSearchedAndShown(): void
    {
        $item = array('product' => 'prd_12', 'title' => 'Assam', 'gtin' => '4006381333931', 'brand' => 'Tee', 'image' => 'https://t.example/1.jpg');
        $item += array('dealer_price' => '4.20', 'recommended_price' => null, 'currency' => 'EUR', 'stock' => 5, 'margin_percent' => 46, 'listed' => true);
        $item += array('reason' => array('code' => 'x', 'message' => 'The supplier is on holiday.'));
        \FakeShop::$answers = array($this->json(200, $this->state()), $this->json(200, array('items' => array($item), 'next_page' => 3, 'total' => 51)));
        $page = $this->page('catalogue', array('search' => 'tee', 'category' => 'food.tea', 'margin' => '30', 'listed' => 'no', 'part' => '2'));
        self::assertSame(array('search' => 'tee', 'category' => 'food.tea', 'margin' => 30, 'listed' => false, 'page' => 2), $this->sent());
        self::assertMatchesRegularExpression('/value="prd_12".*src="https:\/\/t\.example\/1\.jpg".*Assam.*4,20 EUR.*–.*46 %.*>5<.*in this shop.*on holiday/s', $page);
        self::assertStringContainsString('part=1', $page);
        self::assertStringContainsString('part=3', $page);
    }

    public function testAnImportNamesTheRuleAndShowsWhatWasRefused(): void
    {
        $this->answer(200, array('queued' => 1, 'refused' => array(array('product' => 'prd_13', 'message' => 'GTIN taken.'))));
        $this->submit('listings', array('products' => array('prd_12', 'prd_13'), 'deed' => 'import', 'rule' => 'plus_percent', 'rule_value' => '30,5 %'));
        $rule = array('kind' => 'plus_percent', 'value' => '30.5', 'base' => 'dealer');
        self::assertSame(array('products' => array('prd_12', 'prd_13'), 'price_rule' => $rule), $this->sent());
        $memo = Memo::take(NetworkPage::SLUG);
        self::assertStringStartsWith('1 products', $memo->success);
        self::assertSame(array('refused.0' => 'prd_13: GTIN taken.'), $memo->problems);
    }

    public function testRemovingAndAnEmptyChoice(): void
    {
        $this->answer(200, array('withdrawn' => 1));
        $this->submit('listings', array('products' => array('prd_12'), 'deed' => 'unlist'));
        self::assertSame('https://bridge.example/plugin/network/unlist', \FakeShop::$requests[0]['url']);
        $this->submit('listings', array('deed' => 'import', 'rule' => 'same'));
        self::assertCount(1, \FakeShop::$requests, 'nothing ticked, nothing asked');
    }

    public function testEverythingFromOutsideIsEscaped(): void
    {
        $evil = array('state' => 'refused', 'reason' => self::EVIL, 'address' => array('company' => self::EVIL), 'vat_id' => self::EVIL);
        $state = array('profile' => $evil, 'money' => array('currency' => self::EVIL, 'held' => '1.00'), 'by_reason' => array(array('code' => self::EVIL, 'text' => self::EVIL, 'count' => 1)));
        $state['partners'] = array(array('id' => self::EVIL, 'name' => self::EVIL, 'role' => 'retailer', 'state' => self::EVIL));
        $state['suppliers'] = array(array('id' => self::EVIL, 'name' => self::EVIL));
        $state['price_groups'] = array(array('name' => self::EVIL, 'discount' => self::EVIL));
        $state['categories'] = array(array('key' => self::EVIL, 'name' => self::EVIL));
        $item = array_fill_keys(array('product', 'title', 'gtin', 'brand', 'image', 'supplier', 'stock', 'currency', 'dealer_price'), self::EVIL);
        foreach (array('overview', 'profile', 'partners', 'catalogue') as $tab) {
            $answers = array($this->json(200, $state + array('supplier' => true, 'retailer' => true)), $this->json(200, array('items' => array($item))));
            \FakeShop::$answers = $answers;
            $page = $this->page($tab, array('search' => self::EVIL));
            self::assertStringNotContainsString('<script', $page, $tab);
            self::assertStringContainsString('&lt;script', $page, $tab);
        }
    }

    public function testWithoutAnAnswerThereAreNoForms(): void
    {
        $page = $this->page('profile');
        self::assertStringContainsString('The bridge does not answer', $page);
        self::assertStringNotContainsString('<form', $page);
        (new Connection())->forget();
        self::assertStringContainsString('Connect this shop with a bridge first', $this->page(''));
    }

    public function testThePageIsForThoseWhoManageTheShop(): void
    {
        \FakeShop::$capabilities['manage_woocommerce'] = false;
        self::assertSame('', $this->page(''));
        self::assertSame(array(), \FakeShop::$requests);
    }

    /** @dataProvider deeds */
    public function testNothingIsDoneWithoutRightOrNonce(string $deed): void
    {
        foreach (array('manage_woocommerce' => false, 'nonce' => false) as $lacking => $value) {
            \FakeShop::$capabilities['manage_woocommerce'] = $lacking !== 'manage_woocommerce';
            \FakeShop::$nonceIsRight = $lacking !== 'nonce';
            try {
                $this->submit($deed, $this->typed(array('products' => array('prd_1'), 'partner' => 'pts_1', 'deed' => 'end')));
                self::fail('done without ' . $lacking);
            } catch (\RuntimeException $stopped) {
                self::assertSame(array(), \FakeShop::$requests);
            }
        }
    }

    /** @return array<int, array{string}> */
    public function deeds(): array
    {
        return array(array('profile'), array('partner'), array('groups'), array('listings'));
    }

    public function testTheCategoriesOfTheAnswerAreRememberedForTheProducts(): void
    {
        $this->shown('overview');
        self::assertSame(array('food.tea' => 'Tee'), NetworkCategories::names());
        self::assertTrue(NetworkCategories::mayOfferToDealers());
    }

    public function testTheOverviewCountsMoneyAndReleases(): void
    {
        $page = $this->shown('overview');
        self::assertMatchesRegularExpression('/Refused by the operator: Wrong VAT id.*Released to retailers.*>84<.*Not released.*>16<.*GTIN missing.*>12<.*120,00 EUR.*4,20 EUR/s', $page);
    }

    private function shown(string $tab): string
    {
        $this->answer(200, $this->state());
        return $this->page($tab);
    }

    /** @param array<string, string> $asked */
    private function page(string $tab, array $asked = array()): string
    {
        $_REQUEST = array('tab' => $tab) + $asked;
        ob_start();
        (new NetworkPage(new Connection(), $this->bridge()))->show();
        return (string) ob_get_clean();
    }

    /** @param array<string, mixed> $typed */
    private function submit(string $deed, array $typed): void
    {
        $_REQUEST = $typed;
        $actions = new class ($this->bridge()) extends NetworkActions {
            protected function leave(): void
            {
            }
        };
        $actions->$deed();
    }

    /**
     * @param array<string, mixed> $changes
     * @return array<string, mixed>
     */
    private function typed(array $changes): array
    {
        $address = array('company' => 'Anna\'s Teeladen', 'address_1' => 'Beispielweg 4', 'postcode' => '1', 'city' => 'Berlin', 'country' => 'DE');
        $bank = array('iban' => 'DE89370400440532013000', 'bic' => '', 'holder' => 'Anna');
        return $changes + array('supplier' => 'yes', 'address' => $address, 'bank' => $bank, 'vat_id' => 'DE136695976', 'hold_minutes' => '0');
    }

    /** @return array<string, mixed> */
    private function state(): array
    {
        $partners = array(
            array('id' => 'pts_1', 'account' => 'acc_2', 'name' => 'Bücher Boldt', 'role' => 'retailer', 'state' => 'asked', 'by' => null, 'price_group' => null),
            array('id' => 'pts_2', 'account' => 'acc_9', 'name' => 'Chai GmbH', 'role' => 'supplier', 'state' => 'paused', 'by' => 'them', 'price_group' => null),
        );
        return array(
            'profile' => array('supplier' => true, 'retailer' => true, 'state' => 'refused', 'reason' => 'Wrong VAT id.', 'shipping_price' => '4.90'),
            'supplier' => true,
            'retailer' => true,
            'released' => 84,
            'not_released' => 16,
            'by_reason' => array(array('code' => 'gtin', 'text' => 'GTIN missing', 'count' => 12)),
            'partners' => $partners,
            'price_groups' => array(array('name' => 'Gold', 'discount' => '5')),
            'suppliers' => array(array('id' => 'acc_3', 'name' => 'Teekontor', 'products' => 12), array('id' => 'acc_9', 'name' => 'Chai GmbH', 'products' => 1)),
            'categories' => array(array('key' => 'food.tea', 'name' => 'Tee')),
            'money' => array('currency' => 'EUR', 'held' => '120.00', 'released' => '80.50', 'paid_out' => '0.00', 'receivable' => '0.00', 'refunded' => '4.20'),
        );
    }

    /** @return array<string, mixed> the last question, decoded */
    private function sent(): array
    {
        return json_decode((string) end(\FakeShop::$requests)['body'], true);
    }

    /** @param array<string, mixed> $body */
    private function answer(int $code, array $body): void
    {
        \FakeShop::$answers = array($this->json($code, $body));
    }

    /**
     * @param array<string, mixed> $body
     * @return array<string, mixed>
     */
    private function json(int $code, array $body): array
    {
        return array('code' => $code, 'body' => (string) json_encode($body));
    }

    private function bridge(): NetworkBridge
    {
        return new NetworkBridge(new Transport(new Connection(), new Secrets()));
    }
}
