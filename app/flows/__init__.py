"""One file per story, named as one would tell it. Flows change state and write commands in one transaction; they meet through rows.

Two kinds of functions: those that take something in (`receive`, `from_shop`, `from_marketplace`) only touch the database; those that
deliver take a claimed command and a client, commit what they read, make the call, and leave the changes for the caller to commit together
with the end of the command.
"""
