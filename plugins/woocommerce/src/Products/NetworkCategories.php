<?php

/**
 * The categories of the network and this shop's role in it, as the bridge last told them. The list is old for at most a day where products
 * are edited; a bridge that does not answer never holds up a page for more than a few seconds an hour.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Outbox\Answer;

class NetworkCategories
{
    public const OPTION = 'shopbridge_network';
    private const OLD = DAY_IN_SECONDS;
    private const ASKED = 'shopbridge_network_asked';

    /** @var callable(): Answer asks the bridge for the state of the network */
    private $ask;

    public function __construct(callable $ask)
    {
        $this->ask = $ask;
    }

    /** Asks the bridge when the list is older than a day, at most once an hour. */
    public function refreshWhenOld(): void
    {
        if (time() - (int) (self::stored()['at'] ?? 0) <= self::OLD || get_transient(self::ASKED) !== false) {
            return;
        }
        set_transient(self::ASKED, '1', HOUR_IN_SECONDS);
        $answer = ($this->ask)();
        if ($answer->code === 200) {
            self::remember($answer->body, time());
        }
    }

    /**
     * Keeps what is needed of an answer of /plugin/network/state.
     *
     * @param array<string, mixed> $state
     */
    public static function remember(array $state, int $now): void
    {
        $names = array();
        foreach (is_array($state['categories'] ?? null) ? $state['categories'] : array() as $category) {
            $key = is_array($category) && is_scalar($category['key'] ?? null) ? (string) $category['key'] : '';
            if ($key !== '') {
                $names[$key] = is_scalar($category['name'] ?? null) ? (string) $category['name'] : $key;
            }
        }
        $stored = array(
            'at' => $now,
            'names' => $names,
            'supplier' => !empty($state['supplier']),
            'retailer' => !empty($state['retailer']),
        );
        update_option(self::OPTION, $stored, false);
    }

    /**
     * @return array<string, string> name by key; empty while the bridge has told nothing
     */
    public static function names(): array
    {
        $names = self::stored()['names'] ?? array();
        return is_array($names) ? $names : array();
    }

    public static function name(string $key): string
    {
        return self::names()[$key] ?? $key;
    }

    /** Only a shop that is a retailer and nothing else needs no fields for dealers. */
    public static function mayOfferToDealers(): bool
    {
        $stored = self::stored();
        return !empty($stored['supplier']) || empty($stored['retailer']);
    }

    /** The key of what a person or a file says: the key itself or its name. Null when the network has no such category. */
    public static function find(string $typed): ?string
    {
        $names = self::names();
        if ($names === array()) {
            // Nothing to compare with yet; the bridge will say when it does not know the category.
            return preg_match('/^[^\x00-\x1F<>]{1,64}$/u', $typed) === 1 ? $typed : null;
        }
        foreach ($names as $key => $name) {
            if (strcasecmp((string) $key, $typed) === 0 || mb_strtolower($name) === mb_strtolower($typed)) {
                return (string) $key;
            }
        }
        return null;
    }

    /**
     * For a select field: what is chosen now stays choosable, also when the bridge no longer lists it.
     *
     * @return array<string, string>
     */
    public static function options(string $chosen, string $none): array
    {
        $options = array('' => $none) + self::names();
        if ($chosen !== '' && !isset($options[$chosen])) {
            $options[$chosen] = $chosen;
        }
        return $options;
    }

    /**
     * @return array<string, mixed>
     */
    private static function stored(): array
    {
        $stored = get_option(self::OPTION, array());
        return is_array($stored) ? $stored : array();
    }
}
