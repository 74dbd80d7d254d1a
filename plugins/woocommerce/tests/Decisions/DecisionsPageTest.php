<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Decisions;

use Shopbridge\Decisions\DecisionsPage;
use Shopbridge\Network\NetworkPage;
use Shopbridge\Plugin;
use Shopbridge\Screens\Memo;

final class DecisionsPageTest extends DecisionsTestCase
{
    private const EVIL = '"><script>alert(1)</script>';
    private const NO_TICK = '<input type="checkbox"';

    public function testTheBridgeIsAskedOnceAndSigned(): void
    {
        $this->shown(array());
        self::assertCount(1, \FakeShop::$requests);
        $request = \FakeShop::$requests[0];
        self::assertSame('https://bridge.example/plugin/orders/waiting', $request['url']);
        self::assertSame('{}', $request['body']);
        self::assertSame('cn_anna', $request['headers']['shopbridge-connection']);
        self::assertArrayHasKey('webhook-signature', $request['headers']);
    }

    public function testAnOrderIsShownWithEverythingThatHelpsToDecide(): void
    {
        $page = $this->shown(array('orders' => array($this->order())));
        $row = '/>OTTO<.*>M-1<.*>2026-11-22 11:00<.*>2026-11-24 23:59<.*>2 × Assam \(TEE-001\)<.*>15,80 EUR<.*>The stock is too low\.</s';
        self::assertMatchesRegularExpression($row, $page);
        self::assertSame(1, substr_count($page, '<form method="post" action="https://tee.example/wp-admin/admin-post.php">'));
        self::assertStringContainsString('name="action" value="shopbridge_answer_order"', $page);
        self::assertStringContainsString('nonce-of-shopbridge_answer_order', $page);
        self::assertStringContainsString('name="order" value="ord_5"', $page);
        self::assertMatchesRegularExpression('/<button[^>]*name="deed" value="accept">Accept<.*<button[^>]*name="deed" value="refuse"[^>]*>Refuse</s', $page);
        self::assertMatchesRegularExpression('/Returns<\/h2><p>There are none at the moment/', $page);
    }

    public function testThePiecesThatWaitGoWithTheAnswer(): void
    {
        $page = $this->shown(array('orders' => array($this->order(array('pieces' => array('pc_5', array('pc_6'), self::EVIL))))));
        preg_match_all('/<input type="hidden" name="pieces\[\]" value="([^"]*)">/', $page, $pieces);
        self::assertSame(array('pc_5', htmlspecialchars(self::EVIL)), $pieces[1]);
        $ofOlderBridges = $this->shown(array('orders' => array($this->order())));
        self::assertStringNotContainsString('pieces[]', $ofOlderBridges);
    }

    public function testAFormIsNeverLongerThanPhpReads(): void
    {
        foreach (array(900 => 900, 901 => 0) as $pieces => $named) {
            $ids = array_map(static fn (int $number): string => "pc_$number", range(1, $pieces));
            $page = $this->shown(array('orders' => array($this->order(array('pieces' => $ids)))));
            self::assertSame($named, substr_count($page, 'name="pieces[]"'));
        }
    }

    public function testOnlyWhatCannotBeTakenBackAsksAgain(): void
    {
        $page = $this->shown(array('orders' => array($this->order()), 'returns' => array($this->returned())));
        preg_match_all('/<button[^>]*value="(\w+)" data-question="[^"]+" onclick="return confirm\(this\.getAttribute\(\'data-question\'\)\)">/', $page, $asking);
        self::assertSame(array('refuse', 'reject'), $asking[1]);
    }

    public function testWhatAnOrderLacksIsLeftOut(): void
    {
        $page = $this->shown(array('orders' => array($this->order(array('ship_by' => null, 'total' => null, 'lines' => null)), 'ord_7')));
        self::assertMatchesRegularExpression('/<td>–<\/td><td><\/td><td>–<\/td>/', $page);
    }

    public function testAnOrderWithoutAnIdHasNoButtons(): void
    {
        foreach (array(null, array('ord_5'), true) as $id) {
            $page = $this->shown(array('orders' => array($this->order(array('id' => $id)))));
            self::assertStringContainsString('M-1', $page);
            self::assertStringNotContainsString('<form', $page);
        }
    }

