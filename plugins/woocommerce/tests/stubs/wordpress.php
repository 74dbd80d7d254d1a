<?php

/**
 * The few functions and classes of WordPress that the plugin uses, as far as the tests need them.
 */

declare(strict_types=1);

final class WP_Error
{
    /** @var string */
    private $code;

    /** @var string */
    private $message;

    /** @var mixed */
    public $data;

    /** @param mixed $data */
    public function __construct(string $code = '', string $message = '', $data = null)
    {
        $this->code = $code;
        $this->message = $message;
        $this->data = $data;
    }

    public function get_error_message(): string
    {
        return $this->message;
    }

    public function get_error_code(): string
    {
        return $this->code;
    }
}

final class WP_Post
{
    /** @var int */
    public $ID = 0;

    /** @var string */
    public $post_type = 'post';

    /** @var string */
    public $post_status = 'publish';
}

final class WP_REST_Request
{
    /** @var string */
    private $body;

    /** @var array<string, string> */
    private $headers;

    /**
     * @param array<string, string> $headers
     */
    public function __construct(string $method = 'POST', string $body = '', array $headers = array())
    {
        $this->body = $body;
        $this->headers = $headers;
    }

    public function get_body(): string
    {
        return $this->body;
    }

    public function get_header(string $name): ?string
    {
        return $this->headers[$name] ?? null;
    }

    /** @param mixed $value */
    public function set_param(string $name, $value): void
    {
    }
}

final class WP_REST_Response
{
    /** @var mixed */
    public $data;

    /** @var int */
    public $status;

    /** @var array<string, string> */
    public $headers = array();

    /** @param mixed $data */
    public function __construct($data = null, int $status = 200)
    {
        $this->data = $data;
        $this->status = $status;
    }

    public function header(string $name, string $value): void
    {
        $this->headers[$name] = $value;
    }

    /** @return mixed */
    public function get_data()
    {
        return $this->data;
    }
}

function get_option(string $name, $default = false)
{
    return FakeShop::$options[$name] ?? $default;
}

function update_option(string $name, $value, $autoload = null): bool
{
    FakeShop::$options[$name] = $value;
    FakeShop::$autoload[$name] = (bool) $autoload;
    return true;
}

function delete_option(string $name): bool
{
    unset(FakeShop::$options[$name]);
    return true;
}

function get_transient(string $name)
{
    return FakeShop::$transients[$name] ?? false;
}

function set_transient(string $name, $value, int $seconds = 0): bool
{
    FakeShop::$transients[$name] = $value;
    return true;
}

function delete_transient(string $name): bool
{
    unset(FakeShop::$transients[$name]);
    return true;
}

function add_action(string $hook, callable $callback, int $priority = 10, int $arguments = 1): bool
{
    FakeShop::$hooks[$hook][] = $callback;
    return true;
}

function add_filter(string $hook, callable $callback, int $priority = 10, int $arguments = 1): bool
{
    return add_action($hook, $callback);
}

function has_action(string $hook, callable $callback)
{
    return in_array($callback, FakeShop::$hooks[$hook] ?? array(), true) ? 10 : false;
}

function remove_filter(string $hook, callable $callback, int $priority = 10): bool
{
    FakeShop::$hooks[$hook] = array_filter(FakeShop::$hooks[$hook] ?? array(), static fn ($one): bool => $one !== $callback);
    return true;
}

function apply_filters(string $hook, $value, ...$more)
{
    foreach (FakeShop::$hooks[$hook] ?? array() as $callback) {
        $value = $callback($value, ...$more);
    }
    return $value;
}

function do_action(string $hook, ...$arguments): void
{
    foreach (FakeShop::$hooks[$hook] ?? array() as $callback) {
        $callback(...$arguments);
    }
}

function doing_action(string $hook): bool
{
    return false;
}

function wp_json_encode($value)
{
    return json_encode($value);
}

function is_wp_error($value): bool
{
    return $value instanceof WP_Error;
}

