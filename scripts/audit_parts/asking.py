"""A question to the analysis, and what it finds: the same question about the same data finds the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from chain.disk.inspection import View
from p2p.local.addressbook import read_names
from scripts.audit_parts.frames import Frames, read_csv
from scripts.audit_parts.home import read_home
from scripts.audit_parts.manual import Measured, measure_parts, measured_document, measured_sheets
from scripts.audit_parts.report import Audit, document, make_audit, sheets
from scripts.chain_view import Sheet, as_of, open_view
from scripts.console import remark, use_names
from scripts.inspect_parts.question import progress

# A csv file has no slots, and no records that would need them.
_CSV_SLOTS = 1


@dataclass(frozen=True)
class Question:
    """What is asked; the parts to ``measure``, or none to look for what is unusual."""

    trusted: tuple[str, ...] = ()
    group_by: str | None = None
    window_days: int = 7
    limit: int = 15
    measure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What it is asked of: a node's home up to a height (None: its head), or a file of ratings."""

    home: Path | None = None
    ratings: Path | None = None
    groups: Path | None = None
    height: int | None = None


def find(question: Question, source: Source) -> Audit | Measured:
    """The answer.  Raises :class:`OperatorError`."""
    if source.home is not None:
        return _of_home(question, source.home, source.groups, source.height)
    assert source.ratings is not None
    ratings = read_csv(source.ratings)
    if question.measure:
        return measure_parts(ratings, question.measure, remark)
    return make_audit(Frames(ratings), _CSV_SLOTS, question.trusted)


def _of_home(question: Question, home: Path, file: Path | None, height: int | None) -> Audit:
    with open_view(home) as view:
        use_names(read_names(view.reader.path.parent))
        view = up_to(view, height)
        remark(f"executing {home} {as_of(view.at_head)} …")
        with progress("blocks", view.head_height) as advance:
            frames = read_home(view, advance)
        window_slots = view.genesis.policy.slots(question.window_days, view.genesis.slot_ms)
    if frames.ratings.empty and frames.records.empty:
        raise OperatorError(f"the chain in {home} holds no ratings and no records yet; analyse it when there are some")
    groups = frames.groups_in(file) if file else frames.groups(question.group_by) if question.group_by else None
    return make_audit(frames, window_slots, question.trusted, groups)


def up_to(view: View, height: int | None) -> View:
    """The view as if the chain ended at ``height``.  Raises :class:`OperatorError` where it does not reach so far."""
    if height is None:
        return view
    if not 0 < height <= view.head_height:
        raise OperatorError(
            f"this chain ends at height {view.head_height:,}, and {height:,} was asked for; sync it first"
        )
    return replace(view, head_height=height)


def document_of(question: Question, found: Audit | Measured) -> dict[str, Any]:
    """What was found, for programs."""
    return document(found, question.limit) if isinstance(found, Audit) else measured_document(found)


def sheets_of(question: Question, found: Audit | Measured) -> list[Sheet]:
    """The same for people."""
    return sheets(found, question.limit) if isinstance(found, Audit) else measured_sheets(found)
