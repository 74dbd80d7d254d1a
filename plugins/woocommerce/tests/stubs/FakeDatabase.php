<?php

/**
 * A $wpdb that knows two tables by heart: the keys (with their unique row and transactions) and the commands. The SQL of the outbox is
 * tried in a real shop; here MemoryOutbox stands for it.
 */

declare(strict_types=1);

final class FakeDatabase
{
    /** @var string */
    public $prefix = 'wp_';

    /** @var string */
    public $posts = 'wp_posts';

    /** @var string */
    public $postmeta = 'wp_postmeta';

    /** @var int */
    public $insert_id = 0;

    /** @var array<string, array<string, mixed>> */
    public $keys = array();

    /** @var array<string, array<string, mixed>> */
    public $commands = array();

    /** @var array<int, array<string, mixed>> */
    public $orders = array();

    /** @var array<int, array<int, array<string, string>>> answers of get_results(), the next one first */
    public $results = array();

    /** @var array<int, string[]> answers of get_col(), the next one first */
    public $columns = array();

    /** @var string[] */
    public $queries = array();

    /** @var bool the database ends our transaction by itself */
    public $deadlock = false;

    /** @var array<string, array<string, mixed>>|null */
    private $before;

    public function prepare(string $query, ...$values): string
    {
        $values = count($values) === 1 && is_array($values[0]) ? $values[0] : $values;
        foreach ($values as $value) {
            $place = preg_match('/%[sd]/', $query, $found) === 1 ? $found[0] : '';
            $text = $place === '%d' ? (string) (int) $value : "'" . addslashes((string) $value) . "'";
            $query = preg_replace('/' . $place . '/', addcslashes($text, '\\$'), $query, 1);
        }
        return $query;
    }

    public function suppress_errors(bool $on = true): bool
    {
        return false;
    }

    public function query(string $query)
    {
        $this->queries[] = $query;
        if ($query === 'START TRANSACTION') {
            $this->before = $this->keys;
        } elseif ($query === 'ROLLBACK') {
            $this->keys = $this->before ?? $this->keys;
        } elseif ($query === 'COMMIT') {
            $this->before = null;
        } elseif (preg_match("/^INSERT IGNORE INTO `wp_shopbridge_commands`.*VALUES \('(.*?)', '(.*?)', (\d+)\)/s", $query, $found) === 1) {
            return $this->insertCommand($found[1], (int) $found[3]);
        } elseif (preg_match("/^UPDATE `wp_shopbridge_commands` SET created_at = (\d+) WHERE command_id = '(.*?)'/", $query, $found) === 1) {
            $this->commands[$found[2]]['created_at'] = (int) $found[1];
        } elseif (preg_match("/^INSERT INTO `wp_shopbridge_orders` \(order_id, `(\w+)`\) VALUES \((\d+), (NULL|'(.*?)')\)/", $query, $found) === 1) {
            $this->orders[(int) $found[2]][$found[1]] = $found[3] === 'NULL' ? null : $found[4];
        }
        return 1;
    }

    public function get_var(string $query)
    {
        $this->queries[] = $query;
        if (preg_match("/SELECT object_id FROM `wp_shopbridge_keys` WHERE kind = '(.*?)' AND name = '(.*?)'/", $query, $found) === 1) {
            return $this->keys[$found[1] . ' ' . $found[2]]['object_id'] ?? null;
        }
        if (preg_match("/wc_product_meta_lookup WHERE sku = '(.*?)' AND product_id <> (\d+)/", $query, $found) === 1) {
            foreach (FakeShop::$products as $id => $product) {
                if ($product->get_sku() === $found[1] && $id !== (int) $found[2]) {
                    return (string) $id;
                }
            }
        }
        return strpos($query, '_LOCK(') !== false ? '1' : null;
    }

    public function get_col(string $query): array
    {
        $this->queries[] = $query;
        return array_shift($this->columns) ?? array();
    }

    public function get_results(string $query, string $form = ''): array
    {
        $this->queries[] = $query;
        return array_shift($this->results) ?? array();
    }

    public function get_row(string $query, string $form = ''): ?array
    {
        if (preg_match("/WHERE command_id = '(.*?)'/", $query, $found) === 1) {
            return $this->commands[$found[1]] ?? null;
        }
        return preg_match('/WHERE order_id = (\d+)/', $query, $found) === 1 ? ($this->orders[(int) $found[1]] ?? null) : null;
    }

    public function insert(string $table, array $row)
    {
        if ($table !== 'wp_shopbridge_keys') {
            return 1;
        }
        $name = $row['kind'] . ' ' . $row['name'];
        if (isset($this->keys[$name])) {
            return false;
        }
        $this->keys[$name] = $row + array('object_id' => 0);
        return 1;
    }

    public function update(string $table, array $values, array $where)
    {
        if ($table === 'wp_shopbridge_commands') {
            $this->commands[$where['command_id']] = $values + $this->commands[$where['command_id']];
            return 1;
        }
        if ($table === 'wp_shopbridge_keys') {
            $name = $where['kind'] . ' ' . $where['name'];
            if ($this->deadlock || !isset($this->keys[$name])) {
                return 0;
            }
            $this->keys[$name] = $values + $this->keys[$name];
        }
        return 1;
    }

    public function delete(string $table, array $where)
    {
        unset($this->keys[($where['kind'] ?? '') . ' ' . ($where['name'] ?? '')]);
        unset($this->commands[$where['command_id'] ?? '']);
        return 1;
    }

    private function insertCommand(string $id, int $now): int
    {
        if (isset($this->commands[$id])) {
            return 0;
        }
        $this->commands[$id] = array('answer' => null, 'created_at' => $now);
        return 1;
    }
}
