<?php

/**
 * The buttons of the network's pages. Each asks for the right to manage the shop and for its own nonce before it reads anything.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Screens\Actions;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Memo;
use Shopbridge\Screens\Reply;

class NetworkActions extends Actions
{
    public const PROFILE = 'shopbridge_network_profile';
    public const PARTNER = 'shopbridge_network_partner';
    public const GROUPS = 'shopbridge_network_groups';
    public const LISTINGS = 'shopbridge_network_listings';

    /** @var NetworkBridge */
    private $bridge;

    public function __construct(NetworkBridge $bridge)
    {
        $this->bridge = $bridge;
    }

    public function register(): void
    {
        add_action('admin_post_' . self::PROFILE, array($this, 'profile'));
        add_action('admin_post_' . self::PARTNER, array($this, 'partner'));
        add_action('admin_post_' . self::GROUPS, array($this, 'groups'));
        add_action('admin_post_' . self::LISTINGS, array($this, 'listings'));
    }

    public function profile(): void
    {
        $this->mayOrDie(self::PROFILE);
        $read = ProfileForm::read();
        $problems = $read['problems'];
        if ($problems === array()) {
            $problems = NetworkBridge::problems($this->bridge->saveProfile($read['profile'] + $this->documents($read['typed']['tax_number'])));
        }
        $memo = $problems === array() ? Memo::success(__('Saved.', 'shopbridge')) : Memo::trouble($problems, $read['typed']);
        $this->back($memo, NetworkPage::SLUG, NetworkPage::url('profile'));
    }

    public function groups(): void
    {
        $this->mayOrDie(self::GROUPS);
        $groups = array();
        for ($row = 0; $row < PartnerList::MOST_GROUPS; $row++) {
            $name = trim((string) Input::part('group_name', (string) $row));
            if ($name !== '') {
                $groups[] = array('name' => $name, 'discount' => trim(str_replace('%', '', (string) Input::part('group_discount', (string) $row))));
            }
        }
        $problems = NetworkBridge::problems($this->bridge->saveProfile(array('price_groups' => $groups, 'submit' => false)));
        $memo = $problems === array() ? Memo::success(__('Saved.', 'shopbridge')) : Memo::trouble($problems);
        $this->back($memo, NetworkPage::SLUG, NetworkPage::url('partners'));
    }

    public function partner(): void
    {
        $this->mayOrDie(self::PARTNER);
        $id = Input::text('partner');
        $deed = Input::text('deed');
        $answer = $deed === 'price_group'
            ? $this->bridge->priceGroup($id, Input::text('price_group'))
            : $this->bridge->partner($id, $deed);
        $problems = NetworkBridge::problems($answer);
        $memo = $problems === array() ? Memo::success(__('Done.', 'shopbridge')) : Memo::trouble($problems);
        $this->back($memo, NetworkPage::SLUG, NetworkPage::url('partners'));
    }

    public function listings(): void
    {
        $this->mayOrDie(self::LISTINGS);
        $products = Input::texts('products');
        if ($products === array()) {
            $memo = Memo::trouble(array('' => __('No product is ticked.', 'shopbridge')));
        } else {
            $memo = Input::text('deed') === 'unlist' ? $this->unlist($products) : $this->import($products);
        }
        $this->back($memo, NetworkPage::SLUG, NetworkPage::url('catalogue', Catalogue::asked()));
    }

    /**
     * The tax number is one of several documents, and the bridge keeps the list that it is given: so the others are asked for first.
     *
     * @return array<string, mixed>
     */
    private function documents(string $number): array
    {
        if ($number === Input::text('tax_number_shown')) {
            return array();
        }
        $state = $this->bridge->state()->body;
        $profile = is_array($state['profile'] ?? null) ? $state['profile'] : array();
        return array('documents' => ProfileForm::documents($profile, $number));
    }

    /**
     * @param string[] $products
     */
    private function import(array $products): Memo
    {
        $kind = Input::text('rule');
        $rule = array('kind' => isset(Catalogue::rules()[$kind]) ? $kind : 'same');
        if ($rule['kind'] !== 'same') {
            $rule['value'] = trim(str_replace(array('%', '€', ','), array('', '', '.'), Input::text('rule_value')));
            $rule['base'] = Catalogue::base($kind);
        }
        $answer = $this->bridge->import($products, $rule);
        $problems = NetworkBridge::problems($answer);
        if ($problems !== array()) {
            return Memo::trouble($problems);
        }
        /* translators: %d: number of products */
        $text = sprintf(__('%d products are being imported; they are in your shop in a moment.', 'shopbridge'), (int) ($answer->body['queued'] ?? 0));
        $memo = Memo::success($text);
        foreach (Reply::list($answer->body, 'refused') as $place => $refused) {
            if (is_array($refused)) {
                $memo->problems['refused.' . $place] = Reply::text($refused, 'product') . ': ' . Reply::text($refused, 'message');
            }
        }
        return $memo;
    }

    /**
     * @param string[] $products
     */
    private function unlist(array $products): Memo
    {
        $answer = $this->bridge->unlist($products);
        $problems = NetworkBridge::problems($answer);
        if ($problems !== array()) {
            return Memo::trouble($problems);
        }
        /* translators: %d: number of products */
        return Memo::success(sprintf(__('%d products are withdrawn.', 'shopbridge'), (int) ($answer->body['withdrawn'] ?? 0)));
    }
}
