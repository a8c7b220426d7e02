"""What people do to the nodes of a running testnet: stop, start, cut off, heal; told by files in its home.

``testnet.py --home DIR --act "stop node2"`` leaves a file there, and the testnet that runs in this home does it, takes
the file away and leaves another that says what was done.  So the processes stay those of the testnet, which ends
them when it ends.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from chain.base.errors import OperatorError

KINDS = ("stop", "start", "cut", "heal")
_PREFIX, _SUFFIX, _ANSWER = "act-", ".json", ".said"
# A testnet looks for what it is asked twice a second, and does it within seconds.
ANSWER_S = 30.0
_LOOK_S = 0.1


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


def answered(path: Path, patience_s: float = ANSWER_S) -> str:
    """What the testnet says that it did, which was asked by the file ``path``.

    Raises :class:`OperatorError` where none does anything; then nobody will.
    """
    answer, end_s = path.with_suffix(_ANSWER), time.monotonic() + patience_s
    while not answer.exists():
        if time.monotonic() >= end_s:
            path.unlink(missing_ok=True)
            raise OperatorError(f"no testnet in {path.parent} did it; is one running there?")
        time.sleep(_LOOK_S)
    text = answer.read_text(encoding="utf-8")
    answer.unlink()
    return text


def answer(path: Path, text: str) -> None:
    """Say what was done of what the file ``path`` asked for."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.rename(path.with_suffix(_ANSWER))


def take(home: Path, names: list[str]) -> list[tuple[Path, Act]]:
    """What was asked for since the last time, by which file; one that cannot be read asks for nothing."""
    acts = []
    for path in sorted(home.glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            kind, node = json.loads(path.read_text(encoding="utf-8"))
            acts.append((path, read_act(f"{kind} {node}", names)))
        except (OSError, ValueError, TypeError, OperatorError):
            pass
        path.unlink(missing_ok=True)
    return acts
