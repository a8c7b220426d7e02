"""Everything that CI checks, in one command: format, lint, types, adversarial histories, tests.

uv run scripts/check.py            all of it
uv run scripts/check.py -k mempool  arguments go to pytest
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("ruff", "format", "--check", ".")),
    ("lint", ("ruff", "check", ".")),
    ("types", ("mypy",)),
    ("histories", ("scripts.simulate", "--seeds", "0..150")),
    ("registry", ("scripts.histories", "--count", "400")),
    # Two at a time: the tests with real processes beside all others, until one half helps the other.
    ("tests", ("pytest", "--numprocesses", "2", "--dist", "worksteal")),
)


def main(arguments: list[str]) -> int:
    """Run the steps in order and stop at the first that fails; returns the exit code."""
    for name, command in STEPS:
        print(f"── {name}: {' '.join(command)}", flush=True)
        extra = arguments if name == "tests" else []
        code = subprocess.run([sys.executable, "-m", *command, *extra], cwd=ROOT, check=False).returncode
        if code:
            print(f"── {name} failed", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
