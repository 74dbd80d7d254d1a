<?php

declare(strict_types=1);

namespace Shopbridge\Tests;

/** House rules that a reader would have to check by eye. */
final class StaticTest extends ShopTestCase
{
    /**
     * The one reader of prose: sanitize_text_field takes "<4 und 5>" and "%de" for markup and drops it, so a note to a buyer would say something
     * else than was typed. It goes to the bridge as JSON and is escaped on our pages.
     */
    private const PROSE = "        \$typed = isset(\$_REQUEST[\$name]) && is_string(\$_REQUEST[\$name]) ? wp_check_invalid_utf8(wp_unslash(\$_REQUEST[\$name])) : '';";

    public function testNoRouteIsOpenToEverybody(): void
    {
        $routes = 0;
        foreach ($this->sources() as $file => $source) {
            self::assertStringNotContainsString('__return_true', $source, $file);
            $routes += substr_count($source, 'register_rest_route(');
            self::assertSame(substr_count($source, 'register_rest_route('), substr_count($source, "'permission_callback' =>"), $file);
        }
        self::assertSame(1, $routes);
    }

    public function testEveryAdminActionChecksRightAndNonceFirst(): void
    {
        $found = 0;
        foreach ($this->sources() as $file => $source) {
            preg_match_all("/add_action\(\s*'(?:admin_post_|wp_ajax_)[^,]*,\s*array\(\\\$this, '(\w+)'\)/", $source, $actions);
            foreach ($actions[1] as $method) {
                $found++;
                self::assertMatchesRegularExpression('/function ' . $method . '\([^)]*\): void\s*\{\s*\$this->mayOrDie\(/', $source, "$file $method");
            }
            self::assertStringNotContainsString('admin_post_nopriv_', $source, $file);
            self::assertStringNotContainsString('wp_ajax_nopriv_', $source, $file);
        }
        self::assertGreaterThanOrEqual(7, $found);
        $checks = array_filter($this->sources(), static fn (string $source): bool => strpos($source, 'function mayOrDie(') !== false);
        self::assertGreaterThanOrEqual(3, count($checks));
        $right = "(?:'(?:manage_woocommerce|edit_shop_orders)'|static::RIGHT)";
        foreach ($checks as $file => $source) {
            self::assertMatchesRegularExpression("/function mayOrDie\([^{]*\{\s*if \(!current_user_can\($right\)\) \{\s*wp_die.*check_(?:admin|ajax)_referer/s", $source, $file);
        }
    }

    public function testOnlyTheTransportCallsOut(): void
    {
        foreach ($this->sources() as $file => $source) {
            if ($file !== 'src/Outbox/Transport.php') {
                self::assertDoesNotMatchRegularExpression('/wp_(safe_)?remote_(get|post|request)\(|curl_|fopen\(.http/', $source, $file);
            }
        }
    }

    public function testWhatComesFromAPersonIsUnslashedAndCleaned(): void
    {
        foreach ($this->sources() as $file => $source) {
            self::assertDoesNotMatchRegularExpression('/\$_(GET|COOKIE)\b/', $source, $file);
            if ($file !== 'src/Screens/Input.php') {
                self::assertDoesNotMatchRegularExpression('/\$_REQUEST\b/', $source, $file);
            }
            foreach (explode("\n", $source) as $line) {
                $isProse = $file === 'src/Screens/Input.php' && $line === self::PROSE;
                if (!$isProse && preg_match('/\$_(POST|REQUEST)\[/', $line) === 1 && preg_match('/isset\(\$_(POST|REQUEST)[^?]*$/', $line) !== 1) {
                    self::assertMatchesRegularExpression('/sanitize_text_field.*wp_unslash/', $line, "$file: $line");
                }
            }
        }
    }

    public function testOnlyTheNoteOfARejectionIsReadAsProse(): void
    {
        $sources = $this->sources();
        self::assertSame(1, substr_count($sources['src/Screens/Input.php'], self::PROSE), 'the exception is for a line that is there');
        foreach ($sources as $file => $source) {
            self::assertSame($file === 'src/Decisions/DecisionActions.php' ? 1 : 0, preg_match_all('/Input::note\(/', $source), $file);
        }
    }

    public function testEveryEchoIsEscaped(): void
    {
        foreach ($this->sources() as $file => $source) {
            preg_match_all('/^\s*echo (.*?);$/ms', $source, $echoes);
            foreach ($echoes[1] as $echo) {
                $rest = preg_replace("/'(?:[^'\\\\]|\\\\.)*'/", '', $echo);
                $rest = preg_replace('/esc_(html|attr|url)(__)?\((?:[^()]|(\((?:[^()]|(?3))*\)))*\)/', '', (string) $rest);
                $rest = preg_replace('/\(\$isMeta \?  : \)|\(\$this->choices->removeData\(\) \?  : \)/', '', (string) $rest);
                self::assertMatchesRegularExpression('/^[\s.]*$/', (string) $rest, "$file: echo $echo");
            }
        }
    }

