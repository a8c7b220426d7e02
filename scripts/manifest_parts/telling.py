"""The verdicts of a run, for people and for programs."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

from dataclasses import asdict

import click

from scripts.console import print_json, table
from scripts.manifest_parts.judging import Verdict, judge
from scripts.manifest_parts.record import Record
from scripts.manifest_parts.things import Event, Manifest


def tell(manifest: Manifest, record: Record, runner: str, *, as_json: bool) -> int:
    """Print the verdicts; the exit code."""
    verdicts = judge(manifest, record)
    holds = not record.fault and all(verdict.holds for verdict in verdicts)
    if as_json:
        rows = [
            {"that": each.assertion.word, **asdict(each.assertion), "holds": each.holds, "seen": each.seen}
            for each in verdicts
        ]
        print_json({"title": manifest.title, "runner": runner, "holds": holds, "fault": record.fault, "asserts": rows})
    else:
        _show(manifest, verdicts, record.fault)
    return 0 if holds else EXIT_WRONG


def _show(manifest: Manifest, verdicts: list[Verdict], fault: str) -> None:
    rows = [(each.assertion.word, _details(each), each.holds, each.seen) for each in verdicts]
    table(f"{manifest.title}: {manifest.slots} slots", ("assertion", "of", "holds", "seen"), rows)
    if fault:
        click.echo(f"FAULT: {fault}")


def _details(verdict: Verdict) -> str:
    values = {name: value for name, value in asdict(verdict.assertion).items() if value not in ((), "")}
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items())


def sentence_of(event: Event) -> str:
    """What happens, in a line of a timeline."""
    values = {name: value for name, value in asdict(event).items() if name != "at" and value not in ((), "")}
    return " ".join([event.word, *(f"{name} {_text(value)}" for name, value in values.items())])


def _text(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
