<?php

/**
 * The questions of the network's pages to the bridge (protocol.md, /plugin/network/*). Asked while a person waits, so with short timeouts and
 * never twice; what the bridge refuses comes back in words with the name of the field.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Outbox\Answer;
use Shopbridge\Outbox\Transport;
use Shopbridge\Screens\Reply;

class NetworkBridge
{
    private const PATIENCE = 10;

    /** Importing many products writes many rows. */
    private const LONG_PATIENCE = 30;
    private const LARGEST = 2097152;

    /** @var Transport */
    private $transport;

    public function __construct(Transport $transport)
    {
        $this->transport = $transport;
    }

    public function state(int $patience = self::PATIENCE): Answer
    {
        return $this->ask('state', array(), $patience);
    }

    /**
     * @param array<string, mixed> $profile
     */
    public function saveProfile(array $profile): Answer
    {
        return $this->ask('profile', $profile, self::PATIENCE);
    }

    /** @param string $id a partnership (pts_1) or the account to ask (acc_3) */
    public function partner(string $id, string $action): Answer
    {
        return $this->ask('partner', array('id' => $id, 'action' => $action), self::PATIENCE);
    }

    /** Puts a retailer into one of this supplier's price groups; '' takes him out. */
    public function priceGroup(string $id, string $group): Answer
    {
        return $this->ask('partner', array('id' => $id, 'price_group' => $group === '' ? null : $group), self::PATIENCE);
    }

    /**
     * @param array<string, mixed> $question search, category, supplier, margin, listed, page
     */
    public function catalogue(array $question): Answer
    {
        return $this->ask('catalogue', $question, self::PATIENCE);
    }

    /**
     * @param string[] $products
     * @param array{kind: string, value?: string, base?: string} $priceRule
     */
    public function import(array $products, array $priceRule): Answer
    {
        return $this->ask('import', array('products' => $products, 'price_rule' => $priceRule), self::LONG_PATIENCE);
    }

    /**
     * @param string[] $products
     */
    public function unlist(array $products): Answer
    {
        return $this->ask('unlist', array('products' => $products), self::LONG_PATIENCE);
    }

    /**
     * What is wrong, by field ('' = in general); empty when the bridge said yes.
     *
     * @return array<string, string>
     */
    public static function problems(Answer $answer): array
    {
        return Reply::problems($answer, __('This bridge knows no dropshipping network. Is it up to date?', 'shopbridge'));
    }

    /**
     * @param array<string, mixed> $question
     */
    private function ask(string $what, array $question, int $patience): Answer
    {
        return $this->transport->ask('/plugin/network/' . $what, (string) wp_json_encode((object) $question), $patience, self::LARGEST);
    }
}
