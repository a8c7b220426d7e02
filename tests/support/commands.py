"""Commands in this process, ended as a process ends."""

from __future__ import annotations

from collections.abc import Sequence

import click
import pytest


def exit_code(program: click.Command, args: Sequence[str] = ()) -> int:
    """Run a command to its end; what it prints is the test's to catch."""
    with pytest.raises(SystemExit) as end:
        program.main([str(arg) for arg in args])
    assert isinstance(end.value.code, int)
    return end.value.code
