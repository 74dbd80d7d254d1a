<?php

/**
 * Writes the notes of a request into the outbox. It must never harm the request: a failing INSERT is logged, nothing else.
 */

declare(strict_types=1);

namespace Shopbridge\Events;

use Shopbridge\Outbox\InlineTry;
use Shopbridge\Outbox\Outbox;
use Shopbridge\Status\Log;

class Recorder
{
    /** @var Collector */
    private $collector;

    /** @var Outbox */
    private $outbox;

    /** @var InlineTry */
    private $inline;

    /** @var int */
    private $written = 0;

    public function __construct(Collector $collector, Outbox $outbox, InlineTry $inline)
    {
        $this->collector = $collector;
        $this->outbox = $outbox;
        $this->inline = $inline;
    }

    public function register(): void
    {
        // After those of WooCommerce that still save something at the end of the request, before the very last ones.
        add_action('shutdown', array($this, 'write'), 100);
        add_action('shutdown', array($this, 'tryNow'), PHP_INT_MAX);
        add_action('action_scheduler_after_execute', array($this, 'write'), 100, 0);
    }

    public function write(): void
    {
        $messages = $this->collector->take();
        if ($messages === array()) {
            return;
        }
        if ($this->outbox->append($messages, time()) === 0) {
            Log::error('The outbox could not be written; lost: ' . implode(', ', array_column($messages, 'subject')));
            return;
        }
        $this->written += count($messages);
    }

    /** For long runs: do not keep thousands of notes in memory. */
    public function writeWhenMany(): void
    {
        if ($this->collector->count() >= Collector::MANY) {
            $this->write();
        }
    }

    public function tryNow(): void
    {
        if ($this->written > 0) {
            $this->inline->run($this->written);
            $this->written = 0;
        }
    }
}
