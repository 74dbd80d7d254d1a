"""How shops and supplier systems speak with us: one folder each, and beside them what all of them share.

`standard/` is our own public format and the reference provider; `signing`, `envelope`, `schemas`, `reading` and
`plugin_client` are the parts of docs/protocol.md that do not depend on the shop system.
"""
