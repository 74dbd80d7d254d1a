"""What the command line can do, one file for each kind of command; app/cli.py finds them by name."""
