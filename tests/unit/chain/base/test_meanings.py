"""What each reason for a refusal means, and the page where users look one up."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.base.meanings import MEANINGS
from scripts.reasons import PAGE, page


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_every_reason_says_the_rule_and_what_is_needed(reason: Reason) -> None:
    meaning = MEANINGS[reason]
    assert meaning.rule.endswith(".")
    assert meaning.needed
    assert not meaning.needed.endswith(".")


def test_no_two_reasons_stand_for_the_same_rule() -> None:
    rules = [meaning.rule for meaning in MEANINGS.values()]
    assert len(set(rules)) == len(rules) == len(Reason)


def test_the_commands_that_meanings_name_exist() -> None:
    from scripts.registry import registry  # noqa: PLC0415
    from scripts.registry_parts.motions import motion  # noqa: PLC0415

    text = " ".join(f"{meaning.rule} {meaning.needed}" for meaning in MEANINGS.values())
    named = {part.split()[0] for part in text.split("`")[1::2] if not part.startswith(("--", "/"))}
    assert named
    assert named <= set(registry.commands)
    motions = {part.split()[1] for part in text.split("`")[1::2] if part.startswith("motion ")}
    assert motions
    assert motions <= set(motion.commands)


def test_the_page_of_reasons_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "uv run scripts/reasons.py --write"
