"""Everything that CI checks, in one command: format, lint, types, adversarial histories, tests.

    uv run --group dev scripts/check.py                all of it
    uv run --group dev scripts/check.py -- -k mempool  what follows -- goes to pytest

Exit codes: 0 all is well; that of the first step that failed; 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import command
from p2p.local.startup import end_without

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from scripts.console import remark

ROOT = Path(__file__).resolve().parent.parent

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("ruff", "format", "--check", ".")),
    ("lint", ("ruff", "check", ".")),
    ("types", ("mypy",)),
    # The first of those that a long run takes by the thousand (scripts/docs/testing.md); one in ten writes to files.
    ("histories", ("scripts.simulate", "--seeds", "0..150", "--slots", "120", "--disk", "mixed")),
    ("registry", ("scripts.histories", "--seeds", "0..400")),
    # Four at a time on two cores: those with real processes mostly wait.  Whoever is done helps the others.
    ("tests", ("pytest", "--numprocesses", "4", "--dist", "worksteal", "-rs")),
)


@command
@click.argument("for_pytest", metavar="[-- PYTEST ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def main(context: click.Context, for_pytest: tuple[str, ...]) -> None:
    """Check all that CI checks, one step after the other, and stop at the first that fails."""
    if find_spec("pytest") is None:
        end_without("pytest")
    # Tests start hundreds of processes: what one of them compiled is kept for the others, whatever is the habit here.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with _reading_tests(env, for_pytest) as wait_until_read:
        for name, step in STEPS:
            click.echo(f"── {name}: {' '.join(step)}")
            if name == "tests":
                wait_until_read()
            extra = for_pytest if name == "tests" else ()
            code = subprocess.run([sys.executable, "-m", *step, *extra], cwd=ROOT, env=env, check=False).returncode
            if code:
                remark(f"── {name} failed")
                context.exit(code)


@contextmanager
def _reading_tests(env: Mapping[str, str], for_pytest: tuple[str, ...]) -> Iterator[Callable[[], object]]:
    """Compile the tests beside the first steps, which need one core: else each process that runs them would."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *for_pytest]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=silent, stdout=silent, stderr=silent) as reading:
        try:
            yield reading.wait
        finally:
            reading.kill()


if __name__ == "__main__":
    main()
