<?php

/**
 * Of several waiting messages of one subject and type only the newest needs to be sent; what it must not lose are status transitions.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Coalescing
{
    /** Facts of the past, not of the state: each of these stands for itself. */
    private const NEVER = array('manifest.daily', 'plugin.installed', 'plugin.removed');

    /**
     * Which rows the newest of their subject and type replaces, and what that one then has to carry.
     *
     * @param Row[] $rows waiting rows, oldest first
     * @return array<int, array{replaced: int[], context: array<string, mixed>}> by the id of the surviving row
     */
    public static function plan(array $rows): array
    {
        $groups = array();
        foreach ($rows as $row) {
            if (!in_array($row->type, self::NEVER, true)) {
                $groups[$row->subject . ' ' . $row->type][] = $row;
            }
        }
        $plan = array();
        foreach ($groups as $group) {
            if (count($group) > 1) {
                $survivor = end($group);
                $plan[$survivor->id] = self::merge($group);
            }
        }
        return $plan;
    }

    /**
     * @param Row[] $group at least two, oldest first
     * @return array{replaced: int[], context: array<string, mixed>}
     */
    private static function merge(array $group): array
    {
        $survivor = array_pop($group);
        $transitions = array();
        $reduced = array();
        foreach (array_merge($group, array($survivor)) as $row) {
            $transitions = array_merge($transitions, $row->context['transitions'] ?? array());
            if (!empty($row->context['reduced'])) {
                $reduced[] = (int) ($row->context['reduced_at'] ?? $row->id);
            }
        }
        $context = $survivor->context;
        if ($transitions !== array()) {
            $context['transitions'] = $transitions;
        }
        if ($reduced !== array()) {
            $context['reduced'] = true;
            $context['reduced_at'] = min($reduced);
        }
        $replaced = array();
        foreach ($group as $row) {
            $replaced[] = $row->id;
        }
        return array('replaced' => $replaced, 'context' => $context);
    }
}
