"""Reports that anybody can make again, to the byte: what they are of, by which code, and what came out.

A *manifest* lies beside a report.  It says which data were looked at, what was asked, and by which files and libraries,
each with its SHA-256 digest.  Whoever made the report can anchor the four digests in the chain, in a transaction that
it signs (``registry.py anchor``); whoever doubts it makes the report again, and compares.  No score depends on any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.actions import Anchor
from scripts.anchor_file import MANIFEST, REPORT, Digests, read_manifest
from scripts.audit_parts.asking import Question, Source, document_of, find, up_to
from scripts.chain_view import open_view

_ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
_READ_BLOCKS = 64


def bytes_of(document: Any) -> bytes:
    """The one way in which a document is written, so that it has one digest."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digest_of(document: Any) -> bytes:
    """The digest of a document."""
    return sha256(bytes_of(document)).digest()


def code() -> dict[str, Any]:
    """Every file of ours that could have a say, and the libraries: of other versions the last digits can differ."""
    folders = ("chain", "p2p", "scripts")
    files = sorted(
        path for folder in folders for path in (_ROOT / folder).rglob("*") if path.suffix in (".py", ".toml")
    )
    return {
        "files": {path.relative_to(_ROOT).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files},
        "libraries": {"python": python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def data(source: Source) -> dict[str, Any]:
    """Which data: a file by its digest, or a chain up to a final block.  Raises :class:`OperatorError`."""
    if source.home is None:
        assert source.ratings is not None
        return {"file": _file(source.ratings)}
    with open_view(source.home) as view:
        height = view.finalized_height if source.height is None else source.height
        if height > view.finalized_height:
            raise OperatorError(f"height {height:,} is not final in this home yet, only {view.finalized_height:,} is")
        block = up_to(view, height).reader.block_at(height)
        if block is None:
            raise OperatorError(f"the chain in {source.home} has no block at height {height:,} to report on")
        return {"chain": view.genesis.id.hex(), "height": height, "block": block.id.hex()}


def _file(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error


def make_report(question: Question, source: Source) -> tuple[bytes, dict[str, Any]]:
    """The report and its manifest.  Raises :class:`OperatorError`."""
    of = data(source)
    asked = {**asdict(question), "groups": _file(source.groups) if source.groups else None}
    fixed = Source(source.home, source.ratings, source.groups, of.get("height"))
    report = bytes_of(document_of(question, find(question, fixed)))
    by = code()
    digests = Digests(
        bytes.fromhex(of["file"]) if "file" in of else digest_of(of),
        digest_of(by),
        digest_of(asked),
        sha256(report).digest(),
    )
    parts = {"data": of, "asked": asked, "code": by}
    return report, {"format": 1, **parts, "digests": {name: value.hex() for name, value in digests._asdict().items()}}


def write_report(question: Question, source: Source, folder: Path) -> list[Path]:
    """Put a report and its manifest into a folder.  Raises :class:`OperatorError`."""
    report, manifest = make_report(question, source)
    written = {folder / REPORT: report, folder / MANIFEST: bytes_of(manifest)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in written.items():
            path.write_bytes(content)
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written: {error.strerror}; name another --anchor") from error
    return list(written)


class Found(NamedTuple):
    """An anchor on a chain: who signed it, and where it is."""

    by: str
    height: int
    transaction: str
    is_final: bool


def anchors(home: Path, digests: Digests) -> Iterator[Found]:
    """Every anchor of these digests on the chain of a home, oldest first."""
    with open_view(home) as view:
        for start in range(1, view.head_height + 1, _READ_BLOCKS):
            for block in view.reader.blocks(start, _READ_BLOCKS):
                for transaction in block.transactions:
                    action, height = transaction.action, block.header.height
                    if isinstance(action, Anchor) and tuple(action)[1:] == tuple(digests):
                        is_final = height <= view.finalized_height
                        yield Found(did_from_key(transaction.actor), height, transaction.id.hex(), is_final)


class Checked(NamedTuple):
    """A report that was made again: the digests that its manifest claims, and what differs, in words."""

    claimed: Digests
    differs: dict[str, str]

    @property
    def is_same(self) -> bool:
        """Whether the same came out of the same, be it by other code."""
        return not self.differs.keys() - {"code"}


def check_report(folder: Path, source: Source) -> Checked:
    """Make the report of a folder again from data at hand.  Raises :class:`OperatorError`."""
    old, claimed = read_manifest(folder / MANIFEST)
    _check_whole(folder, old, claimed)
    height = old["data"].get("height")
    if height is None and source.ratings is None:
        raise OperatorError("this report is of a file; give it as --ratings-csv")
    if height is not None and source.home is None:
        raise OperatorError("this report is of a chain; give a node's --home")
    _, new = make_report(_question(old["asked"], source), _like(source, height))
    digests = new["digests"].items()
    return Checked(claimed, {name: _difference(old, new, name) for name, now in digests if now != old["digests"][name]})


def _check_whole(folder: Path, old: dict[str, Any], claimed: Digests) -> None:
    """The manifest, and the report beside it, are what the digests say."""
    of = old["data"]
    told = (of.get("file") or digest_of(of).hex(), *(digest_of(old[name]).hex() for name in ("code", "asked")))
    if told != tuple(digest.hex() for digest in claimed[:3]):
        raise OperatorError(f"{folder / MANIFEST} was changed: its digests are of something else; get it again")
    if _file(folder / REPORT) != claimed.result.hex():
        raise OperatorError(f"{folder / REPORT} was changed: its digest is another; get it again")


def _question(asked: dict[str, Any], source: Source) -> Question:
    if asked["groups"] != (_file(source.groups) if source.groups else None):
        raise OperatorError("this report was made with other --groups; give the same file, or none where it had none")
    try:
        return Question(
            tuple(asked["trusted"]), asked["group_by"], asked["window_days"], asked["limit"], tuple(asked["measure"])
        )
    except (KeyError, TypeError) as error:
        raise OperatorError(f"the manifest does not say {error}; it was made by another version") from error


def _like(source: Source, height: int | None) -> Source:
    """Of data at hand those that a report is of: a file, or a chain up to a height."""
    if height is None:
        return Source(ratings=source.ratings)
    return Source(home=source.home, groups=source.groups, height=height)


def _difference(old: dict[str, Any], new: dict[str, Any], name: str) -> str:
    if name != "code":
        return "it is another"
    before, now = ({**one["code"]["files"], **one["code"]["libraries"]} for one in (old, new))
    changed = sorted(one for one in before.keys() | now.keys() if before.get(one) != now.get(one))
    return ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
