<?php

/**
 * The profile of a merchant in the network: who he is, where goods come back to, his conditions. The bridge checks it; its words stand beside
 * the field they are about.
 */

declare(strict_types=1);

namespace Shopbridge\Network;

use Shopbridge\Products\TypedPrice;
use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\Input;
use Shopbridge\Screens\Memo;
use Shopbridge\Screens\Reply;
use Shopbridge\Settings\SettingsPage;

class ProfileForm
{
    private const ADDRESS = array('company', 'first_name', 'last_name', 'address_1', 'address_2', 'postcode', 'city', 'state', 'country', 'phone', 'email');
    private const FLAGS = array('supplier', 'retailer', 'accepts_partners', 'accepts_orders');
    private const AMOUNTS = array('shipping_price', 'shipping_free_from');
    private const BANK = array('iban', 'bic', 'holder');

    /** Fields of a form have no dots in their names. */
    private const GROUPS = array('address', 'return_address', 'bank');

    /** @var array<string, mixed> the profile as the bridge has it */
    private $profile;

    /** @var Memo */
    private $memo;

    /** @var array<string, bool> problems that stand beside a field */
    private $told = array();

    /**
     * @param array<string, mixed> $profile
     */
    public function __construct(array $profile, Memo $memo)
    {
        $this->profile = $profile;
        $this->memo = $memo;
    }

    /**
     * The form as it was typed, read for the bridge.
     *
     * @return array{profile: array<string, mixed>, problems: array<string, string>, typed: array<string, mixed>}
     */
    public static function read(): array
    {
        $typed = self::typed();
        $problems = array();
        $profile = array_map(static fn (string $flag): bool => $flag === 'yes', array_intersect_key($typed, array_flip(self::FLAGS)));
        $profile['address'] = $typed['address'];
        $profile['return_address'] = $typed['other_return_address'] === 'yes' ? $typed['return_address'] : null;
        $profile['vat_id'] = $typed['vat_id'] === '' ? null : $typed['vat_id'];
        foreach (self::AMOUNTS as $name) {
            $amount = $typed[$name] === '' ? '' : TypedPrice::read($typed[$name]);
            if ($amount === null) {
                $problems[$name] = __('This is no amount: digits with at most two decimals.', 'shopbridge');
            }
            $profile[$name] = $amount === '' ? ($name === 'shipping_price' ? '0.00' : null) : $amount;
        }
        if (preg_match('/^\d{0,5}$/', $typed['hold_minutes']) !== 1) {
            $problems['hold_minutes'] = __('This is no number of minutes.', 'shopbridge');
        }
        $profile['hold_minutes'] = (int) $typed['hold_minutes'];
        if (in_array($typed['dealer_prices'], array('net', 'gross'), true)) {
            $profile['dealer_prices'] = $typed['dealer_prices'];
            $profile['dealer_vat_percent'] = trim(str_replace('%', '', $typed['dealer_vat_percent']));
        }
        $profile['submit'] = Input::text('draft') !== 'yes';
        self::readBank($typed, $profile, $problems);
        return array('profile' => $profile, 'problems' => $problems, 'typed' => $typed);
    }

    public function show(): void
    {
        SettingsPage::openForm(NetworkActions::PROFILE);
        $this->showRoles();
        $this->heading(__('Company and address', 'shopbridge'));
        $this->showAddress('address');
        $this->text('vat_id', __('VAT id', 'shopbridge'), 'DE123456789');
        $this->text('tax_number', __('Tax number (when you have no VAT id)', 'shopbridge'));
        $this->close();
        $this->heading(__('Returns', 'shopbridge'));
        $other = $this->typedOr('other_return_address', is_array($this->profile['return_address'] ?? null) ? 'yes' : '') === 'yes';
        $this->checkbox('other_return_address', __('Returns go to another address:', 'shopbridge'), $other);
        $this->showAddress('return_address');
        $this->close();
        $this->showSupplier();
        $this->showRetailer();
        echo '<input type="hidden" name="bank_shown" value="' . esc_attr($this->bankShown()) . '">';
        echo '<input type="hidden" name="tax_number_shown" value="' . esc_attr(self::taxNumber($this->profile)) . '">';
        submit_button(__('Save and submit', 'shopbridge'), 'primary', 'submitted', false);
        echo ' <button type="submit" class="button" name="draft" value="yes">' . esc_html__('Save as draft', 'shopbridge') . '</button></form>';
    }

