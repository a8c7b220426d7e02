"""Every :class:`chain.base.errors.Reason` in words: the rule that something breaks, and what would be needed instead.

Names in backquotes are commands and options of the registry's client, but where they say otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

from chain.base.errors import Reason


class Meaning(NamedTuple):
    """A rule, as a sentence, and what would be needed where it is broken: ``needed`` completes "needed is …"."""

    rule: str
    needed: str


_R = Reason
_SAME_VERSION = "a client and a node of the same version; report this if they are"
_HONEST_BLOCK = "nothing: no honest validator signs such a block, and its senders are kept away"
_LOOK = "`records DID` shows the records that stand, with their numbers and states"
_MOTIONS = "`motions` lists them, with their numbers"
_ISSUER_FIRST = "wait for the issuer's answer, or for its deadline: silence deletes the record"

MEANINGS: dict[Reason, Meaning] = {
    # encoding and keys
    _R.MALFORMED: Meaning("Whatever is sent has one exact form.", _SAME_VERSION),
    _R.TOO_LARGE: Meaning("Whatever is sent has a largest size, and a policy too.", "a shorter document"),
    _R.BAD_KEY: Meaning("A key is a point of Ed25519 that a signature can be checked with.", "the right did:key"),
    _R.BAD_SIGNATURE: Meaning(
        "Every signature is checked against its key, this network and what it agrees to.",
        "the right key and this network's genesis; a consent fits one member, one network and one expiry",
    ),
    # transactions
    _R.EXPIRED: Meaning("A transaction names the last height whose block may hold it.", "a new one, signed again"),
    _R.EXPIRY_TOO_FAR: Meaning(
        "A transaction may expire only so many blocks ahead; the genesis says how many.", "an earlier expiry"
    ),
    _R.NONCE_USED: Meaning(
        "The transactions of a key are numbered, and each number is used once.",
        "to look with `status` whether this was done already; if not, to send it again",
    ),
    _R.NONCE_GAP: Meaning(
        "The transactions of a key are numbered without gaps.",
        "an earlier transaction of this key in a block; one that waits may itself be refused, see `status`",
    ),
    _R.NOT_ENROLLED: Meaning(
        "Nothing is recorded about a key that has not enrolled, and only members rate, object and ask.",
        "the enrolment of that key, signed by its own holder (`enrol`)",
    ),
    _R.ALREADY_ENROLLED: Meaning("A member enrols once.", "nothing: it is a member already"),
    _R.SELF_RATING: Meaning("Nobody rates itself.", "another member to rate"),
    _R.UNKNOWN_CATEGORY: Meaning(
        "Only what the policy in force lists can be recorded: its catalogue is closed.",
        "a category of the policy (a node lists them under `/policy`), or a motion that amends it",
    ),
    _R.POINTS_OUT_OF_RANGE: Meaning("A category says how many points it may give.", "points within that range"),
    _R.KEY_IN_USE: Meaning(
        "A key moves to a fresh key, and a validator's key only by motion.",
        "a new key (`key new`); for a validator `motion replace-validator` first",
    ),
    _R.ROTATED_KEY: Meaning("A key that was left can do nothing more.", "the key that its owner moved to"),
    _R.NO_CONSENT: Meaning(
        "Under this policy a registrar signs every enrolment too.",
        "a consent for this member: a registrar makes one with `cosign`, and `enrol --consent` takes it",
    ),
    _R.COUNTER_LIMIT: Meaning("What the register counts is bounded.", "another member, authority or network"),
    _R.FAULT: Meaning(
        "What a transaction asks for is carried out, or refused for a reason; here the rules themselves went wrong.",
        "a version in which that is mended: nothing happened; report what is said above, and send it again then",
    ),
    _R.OVER_QUOTA: Meaning(
        "The policy says how much a key writes a day, so nobody shouts others down; answers and objections are free.",
        "to wait for the next day, in the slot named above",
    ),
    _R.TOO_MANY_ENROLMENTS: Meaning(
        "Enrolments that no registrar signed take at most a share of a block.", "patience: the next blocks take more"
    ),
    # whose a key is
    _R.HAS_LEFT: Meaning("A key that left comes back after the time that the policy says.", "patience"),
    _R.HOLDS_OFFICE: Meaning(
        "Offices change hands by rotation and by motion alone.", "a motion of the validators (`motion`) first"
    ),
    _R.NOT_GUARDIANS: Meaning(
        "Guardians are those whom the member named, more than half of them, or who enrolled it where it named none.",
        "the guardians' own file and enough of their signatures (`recover`)",
    ),
    _R.RECOVERY_PENDING: Meaning(
        "A recovery of the member waits: no other, and no guardians, meanwhile.", "its end, or a `veto`"
    ),
    _R.NOTHING_TO_UNDO: Meaning(
        "Guardians undo what a key did against them within the delay; after that it stands.", "a recovery (`recover`)"
    ),
    _R.NOTHING_TO_STOP: Meaning("A veto stops what is under way.", "nothing: no recovery waits, and nobody leaves"),
    _R.PAST_VETO: Meaning(
        "After a veto guardians and a registrar together are not stopped by the key alone.",
        "nothing: the key was heard with its veto",
    ),
    _R.ALREADY_LEAVING: Meaning("A member leaves once.", "the end of the notice period, or a `veto`"),
    _R.ANNULMENT_OPEN: Meaning("An enrolment is said to be void once at a time.", "the arbiter's decision"),
    _R.NOTHING_TO_ANNUL: Meaning(
        "A registrar says that an enrolment is void before anybody objects or decides.", "a registrar (`annul ask`)"
    ),
    _R.UNKNOWN_ATTRIBUTE: Meaning(
        "An attribute is one that the policy knows, and only one that is attested is taken back.",
        "one of its attributes (`policy reference` tells where a policy names them)",
    ),
    _R.WRONG_TERM: Meaning(
        "An attribute is attested until a date to come, at most valid_days from now.", "a date within that"
    ),
    # ratings
    _R.NO_RECEIPT: Meaning(
        "Under this policy each rating names a dealing that the rated member signed too.",
        "a receipt: the other side makes one with `receipt`, and `rate --receipt` takes it",
    ),
    _R.DEALING_RATED: Meaning("Each dealing is rated once.", "a receipt of a later dealing, or to withdraw the rating"),
    _R.TOO_FRESH: Meaning("Who rates has been a member for as long as the policy says.", "patience"),
    _R.SCORE_TOO_LOW: Meaning("Who rates has the score that the policy asks for.", "a better standing first"),
    _R.TOO_MANY_RATINGS: Meaning(
        "One member has only so many ratings that stand.", "to withdraw another one first (`rating withdraw`)"
    ),
    _R.UNKNOWN_RATING: Meaning(
        "A rating that was withdrawn, aged out or fell is gone.", "the right member and category"
    ),
    _R.RATING_FELL: Meaning(
        "Blame for which its rater gave no reason when asked fell, and is not said again while that is remembered.",
        "the slot named above; or a rating that blames for nothing",
    ),
    _R.RATING_DISPUTED: Meaning(
        "A rating is objected to once, and its rater answers or withdraws it before rating anew.",
        "the rater's reason (`rating answer`), or its deadline: silence deletes the rating",
    ),
    _R.RATING_NOT_DISPUTED: Meaning("A rater answers an objection.", "nothing: nobody has objected"),
    # authorities and their records
    _R.NOT_AUTHORITY: Meaning(
        "Only an accredited authority files, answers and rules.",
        "a motion of the validators that accredits this key (`motion accredit`)",
    ),
    _R.NOT_REGISTRAR: Meaning(
        "A consent comes from an authority in office that has the registrar's right.",
        "another registrar, or a motion that gives the right (`motion accredit --registrar`) or restores it",
    ),
    _R.NOT_ARBITER: Meaning(
        "Only an authority in office that has the arbiter's right rules.",
        "another arbiter, or a motion that gives the right (`motion accredit --arbiter`) or restores it",
    ),
    _R.NOT_ACCREDITED: Meaning(
        "An authority files only in the categories, and between the dates, that it was accredited for.",
        "a motion of the validators that accredits it for this category and time (`motion accredit`)",
    ),
    _R.AUTHORITY_SUSPENDED: Meaning(
        "An authority whose records were overturned too often, or that a motion suspended, may not file.",
        "a motion of the validators that restores it (`motion restore`)",
    ),
    _R.AUTHORITY_REVOKED: Meaning(
        "An authority that a motion revoked is not an authority any more.", "a new accreditation (`motion accredit`)"
    ),
    _R.SELF_RECORD: Meaning("Nobody records about itself.", "another authority to file it"),
    _R.CATEGORY_CLOSED: Meaning(
        "A closed category takes no new records or ratings; the old ones stand.", "another category of the policy"
    ),
    _R.WRONG_SEVERITY: Meaning(
        "A category says which severities its records may have.", "one of them (a node lists them under `/policy`)"
    ),
    _R.NO_REASON_GIVEN: Meaning(
        "What is discretionary, and a record that is maintained, needs a written reason.", "`--reason FILE`"
    ),
    _R.STALE_POLICY: Meaning(
        "An enrolment, a record or an amendment names the policy in force, and one amendment is announced at a time.",
        "to sign again under the policy in force, or to wait until the announced one is",
    ),
    _R.EARLY_POLICY: Meaning(
        "An enrolment names the policy in force; one for the policy that is announced waits for it.",
        "patience, until the announced policy is in force",
    ),
    _R.NOT_YET_ESTABLISHED: Meaning(
        "Conduct is recorded once it is established.", "a date that is not in the future (`--established`)"
    ),
    _R.TOO_OLD: Meaning(
        "Conduct so old that a record of it would have expired is not recorded.", "nothing: it is time-barred"
    ),
    _R.UNKNOWN_RECORD: Meaning("No record of this number stands about this member; one that ended is gone.", _LOOK),
    _R.OTHERS_RECORD: Meaning(
        "Only the member that a record is about objects, asks for its repair, or comments on it.", "that member's key"
    ),
    _R.NOT_ISSUER: Meaning("Only the authority that filed a record answers for it.", "the issuer's key; " + _LOOK),
    _R.OWN_RECORD: Meaning("Nobody rules on a record that it filed itself or that is about itself.", "another arbiter"),
    _R.UNDER_OBJECTION: Meaning("An objection to this record is open; its points are suspended.", _ISSUER_FIRST),
    _R.NOT_UNDER_OBJECTION: Meaning(
        "A record is maintained against an objection.", "nothing: nobody has objected to it"
    ),
    _R.ALREADY_MAINTAINED: Meaning(
        "A record is maintained once; then an arbiter rules.", "the ruling of an arbiter, or to withdraw the record"
    ),
    _R.NOT_MAINTAINED: Meaning(
        "An arbiter rules once the member has objected and the issuer has maintained the record.", _ISSUER_FIRST
    ),
    _R.ALREADY_UPHELD: Meaning(
        "What an arbiter has upheld stands: there is one objection to a record or an annulment, and one appeal.",
        "to appeal in time (`appeal`), to ask for its repair (`repair ask`), or to add a statement (`statement`)",
    ),
    _R.DEADLINE_PASSED: Meaning(
        "A deadline of the policy has passed; the chain itself decides what follows.", "nothing: it is too late"
    ),
    _R.NOT_BETTER: Meaning(
        "A correction is for the better: it raises the points, at most to the category's best or to 0.",
        "more points than now, or a new record beside this one",
    ),
    _R.NOT_REPAIRABLE: Meaning(
        "A record without a severity knows no repair.", "patience: it expires by itself; " + _LOOK
    ),
    _R.TOO_EARLY: Meaning(
        "Repair is asked for once the severity's shortest period is over.", "to wait until the slot named above"
    ),
    _R.REPAIR_ALREADY_ASKED: Meaning("Repair is asked for once at a time.", "the answer; silence approves the repair"),
    _R.REPAIR_NOT_ASKED: Meaning(
        "An issuer approves or declines a repair that was asked for.", "the member to ask for it (`repair ask`)"
    ),
    _R.ALREADY_DECLINED: Meaning(
        "An issuer declines the repair of a record once; then an arbiter decides.", "the ruling of the arbiter"
    ),
    _R.BEFORE_ITS_TIME: Meaning(
        "What takes something from a member was a rule when it was established, and one that the member consented to.",
        "nothing: what was no rule then, or was before the enrolment, is not recorded",
    ),
    _R.TOO_SHORT: Meaning(
        "A record lasts long enough for an objection to be answered.", "nothing: it would be over before that"
    ),
    _R.ALREADY_RECORDED: Meaning(
        "A piece of evidence is recorded once about a member, and conduct that ended is reopened once at a time.", _LOOK
    ),
    _R.ENDED: Meaning(
        "What was struck, withdrawn, repaired or has expired is not recorded again; an enrolment found valid stands.",
        "new evidence, a written reason and an arbiter's signature (`reopen`)",
    ),
    _R.NOTHING_ENDED: Meaning(
        "Only conduct whose record has ended is reopened, and only while it is retained.",
        "an ordinary record (`record`)",
    ),
    _R.IN_HEARING: Meaning(
        "Before a ruling both sides are heard, and nobody knows who will rule.", "to wait until the slot named above"
    ),
    _R.NOT_DRAWN: Meaning(
        "Who rules is drawn by lot; where there are too few for an appeal, a motion decides.",
        "the arbiter on whom the lot fell (its own `status` says so), or `motion judge`",
    ),
    _R.ALREADY_RULED: Meaning("Of the three of an appeal each rules once.", "the rulings of the others"),
    _R.NOT_UPHELD: Meaning(
        "What an arbiter has upheld can be appealed, once.",
        "an objection (`object`, `annul object`), and its ruling",
    ),
    # governance
    _R.UNKNOWN_MOTION: Meaning("An approval names a motion by its number.", _MOTIONS),
    _R.MOTION_CLOSED: Meaning("A motion that was carried or has lapsed takes no approvals.", _MOTIONS),
    _R.ALREADY_APPROVED: Meaning("A validator approves a motion once.", "the approvals of other validators"),
    _R.TOO_MANY_ARBITERS: Meaning(
        "A lot is drawn among so many arbiters at most.", "a motion that revokes another one"
    ),
    _R.TOO_MANY_MOTIONS: Meaning(
        "A validator has only so many motions open at a time.", "one of them carried or lapsed; " + _MOTIONS
    ),
    _R.USELESS_MOTION: Meaning("A motion must change something that can be changed.", "another motion, or none"),
    _R.WORSENS_THE_PAST: Meaning(
        "An amendment never worsens what is already recorded.", "a policy that keeps what is named above"
    ),
    _R.NOTICE_TOO_SHORT: Meaning(
        "An amendment binds its notice after it was carried, and a longer one where it worsens anything.",
        "a later `--effective`",
    ),
    _R.NO_EQUIVOCATION: Meaning(
        "Evidence is two headers or attestations that one validator must not both have signed.",
        "two that contradict each other and carry one tag",
    ),
    _R.ALREADY_PUNISHED: Meaning("One offence jails once.", "nothing: it was punished"),
    _R.EVIDENCE_TOO_OLD: Meaning("Evidence is brought in time.", "nothing: it is time-barred"),
    # validators
    _R.ALREADY_VALIDATOR: Meaning("A key holds one seat.", "another key"),
    _R.NOT_VALIDATOR: Meaning(
        "Only a validator that is not jailed moves and approves, and only a validator's seat can be changed.",
        "a validator's key (`status` says whose a key is)",
    ),
    _R.ALREADY_JAILED: Meaning("A validator is jailed once at a time.", "nothing: it is jailed"),
    _R.NOT_JAILED: Meaning("Only a jailed validator is released.", "nothing: it is free"),
    _R.NO_VALIDATOR_LEFT: Meaning("At least one validator that is not jailed stays.", "another validator first"),
    _R.NO_NEWCOMER: Meaning(
        "Whom a motion would make a validator or an authority consents, with its present key.",
        "that key; " + _MOTIONS,
    ),
    _R.ALREADY_CONSENTED: Meaning(
        "A motion waits for one consent at most, and for none where whom it names holds or held an office.",
        "the approvals of more than two thirds of the weight",
    ),
    _R.TAG_IN_USE: Meaning(
        "A validator that lost its signing state names the tag that it spoke with, and a fresh one.",
        "its node to be started again: it draws another tag by itself",
    ),
    _R.TOO_MUCH_WEIGHT: Meaning("The weight of a validator is bounded.", "a smaller weight"),
    _R.TOO_MANY_VALIDATORS: Meaning(
        "The genesis says for how many validators there is room.", "one of them to leave first"
    ),
    _R.TOO_MANY_CHANGES: Meaning("Only so many changes of the validators wait.", "to try again once some are done"),
    # mempool
    _R.DUPLICATE: Meaning("A node takes a transaction once.", "nothing: it waits for a block"),
    _R.NONCE_TAKEN: Meaning(
        "The transactions of a key are numbered, and another one waits with this number.", "to send it again"
    ),
    _R.ACTOR_QUOTA: Meaning("Only so many transactions of one key wait.", "to try again once some are in a block"),
    _R.POOL_FULL: Meaning("Only so many transactions wait at a node.", "to try again later, or another node"),
    # between nodes: blocks and conversation
    _R.FUTURE_SLOT: Meaning(
        "A block, or a header that is evidence, comes once its slot has begun.",
        "to wait for the slot, and a clock that is right on both machines",
    ),
    _R.UNKNOWN_PARENT: Meaning("A block follows one that is known here.", "the blocks before it; a node asks for them"),
    _R.INVALID_PARENT: Meaning(
        "What follows an invalid block is invalid.", "a block on a branch of valid ones; this one is forgotten"
    ),
    _R.NOT_EXECUTED: Meaning(
        "Whether a block is its leader's is judged once it is known who makes blocks at its height.",
        "the blocks before it to be executed here; then it can come again",
    ),
    _R.SLOT_NOT_AFTER_PARENT: Meaning("The slot of a block is later than that of the one before it.", _HONEST_BLOCK),
    _R.WRONG_HEIGHT: Meaning("The height of a block is one more than that of the one before it.", _HONEST_BLOCK),
    _R.WRONG_LEADER: Meaning("A block is made, and signed, by the validator whose slot it is.", _HONEST_BLOCK),
    _R.BARRED: Meaning("A jailed validator makes no blocks.", _HONEST_BLOCK),
    _R.WRONG_TAG: Meaning(
        "A validator speaks from the signing state that the branch knows of it, and from a new one once that is final.",
        "nothing, where its signer lost its signing state: what was said before no longer counts",
    ),
    _R.WRONG_MHP: Meaning(
        "A header names the highest height that two thirds have prevoted on its branch, as everybody counts it.",
        _HONEST_BLOCK,
    ),
    _R.CONTRADICTS_EARLIER_BLOCK: Meaning(
        "A validator says nothing that contradicts what it said before.",
        "nothing: the two statements are evidence, and their signer is jailed",
    ),
    _R.WRONG_VOTES_ROOT: Meaning("A header commits to the ballot of its block.", "the ballot that it names"),
    _R.WRONG_DECISION: Meaning(
        "A ballot says what executing its block decides about validators, and decides nothing while a change is under "
        "way.",
        _HONEST_BLOCK,
    ),
    _R.WRONG_RESTART: Meaning(
        "A restart goes on from the block below it, which is not the genesis, and more than two thirds of the weight "
        "signed it.",
        "more signatures, or the block that was agreed on",
    ),
    _R.WRONG_TX_ROOT: Meaning("A header commits to the transactions of its block.", "the transactions that it names"),
    _R.WRONG_STATE_ROOT: Meaning(
        "A header commits to the state after its block, which every node computes for itself.",
        "both nodes of the same version; between these, nothing: the block is invalid",
    ),
    _R.TOO_MANY_TRANSACTIONS: Meaning("A block holds only so many transactions.", _HONEST_BLOCK),
    _R.INVALID_TRANSACTION: Meaning(
        "A block holds only transactions that every rule allows.", "nothing: the block is invalid"
    ),
    _R.CROSSES_FINALITY: Meaning(
        "What is final is never replaced.", "the branch that is final here; a node that disagrees compares its genesis"
    ),
    _R.TREE_FULL: Meaning(
        "A node keeps only so many blocks of one slot, and so many that are not final.",
        "to try again once more is final",
    ),
    # attestations
    _R.STALE_ATTESTATION: Meaning(
        "A block carries attestations of blocks below it that it does not know to be final.",
        "nothing: it came too late to matter, or before its block",
    ),
    _R.ALREADY_SAID: Meaning("A validator speaks once at each height of a branch.", "nothing: it is on the branch"),
    _R.UNORDERED: Meaning("A ballot lists attestations by height and speaker, each once.", _HONEST_BLOCK),
    _R.TOO_MANY_ATTESTATIONS: Meaning("A block carries at most four attestations a validator.", _HONEST_BLOCK),
    _R.UNSOLICITED: Meaning(
        "A peer answers what it was asked, and greets once.", "a node that follows the protocol on the other side"
    ),
    _R.BODY_GONE: Meaning(
        "What blocks say is kept for a while, and by archives for good; a node hands out what it has, whole.",
        "a peer that has it: one whose mode is archive, or full and older",
    ),
}
