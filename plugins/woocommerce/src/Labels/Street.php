<?php

/**
 * A street line in its parts, for carriers that want the house number by itself. What cannot be told apart stays in the name.
 */

declare(strict_types=1);

namespace Shopbridge\Labels;

final class Street
{
    private const NUMBER = '(\d+)\s*((?:[a-z]\b)?(?:\s*[-\/+]\s*\d+\s*(?:[a-z]\b)?)*)';

    /** @var string */
    public $name;

    /** @var string digits, or '' */
    public $digits;

    /** @var string what follows the digits, such as a letter */
    public $addition;

    private function __construct(string $name, string $digits, string $addition)
    {
        $this->name = $name;
        $this->digits = $digits;
        $this->addition = $addition;
    }

    public static function of(string $line): self
    {
        $line = trim($line);
        if (preg_match('/^(.*?\D)[\s,]*' . self::NUMBER . '$/iu', $line, $part) === 1) {
            return new self(rtrim($part[1], ' ,'), $part[2], trim($part[3]));
        }
        // The number first, as in "12 rue des Lilas".
        if (preg_match('/^' . self::NUMBER . '[\s,]+(\D.*)$/iu', $line, $part) === 1) {
            return new self($part[3], $part[1], trim($part[2]));
        }
        return new self($line, '', '');
    }

    /** The house number with its letter. */
    public function number(): string
    {
        return trim($this->digits . ' ' . $this->addition);
    }
}
