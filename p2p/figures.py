"""Numbers as people read them, wherever they do."""

from __future__ import annotations


def grouped(number: float, digits: int = 0) -> str:
    """``1,881``, in groups of three; ``digits`` are those after the point.

    JSON, logs, addresses and what is typed into a command have the digits alone.
    """
    return f"{number:,.{digits}f}" if digits else f"{number:,}"
