"""Figures beside their goals."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure, and its goal in the same unit: ``≥ 0.5``, ``≤ 300``, or none."""

    name: str
    measured: float
    unit: str
    goal: str
    how: str

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached, where there is one."""
        sign, _, bound = self.goal.partition(" ")
        if not sign:
            return True
        return self.measured >= float(bound) if sign == "≥" else self.measured <= float(bound)

    @property
    def told(self) -> str:
        """The figure with its unit."""
        return f"{self.measured:,} {self.unit}".replace(" /", "/")


def markdown_table(figures: Sequence[Figure]) -> list[str]:
    """The lines of a table for the docs, as they are; what misses its goal is bold."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    lines = [f"| {machine} | measured | goal | how |", "|---|---|---|---|"]
    for figure in figures:
        told = figure.told if figure.is_reached else f"**{figure.told}**"
        lines.append(f"| {figure.name} | {told} | {figure.goal} | {figure.how} |")
    return lines
