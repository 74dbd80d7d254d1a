"""Runs the PyPI package localstripe on a port of this machine, unchanged but for one thing: it writes no file in the shared /tmp."""

import sys

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda self: None

if __name__ == "__main__":
    web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
