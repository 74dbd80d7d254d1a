<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Signature;
use Shopbridge\Tests\ShopTestCase;

final class SignatureTest extends ShopTestCase
{
    /** Secret, id, time and body are the example of the Standard Webhooks reference libraries; computed once more with Python's hmac. */
    public function testItSignsLikeTheReferenceImplementations(): void
    {
        $signature = Signature::sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}');
        self::assertSame('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=', $signature);
    }

    public function testItAcceptsWhatItSigned(): void
    {
        self::assertTrue($this->holds(self::SECRET, 'evt_1', 1000, 1000));
    }

    /** @dataProvider window */
    public function testTheWindowIsThreeHundredSecondsEitherWay(int $now, bool $holds): void
    {
        self::assertSame($holds, $this->holds(self::SECRET, 'evt_1', 1000, $now));
    }

    /** @return array<string, array{int, bool}> */
    public function window(): array
    {
        return array('at the edge' => array(1300, true), 'too late' => array(1301, false), 'early' => array(700, true), 'too early' => array(699, false));
    }

    public function testAnotherSecretAnotherIdOrAnotherBodyIsRefused(): void
    {
        $header = Signature::header(array(self::SECRET), 'evt_1', 1000, 'body');
        self::assertFalse(Signature::holds(array(self::OTHER_SECRET), 'evt_1', '1000', $header, 'body', 1000));
        self::assertFalse(Signature::holds(array(self::SECRET), 'evt_2', '1000', $header, 'body', 1000));
        self::assertFalse(Signature::holds(array(self::SECRET), 'evt_1', '1001', $header, 'body', 1000));
        self::assertFalse(Signature::holds(array(self::SECRET), 'evt_1', '1000', $header, 'body ', 1000));
    }

    /** @dataProvider malformed */
    public function testAMalformedHeaderIsRefusedWithoutAnError(string $timestamp, string $header): void
    {
        self::assertFalse(Signature::holds(array(self::SECRET), 'evt_1', $timestamp, $header, 'body', 1000));
    }

    /** @return array<string, array{string, string}> */
    public function malformed(): array
    {
        return array(
            'empty' => array('', ''),
            'no version' => array('1000', base64_encode('x')),
            'not ascii' => array('1000', "v1,\xc3\xa4\xff"),
            'float time' => array('1000.0', 'v1,x'),
            'negative time' => array('-1000', 'v1,x'),
            'a thousand signatures' => array('1000', str_repeat('v1,x ', 1000)),
        );
    }

    public function testWhileASecretIsRotatedOneOfTwoSignaturesIsEnough(): void
    {
        $header = Signature::header(array(self::SECRET, self::OTHER_SECRET), 'evt_1', 1000, 'body');
        self::assertCount(2, explode(' ', $header));
        self::assertTrue(Signature::holds(array(self::OTHER_SECRET), 'evt_1', '1000', $header, 'body', 1000));
    }

    public function testWithoutASecretNothingHolds(): void
    {
        self::assertFalse(Signature::holds(array(), 'evt_1', '1000', 'v1,', 'body', 1000));
    }

    public function testASecretIsWhsecAndBase64(): void
    {
        self::assertTrue(Signature::isSecret(self::SECRET));
        self::assertFalse(Signature::isSecret(substr(self::SECRET, 6)));
        self::assertFalse(Signature::isSecret('whsec_???'));
        self::assertFalse(Signature::isSecret('whsec_c2hvcnQ='));
    }

    public function testSignaturesAreComparedInConstantTime(): void
    {
        $source = (string) file_get_contents(__DIR__ . '/../../src/Outbox/Signature.php');
        self::assertStringContainsString('hash_equals(', $source);
        self::assertStringNotContainsString('$expected ===', $source);
    }

    private function holds(string $secret, string $id, int $signedAt, int $now): bool
    {
        $header = Signature::header(array($secret), $id, $signedAt, 'body');
        return Signature::holds(array($secret), $id, (string) $signedAt, $header, 'body', $now);
    }
}
