"""Breaks of the consensus without an effect that a history can show, each with the reason."""

from __future__ import annotations

_NUMBER = "All nodes of a history use the same: only a network of two versions would notice."
_REFUSED_LATER = "`Count.refuse` refuses it in every block, and so does `Heard.choose` for one's own."
_OUR_BYTES = (
    "It reads what `encode_votes` wrote: damage would have to leave a whole encoding with one field more or less."
)
_PACE = "Each node's own: how much it does at a time, or how often."
_MEMORY = "Each node's own: how much it remembers."

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
    "engine.(module): CLEAR_EVERY_SLOTS = 8 -> CLEAR_EVERY_SLOTS = 7": _PACE,
    "admission.(module): MAX_COUNTED = 4 * MAX_LATE_SLOTS -> MAX_COUNTED = 3 * MAX_LATE_SLOTS": _MEMORY,
    "heard.Heard.add: len(said) > MAX_PER_SPEAKER -> len(said) >= MAX_PER_SPEAKER": _MEMORY,
    "pace.Pace.arrived: took_ms > 2 * TARGET_MS -> took_ms > 3 * TARGET_MS": _PACE,
    "pace.Pace.arrived: took_ms <= TARGET_MS and 2 * size >= self.ask_bytes -> "
    "took_ms <= TARGET_MS and 2 // size >= self.ask_bytes": _PACE,
    "suppliers.Suppliers.note: supplier.status.head_id != status.head_id -> "
    "supplier.status.head_id == status.head_id": _PACE,
    "suppliers.Suppliers.rests: return now_ms < until_ms <= now_ms + MAX_REST_MS -> "
    "return now_ms < until_ms <= now_ms - MAX_REST_MS": (
        "Who failed is asked again at once: that costs questions, and here nobody pays for the line."
    ),
    "download.Download._range_for: top = min(max(supplier.status.height, shown), supplier.ceiling - 1) -> "
    "top = min(max(supplier.status.height, shown), supplier.ceiling - 0)": (
        "A peer is asked once more for the one block that it did not have; another is asked after it."
    ),
    "sync.Sync._headings: room -= 1 -> room -= 2": _PACE,
    "headway.Headway.moved: head.height % EXPIRE_EVERY_BLOCKS == 0 -> head.height % EXPIRE_EVERY_BLOCKS == 1": _PACE,
    "headway.Headway.moved: self._mempool.became_final(self._chain.finalized.height, head.height + 1) -> "
    "self._mempool.became_final(self._chain.finalized.height, head.height + 2)": (
        "Only what expires with the very next block, and stood back for another of its nonce, comes back too late."
    ),
    "votes.Votes.restart: return self.base + 1 if self.base or is_renewed else 0 -> "
    "return self.base + 2 if self.base or is_renewed else 0": (
        "It orders branches by how far up people let them go on: what grows with that height orders them alike."
    ),
    "votecodec.decode_votes: for row in codec.array(raw[5], 1, length + 1, 'electorates') -> "
    "for row in codec.array(raw[5], 1, length + 2, 'electorates')": _OUR_BYTES,
    "ballots.decode_ballot: restart = next(map(read_restart, array(restarts, 0, 1, 'a restart')), None) -> "
    "restart = next(map(read_restart, array(restarts, 0, 2, 'a restart')), None)": (
        "All nodes would read the first of two alike; that no other reader need, `test_ballots.py` sees to."
    ),
    "validators._next: seats is None or len(seats) > batch or (not _is_led(seats)) -> "
    "seats is None and len(seats) > batch and (not _is_led(seats))": (
        "Nobody asks here for what makes no sense once its turn comes; `test_validators.py` does, and it crashes there."
    ),
    "validators._applied: check_public_key(other) -> pass": (
        "Who gets a seat has signed that it agrees, and with a key that is none nobody signs."
    ),
    "governance.propose: sum((draft.motion(number).proposer == actor for number in docket.open)) >= "
    "MAX_OPEN_MOTIONS -> sum((draft.motion(number).proposer == actor for number in docket.open)) > MAX_OPEN_MOTIONS": (
        "A bound of how much waits: one motion more harms nobody. `test_governance.py` counts them."
    ),
    "governance._accredit: old = Authority(key, 0, (), 0, 0, ACTIVE, window=Window(draft.slot, 0, 0, 0, 0)) -> "
    "old = Authority(key, 0, (), 0, 0, ACTIVE, window=Window(draft.slot, 0, 0, 1, 0))": (
        "One case more of a time before there was an office, which suspends nobody by itself; the recount of histories "
        "of the register knows each count."
    ),
    "governance._check_amendment: proposal.effective_slot < earliest -> False": (
        "Nobody here amends without notice; in histories of the register they do, and there it is a right that shows."
    ),
    "production.Producer._last_before: header.slot > self._began_slot and header.height > root.height -> "
    "header.slot > self._began_slot and header.height >= root.height": (
        "Only a restored home to which all that it sees is final takes another way: one history of 39 comes near."
    ),
    "testimony.Testimony._use: return (True, blocks, -height) -> return (False, blocks, -height)": (
        "What is void is then tried in each block, and refused."
    ),
    "testimony.Testimony._is_on_its_way: waiting is not None and waiting.nonce < "
    "self._mempool.next_free(waiting.actor) -> waiting is not None or waiting.nonce < "
    "self._mempool.next_free(waiting.actor)": (
        "Only where what the operator signed before it has expired is a lost signing state told anew."
    ),
}

#: Rules that no named break is about, and why.
RULES: dict[str, str] = {
    "nobody is believed a height for which there were too few slots (`check_height`, `check_claim`)": (
        "A chain gets there block by block, each in a later slot than its parent, so nobody can ever show it. Without "
        "this check who claims it is asked one small question, like anybody who claims what is not there."
    ),
    "a validator checks its own header before it signs it (`Producer.make`)": (
        "What its branch holds of its own key it heard first, block by block: `Testimony.watch` and "
        "`Producer.seen_elsewhere` silence it before such a branch is its head. The check stands behind that."
    ),
    "a change of validators moves at most a third of the weight": (
        "There is no such limit any more: blocks need the thresholds of both sets, whatever moves. `no-joint-phase` "
        "takes that out."
    ),
}
