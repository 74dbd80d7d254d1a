<?php

declare(strict_types=1);

namespace Shopbridge\Tests\Outbox;

use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Verdict;
use Shopbridge\Tests\ShopTestCase;

final class VerdictTest extends ShopTestCase
{
    /** @dataProvider answers */
    public function testEachAnswerMeansWhatTheProtocolSays(int $code, string $verdict): void
    {
        self::assertSame($verdict, Verdict::of($code));
    }

    /** @return array<int, array{int, string}> */
    public function answers(): array
    {
        $table = array(
            Verdict::DONE => array(200, 202),
            Verdict::PARK => array(400, 413, 415, 422),
            Verdict::SIGNATURE => array(401),
            Verdict::REMOVED => array(410),
            Verdict::BUSY => array(429, 503),
            Verdict::SILENCE => array(0, 502, 504),
            Verdict::ERROR => array(204, 301, 302, 403, 404, 409, 500),
        );
        $cases = array();
        foreach ($table as $verdict => $codes) {
            foreach ($codes as $code) {
                $cases[] = array($code, (string) $verdict);
            }
        }
        return $cases;
    }

    public function testTheSummaryShowsTheReasonButNotTheWholeBody(): void
    {
        $body = array('error' => array('code' => 'data.invalid', 'message' => 'sku is missing'), 'secret' => 'whsec_x');
        self::assertSame('HTTP 422 data.invalid: sku is missing', (new Answer(422, null, '', $body))->summary());
        self::assertSame('no answer', (new Answer(0))->summary());
    }
}
