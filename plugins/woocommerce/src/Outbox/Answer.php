<?php

/**
 * One answer of the bridge, or the lack of one.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Answer
{
    /** @var int HTTP status, 0 when there was no answer */
    public $code;

    /** @var int|null seconds the bridge asks us to wait */
    public $retryAfter;

    /** @var string what went wrong, for the merchant */
    public $message;

    /** @var array<string, mixed> the decoded body */
    public $body;

    /** @var string what came when it was not JSON, such as a PDF */
    public $bytes;

    /**
     * @param array<string, mixed> $body
     */
    public function __construct(int $code, ?int $retryAfter = null, string $message = '', array $body = array(), string $bytes = '')
    {
        $this->code = $code;
        $this->retryAfter = $retryAfter;
        $this->message = $message;
        $this->body = $body;
        $this->bytes = $bytes;
    }

    /** One line for the panel and the log; never the raw body. */
    public function summary(): string
    {
        if ($this->code === 0) {
            return $this->message === '' ? 'no answer' : $this->message;
        }
        $error = $this->body['error'] ?? null;
        $text = is_array($error) ? trim(($error['code'] ?? '') . ': ' . ($error['message'] ?? ''), ': ') : '';
        return trim('HTTP ' . $this->code . ' ' . $text);
    }
}
