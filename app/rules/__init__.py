"""What is allowed: pure functions and data tables. No clock, no database, no network; everything a rule needs is an argument."""
