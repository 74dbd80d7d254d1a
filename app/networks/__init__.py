"""Networks of merchants. A provider here has no address: what the partner would be told happens in our own tables."""
