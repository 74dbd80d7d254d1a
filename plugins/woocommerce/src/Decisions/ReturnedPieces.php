<?php

/**
 * The pieces of a return: what came back or will, why, and what was given back for it before.
 */

declare(strict_types=1);

namespace Shopbridge\Decisions;

use Shopbridge\Screens\Amounts;
use Shopbridge\Screens\Reply;

final class ReturnedPieces
{
    /** @var array<int, array<mixed>> */
    private $pieces;

    /** @var string */
    private $currency;

    /**
     * @param array<mixed> $return of the answer of /plugin/orders/waiting
     */
    public function __construct(array $return)
    {
        $this->pieces = Reply::objects($return, 'pieces');
        $this->currency = Reply::text($return, 'currency');
    }

    /**
     * Of those that can be named to the bridge.
     *
     * @return string[]
     */
    public function ids(): array
    {
        $ids = array_map(static fn (array $piece): string => Reply::text($piece, 'id'), $this->pieces);
        return array_values(array_filter($ids, static fn (string $id): bool => $id !== ''));
    }

    /** Whether the buyer has got back something for one of them already. */
    public function areRefunded(): bool
    {
        return array_filter($this->pieces, array(self::class, 'isRefunded')) !== array();
    }

    public function showList(): void
    {
        echo '<ul>';
        foreach ($this->pieces as $piece) {
            echo '<li>' . esc_html($this->told($piece)) . '</li>';
        }
        echo '</ul>';
    }

    /**
     * @param string[] $ticked ids
     */
    public function showTicks(array $ticked): void
    {
        foreach ($this->pieces as $piece) {
            $id = Reply::text($piece, 'id');
            echo '<p><label>';
            if ($id !== '') {
                echo '<input type="checkbox" name="pieces[]" value="' . esc_attr($id) . '"';
                echo esc_attr(in_array($id, $ticked, true) ? ' checked' : '') . '> ';
            }
            echo esc_html($this->told($piece)) . '</label></p>';
        }
    }

    /**
     * "Assam (TEE-001), already refunded: 3.00 EUR. Reason given: too bitter". The reason is the buyer's words or a code of the marketplace.
     *
     * @param array<mixed> $piece
     */
    private function told(array $piece): string
    {
        $told = Goods::name($piece);
        if (self::isRefunded($piece)) {
            /* translators: 1: name of a product 2: amount with currency */
            $told = sprintf(__('%1$s, already refunded: %2$s', 'shopbridge'), $told, trim(Amounts::shown($piece['refunded'], $this->currency)));
        }
        $reason = Reply::text($piece, 'reason');
        if ($reason === '') {
            return $told;
        }
        /* translators: 1: name of a product 2: the buyer's words, or the marketplace's code for his reason */
        return sprintf(__('%1$s. Reason given: %2$s', 'shopbridge'), $told, $reason);
    }

    /**
     * @param array<mixed> $piece
     */
    private static function isRefunded(array $piece): bool
    {
        return !in_array(Amounts::plain($piece['refunded'] ?? null), array('', '0.00'), true);
    }
}
