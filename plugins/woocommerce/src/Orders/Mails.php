<?php

/**
 * Who gets a mail about an order of the bridge: the buyer never (the marketplace writes to its buyers), the merchant as for any order.
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

class Mails
{
    /** Sent by a person on purpose, to an address that the marketplace gave. */
    private const BY_HAND = array('customer_invoice', 'customer_note');

    /** The mail about refunds takes this id only at the moment of sending. */
    private const PARTIAL_REFUND = 'customer_partially_refunded_order';

    /** @var bool */
    private $silent = false;

    public function register(): void
    {
        add_filter('woocommerce_email_classes', array($this, 'watch'), PHP_INT_MAX);
    }

    /**
     * @param mixed $emails
     * @return mixed
     */
    public function watch($emails)
    {
        foreach (is_array($emails) ? $emails : array() as $email) {
            if ($email instanceof \WC_Email && !in_array($email->id, self::BY_HAND, true)) {
                $this->guard($email->id, $email->is_customer_email());
            }
        }
        $this->guard(self::PARTIAL_REFUND, true);
        return $emails;
    }

    private function guard(string $emailId, bool $toBuyer): void
    {
        add_filter(
            'woocommerce_email_enabled_' . $emailId,
            function ($enabled, $object = null) use ($toBuyer) {
                return $this->mayLeave($toBuyer, $object) ? $enabled : false;
            },
            PHP_INT_MAX,
            2
        );
    }

    /**
     * Nobody gets a mail while this runs: what a transaction has not yet kept must not be told.
     *
     * @return mixed what the function answers
     */
    public function hold(callable $work)
    {
        $before = $this->silent;
        $this->silent = true;
        try {
            return $work();
        } finally {
            $this->silent = $before;
        }
    }

    /** The merchant's "new order", after the transaction. */
    public function tellMerchant(int $orderId): void
    {
        $mailer = WC()->mailer();
        $email = $mailer->get_emails()['WC_Email_New_Order'] ?? null;
        if ($email instanceof \WC_Email && is_callable(array($email, 'trigger'))) {
            $email->trigger($orderId);
        }
    }

    /** @param mixed $object */
    private function mayLeave(bool $toBuyer, $object): bool
    {
        if ($this->silent) {
            return false;
        }
        return !$toBuyer || !$object instanceof \WC_Order || (string) $object->get_meta('_shopbridge_key') === '';
    }
}
