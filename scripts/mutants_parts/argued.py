"""Mutants that no test can or need notice, each with the reason."""

from __future__ import annotations

ARGUED: dict[str, str] = {}
