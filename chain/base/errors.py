"""Why something was refused, and whose fault it is.

Three kinds of failure never mix:

* :class:`Refused` – what came from outside breaks a rule.  Normal operation; nothing stops.
* :class:`OperatorError` – the person at the keyboard can mend it.  One sentence, no traceback.
* :class:`InvariantBroken` – our own bug.  The node stops rather than go on with a wrong state; where carrying out one
  matter of a block ends so, or by another of the :data:`FAULTS`, only that matter does (:mod:`chain.register.fence`).
"""

from __future__ import annotations

from enum import Enum


class Disposition(Enum):
    """What the receiver of a refused thing does next."""

    LATER = "later"  # may become valid; keep it or try again
    IGNORE = "ignore"  # useless to us, but an honest peer can send it
    BLAME = "blame"  # no honest peer sends this; its sender is penalised


class Reason(Enum):
    """Every reason for a refusal: a stable code for programs, and what the receiver does.

    What each means to people, and what would be needed instead, is in :mod:`chain.base.meanings`.
    """

    def __init__(self, code: str, disposition: Disposition) -> None:
        self.code = code
        self.disposition = disposition

    # encoding and keys
    MALFORMED = ("malformed", Disposition.BLAME)
    TOO_LARGE = ("too_large", Disposition.BLAME)
    BAD_KEY = ("bad_key", Disposition.BLAME)
    BAD_SIGNATURE = ("bad_signature", Disposition.BLAME)

    # transactions
    EXPIRED = ("expired", Disposition.IGNORE)
    EXPIRY_TOO_FAR = ("expiry_too_far", Disposition.IGNORE)
    NONCE_USED = ("nonce_used", Disposition.IGNORE)
    NONCE_GAP = ("nonce_gap", Disposition.LATER)
    NOT_ENROLLED = ("not_enrolled", Disposition.LATER)
    ALREADY_ENROLLED = ("already_enrolled", Disposition.IGNORE)
    SELF_RATING = ("self_rating", Disposition.IGNORE)
    UNKNOWN_CATEGORY = ("unknown_category", Disposition.IGNORE)
    POINTS_OUT_OF_RANGE = ("points_out_of_range", Disposition.IGNORE)
    KEY_IN_USE = ("key_in_use", Disposition.IGNORE)
    ROTATED_KEY = ("rotated_key", Disposition.IGNORE)
    NO_CONSENT = ("no_consent", Disposition.IGNORE)
    COUNTER_LIMIT = ("counter_limit", Disposition.IGNORE)
    OVER_QUOTA = ("over_quota", Disposition.LATER)
    TOO_MANY_ENROLMENTS = ("too_many_enrolments", Disposition.LATER)
    FAULT = ("fault", Disposition.IGNORE)

    # whose a key is
    HAS_LEFT = ("has_left", Disposition.LATER)
    HOLDS_OFFICE = ("holds_office", Disposition.IGNORE)
    NOT_GUARDIANS = ("not_guardians", Disposition.IGNORE)
    RECOVERY_PENDING = ("recovery_pending", Disposition.IGNORE)
    NOTHING_TO_UNDO = ("nothing_to_undo", Disposition.IGNORE)
    NOTHING_TO_STOP = ("nothing_to_stop", Disposition.IGNORE)
    PAST_VETO = ("past_veto", Disposition.IGNORE)
    ALREADY_LEAVING = ("already_leaving", Disposition.IGNORE)
    ANNULMENT_OPEN = ("annulment_open", Disposition.IGNORE)
    NOTHING_TO_ANNUL = ("nothing_to_annul", Disposition.IGNORE)
    UNKNOWN_ATTRIBUTE = ("unknown_attribute", Disposition.IGNORE)
    WRONG_TERM = ("wrong_term", Disposition.IGNORE)

    # ratings
    NO_RECEIPT = ("no_receipt", Disposition.IGNORE)
    DEALING_RATED = ("dealing_rated", Disposition.IGNORE)
    TOO_FRESH = ("too_fresh", Disposition.LATER)
    SCORE_TOO_LOW = ("score_too_low", Disposition.IGNORE)
    TOO_MANY_RATINGS = ("too_many_ratings", Disposition.IGNORE)
    UNKNOWN_RATING = ("unknown_rating", Disposition.IGNORE)
    RATING_FELL = ("rating_fell", Disposition.LATER)
    RATING_DISPUTED = ("rating_disputed", Disposition.IGNORE)
    RATING_NOT_DISPUTED = ("rating_not_disputed", Disposition.IGNORE)

    # authorities and their records
    NOT_AUTHORITY = ("not_authority", Disposition.IGNORE)
    NOT_REGISTRAR = ("not_registrar", Disposition.IGNORE)
    NOT_ARBITER = ("not_arbiter", Disposition.IGNORE)
    NOT_ACCREDITED = ("not_accredited", Disposition.IGNORE)
    AUTHORITY_SUSPENDED = ("authority_suspended", Disposition.IGNORE)
    AUTHORITY_REVOKED = ("authority_revoked", Disposition.IGNORE)
    SELF_RECORD = ("self_record", Disposition.IGNORE)
    CATEGORY_CLOSED = ("category_closed", Disposition.IGNORE)
    WRONG_SEVERITY = ("wrong_severity", Disposition.IGNORE)
    NO_REASON_GIVEN = ("no_reason_given", Disposition.IGNORE)
    STALE_POLICY = ("stale_policy", Disposition.IGNORE)
    EARLY_POLICY = ("early_policy", Disposition.LATER)
    NOT_YET_ESTABLISHED = ("not_yet_established", Disposition.IGNORE)
    TOO_OLD = ("too_old", Disposition.IGNORE)
    UNKNOWN_RECORD = ("unknown_record", Disposition.IGNORE)
    OTHERS_RECORD = ("others_record", Disposition.IGNORE)
    NOT_ISSUER = ("not_issuer", Disposition.IGNORE)
    OWN_RECORD = ("own_record", Disposition.IGNORE)
    UNDER_OBJECTION = ("under_objection", Disposition.IGNORE)
    NOT_UNDER_OBJECTION = ("not_under_objection", Disposition.IGNORE)
    ALREADY_MAINTAINED = ("already_maintained", Disposition.IGNORE)
    NOT_MAINTAINED = ("not_maintained", Disposition.IGNORE)
    ALREADY_UPHELD = ("already_upheld", Disposition.IGNORE)
    DEADLINE_PASSED = ("deadline_passed", Disposition.IGNORE)
    NOT_BETTER = ("not_better", Disposition.IGNORE)
    NOT_REPAIRABLE = ("not_repairable", Disposition.IGNORE)
    TOO_EARLY = ("too_early", Disposition.IGNORE)
    REPAIR_ALREADY_ASKED = ("repair_already_asked", Disposition.IGNORE)
    REPAIR_NOT_ASKED = ("repair_not_asked", Disposition.IGNORE)
    ALREADY_DECLINED = ("already_declined", Disposition.IGNORE)
    BEFORE_ITS_TIME = ("before_its_time", Disposition.IGNORE)
    TOO_SHORT = ("too_short", Disposition.IGNORE)
    ALREADY_RECORDED = ("already_recorded", Disposition.IGNORE)
    ENDED = ("ended", Disposition.IGNORE)
    NOTHING_ENDED = ("nothing_ended", Disposition.IGNORE)
    IN_HEARING = ("in_hearing", Disposition.LATER)
    NOT_DRAWN = ("not_drawn", Disposition.IGNORE)
    ALREADY_RULED = ("already_ruled", Disposition.IGNORE)
    NOT_UPHELD = ("not_upheld", Disposition.IGNORE)

    # governance
    UNKNOWN_MOTION = ("unknown_motion", Disposition.IGNORE)
    MOTION_CLOSED = ("motion_closed", Disposition.IGNORE)
    ALREADY_APPROVED = ("already_approved", Disposition.IGNORE)
    TOO_MANY_ARBITERS = ("too_many_arbiters", Disposition.IGNORE)
    TOO_MANY_MOTIONS = ("too_many_motions", Disposition.IGNORE)
    USELESS_MOTION = ("useless_motion", Disposition.IGNORE)
    WORSENS_THE_PAST = ("worsens_the_past", Disposition.IGNORE)
    NOTICE_TOO_SHORT = ("notice_too_short", Disposition.IGNORE)
    NO_EQUIVOCATION = ("no_equivocation", Disposition.IGNORE)
    ALREADY_PUNISHED = ("already_punished", Disposition.IGNORE)
    EVIDENCE_TOO_OLD = ("evidence_too_old", Disposition.IGNORE)

    # validators
    ALREADY_VALIDATOR = ("already_validator", Disposition.IGNORE)
    NOT_VALIDATOR = ("not_validator", Disposition.IGNORE)
    ALREADY_JAILED = ("already_jailed", Disposition.IGNORE)
    NOT_JAILED = ("not_jailed", Disposition.IGNORE)
    NO_VALIDATOR_LEFT = ("no_validator_left", Disposition.IGNORE)
    NO_NEWCOMER = ("no_newcomer", Disposition.IGNORE)
    ALREADY_CONSENTED = ("already_consented", Disposition.IGNORE)
    TAG_IN_USE = ("tag_in_use", Disposition.IGNORE)
    TOO_MUCH_WEIGHT = ("too_much_weight", Disposition.IGNORE)
    TOO_MANY_VALIDATORS = ("too_many_validators", Disposition.LATER)
    TOO_MANY_CHANGES = ("too_many_changes", Disposition.LATER)

    # mempool
    DUPLICATE = ("duplicate", Disposition.IGNORE)
    NONCE_TAKEN = ("nonce_taken", Disposition.IGNORE)
    ACTOR_QUOTA = ("actor_quota", Disposition.LATER)
    POOL_FULL = ("pool_full", Disposition.LATER)

    # blocks
    FUTURE_SLOT = ("future_slot", Disposition.LATER)
    UNKNOWN_PARENT = ("unknown_parent", Disposition.LATER)
    INVALID_PARENT = ("invalid_parent", Disposition.IGNORE)
    NOT_EXECUTED = ("not_executed", Disposition.LATER)
    SLOT_NOT_AFTER_PARENT = ("slot_not_after_parent", Disposition.BLAME)
    WRONG_HEIGHT = ("wrong_height", Disposition.BLAME)
    WRONG_LEADER = ("wrong_leader", Disposition.BLAME)
    BARRED = ("barred", Disposition.BLAME)
    WRONG_TAG = ("wrong_tag", Disposition.BLAME)
    WRONG_MHP = ("wrong_mhp", Disposition.BLAME)
    CONTRADICTS_EARLIER_BLOCK = ("contradicts_earlier_block", Disposition.BLAME)
    WRONG_VOTES_ROOT = ("wrong_votes_root", Disposition.BLAME)
    WRONG_DECISION = ("wrong_decision", Disposition.BLAME)
    WRONG_RESTART = ("wrong_restart", Disposition.BLAME)
    WRONG_TX_ROOT = ("wrong_tx_root", Disposition.BLAME)
    WRONG_STATE_ROOT = ("wrong_state_root", Disposition.BLAME)
    TOO_MANY_TRANSACTIONS = ("too_many_transactions", Disposition.BLAME)
    INVALID_TRANSACTION = ("invalid_transaction", Disposition.BLAME)
    CROSSES_FINALITY = ("crosses_finality", Disposition.BLAME)
    TREE_FULL = ("tree_full", Disposition.LATER)

    # attestations
    STALE_ATTESTATION = ("stale_attestation", Disposition.IGNORE)
    ALREADY_SAID = ("already_said", Disposition.IGNORE)
    UNORDERED = ("unordered", Disposition.BLAME)
    TOO_MANY_ATTESTATIONS = ("too_many_attestations", Disposition.BLAME)

    # conversation
    UNSOLICITED = ("unsolicited", Disposition.BLAME)
    BODY_GONE = ("body_gone", Disposition.IGNORE)


class Refused(Exception):
    """Something from outside breaks a rule.

    ``reason`` is for programs, ``detail`` completes the sentence for people.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.code}: {self.detail}" if self.detail else self.reason.code


class OperatorError(Exception):
    """A mistake that the operator can mend; the message says what is wrong and what to do."""


class StoreAway(OperatorError):
    """The server that keeps the state does not answer now, or not in time; it may answer again."""


class InvariantBroken(Exception):
    """A state that our own code must never reach."""


class Damaged(InvariantBroken):
    """An entry of the state cannot be read: this machine's fault, and no other's.  The node stops."""


# What a mistake in a rule raises, on every node alike, since all look at the same entries with the same code; but for
# :class:`Damaged`.  What a machine raises that fails is never among them: MemoryError, RecursionError, OSError, what
# SQLite says, and :class:`OperatorError`, which a store raises wherever what it reads is not what the tree says.
FAULTS = (ArithmeticError, AttributeError, InvariantBroken, LookupError, TypeError, ValueError)
