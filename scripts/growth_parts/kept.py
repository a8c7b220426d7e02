"""What was measured, kept in a file, so that a study goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from scripts.bench_parts.figures import Figure
from scripts.growth_parts.study import Row


@dataclass(frozen=True, slots=True)
class Kept:
    """Registers by their members, and figures of networks by the part of the study that they are of."""

    registers: dict[int, Row] = field(default_factory=dict)
    parts: dict[str, list[Figure]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """The registers by size."""
        return [row for _, row in sorted(self.registers.items())]

    def updated(self, other: Kept) -> Kept:
        """This, with what ``other`` has anew."""
        return Kept({**self.registers, **other.registers}, {**self.parts, **other.parts})

    def document(self) -> dict[str, Any]:
        """What :func:`load` reads."""
        parts = {name: [asdict(figure) for figure in figures] for name, figures in sorted(self.parts.items())}
        return {"registers": [asdict(row) for row in self.rows], "networks": parts}

    def store(self, path: Path) -> None:
        """Write it, whole or not at all."""
        draft = path.with_name(f"{path.name}.draft")
        draft.write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


def load(path: Path) -> Kept:
    """What was measured before; nothing where there is no such file.  Raises :class:`OperatorError`."""
    if not path.exists():
        return Kept()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in document["registers"]]
        parts = {name: [Figure(**figure) for figure in figures] for name, figures in document["networks"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OperatorError(f"{path} cannot be read ({error}); remove it and measure again") from error
    return Kept({row.members: row for row in rows}, parts)