    /**
     * The documents of the profile with this tax number among them; what else is there stays.
     *
     * @param array<string, mixed> $profile as the bridge has it
     * @return array<int, array<string, mixed>>
     */
    public static function documents(array $profile, string $number): array
    {
        $isOther = static fn ($document): bool => is_array($document) && ($document['kind'] ?? '') !== 'tax_number';
        $documents = array_values(array_filter(Reply::list($profile, 'documents'), $isOther));
        if ($number !== '') {
            $documents[] = array('kind' => 'tax_number', 'number' => $number);
        }
        return $documents;
    }

    /**
     * @param array<string, mixed> $profile
     */
    public static function taxNumber(array $profile): string
    {
        foreach (Reply::list($profile, 'documents') as $document) {
            if (is_array($document) && ($document['kind'] ?? '') === 'tax_number') {
                return Reply::text($document, 'number');
            }
        }
        return '';
    }

    /**
     * Problems that no field of the form is named after.
     *
     * @return string[]
     */
    public function others(): array
    {
        return array_values(array_diff_key($this->memo->problems, $this->told));
    }

    /**
     * @return array<string, mixed>
     */
    private static function typed(): array
    {
        $typed = array('other_return_address' => Input::text('other_return_address'), 'vat_id' => Input::text('vat_id'));
        $typed['hold_minutes'] = Input::text('hold_minutes');
        $typed['tax_number'] = Input::text('tax_number');
        $typed['dealer_prices'] = Input::text('dealer_prices');
        $typed['dealer_vat_percent'] = Input::text('dealer_vat_percent');
        foreach (array_merge(self::FLAGS, self::AMOUNTS) as $name) {
            $typed[$name] = Input::text($name);
        }
        foreach (self::GROUPS as $group) {
            foreach ($group === 'bank' ? self::BANK : self::ADDRESS as $name) {
                $typed[$group][$name] = (string) Input::part($group, $name);
            }
        }
        return $typed;
    }

    /**
     * The bridge shows only the ends of an account number. One that still has stars in it was not typed anew and is not sent.
     *
     * @param array<string, mixed> $typed
     * @param array<string, mixed> $profile
     * @param array<string, string> $problems
     */
    private static function readBank(array $typed, array &$profile, array &$problems): void
    {
        $account = $typed['bank'];
        if (strpos($account['iban'], '*') === false) {
            $profile['bank'] = implode('', $account) === '' ? null : $account;
        } elseif ($account['bic'] . '|' . $account['holder'] !== Input::text('bank_shown')) {
            $problems['bank.iban'] = __('Type the whole IBAN when you change something of the account.', 'shopbridge');
        }
    }

    private function showRoles(): void
    {
        $this->heading(__('Your part in the network', 'shopbridge'));
        $this->checkbox('supplier', __('Supplier: retailers sell my products, I ship in their name', 'shopbridge'), !empty($this->profile['supplier']));
        $this->checkbox('retailer', __('Retailer: I sell products of suppliers in this shop', 'shopbridge'), !empty($this->profile['retailer']));
        $this->close();
    }

    private function showSupplier(): void
    {
        $this->heading(__('For suppliers', 'shopbridge'));
        $this->text('bank.iban', __('IBAN', 'shopbridge'), 'DE89 3704 0044 0532 0130 00');
        $this->text('bank.bic', __('BIC (only where your bank needs it)', 'shopbridge'));
        $this->text('bank.holder', __('Account holder', 'shopbridge'));
        $this->showDealerPrices();
        $this->text('shipping_price', __('Shipping price per order (gross)', 'shopbridge'), '4,90');
        $this->text('shipping_free_from', __('Free shipping from (gross, empty = never)', 'shopbridge'));
        $this->checkbox('accepts_partners', __('Accept every retailer who asks', 'shopbridge'), !empty($this->profile['accepts_partners']));
        $this->checkbox('accepts_orders', __('Accept every order at once', 'shopbridge'), (bool) ($this->profile['accepts_orders'] ?? true));
        $this->close();
    }

    /** Only a bridge that knows these options is asked to change them. */
    private function showDealerPrices(): void
    {
        if (Reply::text($this->profile, 'dealer_prices') === '') {
            return;
        }
        $choices = array('net' => __('net, the tax of the product is added', 'shopbridge'), 'gross' => __('gross, with tax', 'shopbridge'));
        $this->choice('dealer_prices', __('Dealer prices of my products are', 'shopbridge'), $choices);
        $this->text('dealer_vat_percent', __('Tax rate in percent of products whose rate the shop does not know', 'shopbridge'), '19');
    }

    private function showRetailer(): void
    {
        $this->heading(__('For retailers', 'shopbridge'));
        $this->text('hold_minutes', __('Minutes until an order is passed on to the supplier', 'shopbridge'), '0');
        $this->close();
    }

    private function showAddress(string $group): void
    {
        foreach (self::addressLabels() as $name => $label) {
            if ($name === 'country') {
                $this->country($group . '.country', $label);
            } else {
                $this->text($group . '.' . $name, $label);
            }
        }
    }

