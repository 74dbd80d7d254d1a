"""The bridge on one machine: embedded PostgreSQL and Valkey, and the keeper of the bridge's own processes."""
