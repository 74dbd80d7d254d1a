"""WooCommerce with the plugin of plugins/woocommerce: it reports in WooCommerce's own JSON and obeys our commands."""

from app.registry import Provider
from app.shops.woocommerce.client import WooCommerceClient
from app.shops.woocommerce.settings import WooCommerceSettings

PROVIDER = Provider(
    key="woocommerce",
    name="WooCommerce",
    role="shop",
    settings=WooCommerceSettings,
    client=WooCommerceClient,
    egress="tenant_url",
)
