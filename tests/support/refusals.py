"""What a call that may be refused came to."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from chain.base.errors import Reason, Refused

P = ParamSpec("P")


def refusal(action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Reason | None:
    """Call ``action``; the reason why it was refused, None where it was not.  Other exceptions pass."""
    try:
        action(*args, **kwargs)
    except Refused as refused:
        return refused.reason
    return None