    private function heading(string $text): void
    {
        echo '<h2>' . esc_html($text) . '</h2><table class="form-table"><tbody>';
    }

    private function close(): void
    {
        echo '</tbody></table>';
    }

    private function text(string $field, string $label, string $example = ''): void
    {
        $this->open($field, $label);
        echo '<input type="text" class="regular-text" maxlength="200" id="' . esc_attr(self::id($field)) . '" name="' . esc_attr(self::name($field)) . '" ';
        echo 'value="' . esc_attr($this->value($field)) . '" placeholder="' . esc_attr($example) . '">';
        $this->problem($field);
        echo '</td></tr>';
    }

    private function country(string $field, string $label): void
    {
        $names = array();
        foreach (WC()->countries->get_countries() as $code => $country) {
            $names[(string) $code] = html_entity_decode((string) $country, ENT_QUOTES, 'UTF-8');
        }
        $this->choice($field, $label, array('' => '') + $names);
    }

    /**
     * @param array<string, string> $choices
     */
    private function choice(string $field, string $label, array $choices): void
    {
        $chosen = $this->value($field);
        $this->open($field, $label);
        echo '<select id="' . esc_attr(self::id($field)) . '" name="' . esc_attr(self::name($field)) . '">';
        foreach ($choices as $value => $text) {
            echo '<option value="' . esc_attr((string) $value) . '"';
            if ((string) $value === $chosen) {
                echo ' selected';
            }
            echo '>' . esc_html($text) . '</option>';
        }
        echo '</select>';
        $this->problem($field);
        echo '</td></tr>';
    }

    private function checkbox(string $field, string $label, bool $on): void
    {
        $on = $this->memo->typed === array() ? $on : ($this->memo->typed[$field] ?? '') === 'yes';
        echo '<tr><th></th><td><label><input type="checkbox" name="' . esc_attr($field) . '" value="yes"';
        if ($on) {
            echo ' checked';
        }
        echo '> ' . esc_html($label) . '</label>';
        $this->problem($field);
        echo '</td></tr>';
    }

    private function open(string $field, string $label): void
    {
        echo '<tr><th scope="row"><label for="' . esc_attr(self::id($field)) . '">' . esc_html($label) . '</label></th><td>';
    }

    private function problem(string $field): void
    {
        if (isset($this->memo->problems[$field])) {
            $this->told[$field] = true;
            echo '<p class="shopbridge-problem" style="color:#b32d2e"><strong>' . esc_html($this->memo->problems[$field]) . '</strong></p>';
        }
    }

    /** What was typed before, else what the bridge has. */
    private function value(string $field): string
    {
        if ($field === 'tax_number' && $this->memo->typed === array()) {
            return self::taxNumber($this->profile);
        }
        $parts = explode('.', $field);
        $values = $this->memo->typed === array() ? $this->profile : $this->memo->typed;
        foreach ($parts as $part) {
            $values = is_array($values) ? ($values[$part] ?? '') : '';
        }
        if ($this->memo->typed === array() && in_array($field, self::AMOUNTS, true)) {
            return Amounts::plain($values);
        }
        return is_scalar($values) ? (string) $values : '';
    }

    private function bankShown(): string
    {
        $account = is_array($this->profile['bank'] ?? null) ? $this->profile['bank'] : array();
        return Reply::text($account, 'bic') . '|' . Reply::text($account, 'holder');
    }

    private function typedOr(string $field, string $else): string
    {
        return $this->memo->typed === array() ? $else : (string) ($this->memo->typed[$field] ?? '');
    }

    private static function name(string $field): string
    {
        $parts = explode('.', $field);
        return count($parts) === 2 ? $parts[0] . '[' . $parts[1] . ']' : $field;
    }

    private static function id(string $field): string
    {
        return 'shopbridge-' . str_replace(array('.', '_'), '-', $field);
    }

    /**
     * @return array<string, string>
     */
    private static function addressLabels(): array
    {
        return array(
            'company' => __('Company', 'shopbridge'),
            'first_name' => __('First name', 'shopbridge'),
            'last_name' => __('Last name', 'shopbridge'),
            'address_1' => __('Street and number', 'shopbridge'),
            'address_2' => __('Addition to the address', 'shopbridge'),
            'postcode' => __('Postcode', 'shopbridge'),
            'city' => __('City', 'shopbridge'),
            'state' => __('State or province (where needed)', 'shopbridge'),
            'country' => __('Country', 'shopbridge'),
            'phone' => __('Telephone', 'shopbridge'),
            'email' => __('E-mail', 'shopbridge'),
        );
    }
}
