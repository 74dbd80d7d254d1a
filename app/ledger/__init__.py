"""The books of the network: an immutable double-entry ledger in minor units (K8, K9, K11)."""