    public function testTheSyntaxIsThatOfPhp74(): void
    {
        $newer = array(T_MATCH, T_NULLSAFE_OBJECT_OPERATOR, T_ATTRIBUTE, T_ENUM, T_READONLY);
        foreach ($this->sources() as $file => $source) {
            foreach (token_get_all($source) as $token) {
                self::assertFalse(is_array($token) && in_array($token[0], $newer, true), $file . ' ' . (is_array($token) ? $token[1] : ''));
            }
            self::assertDoesNotMatchRegularExpression('/__construct\([^)]*\b(private|public|protected)\b/', $source, "$file: promotion");
            self::assertDoesNotMatchRegularExpression('/\): (mixed|static|never)\b|\w\|null \$|: \??\w+\|\w+\s*\{/', $source, "$file: types");
            self::assertDoesNotMatchRegularExpression('/\bstr_(contains|starts_with|ends_with)\(|\bnew class.*readonly/', $source, "$file: functions");
        }
    }

    public function testEveryFileIsStrict(): void
    {
        foreach ($this->sources() as $file => $source) {
            self::assertStringContainsString('declare(strict_types=1);', $source, $file);
        }
    }

    public function testThePartsHaveTheTenNames(): void
    {
        $folders = array_map('basename', (array) glob(__DIR__ . '/../src/*', GLOB_ONLYDIR));
        self::assertSame(array('Decisions', 'Events', 'Labels', 'Network', 'Orders', 'Outbox', 'Products', 'Screens', 'Settings', 'Status'), $folders);
    }

    public function testTheVersionIsTheSameEverywhere(): void
    {
        $root = __DIR__ . '/..';
        $version = \Shopbridge\Plugin::VERSION;
        self::assertStringContainsString("Version:              $version\n", (string) file_get_contents("$root/shopbridge.php"));
        self::assertStringContainsString("Stable tag: $version\n", (string) file_get_contents("$root/readme.txt"));
        self::assertStringContainsString("= $version =", (string) file_get_contents("$root/changelog.txt"));
    }

    public function testEveryTextIsInTheTemplateAndInGerman(): void
    {
        $root = __DIR__ . '/../languages';
        $template = (string) file_get_contents("$root/shopbridge.pot");
        $german = (string) file_get_contents("$root/shopbridge-de_DE.po");
        $texts = array();
        $plurals = array();
        foreach ($this->sources() as $file => $source) {
            preg_match_all("/\b(?:esc_html__|esc_attr__|__)\(\s*'((?:[^'\\\\]|\\\\.)*)',\s*'(\w+)'/", $source, $found, PREG_SET_ORDER);
            foreach ($found as $one) {
                self::assertSame('shopbridge', $one[2], $file);
                $texts[] = addcslashes(stripslashes($one[1]), '"\\');
            }
            preg_match_all("/\b_n\(\s*'((?:[^'\\\\]|\\\\.)*)',\s*'((?:[^'\\\\]|\\\\.)*)',[^;]*?'(\w+)'\)/", $source, $found, PREG_SET_ORDER);
            self::assertCount(substr_count($source, '_n('), $found, $file);
            foreach ($found as $one) {
                self::assertSame('shopbridge', $one[3], $file);
                $plurals[] = array(addcslashes(stripslashes($one[1]), '"\\'), addcslashes(stripslashes($one[2]), '"\\'));
            }
        }
        self::assertGreaterThan(50, count($texts));
        foreach ($texts as $text) {
            self::assertStringContainsString("msgid \"$text\"\n", $template);
            $place = strpos($german, "msgid \"$text\"\n");
            self::assertNotFalse($place, $text);
            self::assertDoesNotMatchRegularExpression('/^msgid .*\nmsgstr ""\n\n/', substr($german, (int) $place), "not translated: $text");
        }
        self::assertNotSame(array(), $plurals);
        foreach ($plurals as $forms) {
            $named = "msgid \"$forms[0]\"\nmsgid_plural \"$forms[1]\"\n";
            self::assertStringContainsString($named, $template);
            self::assertMatchesRegularExpression('/' . preg_quote($named, '/') . 'msgstr\[0\] ".+"\nmsgstr\[1\] ".+"\n/', $german, "not translated: $forms[0]");
        }
        self::assertFileExists("$root/shopbridge-de_DE.mo");
        self::assertStringNotContainsString('#, fuzzy', $german);
    }

    public function testUninstallingIsGuarded(): void
    {
        $source = (string) file_get_contents(__DIR__ . '/../uninstall.php');
        self::assertStringContainsString("if (!defined('WP_UNINSTALL_PLUGIN'))", $source);
    }

    /** @return array<string, string> by path */
    private function sources(): array
    {
        $root = dirname(__DIR__);
        $sources = array();
        $files = new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($root . '/src', \FilesystemIterator::SKIP_DOTS));
        foreach ($files as $file) {
            $sources[substr((string) $file, strlen($root) + 1)] = (string) file_get_contents((string) $file);
        }
        $sources['shopbridge.php'] = (string) file_get_contents($root . '/shopbridge.php');
        $sources['uninstall.php'] = (string) file_get_contents($root . '/uninstall.php');
        return $sources;
    }
}
