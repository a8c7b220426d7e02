"""Breaks of the consensus without an effect that a history can show, each with the reason."""

from __future__ import annotations

#: By the key of the mutant.
ARGUED: dict[str, str] = {}