    public function testAReturnIsShownWithWhatTheBuyerSaidAndAForm(): void
    {
        $order = new \WC_Order(123);
        $order->props['edit_order_url'] = 'https://tee.example/wp-admin/admin.php?page=wc-orders&id=123';
        \FakeShop::$orders[123] = $order;
        $page = $this->shown(array('returns' => array($this->returned())));
        self::assertStringContainsString('<a href="https://tee.example/wp-admin/admin.php?page=wc-orders&amp;id=123">Order 123 in your shop.</a>', $page);
        self::assertMatchesRegularExpression('/Kaufland M-2.*Return R-1 since 2026-11-21 09:30\..*The goods have arrived\./s', $page);
        self::assertMatchesRegularExpression('/value="ret_1"> Assam \(TEE-001\)\. Reason given: Too bitter\.<.*value="ret_2"> Sencha \(TEE-002\)</s', $page);
        self::assertMatchesRegularExpression('/<option value="damaged">Came back damaged<.*<option value="too_late">Came back too late</s', $page);
        self::assertMatchesRegularExpression('/name="order" value="ord_6".*name="return" value="R-1".*name="note" maxlength="500" value=""/s', $page);
        self::assertStringContainsString('nonce-of-shopbridge_reject_return', $page);
        self::assertStringContainsString('You accept a return by refunding the order in your shop', $page);
        self::assertStringNotContainsString('whole return', $page);
        self::assertStringNotContainsString('Wait for them', $page);
        self::assertStringNotContainsString('tells that the goods have come', $page);
    }

    public function testAnOrderThatTheShopDoesNotHaveIsNotLinked(): void
    {
        $returns = array($this->returned(), $this->returned(array('shop_order_id' => null, 'shop_number' => null, 'return' => '')));
        $page = $this->shown(array('returns' => $returns));
        self::assertStringContainsString('Order A-123 in your shop.', $page);
        self::assertStringContainsString('This order is not in your shop. Return since 2026', $page);
        self::assertStringNotContainsString('<a href', $page);
    }

    public function testAWholeReturnHasNothingToTick(): void
    {
        $page = $this->shown(array('returns' => array($this->returned(array('whole' => true)))));
        self::assertStringNotContainsString(self::NO_TICK, $page);
        self::assertStringContainsString('This marketplace decides about the whole return', $page);
        self::assertMatchesRegularExpression('/type="hidden" name="pieces\[\]" value="ret_1">.*type="hidden" name="pieces\[\]" value="ret_2">/s', $page);
    }

    public function testASinglePieceHasNothingToTickEither(): void
    {
        $piece = array('id' => 'ret_1', 'sku' => 'TEE-001', 'title' => 'Assam', 'reason' => null);
        $page = $this->shown(array('returns' => array($this->returned(array('pieces' => array($piece))))));
        self::assertStringNotContainsString(self::NO_TICK, $page);
        self::assertStringContainsString('type="hidden" name="pieces[]" value="ret_1"', $page);
        self::assertStringNotContainsString('whole return', $page);
    }

    public function testGoodsOnTheirWayAreSaidToComeByRejecting(): void
    {
        $page = $this->shown(array('returns' => array($this->returned(array('arrived' => false)))));
        self::assertStringContainsString('The goods have not arrived yet. Wait for them before you decide.', $page);
        self::assertStringContainsString('Where the marketplace waits for it, rejecting also tells that the goods have come.', $page);
    }

    /**
     * @dataProvider questions
     * @param array<string, mixed> $changes
     */
    public function testTheQuestionNamesTheMarketplaceAndWhatHappens(array $changes, string $question, string $button): void
    {
        $page = $this->shown(array('returns' => array($this->returned($changes))));
        self::assertMatchesRegularExpression('/data-question="' . preg_quote($question, '/') . '" onclick[^>]*>' . $button . '</', $page);
    }

