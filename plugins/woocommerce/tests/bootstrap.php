<?php

/**
 * Tests run without WordPress: what the plugin uses of it is in stubs/, written by hand.
 */

declare(strict_types=1);

define('ABSPATH', __DIR__ . '/');
define('HOUR_IN_SECONDS', 3600);
define('DAY_IN_SECONDS', 86400);
define('MINUTE_IN_SECONDS', 60);
define('ARRAY_A', 'ARRAY_A');
define('DB_NAME', 'shop');
define('WC_VERSION', '10.9.1');

require_once __DIR__ . '/../src/autoload.php';
require_once __DIR__ . '/stubs/FakeShop.php';
require_once __DIR__ . '/stubs/wordpress.php';
require_once __DIR__ . '/stubs/woocommerce.php';
require_once __DIR__ . '/stubs/products.php';
require_once __DIR__ . '/stubs/FakeDatabase.php';
require_once __DIR__ . '/stubs/doubles.php';
require_once __DIR__ . '/stubs/labels.php';
require_once __DIR__ . '/ShopTestCase.php';
require_once __DIR__ . '/Decisions/DecisionsTestCase.php';
require_once __DIR__ . '/Labels/LabelTestCase.php';