function wp_remote_request(string $url, array $arguments)
{
    FakeShop::$requests[] = array('url' => $url) + $arguments;
    $answer = count(FakeShop::$answers) > 1 ? array_shift(FakeShop::$answers) : (FakeShop::$answers[0] ?? new WP_Error('http', 'no answer'));
    return is_callable($answer) ? $answer($url, $arguments) : $answer;
}

function wp_remote_retrieve_body($response): string
{
    return $response['body'] ?? '';
}

function wp_remote_retrieve_response_code($response)
{
    return $response['code'] ?? '';
}

function wp_remote_retrieve_header($response, string $name): string
{
    return $response['headers'][$name] ?? '';
}

function register_rest_route(string $space, string $path, array $route): bool
{
    FakeShop::$routes['/' . $space . $path] = $route;
    return true;
}

function current_user_can(string $capability): bool
{
    return FakeShop::$capabilities[$capability] ?? false;
}

function check_admin_referer(string $action)
{
    if (!FakeShop::$nonceIsRight) {
        throw new RuntimeException('wrong nonce for ' . $action);
    }
    return 1;
}

function check_ajax_referer(string $action, string $field = '')
{
    return check_admin_referer($action);
}

function wp_send_json($value): void
{
    throw new RuntimeException('sent: ' . json_encode($value));
}

function wp_verify_nonce(string $nonce, string $action)
{
    return FakeShop::$nonceIsRight && $nonce !== '' ? 1 : false;
}

function wp_nonce_field(string $action = '', string $name = '_wpnonce'): void
{
    echo '<input type="hidden" name="' . $name . '" value="nonce-of-' . $action . '">';
}

function wp_die(string $text = '', string $title = '', array $arguments = array()): void
{
    throw new RuntimeException('died: ' . $text);
}

function wp_safe_redirect(string $url): bool
{
    return true;
}

function get_current_user_id(): int
{
    return 1;
}

function absint($value): int
{
    return abs((int) $value);
}

function esc_html($text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES, 'UTF-8');
}

function esc_attr($text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES, 'UTF-8');
}

function esc_url(string $url): string
{
    return preg_match('#^https?://#', $url) === 1 ? htmlspecialchars($url, ENT_QUOTES, 'UTF-8') : '';
}

function esc_url_raw(string $url, ?array $protocols = null): string
{
    return preg_match('#^https?://#', $url) === 1 ? $url : '';
}

function __($text, string $domain = 'default'): string
{
    return $text;
}

function _n(string $one, string $several, int $number, string $domain = 'default'): string
{
    return $number === 1 ? $one : $several;
}

function esc_html__($text, string $domain = 'default'): string
{
    return esc_html($text);
}

/** As WordPress: what is no whole tag is escaped, so that nothing of it becomes one. */
function wp_pre_kses_less_than(string $text): string
{
    $escape = static fn (array $found): string => strpos($found[0], '>') === false ? esc_html($found[0]) : $found[0];
    return (string) preg_replace_callback('%<[^>]*?((?=<)|>|$)%', $escape, $text);
}

function wp_strip_all_tags(string $text): string
{
    return trim(strip_tags((string) preg_replace('@<(script|style)[^>]*?>.*?</\\1>@si', '', $text)));
}

function translate(string $text, string $domain = 'default'): string
{
    return FakeShop::$words[$text] ?? $text;
}

function sanitize_title(string $text): string
{
    return strtolower(str_replace(' ', '-', $text));
}

/** As WordPress: what is no text is nothing, and what looks like a tag or like an octet of an address goes. */
function sanitize_text_field($text): string
{
    if (is_array($text) || is_object($text)) {
        return '';
    }
    $line = trim((string) preg_replace('/[\r\n\t ]+/', ' ', strip_tags(wp_check_invalid_utf8((string) $text))));
    while (preg_match('/%[a-f0-9]{2}/i', $line, $found) === 1) {
        $line = str_replace($found[0], '', $line);
    }
    return $line;
}

