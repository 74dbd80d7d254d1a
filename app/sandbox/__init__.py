"""Simulated partners over real HTTP: the demo, the dry run and the test bed. They check what the real ones check, and misbehave on request."""
