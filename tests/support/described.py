"""Whether JSON is as its schema says: as much of JSON Schema as the API's own description uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2p.local.openapi import Schemas

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


def misfits(document: Any, shape: Any) -> Iterator[str]:
    """Where a document is not of a shape."""
    schemas = Schemas()
    yield from misfits_of(document, schemas.of(shape), schemas.found)


def misfits_of(document: Any, schema: dict[str, Any], found: dict[str, Any], at: str = "") -> Iterator[str]:
    """Where a document is not as a schema says; ``found`` are the named ones."""
    if "$ref" in schema:
        schema = found[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if all(any(True for _ in misfits_of(document, each, found)) for each in schema["anyOf"]):
            yield f"{at}: {document!r} is none of {schema['anyOf']}"
        return
    if "enum" in schema and document not in schema["enum"]:
        yield f"{at}: {document!r} is none of {schema['enum']}"
    kind = schema.get("type")
    if kind is not None and not _is_of(document, kind):
        yield f"{at}: {document!r} is no {kind}"
        return
    if kind == "array":
        for number, item in enumerate(document):
            yield from misfits_of(item, schema["items"], found, f"{at}/{number}")
    if kind == "object":
        yield from _misfits_of_object(document, schema, found, at)


def _is_of(document: Any, kind: str) -> bool:
    return isinstance(document, _TYPES[kind]) and isinstance(document, bool) == (kind == "boolean")


def _misfits_of_object(
    document: dict[str, Any], schema: dict[str, Any], found: dict[str, Any], at: str
) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", ()):
        if name not in document:
            yield f"{at}: {name} is missing"
    for name, value in document.items():
        if name in properties:
            yield from misfits_of(value, properties[name], found, f"{at}/{name}")
        elif others is False:
            yield f"{at}: nobody knows of {name}"
        else:
            yield from misfits_of(value, others, found, f"{at}/{name}")
