<?php

/**
 * Signs and checks messages the way of Standard Webhooks 1.0.0 (www.standardwebhooks.com, specification under MIT licence; this code is
 * our own): `v1,` + base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`, keyed with the decoded bytes of a `whsec_` secret.
 */

declare(strict_types=1);

namespace Shopbridge\Outbox;

final class Signature
{
    /** Seconds that a timestamp may be off, either way. */
    public const WINDOW = 300;

    private const SECRET_PREFIX = 'whsec_';

    /**
     * The value of the header webhook-signature: one signature for each secret.
     *
     * @param string[] $secrets
     */
    public static function header(array $secrets, string $id, int $timestamp, string $body): string
    {
        $signatures = array();
        foreach ($secrets as $secret) {
            $signatures[] = self::sign($secret, $id, $timestamp, $body);
        }
        return implode(' ', $signatures);
    }

    /**
     * @throws \InvalidArgumentException When the secret is not `whsec_` and base64.
     */
    public static function sign(string $secret, string $id, int $timestamp, string $body): string
    {
        $mac = hash_hmac('sha256', $id . '.' . $timestamp . '.' . $body, self::key($secret), true);
        return 'v1,' . base64_encode($mac);
    }

    /**
     * Whether one of the signatures was made with one of the secrets, within the window.
     *
     * @param string[] $secrets
     */
    public static function holds(array $secrets, string $id, string $timestamp, string $header, string $body, int $now): bool
    {
        if (preg_match('/^[0-9]{1,12}$/', $timestamp) !== 1 || abs($now - (int) $timestamp) > self::WINDOW) {
            return false;
        }
        $holds = false;
        foreach ($secrets as $secret) {
            $expected = self::sign($secret, $id, (int) $timestamp, $body);
            // At most ten: a header full of signatures must not become work for us.
            foreach (array_slice(explode(' ', $header), 0, 10) as $given) {
                $holds = hash_equals($expected, $given) || $holds;
            }
        }
        return $holds;
    }

    public static function isSecret(string $secret): bool
    {
        return self::bytes($secret) !== null;
    }

    private static function key(string $secret): string
    {
        $bytes = self::bytes($secret);
        if ($bytes === null) {
            throw new \InvalidArgumentException('This is not a Standard Webhooks secret.');
        }
        return $bytes;
    }

    private static function bytes(string $secret): ?string
    {
        if (strncmp($secret, self::SECRET_PREFIX, strlen(self::SECRET_PREFIX)) !== 0) {
            return null;
        }
        $bytes = base64_decode(substr($secret, strlen(self::SECRET_PREFIX)), true);
        return $bytes === false || strlen($bytes) < 24 ? null : $bytes;
    }
}
