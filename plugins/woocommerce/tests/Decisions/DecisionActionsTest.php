<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Decisions;

final class DecisionActionsTest extends DecisionsTestCase
{
    /** @dataProvider answers */
    public function testAnAnswerIsToldToTheBridge(string $deed, string $sent, string $answered, string $said): void
    {
        $this->answer(200, array('order' => 'ord_5', 'answer' => $answered));
        $this->submit('answer', array('order' => 'ord_5', 'deed' => $deed));
        self::assertSame('https://bridge.example/plugin/orders/answer', \FakeShop::$requests[0]['url']);
        self::assertSame($sent, \FakeShop::$requests[0]['body']);
        $memo = $this->memo();
        self::assertSame(array($said, array()), array($memo->success, $memo->problems));
    }

    /** @return array<string, array{string, string, string, string}> */
    public function answers(): array
    {
        $accepted = 'The order is accepted; the marketplace is told.';
        $refused = 'The order is refused; the marketplace is told.';
        return array(
            'yes' => array('accept', '{"order":"ord_5","accept":true}', 'accepted', $accepted),
            'no' => array('refuse', '{"order":"ord_5","accept":false}', 'refused', $refused),
            'the bridge has the last word' => array('accept', '{"order":"ord_5","accept":true}', 'refused', $refused),
        );
    }

    public function testAnAnswerNamesThePiecesThatWereShown(): void
    {
        $this->answer(200, array('order' => 'ord_5', 'answer' => 'accepted'));
        $this->submit('answer', array('order' => 'ord_5', 'deed' => 'accept', 'pieces' => array('pc_5', 'pc_7')));
        self::assertSame('{"order":"ord_5","accept":true,"pieces":["pc_5","pc_7"]}', \FakeShop::$requests[0]['body']);
    }

    public function testThatOthersWaitByNowIsSaidInTheBridgesWords(): void
    {
        $this->answer(422, array('error' => array('code' => 'order.others_wait', 'message' => 'Other pieces wait by now.', 'field' => 'pieces')));
        $this->submit('answer', array('order' => 'ord_5', 'deed' => 'accept', 'pieces' => array('pc_5')));
        $memo = $this->memo();
        self::assertSame(array('', array('pieces' => 'Other pieces wait by now.')), array($memo->success, $memo->problems));
    }

    /** @dataProvider notes */
    public function testANoteArrivesAsItWasTyped(string $sent, string $arrives): void
    {
        $this->answer(422, array('error' => array('code' => 'x', 'message' => 'Not now.')));
        $this->submit('reject', $this->rejection(array('note' => addslashes($sent))));
        self::assertSame($arrives, json_decode(\FakeShop::$requests[0]['body'], true)['note']);
        self::assertSame($arrives, \FakeShop::$transients['shopbridge_decisions_memo_1']['typed']['note']);
        $page = $this->shown(array('returns' => array($this->returned())));
        self::assertStringContainsString('name="note" maxlength="500" value="' . htmlspecialchars($arrives, ENT_QUOTES) . '"', $page);
    }

    /** @return array<string, array{string, string}> */
    public function notes(): array
    {
        $tag = '<b onclick="alert(1)">Anna</b>';
        return array(
            'less and more' => array('Maße 3<4 und 5>2', 'Maße 3<4 und 5>2'),
            'percent' => array('zu 30%defekt', 'zu 30%defekt'),
            'quotes and backslashes' => array('3" tin, Anna\'s, C:\\new', '3" tin, Anna\'s, C:\\new'),
            'a tag is only text' => array($tag, $tag),
            'line breaks and control characters' => array(" dented,\r\n\ttorn\0\x7f\u{85}and\u{2028}wet \n", 'dented, torn and wet'),
            'too long by emoji' => array(str_repeat('🍵', 600), str_repeat('🍵', 500)),
            'as long as allowed' => array(str_repeat('ß', 500), str_repeat('ß', 500)),
            'no blank where it is cut' => array(str_repeat('x', 499) . ' y', str_repeat('x', 499)),
            'no UTF-8' => array("dented \xc3\x28", ''),
            'nothing' => array('', ''),
        );
    }