    /** @return array<string, array{array<string, mixed>, string, string}> */
    public function questions(): array
    {
        $one = array(array('id' => 'ret_1', 'title' => 'Assam'));
        $two = array(array('id' => 'ret_1', 'title' => 'Assam', 'refunded' => null), array('id' => 'ret_2', 'title' => 'Sencha', 'refunded' => '0.00'));
        $partly = array(array('refunded' => '3.00') + $two[0], $two[1]);
        $lost = ' The buyer then gets no money back for these goods, and this cannot be undone here.';
        $rest = ' This cannot be undone here.';
        $whole = array('marketplace' => 'Mirakl', 'whole' => true);
        return array(
            'ticked pieces' => array(array('pieces' => $two), 'Reject the ticked pieces at Kaufland?' . $lost, 'Reject the ticked pieces'),
            'ticked, refunded in part' => array(array('pieces' => $partly), 'Reject the ticked pieces at Kaufland?' . $rest, 'Reject the ticked pieces'),
            'a whole return' => array($whole + array('pieces' => $two), 'Reject this return of 2 pieces at Mirakl?' . $lost, 'Reject this return'),
            'a whole one, refunded in part' => array($whole + array('pieces' => $partly), 'Reject this return of 2 pieces at Mirakl?' . $rest, 'Reject this return'),
            'a single piece' => array(array('pieces' => $one), 'Reject this return of 1 piece at Kaufland?' . $lost, 'Reject this return'),
        );
    }

    public function testWhatWasGivenBackBeforeStandsBesideItsPiece(): void
    {
        $pieces = array(
            array('id' => 'ret_1', 'sku' => 'TEE-001', 'title' => 'Assam', 'reason' => 'Too bitter.', 'refunded' => '3.00'),
            array('id' => 'ret_2', 'sku' => 'TEE-002', 'title' => 'Sencha', 'reason' => null, 'refunded' => null),
            array('id' => 'ret_3', 'sku' => 'TEE-003', 'title' => 'Oolong', 'reason' => null, 'refunded' => array('3.00')),
        );
        foreach (array(true, false) as $whole) {
            $page = $this->shown(array('returns' => array($this->returned(array('pieces' => $pieces, 'currency' => 'EUR', 'whole' => $whole)))));
            self::assertStringContainsString('Assam (TEE-001), already refunded: 3,00 EUR. Reason given: Too bitter.<', $page);
            self::assertMatchesRegularExpression('/Sencha \(TEE-002\)<.*Oolong \(TEE-003\)</s', $page);
        }
    }

    public function testWhyTheLastRejectionWasRefusedStandsAboveTheForm(): void
    {
        $page = $this->shown(array('returns' => array($this->returned(array('problem' => 'Kaufland knows no such return.')), $this->returned(array('problem' => null)))));
        self::assertMatchesRegularExpression('/<div class="notice notice-warning inline"><p>Kaufland knows no such return\.<\/p><\/div><form/', $page);
        self::assertSame(1, substr_count($page, 'notice-warning'));
    }

    /**
     * @dataProvider readers
     * @param mixed $reader
     */
    public function testTheNoteSaysWhoReadsIt($reader, string $label): void
    {
        $page = $this->shown(array('returns' => array($this->returned(array('note_for' => $reader)))));
        self::assertStringContainsString("<label>$label<br><input type=\"text\" class=\"large-text\" name=\"note\"", $page);
    }

    /** @return array<string, array{mixed, string}> */
    public function readers(): array
    {
        $marketplace = 'Note for the marketplace (optional)';
        return array(
            'the buyer' => array('buyer', 'Note (the buyer reads it)'),
            'the marketplace' => array('marketplace', $marketplace),
            'nobody' => array('nobody', 'Note (only in your order; this marketplace takes none)'),
            'an older bridge' => array(null, $marketplace),
            'a newer bridge' => array('carrier', $marketplace),
            'nonsense' => array(array('buyer'), $marketplace),
        );
    }

    /**
     * @dataProvider deadEnds
     * @param array<string, mixed> $changes
     */
    public function testAReturnThatNobodyCanRejectHasNoForm(array $changes): void
    {
        $page = $this->shown(array('returns' => array($this->returned($changes))));
        self::assertStringContainsString('This return cannot be rejected here, only at the marketplace.', $page);
        self::assertStringNotContainsString('<form', $page);
    }

