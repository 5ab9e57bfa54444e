"""``python -m ocsflake`` is ``ocsflake``."""

from __future__ import annotations

import sys

from ocsflake.cli import main

sys.exit(main())
