"""Feed every decoder that faces the network with garbage, guided by coverage: ``python scripts/fuzz.py``.

Each must return what it read, whose encoding is the same bytes again, or raise a refusal; anything else is a
finding.  Needs atheris: ``.uv/bin/uv run --group fuzz scripts/fuzz.py``.

Exit codes: 0 nothing found, 1 a decoder broke (the input is printed), 2 for a mistake in usage, 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import click

from chain.base.errors import OperatorError
from scripts.console import OneOf, print_json, processes, remark, table

ROOT = Path(__file__).parents[1]


class Found(NamedTuple):
    """What became of one decoder; ``covered`` counts the places in the code that its inputs reached."""

    decoder: str
    inputs: int
    accepted: int
    refused: int
    covered: int
    seconds: float
    broke_it: str
    error: str


def _names() -> Collection[str]:
    from scripts.fuzz_parts.decoders import DECODERS

    return DECODERS


@command
@click.option("--inputs", type=click.IntRange(1), default=1_000_000, show_default=True, help="How many a decoder.")
@click.option("--decoder", "names", type=OneOf("NAME", _names), multiple=True, help="Only this one; may be repeated.")
@click.option("--seed", type=click.IntRange(1, 2**31), default=1, show_default=True, help="Where chance begins.")
@processes
@as_json
@click.pass_context
def main(
    context: click.Context, inputs: int, names: tuple[str, ...], seed: int, processes: int | None, as_json: bool
) -> None:
    """Feed every decoder that faces the network with garbage, guided by coverage."""
    if importlib.util.find_spec("atheris") is None:
        raise OperatorError("atheris is missing; start this with `.uv/bin/uv run --group fuzz scripts/fuzz.py`")
    with importing():
        from scripts.fuzz_parts.decoders import DECODERS
        from scripts.simulation.parallel import cores
    found = []
    with ThreadPoolExecutor(processes or cores()) as pool:
        waiting = [pool.submit(_fuzz, name, inputs, seed) for name in names or DECODERS]
        for number, done in enumerate(as_completed(waiting), 1):
            found.append(done.result())
            remark(f"{number} of {len(waiting)}: {found[-1].decoder}, {found[-1].seconds:.0f} s")
    order = list(DECODERS)
    found.sort(key=lambda item: order.index(item.decoder))
    broken = [item for item in found if item.error]
    if as_json:
        print_json({"ok": not broken, "decoders": [item._asdict() for item in found]})
    else:
        _show(found, broken)
    context.exit(EXIT_WRONG if broken else 0)


def _show(found: list[Found], broken: list[Found]) -> None:
    columns = ("decoder", "inputs", "accepted", "refused", "covered", "broken")
    rows = [(*item[:5], bool(item.error)) for item in found]
    table("Inputs that each decoder read or refused", columns, rows)
    for item in broken:
        click.echo(f"{item.decoder}: {item.error}\n  input: {item.broke_it}")


def _fuzz(name: str, inputs: int, seed: int) -> Found:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scripts.fuzz_parts.child", name, str(inputs), str(seed), folder]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        outcome = Path(folder) / "outcome.json"
        counts: dict[str, Any] = json.loads(outcome.read_text()) if outcome.exists() else {}
        crash = next(Path(folder).glob("crash-*"), None)
        culprit = "" if crash is None else crash.read_bytes().hex()
    covered = re.findall(r"cov: (\d+)", ended.stderr)
    error = ""
    if crash is not None or ended.returncode or counts.get("inputs", 0) < inputs:
        lines = [
            line for line in ended.stderr.splitlines() if re.match(r"\S*(Error|Exception|Interrupt)", line.strip())
        ]
        error = lines[0].strip() if lines else f"the process ended with {ended.returncode}"
    return Found(
        name,
        counts.get("inputs", 0),
        counts.get("accepted", 0),
        counts.get("refused", 0),
        int(covered[-1]) if covered else 0,
        round(time.monotonic() - started, 1),
        culprit,
        error,
    )


if __name__ == "__main__":
    main()
