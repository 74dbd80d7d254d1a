"""One file for each change of the tables; each keeps the release before it working."""