    /** @return array<string, array{array<string, mixed>}> */
    public function deadEnds(): array
    {
        return array(
            'the marketplace knows no reasons' => array(array('rejections' => array())),
            'the ids of the pieces are not strings' => array(array('pieces' => array(array('id' => array('ret_1'), 'title' => 'Assam'), 'ret_2'))),
            'the id of the order is not a string' => array(array('order' => array('ord_6'))),
        );
    }

    public function testNothingAndMoreAreSaidInWords(): void
    {
        $empty = $this->shown(array());
        self::assertStringContainsString('Nothing waits for you.', $empty);
        self::assertStringNotContainsString('<h2>', $empty);
        $more = 'There are more than are shown here.';
        self::assertStringContainsString($more, $this->shown(array('orders' => array($this->order()), 'more' => true)));
        self::assertStringNotContainsString($more, $this->shown(array('orders' => array($this->order()))));
    }

    /**
     * @dataProvider silences
     * @param mixed $answer
     */
    public function testWithoutAnAnswerThereAreWordsAndNoForms($answer, string $words): void
    {
        \FakeShop::$answers = array($answer);
        $page = $this->page();
        self::assertStringContainsString($words, $page);
        self::assertStringNotContainsString('<form', $page);
        self::assertStringNotContainsString('Nothing waits', $page);
    }

    /** @return array<string, array{mixed, string}> */
    public function silences(): array
    {
        $older = '{"error": {"type": "not_found", "code": "http.404", "message": "There is nothing here.", "param": null}}';
        return array(
            'away' => array(new \WP_Error('http', 'timed out'), 'The bridge does not answer: timed out'),
            'broken' => array(array('code' => 500, 'body' => '<html>'), 'The bridge does not answer: HTTP 500'),
            'an older bridge' => array(array('code' => 404, 'body' => $older), 'This bridge does not know this page. Is it up to date?'),
            'no bridge at all' => array(array('code' => 404, 'body' => '<html>'), 'This bridge does not know this page. Is it up to date?'),
            'refused' => array(array('code' => 410, 'body' => '{"error": {"code": "x", "message": "Pair the shop <b>again</b>."}}'), 'Pair the shop &lt;b&gt;again&lt;/b&gt;.'),
            'a maintenance page' => array(array('code' => 200, 'body' => '<html>'), 'something else is at its address.'),
            'half an answer' => array(array('code' => 200, 'body' => '{"orders": []}'), 'something else is at its address.'),
        );
    }

    public function testTheMemoOfTheLastDeedComesFirst(): void
    {
        Memo::success('The order is accepted.')->keep(DecisionsPage::SLUG);
        $page = $this->shown(array('orders' => array($this->order())));
        self::assertMatchesRegularExpression('/notice-success"><p>The order is accepted\..*Orders that wait/s', $page);
        self::assertStringNotContainsString('notice', $this->shown(array()), 'once');
    }

    public function testTheMemoOfAnotherPageIsLeftToIt(): void
    {
        Memo::success('The profile is saved.')->keep(NetworkPage::SLUG);
        self::assertStringNotContainsString('notice', $this->shown(array()));
        self::assertSame('The profile is saved.', Memo::take(NetworkPage::SLUG)->success);
    }

    public function testWhatWasTypedIsShownAgainAtItsReturnOnly(): void
    {
        Memo::trouble(array('reason' => 'Not any more.'), $this->rejection(array('reason' => 'too_late')))->keep(DecisionsPage::SLUG);
        $page = $this->shown(array('returns' => array($this->returned(array('order' => 'ord_9')), $this->returned(), $this->returned(array('return' => 'R-2')))));
        self::assertMatchesRegularExpression('/notice-error inline"><p>Not any more\..*<h2>/s', $page);
        $forms = explode('<form', $page);
        self::assertStringContainsString('value="too_late" selected>', $forms[2]);
        self::assertStringContainsString('name="note" maxlength="500" value="The tin is dented."', $forms[2]);
        self::assertMatchesRegularExpression('/value="ret_1" checked>.*value="ret_2">/s', $forms[2]);
        foreach (array($forms[1], $forms[3]) as $other) {
            self::assertStringNotContainsString('selected', $other);
            self::assertStringNotContainsString('dented', $other);
            self::assertStringNotContainsString(' checked>', $other);
        }
    }

