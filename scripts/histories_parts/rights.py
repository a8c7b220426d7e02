"""What no sequence of valid transactions may do to somebody: each right in a sentence, checked after every step.

Nothing here knows how the chain keeps a right: it looks at who did what, and at what became of the state.
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.histories_parts import rights_of_offices, rights_of_people, rights_of_records
from scripts.histories_parts.memory import remember
from scripts.histories_parts.right import RIGHTS
from scripts.histories_parts.rights_of_people import UNDOING, may_undo
from scripts.histories_parts.steps import Past, Step

SENTENCES = (*(each.sentence for each in RIGHTS), UNDOING)
__all__ = ["SENTENCES", "Rights", "rights_of_offices", "rights_of_people", "rights_of_records"]


class Rights:
    """All rights, and what they remember of one history."""

    def __init__(self) -> None:
        self.past = Past()

    def broken(self, step: Step) -> Iterator[str]:
        """The rights that this step took from somebody, a sentence each."""
        if step.action is None or step.touched:
            yield from (each.sentence for each in RIGHTS if each.is_broken(self.past, step))
            remember(self.past, step)

    def denied(self, step: Step) -> Iterator[str]:
        """The rights that the refusal of ``step``, which changed nothing, denied to somebody."""
        if may_undo(self.past, step):
            yield UNDOING
