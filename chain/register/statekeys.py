"""The keys of the state: how each begins, and what of it says whom an entry is about.

The table of them is in :mod:`chain.register.state`.
"""

from __future__ import annotations

RULES_KEY = b"p"
VALIDATORS_KEY = b"v"
DOCKET_KEY = b"g"
ROLL_KEY = b"j"
CLOCK_KEY = b"t"
# With what the keys of the other kinds of entries begin.
POLICIES, ACCOUNTS, MEMBERS, RATINGS, RECORDS, SUMS, AUTHORITIES, MOTIONS, MARKERS, RULED = (
    b"P",
    b"n",
    b"m",
    b"r",
    b"d",
    b"s",
    b"a",
    b"o",
    b"k",
    b"J",
)
TALLIES, LOSSES = b"q", b"L"
ATTRIBUTES = b"x"
# Where in the key of a rating its rater is.
RATER_AT = 33


def policy_key(version: int) -> bytes:
    """The state key of a policy."""
    return POLICIES + version.to_bytes(4, "big")


def account_key(key: bytes) -> bytes:
    """The state key of a public key's account."""
    return ACCOUNTS + key


def member_key(member: bytes) -> bytes:
    """The state key of a member."""
    return MEMBERS + member


def read_identity(key: bytes) -> bytes:
    """Whose the state key of a member, an authority or an account is."""
    return key[1:]


def rating_key(subject: bytes, rater: bytes, category: int) -> bytes:
    """The state key of a rating; all ratings about one subject share a prefix."""
    return RATINGS + subject + rater + category.to_bytes(4, "big")


def read_rating_key(key: bytes) -> tuple[bytes, bytes, int]:
    """``(subject, rater, category)`` of a rating's state key."""
    return key[1:RATER_AT], key[RATER_AT:65], int.from_bytes(key[65:], "big")


def given_key(key: bytes) -> tuple[bytes, bytes]:
    """A rating's state key by its rater: the rater, and the subject with the category."""
    return key[RATER_AT:65], key[1:RATER_AT] + key[65:]


def read_given(rater: bytes, rating: bytes) -> bytes:
    """The state key that :func:`given_key` took apart."""
    return RATINGS + rating[:32] + rater + rating[32:]


def record_key(subject: bytes, number: int) -> bytes:
    """The state key of a record; all records about one member share a prefix."""
    return RECORDS + subject + number.to_bytes(4, "big")


def read_record_key(key: bytes) -> tuple[bytes, int]:
    """``(subject, number)`` of a record's state key."""
    return key[1:33], int.from_bytes(key[33:], "big")


def sum_key(subject: bytes, category: int) -> bytes:
    """The state key of a member's sum in one category."""
    return SUMS + subject + category.to_bytes(4, "big")


def marker_key(digest: bytes) -> bytes:
    """The state key of a marker."""
    return MARKERS + digest


def rulings_key(arbiter: bytes, issuer: bytes) -> bytes:
    """The state key of how an arbiter ruled on an issuer; all rulings of one arbiter share a prefix."""
    return RULED + arbiter + issuer


def read_rulings_key(key: bytes) -> tuple[bytes, bytes]:
    """``(arbiter, issuer)`` of a state key of rulings."""
    return key[1:33], key[33:]


def authority_key(authority: bytes) -> bytes:
    """The state key of an authority."""
    return AUTHORITIES + authority


def attributes_key(member: bytes) -> bytes:
    """The state key of what is attested of a member."""
    return ATTRIBUTES + member


def tally_key(registrar: bytes) -> bytes:
    """The state key of what a registrar signed."""
    return TALLIES + registrar


def losses_key(validator: bytes) -> bytes:
    """The state key of how often a validator lost its signing state."""
    return LOSSES + validator


def motion_key(number: int) -> bytes:
    """The state key of a motion."""
    return MOTIONS + number.to_bytes(4, "big")


def read_motion_key(key: bytes) -> int:
    """The number in a motion's state key."""
    return int.from_bytes(key[1:], "big")


# Kinds of entries, by the first byte of their keys, that go when somebody leaves.
TIED = frozenset(RECORDS + RATINGS)


def tied_to(key: bytes) -> tuple[bytes, ...]:
    """Who takes an entry along when leaving: the subject of a record, both sides of a rating, nobody else."""
    if key[:1] == RECORDS:
        return (key[1:33],)
    return (key[1:RATER_AT], key[RATER_AT:65]) if key[:1] == RATINGS else ()
