"""Makes the second ledger, the reader of stories and the bench on PostgreSQL importable from the tests here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
