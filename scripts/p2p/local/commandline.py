"""What ``python3 scripts/NAME.py`` finds in place of the real module where the project is not installed: what to type.

Python looks for ``p2p`` beside the script first.  A folder without ``__init__.py`` is a package only where no other of
its name is found on the whole path (PEP 420), so that wherever the project is installed, nothing of this is read.
"""

from __future__ import annotations

import runpy
from pathlib import Path

_STARTUP = Path(__file__).resolve().parents[3] / "p2p" / "local" / "startup.py"

runpy.run_path(str(_STARTUP))["end_without"]("this project")