    public function testWhatWasTypedOutlivesAnOutageOfTheBridge(): void
    {
        Memo::trouble(array('' => 'The bridge does not answer: no answer'), $this->rejection())->keep(DecisionsPage::SLUG);
        self::assertSame(1, substr_count($this->page(), 'The bridge does not answer'), 'said once');
        $page = $this->shown(array('returns' => array($this->returned())));
        self::assertStringContainsString('value="The tin is dented."', $page);
        self::assertStringNotContainsString('does not answer', $page);
    }

    public function testEverythingFromOutsideIsEscaped(): void
    {
        $line = array('sku' => self::EVIL, 'title' => self::EVIL, 'quantity' => self::EVIL);
        $order = array_fill_keys(array_keys($this->order()), self::EVIL);
        $return = array_fill_keys(array_merge(array_keys($this->returned()), array('currency', 'problem', 'note_for')), self::EVIL);
        $pieces = array(array('id' => self::EVIL, 'reason' => self::EVIL, 'refunded' => '3.00') + $line, array('id' => 'ret_2' . self::EVIL) + $line);
        $rejections = array(array('code' => self::EVIL, 'text' => self::EVIL));
        $typed = array('order' => self::EVIL, 'return' => self::EVIL, 'note' => self::EVIL, 'reason' => self::EVIL, 'pieces' => array(self::EVIL));
        Memo::trouble(array('' => self::EVIL), $typed)->keep(DecisionsPage::SLUG);
        $returns = array(array('whole' => false, 'pieces' => $pieces, 'rejections' => $rejections) + $return, array('pieces' => $pieces, 'rejections' => $rejections) + $return);
        $page = $this->shown(array('orders' => array(array('total' => '1.00', 'lines' => array($line), 'pieces' => array(self::EVIL)) + $order), 'returns' => $returns));
        self::assertStringNotContainsString('<script', $page);
        self::assertGreaterThanOrEqual(40, substr_count($page, '&lt;script&gt;'));
        self::assertStringContainsString('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" selected>', $page);
    }

    public function testThePageIsForThoseWhoEditEverybodysOrders(): void
    {
        \FakeShop::$capabilities = array('manage_woocommerce' => true, 'edit_shop_orders' => true);
        self::assertSame('', $this->shown(array()), 'a vendor');
        self::assertSame(array(), \FakeShop::$requests);
        \FakeShop::$capabilities = array('edit_others_shop_orders' => true);
        self::assertStringContainsString('Nothing waits for you.', $this->shown(array()));
    }

    public function testThePageIsThereOnlyInAConnectedShop(): void
    {
        $hooks = array('admin_post_shopbridge_answer_order', 'admin_post_shopbridge_reject_return');
        self::assertSame($hooks, array_values(array_intersect($hooks, $this->hooksOfTheAdmin())));
        self::assertContains(DecisionsPage::class, $this->menus());
        self::assertSame('edit_others_shop_orders', DecisionsPage::RIGHT);
        delete_option('shopbridge_connection');
        \FakeShop::$hooks = array();
        self::assertSame(array(), array_values(array_intersect($hooks, $this->hooksOfTheAdmin())));
        self::assertNotContains(DecisionsPage::class, $this->menus());
    }

    /** @return string[] */
    private function hooksOfTheAdmin(): array
    {
        $plugin = Plugin::of('/shop/shopbridge.php');
        (fn () => $this->listenInAdmin())->call($plugin);
        return array_keys(\FakeShop::$hooks);
    }

    /** @return string[] */
    private function menus(): array
    {
        return array_map(static fn (array $callback): string => get_class($callback[0]), \FakeShop::$hooks['admin_menu']);
    }
}
