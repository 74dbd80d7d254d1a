"""Payment providers of the network, one folder each. They move money; the bridge only records and instructs."""
