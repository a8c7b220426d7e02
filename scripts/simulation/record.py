"""Histories that were run, a line each in a file: what it holds need not be run again."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from chain.documents.words import duration
from scripts.simulation.history import cast
from scripts.simulation.settings import Outcome, Settings

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "scripts" / "docs" / "seeds.md"
# The rooms whose code a history comes from.
_ROOMS = ("chain", "scripts/simulation", "scripts/recount")
# What is counted of all histories together.
_COUNTED = ("transactions", "messages", "faults", "crashes", "forgot", "restarts", "reorgs", "jailed")

_HEAD = """\
# Histories of many seeds

Made by `python scripts/simulate.py --seeds A..B --disk mixed --log FILE --write`; do not edit.

Each history is one seed of the simulator: a network of the engine that nodes run, under every kind of fault, a third of
them beside villains, every step watched. All were run by the same code, which tells one of them again, to the byte;
other code makes another history of the same seed:

    python scripts/simulate.py --replay-seed SEED {options}

| what | how much |
| --- | ---: |
"""


class Record:
    """The file at ``path``: first what its histories have in common, then each of them, as it ended.

    Raises :class:`OperatorError` where it holds those of other settings or other code, or is another's file; that stays
    as it is.  The end of a line during which the process died is cut off.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        common = {"settings": asdict(settings), "code": code_digest()}
        held = path.read_bytes() if path.exists() else b""
        whole = held[: held.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            self._times = [line.pop("at") for line in lines]
            if held and lines.pop(0) != common:
                raise OperatorError(f"{path} holds histories of other settings or other code; name another file")
            self.outcomes = {line["seed"]: Outcome(**line) for line in lines}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise OperatorError(f"{path} holds something else than histories; name another file") from error
        if not held:
            self._times.append(self._append({**common, "at": _now()})["at"])
        elif whole != held:
            path.write_bytes(whole)

    def add(self, outcome: Outcome) -> None:
        """One more has ended."""
        self._times.append(self._append({**asdict(outcome), "at": _now()})["at"])
        self.outcomes[outcome.seed] = outcome

    @property
    def violations(self) -> list[Outcome]:
        """Those that did not end well, by their seeds."""
        return [outcome for _, outcome in sorted(self.outcomes.items()) if outcome.violation]

    def summary(self) -> list[tuple[str, str]]:
        """What was run, for people."""
        outcomes = self.outcomes.values()
        cpu_ms = sum(outcome.cpu_ms for outcome in outcomes)
        counts = {
            "histories": len(outcomes),
            "of them with nodes on SQLite files": sum(self._is_real(seed) for seed in self.outcomes),
            "violations": len(self.violations),
            "slots with faults, each": self.settings.slots,
            "final blocks": sum(outcome.final_height for outcome in outcomes),
            **{name: sum(outcome.facts[name] for outcome in outcomes) for name in _COUNTED},
        }
        return [
            *((what, f"{count:,}") for what, count in counts.items()),
            ("CPU time", duration(cpu_ms)),
            ("from the first to the last", duration(1_000 * (max(self._times) - min(self._times)))),
            ("ended", datetime.fromtimestamp(max(self._times), UTC).strftime("%-d %B %Y")),
        ]

    def document(self, options: str) -> str:
        """The same as Markdown; ``options`` are those that replay one of them."""
        rows = "".join(f"| {what} | {how_much} |\n" for what, how_much in self.summary())
        found = "".join(f"\n* seed {each.seed}, slot {each.at_slot}: {each.violation}" for each in self.violations)
        return _HEAD.format(options=options) + rows + (f"{found}\n" if found else "")

    def _is_real(self, seed: int) -> bool:
        return cast(self.settings, seed).disk == "real"

    def _append(self, line: dict[str, Any]) -> dict[str, Any]:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line


def code_digest() -> str:
    """The hash of all code that a history comes from, in hexadecimal."""
    digest = sha256()
    for path in sorted(path for room in _ROOMS for path in (ROOT / room).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _now() -> int:
    return int(time.time())
