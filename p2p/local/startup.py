"""Imported before all else by what may be a program: from here on Ctrl-C is quiet.

Only where this process *is* one of our commands; whoever imports one keeps the signals as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from p2p.local.process import prepare, runs_as

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = "goodfaith"
"""The command of the wheel; it is ``node.py``."""


def is_command() -> bool:
    """Whether this process was started as one of our commands."""
    program = Path(sys.argv[0] if sys.argv else "").resolve()
    return program == ROOT / "node.py" or program.parent == ROOT / "scripts" or runs_as(INSTALLED)


if is_command():
    prepare()
