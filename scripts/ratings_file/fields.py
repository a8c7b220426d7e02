"""One field of a line: a member, a rating, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from unicodedata import normalize

from chain.content.policy import RatingCategory

# Half of what eight bytes can number is for numbers, the other half for names.
MAX_MEMBER = 2**63 - 1
MAX_NAME = 64

_MISSING = frozenset({"", "-", "na", "n/a", "nan", "none", "null"})
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.0*)?")
_POINTS = re.compile(r"([+-]?[0-9]{1,9})(?:\.0*)?")
_SECONDS = re.compile(r"[0-9]{1,19}(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,2})?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A number of seconds stays below the first of these until the year 5138: what is larger is in a smaller unit.
_NS_OF_UNIT = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))


@lru_cache(maxsize=1 << 16)
def read_member(text: str) -> int:
    """The number of a member: its own, or one that follows from its name alone, from 2**63 on.

    ``6.0`` is 6, as a table with gaps writes it; ``007`` may or may not be 7 and is refused.  A name holds a
    letter and counts as it is written, but for how its accents are encoded.  Raises :class:`ValueError`.
    """
    whole = _WHOLE.fullmatch(text)
    if whole and int(whole[1]) <= MAX_MEMBER:
        return int(whole[1])
    if text.lower() in _MISSING:
        raise ValueError(f"{text!a} is not a member")
    if text.startswith("0") and text.isdigit():
        raise ValueError(f"{text!a} may be member {text.lstrip('0') or 0} or another; leave the zeros before it out")
    name = normalize("NFC", text)
    if _is_number(text) or not any(map(str.isalpha, name)) or len(name) > MAX_NAME:
        raise ValueError(
            f"{text[:MAX_NAME]!a} is not a member; a member is a whole number from 0 to 2**63 - 1, or a name of at "
            f"most {MAX_NAME} characters, one of them a letter"
        )
    return MAX_MEMBER + 1 + int.from_bytes(sha256(name.encode()).digest()[:8], "big") // 2


@lru_cache(maxsize=1 << 10)
def read_points(text: str, category: RatingCategory) -> int:
    """The points of a rating: whole, also as ``4.0`` or ``+4``.  Raises :class:`ValueError`."""
    whole = _POINTS.fullmatch(text.replace("−", "-"))
    points = int(whole[1]) if whole else None
    if points is None or not category.low <= points <= category.high:
        raise ValueError(
            f"{text!a} is not a rating from {category.low} to {category.high}, a whole number{_hint(text)}"
        )
    return points


def read_time(text: str) -> int:
    """A time in ns since 1970.  Times do no more than to order the lines.

    Numbers are seconds, or milli-, micro- or nanoseconds where seconds would be after the year 5138; everything
    else is ISO 8601, in UTC where it does not say.  Raises :class:`ValueError`.
    """
    if _SECONDS.fullmatch(text):
        number = Decimal(text)
        for limit, ns in _NS_OF_UNIT:
            if number < limit:
                return int(number * ns)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None:
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
        if since >= timedelta():
            return since // timedelta(microseconds=1) * 1_000
    raise ValueError(
        f"{text!a} is not a time in seconds (or ms, µs, ns) since 1970, nor like 2010-11-08T18:45:11Z{_hint(text)}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _hint(text: str) -> str:
    return "; write decimals with a point" if _DECIMAL_COMMA.fullmatch(text) else ""
