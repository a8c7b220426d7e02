"""How one key of a manifest is read, and what its page says of it: one line of :mod:`things` serves both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Protocol, TypeVar

from chain.content.tables import FieldPath, Table

T = TypeVar("T")

_LABEL = re.compile("[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True)
class Known:
    """The names that other keys may use."""

    nodes: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


class Kind(Protocol):
    """One way to read a value; ``unit``, ``bound`` and ``default`` are for people."""

    @property
    def unit(self) -> str: ...

    @property
    def bound(self) -> str: ...

    @property
    def default(self) -> Any: ...

    def read(self, table: Table, name: str, known: Known) -> Any: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; one without a ``default`` has to be given."""

    low: int
    high: int
    unit: str = ""
    default: int | None = None

    @property
    def bound(self) -> str:
        return f"{self.low:,} to {self.high:,}"

    def read(self, table: Table, name: str, _known: Known) -> int:
        return table.integer(name, self.low, self.high, self.default)


@dataclass(frozen=True, slots=True)
class Word:
    """A text; one without a ``default`` has to be given."""

    default: str | None = None
    unit: str = "text"
    bound: str = "1 to 64 characters"

    def read(self, table: Table, name: str, _known: Known) -> str:
        return table.text(name) if self.default is None or table.has(name) else self.default


@dataclass(frozen=True, slots=True)
class Label:
    """A name that can also be that of a folder."""

    unit: str = "text"
    bound: str = "up to 16 of a-z, 0-9 and -"
    default: None = None

    def read(self, table: Table, name: str, _known: Known) -> str:
        value = table.text(name)
        if not _LABEL.fullmatch(value):
            raise table.mistake(name, f"must be {self.bound}, and begin with a letter")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    default: bool = False
    unit: str = ""
    bound: str = "true, false"

    def read(self, table: Table, name: str, _known: Known) -> bool:
        return table.flag(name)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    choices: tuple[str, ...]
    unit: str = ""
    default: None = None

    @property
    def bound(self) -> str:
        return ", ".join(f"`{choice}`" for choice in self.choices)

    def read(self, table: Table, name: str, _known: Known) -> str:
        return _chosen(table, name, self.choices)


@dataclass(frozen=True, slots=True)
class Name:
    """One node."""

    unit: str = "a node"
    bound: str = "a name above"
    default: None = None

    def read(self, table: Table, name: str, known: Known) -> str:
        return _chosen(table, name, known.nodes)


@dataclass(frozen=True, slots=True)
class Names:
    """Some nodes, or strangers; none of them stands for ``otherwise``, or has to be given."""

    otherwise: str = ""
    is_strangers: bool = False

    @property
    def unit(self) -> str:
        return "strangers" if self.is_strangers else "nodes"

    @property
    def bound(self) -> str:
        return "names above, each once"

    @property
    def default(self) -> str | None:
        return self.otherwise or None

    def read(self, table: Table, name: str, known: Known) -> tuple[str, ...]:
        names = known.strangers if self.is_strangers else known.nodes
        chosen = tuple(names[at] for at in table.choices(name, names))
        if not chosen and not self.otherwise:
            raise table.mistake(name, f"must name some of: {', '.join(names) or 'none is there'}")
        return chosen


def _chosen(table: Table, name: str, choices: Sequence[str]) -> str:
    at = table.choice(name, choices)
    if at is None:
        raise table.mistake(name, f"is missing; choose one of: {', '.join(choices)}")
    return choices[at]


# ------------------------------------------------------------------------------------ things made of such keys


def key(kind: Kind, effect: str) -> Any:
    """A field of a thing: how it is read, and what it does."""
    default: Any = MISSING if kind.default is None else () if isinstance(kind, Names) else kind.default
    return field(default=default, metadata={"kind": kind, "effect": effect})


def keys_of(thing: type[Any]) -> list[Field[Any]]:
    """The fields of a thing that a manifest can hold."""
    return [item for item in fields(thing) if "kind" in item.metadata]


def read_thing(thing: type[T], value: Any, path: FieldPath, known: Known, beside: Sequence[str] = ()) -> T:
    """A thing from its table, which may also hold ``beside``.  Raises :class:`~chain.content.tables.Mistake`."""
    items = keys_of(thing)
    table = Table(value, [*beside, *(item.name for item in items)], path)
    return thing(**{item.name: item.metadata["kind"].read(table, item.name, known) for item in items})