    public function testANoteThatIsNoStringIsNone(): void
    {
        $this->answer(200, array('order' => 'ord_6', 'pieces' => 1));
        $this->submit('reject', $this->rejection(array('note' => array('dented'))));
        self::assertSame('', json_decode(\FakeShop::$requests[0]['body'], true)['note']);
    }

    public function testARejectionNamesPiecesReasonAndNote(): void
    {
        $this->answer(200, array('order' => 'ord_6', 'pieces' => 2));
        $this->submit('reject', $this->rejection(array('pieces' => array('ret_1', 'ret_2'), 'note' => 'Anna\\\'s tin is dented.')));
        self::assertSame('https://bridge.example/plugin/orders/reject-return', \FakeShop::$requests[0]['url']);
        $sent = '{"order":"ord_6","pieces":["ret_1","ret_2"],"reason":"damaged","note":"Anna\'s tin is dented."}';
        self::assertSame($sent, \FakeShop::$requests[0]['body']);
        $memo = $this->memo();
        self::assertSame('The return is rejected (pieces: 2); the marketplace is told.', $memo->success);
        self::assertSame(array(array(), array()), array($memo->problems, $memo->typed));
    }

    public function testANoteIsNotNeeded(): void
    {
        $this->answer(200, array('order' => 'ord_6', 'pieces' => 1));
        $this->submit('reject', $this->rejection(array('note' => '')));
        self::assertSame('{"order":"ord_6","pieces":["ret_1"],"reason":"damaged","note":""}', \FakeShop::$requests[0]['body']);
    }

    public function testARefusalIsSaidInTheBridgesWordsAndWhatWasTypedIsKept(): void
    {
        $mistake = array('field' => 'reason', 'code' => 'return.reject_reason', 'message' => 'No such reason.');
        $this->answer(422, array('error' => $mistake + array('mistakes' => array($mistake, array('field' => 'note', 'message' => 'Too long.')))));
        $this->submit('reject', $this->rejection());
        $memo = $this->memo();
        self::assertSame(array('reason' => 'No such reason.', 'note' => 'Too long.'), $memo->problems);
        self::assertSame('', $memo->success);
        self::assertSame($this->rejection(), $memo->typed);
    }

    public function testASecondClickHearsWhyThereIsNothingToDo(): void
    {
        $this->answer(422, array('error' => array('code' => 'order.nothing_waits', 'message' => 'Nothing waits here.', 'field' => null)));
        $this->submit('answer', array('order' => 'ord_5', 'deed' => 'accept'));
        self::assertCount(1, \FakeShop::$requests);
        self::assertSame(array('' => 'Nothing waits here.'), $this->memo()->problems);
    }

    /**
     * @dataProvider silences
     * @param mixed $answer
     */
    public function testAfterNoAnswerNobodyClaimsThatItWasDoneOrNot($answer, string $words): void
    {
        foreach (array('answer' => array('order' => 'ord_5', 'deed' => 'accept'), 'reject' => $this->rejection()) as $deed => $typed) {
            \FakeShop::$answers = array($answer);
            $this->submit($deed, $typed);
            $memo = $this->memo();
            self::assertSame('', $memo->success);
            self::assertSame($words, $memo->problems['']);
            self::assertSame('Whether it was done is not known. If it still stands here, do it again.', $memo->problems['open']);
        }
        self::assertSame($this->rejection(), $memo->typed);
    }

    /** @return array<string, array{mixed, string}> */
    public function silences(): array
    {
        return array(
            'away' => array(new \WP_Error('http', 'timed out'), 'The bridge does not answer: timed out'),
            'broken' => array(array('code' => 502, 'body' => '<html>'), 'The bridge does not answer: HTTP 502'),
            'a maintenance page' => array(array('code' => 200, 'body' => '<html>'), 'The bridge does not answer: something else is at its address.'),
        );
    }

