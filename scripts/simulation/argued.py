"""Breaks of the consensus without an effect that a history can show, each with the reason."""

from __future__ import annotations

_NUMBER = "All nodes of a history use the same: only a network of two versions would notice."
_REFUSED_LATER = "`Count.refuse` refuses it in every block, and so does `Heard.choose` for one's own."
_OUR_BYTES = (
    "It reads what `encode_votes` wrote: damage would have to leave a whole encoding with one field more or less."
)
_PACE = "Each node's own: how much it does at a time, or how often."

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    "judgement.check_follows: header.slot <= parent.slot -> header.slot < parent.slot": (
        "Two blocks of one validator and slot are evidence, whichever stands on the other."
    ),
    "judgement.check_follows: header.parent != parent.id -> False": (
        "The tree finds the parent by this id: another reader of headers, the light proof, needs the check."
    ),
    "attestations.(module): VERSION = 1 -> VERSION = 2": _NUMBER,
    "attestations.(module): VERSION = 1 -> VERSION = 0": _NUMBER,
    "headers.(module): VERSION = 2 -> VERSION = 3": _NUMBER,
    "headers.(module): VERSION = 2 -> VERSION = 1": _NUMBER,
    "restart.(module): VERSION = 1 -> VERSION = 2": _NUMBER,
    "restart.(module): VERSION = 1 -> VERSION = 0": _NUMBER,
    "restart.(module): SALT_BYTES = 16 -> SALT_BYTES = 17": _NUMBER,
    "restart.(module): SALT_BYTES = 16 -> SALT_BYTES = 15": _NUMBER,
    "restart.Restart.is_same: return self[:3] == other[:3] -> return self[:4] == other[:3]": (
        "Only the command of operators asks it, whose tests do."
    ),
    "restart.Restart.is_same: return self[:3] == other[:3] -> return self[:2] == other[:3]": (
        "Only the command of operators asks it, whose tests do."
    ),
    "attestations.decode_attestation: mhg=integer(mhg, 0, height - 1, 'mhg') -> "
    "mhg=integer(mhg, 0, height - 0, 'mhg')": (_REFUSED_LATER),
    "attestations.read_carried: integer(mhg, 0, height - 1, 'mhg') -> integer(mhg, 0, height - 0, 'mhg')": (
        _REFUSED_LATER
    ),
    "attestations.read_carried: integer(height, 1, U64_MAX, 'the height') -> "
    "integer(height, 0, U64_MAX, 'the height')": (_REFUSED_LATER),
    'votecodec._read_row: codec.array(fields, 7, 7, "a block\'s votes") -> '
    'codec.array(fields, 6, 7, "a block\'s votes")': (_OUR_BYTES),
    "votecodec._read_said: number, mhg = codec.array(pair, 2, 2, 'a statement') -> "
    "number, mhg = codec.array(pair, 2, 3, 'a statement')": _OUR_BYTES,
    "suppliers.(module): REST_MS = 2000 -> REST_MS = 2001": _PACE,
    "suppliers.(module): REST_MS = 2000 -> REST_MS = 1999": _PACE,
    "suppliers.(module): MAX_REST_MS = 300000 -> MAX_REST_MS = 300001": _PACE,
    "sync.(module): START_PAUSE_MS = 900 -> START_PAUSE_MS = 899": _PACE,
    "headway.(module): SETTLE_INTERVAL_MS = 4000 -> SETTLE_INTERVAL_MS = 3999": _PACE,
    "engine.(module): REGOSSIP_EVERY_SLOTS = 8 -> REGOSSIP_EVERY_SLOTS = 9": _PACE,
    "engine.(module): REGOSSIP_EVERY_SLOTS = 8 -> REGOSSIP_EVERY_SLOTS = 7": _PACE,
    "production.(module): ROOM_SHARE = 32 -> ROOM_SHARE = 31": _PACE,
}

#: Rules that no named break is about, and why.
RULES: dict[str, str] = {
    "a validator checks its own header before it signs it (`Producer.make`)": (
        "What its branch holds of its own key it heard first, block by block: `Testimony.watch` and "
        "`Producer.seen_elsewhere` silence it before such a branch is its head. The check stands behind that."
    ),
    "a change of validators moves at most a third of the weight": (
        "There is no such limit any more: blocks need the thresholds of both sets, whatever moves. `no-joint-phase` "
        "takes that out."
    ),
}
