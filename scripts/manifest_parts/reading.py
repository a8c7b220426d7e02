"""From TOML to a manifest; the first mistake by line is told, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from chain.base.errors import OperatorError
from chain.content.tables import FieldPath, Mistake, Table, line_of, read_text
from p2p.local.config import parse_toml
from scripts.manifest_parts.drawing import draw
from scripts.manifest_parts.keys import Known, keys_of, read_thing
from scripts.manifest_parts.sense import check_sense
from scripts.manifest_parts.things import (
    ASSERTIONS,
    EVENTS,
    MAX_NODES,
    Assertion,
    Event,
    Line,
    Lines,
    Manifest,
    Observer,
    Strangers,
    Validator,
)

MAX_EVENTS = 500
LISTS = ("validators", "observers", "strangers", "lines", "events", "asserts")
RANDOM = "random:"
EXAMPLES = sorted((Path(__file__).parents[1] / "manifests").glob("*.toml"))

T = TypeVar("T")


def load_manifest(source: str) -> Manifest:
    """The manifest of a file, or of a seed where ``source`` is ``random:SEED``.  Raises :class:`OperatorError`."""
    seed = source.removeprefix(RANDOM)
    if seed != source:
        if not seed.isdecimal() or len(seed) > 9:
            raise OperatorError(f"{source}: a random manifest is {RANDOM} and a number of at most nine digits")
        return draw(int(seed))
    return read_manifest(Path(source))


def read_manifest(path: Path) -> Manifest:
    """Read and check a file.  Raises :class:`OperatorError`, which names the line of the mistake."""
    text = read_text(path, "name a file like scripts/manifests/calm.toml")
    document = parse_toml(path, text)
    try:
        manifest = manifest_of(document)
        check_sense(manifest)
    except Mistake as mistake:
        raise OperatorError(f"{path}, line {line_of(text, mistake.path)}: {mistake}") from mistake
    return manifest


def manifest_of(document: Mapping[str, Any]) -> Manifest:
    """The manifest of a document; whether it makes sense is another question.  Raises :class:`Mistake`."""
    validators = _rows(Validator, document, "validators", Known())
    observers = _rows(Observer, document, "observers", Known())
    nodes = (*(each.name for each in validators), *(each.name for each in observers))
    _check_names(nodes, len(validators))
    strangers = _rows(Strangers, document, "strangers", Known(nodes))
    known = Known(nodes, tuple(each.name for each in strangers))
    _check_names(known.strangers, 0, "strangers", "")
    manifest = read_thing(Manifest, {name: document[name] for name in document if not _is_part(name)}, (), known)
    return replace(
        manifest,
        line=read_thing(Line, document.get("line", {}), ("line",), known),
        validators=tuple(validators),
        observers=tuple(observers),
        strangers=tuple(strangers),
        lines=tuple(_rows(Lines, document, "lines", known)),
        events=tuple(_events(document, known)),
        asserts=tuple(_asserts(document, known, manifest.slots)),
    )


def _is_part(name: str) -> bool:
    return name == "line" or name in LISTS


def _rows(thing: type[T], document: Mapping[str, Any], name: str, known: Known) -> list[T]:
    return [read_thing(thing, row, (name, at), known) for at, row in _raw_rows(document, name)]


def _raw_rows(document: Mapping[str, Any], name: str) -> list[tuple[int, Any]]:
    value = document.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_EVENTS:
        raise Mistake((name,), f"must be a list of at most {MAX_EVENTS} tables, each under [[{name}]]")
    return list(enumerate(value))


def _check_names(names: Sequence[str], validators: int, first: str = "validators", then: str = "observers") -> None:
    if first == "validators" and not validators:
        raise Mistake((), "needs at least one [[validators]]")
    if len(names) > MAX_NODES and first == "validators":
        raise Mistake((), f"has {len(names)} nodes, which is more than {MAX_NODES}")
    for at, name in enumerate(names):
        if name in names[:at]:
            row = (first, at) if at < validators or not then else (then, at - validators)
            raise Mistake((*row, "name"), f"is {name!r}, as something above is called already")


def _events(document: Mapping[str, Any], known: Known) -> list[Event]:
    return [_one_of(EVENTS, "do", row, ("events", at), known) for at, row in _raw_rows(document, "events")]


def _asserts(document: Mapping[str, Any], known: Known, slots: int) -> list[Assertion]:
    rows = [_one_of(ASSERTIONS, "that", row, ("asserts", at), known) for at, row in _raw_rows(document, "asserts")]
    return [replace(row, until=slots) if getattr(row, "until", None) == 0 else row for row in rows]


def _one_of(things: Mapping[str, type[Any]], word: str, value: Any, path: FieldPath, known: Known) -> Any:
    """The thing whose kind the field ``word`` says."""
    every = {item.name for thing in things.values() for item in keys_of(thing)}
    table, words = Table(value, [word, *every], path), list(things)
    chosen = table.choice(word, words)
    if chosen is None:
        raise table.mistake(word, f"is missing; choose one of: {', '.join(words)}")
    return read_thing(things[words[chosen]], value, path, known, beside=[word])
