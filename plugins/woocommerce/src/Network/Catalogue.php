<?php

/**
 * What suppliers offer to this retailer: searched and paged by the bridge, ticked here, imported or removed with one button.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Reply;
use Shopbridge\Settings\SettingsPage;

class Catalogue
{
    /** @var NetworkBridge */
    private $bridge;

    /** @var array<string, mixed> the answer of /plugin/network/state */
    private $state;

    /**
     * @param array<string, mixed> $state
     */
    public function __construct(NetworkBridge $bridge, array $state)
    {
        $this->bridge = $bridge;
        $this->state = $state;
    }

    public function show(): void
    {
        $asked = self::asked();
        $this->showSearch($asked);
        $answer = $this->bridge->catalogue(self::question($asked));
        $problems = NetworkBridge::problems($answer);
        foreach ($problems as $problem) {
            echo '<div class="notice notice-error inline"><p>' . esc_html($problem) . '</p></div>';
        }
        if ($problems === array()) {
            $this->showItems($answer->body, $asked);
        }
    }

    /**
     * What is looked for, as the address of the page says; also the way back after an import.
     *
     * @return array<string, string>
     */
    public static function asked(): array
    {
        return array(
            'search' => Input::text('search'),
            'category' => Input::text('category'),
            'supplier' => Input::text('supplier'),
            'margin' => Input::number('margin') > 0 ? (string) min(100, Input::number('margin')) : '',
            'listed' => in_array(Input::text('listed'), array('yes', 'no'), true) ? Input::text('listed') : '',
            'part' => (string) max(1, Input::number('part')),
        );
    }

    /**
     * @param array<string, string> $asked
     * @return array<string, mixed>
     */
    private static function question(array $asked): array
    {
        $question = array_filter(array_intersect_key($asked, array_flip(array('search', 'category', 'supplier'))));
        if ($asked['margin'] !== '') {
            $question['margin'] = (int) $asked['margin'];
        }
        if ($asked['listed'] !== '') {
            $question['listed'] = $asked['listed'] === 'yes';
        }
        return $question + array('page' => (int) $asked['part']);
    }

    /**
     * @param array<string, string> $asked
     */
    private function showSearch(array $asked): void
    {
        echo '<form method="get" action="' . esc_url(admin_url('admin.php')) . '"><p class="search-box" style="float:none;text-align:left">';
        echo '<input type="hidden" name="page" value="' . esc_attr(NetworkPage::SLUG) . '"><input type="hidden" name="tab" value="catalogue">';
        echo '<input type="search" name="search" value="' . esc_attr($asked['search']) . '" placeholder="';
        echo esc_attr__('words, GTIN or brand', 'shopbridge') . '"> ';
        $this->showChoice('category', __('all categories', 'shopbridge'), self::names($this->state, 'categories', 'key'), $asked['category']);
        $this->showChoice('supplier', __('all suppliers', 'shopbridge'), self::names($this->state, 'suppliers', 'id'), $asked['supplier']);
        $here = array('yes' => __('in this shop', 'shopbridge'), 'no' => __('not in this shop', 'shopbridge'));
        $this->showChoice('listed', __('all', 'shopbridge'), $here, $asked['listed']);
        echo '<label>' . esc_html__('Margin at least', 'shopbridge') . ' <input type="text" size="3" name="margin" value="' . esc_attr($asked['margin']);
        echo '"> %</label> ';
        echo '<button type="submit" class="button">' . esc_html__('Search', 'shopbridge') . '</button></p></form>';
    }

    /**
     * @param array<string, string> $choices
     */
    private function showChoice(string $name, string $all, array $choices, string $chosen): void
    {
        echo '<select name="' . esc_attr($name) . '" style="vertical-align:baseline"><option value="">' . esc_html($all) . '</option>';
        foreach ($choices as $value => $text) {
            echo '<option value="' . esc_attr((string) $value) . '"';
            if ((string) $value === $chosen) {
                echo ' selected';
            }
            echo '>' . esc_html($text) . '</option>';
        }
        echo '</select> ';
    }

    /**
     * @param array<string, mixed> $page
     * @param array<string, string> $asked
     */
    private function showItems(array $page, array $asked): void
    {
        $items = array_filter(Reply::list($page, 'items'), 'is_array');
        /* translators: %d: number of products */
        echo '<p>' . esc_html(sprintf(__('%d products', 'shopbridge'), (int) ($page['total'] ?? count($items)))) . '</p>';
        if ($items === array()) {
            return;
        }
        SettingsPage::openForm(NetworkActions::LISTINGS);
        foreach ($asked as $name => $value) {
            echo '<input type="hidden" name="' . esc_attr($name) . '" value="' . esc_attr($value) . '">';
        }
        $this->showTable($items);
        $this->showRule();
        echo '</form>';
        $this->showPages($page, $asked);
    }

    /**
     * @param array<int, array<string, mixed>> $items
     */
    private function showTable(array $items): void
    {
        echo '<table class="widefat striped"><thead><tr><td class="check-column"></td><th></th>';
        foreach (self::headings() as $heading) {
            echo '<th>' . esc_html($heading) . '</th>';
        }
        echo '</tr></thead><tbody>';
        foreach ($items as $item) {
            $this->showItem($item);
        }
        echo '</tbody></table>';
    }

    /**
     * @param array<string, mixed> $item
     */
    private function showItem(array $item): void
    {
        $currency = Reply::text($item, 'currency');
        $title = Reply::text($item, 'title');
        $about = array_filter(array(Reply::text($item, 'brand'), Reply::text($item, 'gtin')));
        echo '<tr><th class="check-column"><input type="checkbox" name="products[]" value="' . esc_attr(Reply::text($item, 'product')) . '" ';
        echo 'aria-label="' . esc_attr($title) . '"></th><td>';
        $this->showPicture(Reply::text($item, 'image'));
        echo '</td><td><strong>' . esc_html($title) . '</strong><br>' . esc_html(implode(' · ', $about)) . '</td>';
        echo '<td>' . esc_html(Reply::text($item, 'supplier')) . '</td>';
        echo '<td>' . esc_html(Amounts::shown($item['dealer_price'] ?? null, $currency)) . '</td>';
        echo '<td>' . esc_html(Amounts::shown($item['recommended_price'] ?? null, $currency)) . '</td>';
        echo '<td>' . esc_html(Amounts::percent($item['margin_percent'] ?? null)) . '</td>';
        echo '<td>' . esc_html(Reply::text($item, 'stock')) . '</td><td>';
        if (!empty($item['listed'])) {
            echo esc_html__('in this shop', 'shopbridge') . '<br>';
        }
        if (is_array($item['reason'] ?? null)) {
            echo esc_html(Reply::text($item['reason'], 'message'));
        }
        echo '</td></tr>';
    }

    private function showPicture(string $url): void
    {
        if ($url !== '') {
            echo '<img src="' . esc_url($url) . '" alt="" width="48" style="height:auto" loading="lazy" referrerpolicy="no-referrer">';
        }
    }

    private function showRule(): void
    {
        echo '<h3>' . esc_html__('With the ticked products', 'shopbridge') . '</h3><p><label>' . esc_html__('Price in this shop:', 'shopbridge') . ' ';
        echo '<select name="rule">';
        foreach (self::rules() as $kind => $name) {
            echo '<option value="' . esc_attr($kind) . '">' . esc_html($name) . '</option>';
        }
        echo '</select></label> <input type="text" name="rule_value" size="8" placeholder="' . esc_attr__('amount or percent', 'shopbridge') . '" ';
        echo 'aria-label="' . esc_attr__('amount or percent', 'shopbridge') . '"> ';
        echo '<button type="submit" class="button button-primary" name="deed" value="import">' . esc_html__('Import', 'shopbridge') . '</button> ';
        echo '<button type="submit" class="button" name="deed" value="unlist">' . esc_html__('Remove', 'shopbridge') . '</button></p><p class="description">';
        echo esc_html__('Title, pictures, GTIN, price and stock are imported, no description. A product of yours with the same GTIN is used instead of a new one.', 'shopbridge');
        echo ' ' . esc_html__('Removing sets the stock to 0 and hides what came from the network; a product of your own stays visible.', 'shopbridge') . '</p>';
    }

    /**
     * @param array<string, mixed> $page
     * @param array<string, string> $asked
     */
    private function showPages(array $page, array $asked): void
    {
        $here = (int) $asked['part'];
        echo '<p>';
        if ($here > 1) {
            echo '<a class="button" href="' . esc_url(NetworkPage::url('catalogue', array('part' => (string) ($here - 1)) + $asked)) . '">';
            echo esc_html__('Back', 'shopbridge') . '</a> ';
        }
        if (is_int($page['next_page'] ?? null)) {
            echo '<a class="button" href="' . esc_url(NetworkPage::url('catalogue', array('part' => (string) $page['next_page']) + $asked)) . '">';
            echo esc_html__('Next', 'shopbridge') . '</a>';
        }
        echo '</p>';
    }

    /**
     * @param array<string, mixed> $values
     * @return array<string, string>
     */
    private static function names(array $values, string $list, string $key): array
    {
        $names = array();
        foreach (Reply::list($values, $list) as $one) {
            if (is_array($one) && Reply::text($one, $key) !== '') {
                $names[Reply::text($one, $key)] = Reply::text($one, 'name');
            }
        }
        return $names;
    }

    /**
     * The price rules of the bridge: what goes on top is meant from the dealer price, what is taken off from the recommended price.
     *
     * @return array<string, string>
     */
    public static function rules(): array
    {
        return array(
            'same' => __('recommended price', 'shopbridge'),
            'plus_percent' => __('dealer price plus percent', 'shopbridge'),
            'minus_percent' => __('recommended price minus percent', 'shopbridge'),
            'plus' => __('dealer price plus amount', 'shopbridge'),
            'minus' => __('recommended price minus amount', 'shopbridge'),
            'fixed' => __('fixed amount', 'shopbridge'),
        );
    }

    public static function base(string $kind): string
    {
        return in_array($kind, array('plus', 'plus_percent'), true) ? 'dealer' : 'recommended';
    }

    /**
     * @return string[]
     */
    private static function headings(): array
    {
        return array(
            __('Product', 'shopbridge'),
            __('Supplier', 'shopbridge'),
            __('Dealer price', 'shopbridge'),
            __('Recommended price', 'shopbridge'),
            __('Margin', 'shopbridge'),
            __('Stock', 'shopbridge'),
            '',
        );
    }
}
