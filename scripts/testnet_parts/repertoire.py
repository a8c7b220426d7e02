"""Manifests, carried out with real processes: one, or all of a folder one after the other, with a table at the end."""

from __future__ import annotations

from p2p.local.startup import EXIT_INTERRUPTED

import time
from pathlib import Path

import trio

from chain.base.errors import OperatorError
from scripts.console import remark, table
from scripts.manifest_parts.judging import judge
from scripts.manifest_parts.reading import load_manifest
from scripts.manifest_parts.record import Record
from scripts.manifest_parts.telling import tell
from scripts.manifest_parts.things import Manifest
from scripts.testnet_parts.staging import Staging

COLUMNS = ("manifest", "title", "slots", "seconds", "holds", "what does not")


def carry_out(source: str, home: Path | None, *, as_json: bool) -> int:
    """Carry out a manifest, or every one of a folder, and say what came of it; the exit code.

    Each of a folder has a folder in ``home``.  Raises :class:`OperatorError`.
    """
    if not Path(source).is_dir():
        return _carry_out(load_manifest(source), home, as_json=as_json)[0]
    manifests = {path.stem: load_manifest(str(path)) for path in sorted(Path(source).glob("*.toml"))}
    if not manifests:
        raise OperatorError(f"{source} has no manifest, a file that ends in .toml")
    codes, rows = [], []
    for name, manifest in manifests.items():
        began = time.monotonic()
        code, record = _carry_out(manifest, home / name if home else None, as_json=as_json)
        codes.append(code)
        took = round(time.monotonic() - began)
        rows.append((name, manifest.title, manifest.slots, took, code == 0, _what_does_not(manifest, record)))
        if code == EXIT_INTERRUPTED:
            break
    if not as_json:
        table(f"{len(rows)} of {len(manifests)} manifests", COLUMNS, rows)
    return max(codes)


def _carry_out(manifest: Manifest, home: Path | None, *, as_json: bool) -> tuple[int, Record]:
    staging = Staging(manifest, home, remark)
    remark(f"{manifest.title}, in {staging.home}")
    trio.run(staging.run)
    code = tell(manifest, staging.record, "processes", as_json=as_json)
    return (EXIT_INTERRUPTED if staging.is_interrupted else code), staging.record


def _what_does_not(manifest: Manifest, record: Record) -> str:
    wrong = [f"{each.assertion.word}: {each.seen}" for each in judge(manifest, record) if not each.holds]
    return "; ".join([*wrong, *([record.fault] if record.fault else [])])
