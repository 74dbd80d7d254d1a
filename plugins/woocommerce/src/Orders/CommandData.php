<?php

/**
 * The `data` of a command, read field by field; what is missing or of the wrong kind is refused by name.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class CommandData
{
    /** @var array<string, mixed> */
    private $values;

    /** @var string */
    private $path;

    /**
     * @param array<string, mixed> $values
     */
    public function __construct(array $values, string $path = 'data')
    {
        $this->values = $values;
        $this->path = $path;
    }

    /** Text that must be there. */
    public function text(string $name, int $longest = 1000): string
    {
        $text = $this->optional($name, $longest);
        if ($text === '') {
            throw $this->invalid($name, 'is missing');
        }
        return $text;
    }

    /** Text that may be missing, then ''. */
    public function optional(string $name, int $longest = 1000): string
    {
        $value = $this->values[$name] ?? '';
        if (is_int($value)) {
            $value = (string) $value;
        }
        if (!is_string($value)) {
            throw $this->invalid($name, 'is not text');
        }
        return mb_substr(trim(str_replace("\0", '', $value)), 0, $longest);
    }

    /** One of our keys: unique for ever, so it is never cut. */
    public function key(string $name = 'key'): string
    {
        $key = $this->text($name, 101);
        if (strlen($key) > 100) {
            throw $this->invalid($name, 'is longer than 100 characters');
        }
        return $key;
    }

    /** The id of an object in this shop. */
    public function id(string $name): int
    {
        $text = $this->text($name, 20);
        if (preg_match('/^[1-9]\d{0,17}$/', $text) !== 1) {
            throw $this->invalid($name, 'is not an id');
        }
        return (int) $text;
    }

    public function quantity(string $name): int
    {
        $value = $this->values[$name] ?? null;
        if (!is_int($value) || $value < 1 || $value > 1000000) {
            throw $this->invalid($name, 'is not a quantity');
        }
        return $value;
    }

    /** A whole number, also negative or 0. */
    public function number(string $name): int
    {
        $value = $this->values[$name] ?? null;
        if (!is_int($value)) {
            throw $this->invalid($name, 'is not a whole number');
        }
        return $value;
    }

    /** An amount in cents. */
    public function cents(string $name): int
    {
        $text = $this->text($name, 20);
        if (!Money::isAmount($text)) {
            throw $this->invalid($name, 'is not an amount with at most two decimals');
        }
        return Money::cents($text);
    }

    public function flag(string $name, bool $default): bool
    {
        $value = $this->values[$name] ?? $default;
        if (!is_bool($value)) {
            throw $this->invalid($name, 'is not true or false');
        }
        return $value;
    }

    public function has(string $name): bool
    {
        return isset($this->values[$name]);
    }

    public function object(string $name): self
    {
        $value = $this->values[$name] ?? null;
        if (!is_array($value)) {
            throw $this->invalid($name, 'is not an object');
        }
        return new self($value, $this->path . '.' . $name);
    }

    /**
     * A list of objects; missing or null is an empty list.
     *
     * @return self[]
     */
    public function objects(string $name): array
    {
        $objects = array();
        foreach ($this->list($name) as $place => $value) {
            if (!is_array($value)) {
                throw $this->invalid($name . '.' . $place, 'is not an object');
            }
            $objects[] = new self($value, $this->path . '.' . $name . '.' . $place);
        }
        return $objects;
    }

    /**
     * @return array<int, mixed>
     */
    public function list(string $name): array
    {
        $value = $this->values[$name] ?? array();
        if (!is_array($value) || ($value !== array() && array_keys($value) !== range(0, count($value) - 1))) {
            throw $this->invalid($name, 'is not a list');
        }
        return $value;
    }

    /**
     * An object of texts; missing or null is an empty one.
     *
     * @return array<string, string>
     */
    public function texts(string $name, int $longest = 1000): array
    {
        $values = $this->has($name) ? $this->object($name) : new self(array());
        $texts = array();
        foreach (array_keys($values->values) as $key) {
            $text = $values->optional((string) $key, $longest);
            if ($text !== '') {
                $texts[mb_substr((string) $key, 0, 64)] = $text;
            }
        }
        return $texts;
    }

    public function invalid(string $name, string $why): Refusal
    {
        $field = $this->path . '.' . $name;
        return new Refusal('data.invalid', $field . ' ' . $why . '.', $field);
    }
}
