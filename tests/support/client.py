"""The commands of ``scripts/registry.py``, run in this process."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx
from click.testing import CliRunner

from scripts.registry import registry


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.stdout)


def run_client(*arguments: str, transport: httpx.BaseTransport | None = None) -> Ended:
    """Run one command; with a ``transport``, it takes the place of the network."""
    result = CliRunner().invoke(registry, arguments, obj=transport)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
