"""Measures the bridge against the limits of the machine it runs on: `python -m bench [a b c d e] [--quick]`, or `make bench`.

Every figure is a ratio to a limit that was measured in the same run, turn by turn, because a machine is never the same twice. What may go
wrong: something else works on the machine; then the ranges are wide, and the table shows them. No time makes a run fail.
"""
