"""From a manifest to TOML that reads as the same manifest: how random ones are kept, and handed to the other runner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.manifest_parts.keys import keys_of
from scripts.manifest_parts.things import Assertion, Event, Manifest


def to_toml(manifest: Manifest) -> str:
    """The file; what is as by default is left out."""
    return "\n".join(_blocks(manifest))


def _blocks(manifest: Manifest) -> Iterator[str]:
    yield _keys(manifest)
    if line := _keys(manifest.line):
        yield f"[line]\n{line}"
    for name in ("validators", "observers", "strangers", "lines"):
        for thing in getattr(manifest, name):
            yield f"[[{name}]]\n{_keys(thing)}"
    for event in manifest.events:
        yield f"[[events]]\n{_worded('do', event)}"
    for assertion in manifest.asserts:
        yield f"[[asserts]]\n{_worded('that', assertion)}"


def _worded(word: str, thing: Event | Assertion) -> str:
    return f'{word} = "{thing.word}"\n{_keys(thing)}'


def _keys(thing: Any) -> str:
    values = ((item.name, getattr(thing, item.name), item.default) for item in keys_of(type(thing)))
    return "".join(f"{name} = {_value(value)}\n" for name, value, default in values if value != default)


def _value(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
