<?php

/**
 * Text as it stands in a note of an order. WooCommerce shows notes as HTML (with wp_kses_post), so tags are taken out here; nothing is escaped,
 * because that would be read as it is in mails, exports and the REST API: "Anna&#039;s".
 */

declare(strict_types=1);

namespace Shopbridge\Orders;

final class Note
{
    /** A single "<" is a sign of the text and stays one; only what is or could become a tag goes. */
    public static function plain(string $text): string
    {
        return trim(wp_strip_all_tags(wp_pre_kses_less_than($text)));
    }
}
