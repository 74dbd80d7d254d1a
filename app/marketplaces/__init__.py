"""Every folder here is one marketplace: PROVIDER, settings, client, translate (see app/registry.py)."""