function wp_check_invalid_utf8(string $text): string
{
    return preg_match('/^./us', $text) === 1 ? $text : '';
}

function sanitize_email(string $email): string
{
    return trim($email);
}

function is_email(string $email)
{
    return filter_var($email, FILTER_VALIDATE_EMAIL);
}

function wp_unslash($value)
{
    return is_array($value) ? array_map('wp_unslash', $value) : stripslashes((string) $value);
}

function admin_url(string $path = ''): string
{
    return 'https://tee.example/wp-admin/' . $path;
}

function home_url(): string
{
    return 'https://tee.example';
}

function rest_url(string $path = ''): string
{
    return 'https://tee.example/wp-json/' . $path;
}

function get_bloginfo(string $what): string
{
    return 'Anna&#039;s Teeladen';
}

function get_locale(): string
{
    return 'de_DE';
}

function wp_timezone_string(): string
{
    return 'Europe/Berlin';
}

function wp_timezone(): DateTimeZone
{
    return new DateTimeZone('Europe/Berlin');
}

function wp_date(string $format, int $unix): string
{
    return (new DateTimeImmutable('@' . $unix))->setTimezone(wp_timezone())->format($format);
}

function submit_button(string $text = '', string $type = 'primary', string $name = 'submit', bool $wrap = true): void
{
    echo '<button name="' . esc_attr($name) . '">' . esc_html($text) . '</button>';
}

function add_submenu_page(...$arguments): string
{
    return 'page';
}

function add_meta_box(...$arguments): void
{
}

function wp_cache_flush(): bool
{
    return true;
}

function wp_cache_supports(string $feature): bool
{
    return $feature === 'flush_runtime';
}

function wp_cache_flush_runtime(): bool
{
    FakeShop::$read = array();
    return true;
}

function wp_doing_cron(): bool
{
    return false;
}

function get_post_type(int $id): string
{
    $isProduct = FakeShop::$products[$id] ?? null;
    if ($isProduct instanceof WC_Product_Variation) {
        return 'product_variation';
    }
    return $isProduct !== null ? 'product' : (isset(FakeShop::$orders[$id]) ? 'shop_order' : 'post');
}

function get_posts(array $query): array
{
    $found = array();
    foreach (FakeShop::$products as $id => $product) {
        $ofParent = isset($query['post_parent']) && $product->get_parent_id() === $query['post_parent'];
        $withMeta = isset($query['meta_key']) && ($product->meta[$query['meta_key']] ?? null) === $query['meta_value'];
        $ofTerm = isset($query['tax_query']) && FakeTerms::has($id, $query['tax_query'][0]);
        if ($product->get_status() !== 'trash' && ($ofParent || $withMeta || $ofTerm)) {
            $found[] = $id;
        }
    }
    return $found;
}

function as_has_scheduled_action(string $hook, array $arguments = array(), string $group = ''): bool
{
    return as_next_scheduled_action($hook, $arguments, $group) !== false;
}

function as_next_scheduled_action(string $hook, ?array $arguments = null, string $group = '')
{
    foreach (FakeShop::$scheduled as $one) {
        if ($one['hook'] === $hook) {
            return $one['at'];
        }
    }
    return false;
}

function as_enqueue_async_action(string $hook, array $arguments = array(), string $group = '', bool $unique = false, int $priority = 10): int
{
    FakeShop::$scheduled[] = array('hook' => $hook, 'at' => true, 'args' => $arguments);
    return count(FakeShop::$scheduled);
}

function as_schedule_recurring_action(int $at, int $every, string $hook, array $arguments = array(), string $group = '', bool $unique = false): int
{
    FakeShop::$scheduled[] = array('hook' => $hook, 'at' => $at, 'args' => $arguments);
    return count(FakeShop::$scheduled);
}

function as_unschedule_all_actions(string $hook, array $arguments = array(), string $group = ''): void
{
    FakeShop::$scheduled = array_filter(FakeShop::$scheduled, static fn (array $one): bool => $one['hook'] !== $hook);
}