    public function testARefusalLeavesNothingOpen(): void
    {
        $this->answer(404, array('error' => array('code' => 'order.unknown', 'message' => 'There is no such order.')));
        $this->submit('answer', array('order' => 'ord_99', 'deed' => 'accept'));
        self::assertSame(array('' => 'There is no such order.'), $this->memo()->problems);
        $this->answer(404, array('error' => array('code' => 'http.404', 'message' => 'There is nothing here.')));
        $this->submit('answer', array('order' => 'ord_5', 'deed' => 'accept'));
        self::assertSame(array('' => 'This bridge does not know this page. Is it up to date?'), $this->memo()->problems);
    }

    /**
     * @dataProvider nonsense
     * @param array<string, mixed> $typed
     */
    public function testWhatIsNotClearIsSaidAndNotAsked(string $deed, array $typed, string $words): void
    {
        $this->submit($deed, $typed);
        self::assertSame(array(), \FakeShop::$requests);
        $memo = $this->memo();
        self::assertStringStartsWith($words, $memo->problems['']);
        self::assertSame($deed === 'reject' ? 'The tin is dented.' : null, $memo->typed['note'] ?? null);
    }

    /** @return array<string, array{string, array<string, mixed>, string}> */
    public function nonsense(): array
    {
        $unclear = 'It is not clear what was meant';
        $unticked = 'No piece is ticked.';
        return array(
            'no order' => array('answer', array('deed' => 'accept'), $unclear),
            'an order that is no string' => array('answer', array('order' => array('ord_5'), 'deed' => 'accept'), $unclear),
            'no deed is not a refusal' => array('answer', array('order' => 'ord_5'), $unclear),
            'another deed' => array('answer', array('order' => 'ord_5', 'deed' => 'reject'), $unclear),
            'a deed that is no string' => array('answer', array('order' => 'ord_5', 'deed' => array('accept')), $unclear),
            'no order of a return' => array('reject', $this->rejection(array('order' => array('x' => 'ord_6'))), $unclear),
            'everything unticked' => array('reject', array_diff_key($this->rejection(), array('pieces' => 1)), $unticked),
            'pieces that are no list' => array('reject', $this->rejection(array('pieces' => 'ret_1')), $unticked),
            'pieces that are no strings' => array('reject', $this->rejection(array('pieces' => array(array('ret_1'), ''))), $unticked),
            'no reason' => array('reject', $this->rejection(array('reason' => '')), 'Choose a reason.'),
            'a reason that is no string' => array('reject', $this->rejection(array('reason' => array('damaged'))), 'Choose a reason.'),
        );
    }

    /** @dataProvider deeds */
    public function testNothingIsDoneWithoutRightOrNonce(string $deed): void
    {
        foreach (array('edit_others_shop_orders', 'nonce') as $lacking) {
            $rights = array('manage_woocommerce' => true, 'edit_shop_orders' => true);
            \FakeShop::$capabilities = $rights + array('edit_others_shop_orders' => $lacking === 'nonce');
            \FakeShop::$nonceIsRight = $lacking !== 'nonce';
            try {
                $this->submit($deed, array('deed' => 'accept') + $this->rejection());
                self::fail('done without ' . $lacking);
            } catch (\RuntimeException $stopped) {
                self::assertStringContainsString($lacking === 'nonce' ? 'wrong nonce for shopbridge_' : 'You may not do this', $stopped->getMessage());
                self::assertSame(array(), \FakeShop::$requests);
            }
        }
    }

    /** @return array<int, array{string}> */
    public function deeds(): array
    {
        return array(array('answer'), array('reject'));
    }

    public function testEachDeedHasItsOwnNonce(): void
    {
        \FakeShop::$nonceIsRight = false;
        foreach (array('answer' => 'shopbridge_answer_order', 'reject' => 'shopbridge_reject_return') as $deed => $action) {
            try {
                $this->submit($deed, $this->rejection());
                self::fail('done without nonce');
            } catch (\RuntimeException $stopped) {
                self::assertSame('wrong nonce for ' . $action, $stopped->getMessage());
            }
        }
    }
}
