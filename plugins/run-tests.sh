#!/usr/bin/env bash
# Tests of the shop plugins: syntax, style, unit tests, XML. Without php they are skipped with a loud line;
# with SHOPBRIDGE_NO_SKIP=1 that is a failure.
set -euo pipefail
cd "$(dirname "$0")"

skip() {
    echo "============================================================"
    echo "SKIPPED: $1"
    echo "============================================================"
    if [ "${SHOPBRIDGE_NO_SKIP:-}" = 1 ]; then
        echo "Nothing may be skipped here (SHOPBRIDGE_NO_SKIP=1)."
        exit 1
    fi
}

phpunit_options=(--colors=never)
if [ "${SHOPBRIDGE_NO_SKIP:-}" = 1 ]; then
    phpunit_options+=(--fail-on-skipped --fail-on-incomplete)
fi
phpcs_options=(-q --no-colors)
ran=0
for plugin in woocommerce shopware; do
    [ -d "$plugin" ] || continue

    if ! command -v php >/dev/null; then
        skip "tests of plugins/$plugin, because php is not installed"
        continue
    fi
    echo "plugins/$plugin: syntax"
    find "$plugin" -name '*.php' -not -path '*/node_modules/*' -print0 |
        xargs -0 -r -n 1 php -d display_errors=1 -l | { grep -v '^No syntax errors' || true; }

    if [ -f "$plugin/phpcs.xml.dist" ]; then
        if command -v phpcs >/dev/null; then
            echo "plugins/$plugin: style"
            (cd "$plugin" && phpcs "${phpcs_options[@]}")
        else
            skip "style of plugins/$plugin, because phpcs (php-codesniffer) is not installed"
        fi
    fi

    if [ -f "$plugin/phpunit.xml.dist" ]; then
        if command -v phpunit >/dev/null; then
            echo "plugins/$plugin: tests"
            (cd "$plugin" && phpunit "${phpunit_options[@]}" -c phpunit.xml.dist --fail-on-empty-test-suite) ||
                exit 1
        else
            skip "tests of plugins/$plugin, because phpunit is not installed"
        fi
    else
        skip "tests of plugins/$plugin, because it has no phpunit.xml.dist"
    fi

    if command -v xmllint >/dev/null; then
        find "$plugin" \( -name '*.xml' -o -name '*.xml.dist' \) -not -path '*/vendor/*' -not -path '*/node_modules/*' -print0 |
            xargs -0 -r xmllint --noout --nonet
    else
        skip "XML of plugins/$plugin, because xmllint (libxml2-utils) is not installed"
    fi
    ran=$((ran + 1))
done
echo "Plugins tested: $ran"
