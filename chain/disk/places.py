"""Where the database of a home is: in a file of its own, or on a server that speaks PostgreSQL's protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Address:
    """A database on a server, and the folder of the home whose it is; as a text it shows no password."""

    url: str = field(repr=False)
    parent: Path

    def __str__(self) -> str:
        return self.url.partition("://")[2].rpartition("@")[2].partition("?")[0]


Place: TypeAlias = Path | Address


def tally_of(place: Place) -> Path:
    """Where the number of commits is that a database took: in its home, also where a server has the database."""
    return place.parent / "store-commits" if isinstance(place, Address) else place.with_name(f"{place.name}-commits")
