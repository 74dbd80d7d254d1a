<?php

/**
 * Whom this merchant trades with: his suppliers, his retailers, and whom he may ask.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\Reply;
use Shopbridge\Settings\SettingsPage;

class PartnerList
{
    public const MOST_GROUPS = 100;

    /** What may be done with a partner, by his role and the state of the partnership. */
    private const ACTIONS = array(
        'supplier' => array(
            'asked' => array('end'),
            'active' => array('pause', 'end'),
            'paused' => array('resume', 'end'),
            'ended' => array('ask'),
        ),
        'retailer' => array(
            'asked' => array('accept', 'refuse'),
            'active' => array('pause', 'end'),
            'paused' => array('resume', 'end'),
            'refused' => array('accept'),
        ),
    );

    /** @var array<string, mixed> the answer of /plugin/network/state */
    private $state;

    /**
     * @param array<string, mixed> $state
     */
    public function __construct(array $state)
    {
        $this->state = $state;
    }

    public function show(): void
    {
        $this->showPartners('retailer', __('Retailers who sell my products', 'shopbridge'));
        $this->showPartners('supplier', __('Suppliers whose products I sell', 'shopbridge'));
        if (!empty($this->state['supplier'])) {
            $this->showGroups();
        }
        if (!empty($this->state['retailer'])) {
            $this->showSuppliers();
        }
    }

    private function showPartners(string $role, string $title): void
    {
        $partners = $this->partners($role);
        if ($partners === array()) {
            return;
        }
        echo '<h2>' . esc_html($title) . '</h2><table class="widefat striped" style="max-width:60em"><tbody>';
        foreach ($partners as $partner) {
            $state = Reply::text($partner, 'state');
            echo '<tr><td>' . esc_html(Reply::text($partner, 'name')) . '</td><td>' . esc_html(self::stateName($state)) . '</td><td>';
            $this->showButtons($partner, self::actions($partner, $role, $state));
            echo '</td><td>';
            if ($role === 'retailer') {
                $this->showGroup($partner);
            }
            echo '</td></tr>';
        }
        echo '</tbody></table>';
    }

    /**
     * Who was paused or left by the other side cannot take that back.
     *
     * @param array<string, mixed> $partner
     * @return string[]
     */
    private static function actions(array $partner, string $role, string $state): array
    {
        $actions = self::ACTIONS[$role][$state] ?? array();
        return ($partner['by'] ?? '') === 'them' ? array_values(array_diff($actions, array('resume'))) : $actions;
    }

    private function showGroups(): void
    {
        echo '<h2>' . esc_html__('Price groups', 'shopbridge') . '</h2><p>';
        echo esc_html__('A discount on your dealer prices for some retailers. Empty the name to remove a group.', 'shopbridge') . '</p>';
        SettingsPage::openForm(NetworkActions::GROUPS);
        echo '<table><thead><tr><th>' . esc_html__('Name', 'shopbridge') . '</th><th>' . esc_html__('Discount in percent', 'shopbridge');
        echo '</th></tr></thead><tbody>';
        // Two empty lines for new ones.
        $groups = array_merge(array_filter(Reply::list($this->state, 'price_groups'), 'is_array'), array(array(), array()));
        foreach (array_slice($groups, 0, self::MOST_GROUPS) as $row => $group) {
            echo '<tr><td><input type="text" maxlength="80" name="group_name[' . esc_attr((string) $row) . ']" value="';
            echo esc_attr(Reply::text($group, 'name')) . '" aria-label="' . esc_attr__('Name', 'shopbridge') . '"></td>';
            echo '<td><input type="text" size="6" name="group_discount[' . esc_attr((string) $row) . ']" value="';
            echo esc_attr(Reply::text($group, 'discount')) . '" aria-label="' . esc_attr__('Discount in percent', 'shopbridge') . '"></td></tr>';
        }
        echo '</tbody></table>';
        submit_button(__('Save', 'shopbridge'), 'secondary');
        echo '</form>';
    }

    /** Approved suppliers with whom there is nothing yet. */
    private function showSuppliers(): void
    {
        $known = array_map(static fn (array $partner): string => Reply::text($partner, 'account'), $this->partners('supplier'));
        $others = array_filter(
            Reply::list($this->state, 'suppliers'),
            static fn ($supplier): bool => is_array($supplier) && !in_array(Reply::text($supplier, 'id'), $known, true)
        );
        echo '<h2>' . esc_html__('Suppliers you may ask', 'shopbridge') . '</h2>';
        if ($others === array()) {
            echo '<p>' . esc_html__('There are none at the moment.', 'shopbridge') . '</p>';
            return;
        }
        echo '<table class="widefat striped" style="max-width:60em"><tbody>';
        foreach ($others as $supplier) {
            /* translators: %d: number of products */
            $products = sprintf(__('%d products', 'shopbridge'), (int) ($supplier['products'] ?? 0));
            echo '<tr><td>' . esc_html(Reply::text($supplier, 'name')) . '</td><td>' . esc_html($products) . '</td><td>';
            $this->showButtons($supplier, array('ask'));
            echo '</td></tr>';
        }
        echo '</tbody></table>';
    }

    /**
     * @param array<string, mixed> $partner
     * @param string[] $actions
     */
    private function showButtons(array $partner, array $actions): void
    {
        foreach ($actions as $action) {
            SettingsPage::openForm(NetworkActions::PARTNER);
            echo '<input type="hidden" name="partner" value="' . esc_attr(Reply::text($partner, 'id')) . '">';
            echo '<button type="submit" class="button" name="deed" value="' . esc_attr($action) . '">' . esc_html(self::actionName($action)) . '</button></form> ';
        }
    }

    /**
     * @param array<string, mixed> $partner
     */
    private function showGroup(array $partner): void
    {
        $groups = Reply::list($this->state, 'price_groups');
        if ($groups === array()) {
            return;
        }
        $chosen = Reply::text($partner, 'price_group');
        SettingsPage::openForm(NetworkActions::PARTNER);
        echo '<input type="hidden" name="partner" value="' . esc_attr(Reply::text($partner, 'id')) . '">';
        echo '<select name="price_group"><option value="">' . esc_html__('full dealer price', 'shopbridge') . '</option>';
        foreach ($groups as $group) {
            $name = is_array($group) ? Reply::text($group, 'name') : '';
            echo '<option value="' . esc_attr($name) . '"';
            if ($name === $chosen) {
                echo ' selected';
            }
            echo '>' . esc_html($name . ' (-' . Amounts::percent($group['discount'] ?? 0) . ')') . '</option>';
        }
        echo '</select> <button type="submit" class="button" name="deed" value="price_group">' . esc_html__('Set', 'shopbridge') . '</button></form>';
    }

    /**
     * @return array<int, array<string, mixed>>
     */
    private function partners(string $role): array
    {
        $isMeant = static fn ($partner): bool => is_array($partner) && ($partner['role'] ?? '') === $role;
        return array_values(array_filter(Reply::list($this->state, 'partners'), $isMeant));
    }

    private static function stateName(string $state): string
    {
        $names = array(
            'asked' => __('asked', 'shopbridge'),
            'active' => __('active', 'shopbridge'),
            'paused' => __('paused', 'shopbridge'),
            'refused' => __('refused', 'shopbridge'),
            'ended' => __('ended', 'shopbridge'),
        );
        return $names[$state] ?? $state;
    }

    private static function actionName(string $action): string
    {
        $names = array(
            'ask' => __('Ask', 'shopbridge'),
            'accept' => __('Accept', 'shopbridge'),
            'refuse' => __('Refuse', 'shopbridge'),
            'pause' => __('Pause', 'shopbridge'),
            'resume' => __('Resume', 'shopbridge'),
            'end' => __('End', 'shopbridge'),
        );
        return $names[$action];
    }
}
