"""Rules of the register, each broken on purpose: histories that do not notice prove nothing.

Each replaces parts of the chain in this process for one run, and says who notices: a right, by its sentence, or the
recount, which knows all rules a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from scripts.histories_parts import broken_offices, broken_people, broken_ratings, broken_records

BROKEN = {**broken_records.BROKEN, **broken_offices.BROKEN, **broken_people.BROKEN, **broken_ratings.BROKEN}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """Break the rule of this name, and mend it afterwards; the empty name breaks none."""
    with ExitStack() as stack:
        for target, attribute, value in BROKEN[name].make() if name else ():
            change = patch.dict(target, {attribute: value}) if isinstance(target, dict) else None
            stack.enter_context(change or patch.object(target, attribute, value))
        yield
