"""What people do to the nodes of a running testnet: stop, start, cut off, heal; told by files in its home.

``testnet.py --home DIR --act "stop node2"`` leaves a file there, and the testnet that runs in this home does it and
takes the file away.  So the processes stay those of the testnet, which ends them when it ends.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from chain.errors import OperatorError

KINDS = ("stop", "start", "cut", "heal")
_PREFIX, _SUFFIX = "act-", ".json"


class Act(NamedTuple):
    """What to do to which node."""

    kind: str
    node: str


def read_act(text: str, names: list[str]) -> Act:
    """Read ``stop node2``.  Raises :class:`OperatorError`."""
    kind, _, node = text.partition(" ")
    if kind not in KINDS or node not in names:
        raise OperatorError(
            f"{text!r} is nothing to do: write one of {', '.join(KINDS)}, and one of {', '.join(names)}"
        )
    return Act(kind, node)


def leave(home: Path, act: Act) -> Path:
    """Ask the testnet that runs in a home to do it; the file is gone once that is done."""
    path = home / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(act), encoding="utf-8")
    draft.rename(path)
    return path


def take(home: Path, names: list[str]) -> list[Act]:
    """What was asked for since the last time; a file that cannot be read asks for nothing."""
    acts = []
    for path in sorted(home.glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            kind, node = json.loads(path.read_text(encoding="utf-8"))
            acts.append(read_act(f"{kind} {node}", names))
        except (OSError, ValueError, TypeError, OperatorError):
            pass
        path.unlink(missing_ok=True)
    return acts
