<?php

/**
 * Reads the bridge address that a person typed. Secrets travel to it, so plain http is only taken for a machine nearby.
 */

declare(strict_types=1);

namespace Shopbridge\Settings;

final class BridgeAddress
{
    /** The address without a slash at the end, or '' when it cannot be used. */
    public static function read(string $typed): string
    {
        $typed = trim($typed);
        if ($typed !== '' && strpos($typed, '://') === false) {
            $typed = 'https://' . $typed;
        }
        $parts = parse_url($typed);
        if (!is_array($parts) || empty($parts['host']) || isset($parts['user']) || isset($parts['query']) || isset($parts['fragment'])) {
            return '';
        }
        return self::allowed($typed) ? rtrim($typed, '/') : '';
    }

    /** True for https, and for http to an address that does not leave the own network. */
    public static function allowed(string $url): bool
    {
        $scheme = strtolower((string) parse_url($url, PHP_URL_SCHEME));
        $host = trim(strtolower((string) parse_url($url, PHP_URL_HOST)), '[]');
        if ($host === '') {
            return false;
        }
        return $scheme === 'https' || ($scheme === 'http' && self::nearby($host));
    }

    private static function nearby(string $host): bool
    {
        if (filter_var($host, FILTER_VALIDATE_IP)) {
            $public = FILTER_FLAG_NO_PRIV_RANGE | FILTER_FLAG_NO_RES_RANGE;
            return filter_var($host, FILTER_VALIDATE_IP, $public) === false;
        }
        // A name without a dot is a machine or a container of the own network.
        return strpos($host, '.') === false || preg_match('/\.(localhost|local|internal|test)$/', $host) === 1;
    }
}
