"""Mutants that no test can or need notice, each with the reason."""

from __future__ import annotations


def _either_side(module: str, name: str, value: int, why: str) -> dict[str, str]:
    """A number of a module, one less and one more; ``name`` ends in its equals sign."""
    return {f"{module}.(module): {name}{value} -> {name}{other}": why for other in (value - 1, value + 1)}


_OWN_LOAD = "Each node's own: how much it does at a time, or how often."
_NUMBERS = {
    **_either_side("admission", "CLOCK_DISPARITY_MS = ", 500, "Each node's own: what is too early is fetched later."),
    **_either_side("arrivals", "MAX_WAITING = ", 64, "Each node's own: what finds no room comes by sync."),
    **_either_side("documents", "MAX_LOOKED_AT = ", 1000, _OWN_LOAD),
    **_either_side("engine", "STATUS_EVERY_SLOTS = ", 8, _OWN_LOAD),
    **_either_side("engine", "MAX_REGOSSIP = ", 1024, _OWN_LOAD),
    **_either_side("production", "MAX_OPEN_TRANSACTIONS = ", 200000, "Each validator's own: a larger block is valid."),
    **_either_side("headers", "MAX_HEADER_BYTES = ", 512, "No header comes near: nine bounded fields take 250 bytes."),
    **_either_side("production", "ROOM_SHARE = ", 32, "Each validator's own: a larger block is valid."),
    **_either_side("serving", "MAX_RECENT_BLOCKS = ", 8, "Each node's own: older transactions come with their block."),
    **_either_side("serving", "max_request=", 16, "A question for a status is empty."),
    **_either_side("serving", "max_reply=", 128, "No status comes near: a digest and three numbers take 62 bytes."),
    **_either_side("serving", "max_request=", 64, "No question for blocks comes near: a digest and two numbers."),
    **_either_side("serving", "max_concurrent=", 8, _OWN_LOAD),
    **{f"{key} (2)": why for key, why in _either_side("serving", "max_concurrent=", 8, _OWN_LOAD).items()},
    **_either_side("serving", "max_concurrent=", 32, _OWN_LOAD),
    **_either_side("sync", "REST_MS = ", 2000, _OWN_LOAD),
    **_either_side("sync", "SHORT_BRANCH = ", 32, _OWN_LOAD),
}

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    **_NUMBERS,
    "documents.transaction_document: headers[0].proposer -> headers[1].proposer": (
        "Evidence is of two headers of one validator."
    ),
    "engine.Engine._accuse: waiting is not None and waiting.nonce < nonce"
    " -> waiting is not None and waiting.nonce <= nonce": "`next_free` is the nonce of nothing that waits.",
    "judgement.judge: is_unknown = votes.mhp == counted_above and header.mhp < counted_above"
    " -> is_unknown = votes.mhp == counted_above and header.mhp <= counted_above": (
        "Where all three are equal nothing is refused anyway."
    ),
    "merkle.(module): MAX_PATH = 32 -> MAX_PATH = 33": "A longer path proves nothing either; the bound saves work.",
    "members.rotate: draft.put(account_key(actor), Account(0, identity, action.new_key))"
    " -> draft.put(account_key(actor), Account(1, identity, action.new_key))": (
        "`registry.apply` writes the nonce afterwards, as after every transaction."
    ),
    "registry.apply: Reason.NONCE_USED if transaction.nonce < next_nonce else Reason.NONCE_GAP"
    " -> Reason.NONCE_USED if transaction.nonce <= next_nonce else Reason.NONCE_GAP": ("The two are not equal here."),
    "statetree._apply: shared_bits = MAX_DEPTH - (number ^ next_number).bit_length()"
    " -> shared_bits = MAX_DEPTH - (number | next_number).bit_length()": (
        "Goes further up than it has to and comes down again: the same tree, later."
    ),
    "sync.Sync.__init__: self._last_ms = 0 -> self._last_ms = 1": "Written before it is read.",
    "votes._sets: codec.array(pairs, 1, batch, 'validators') -> codec.array(pairs, 0, batch, 'validators')": (
        "`set_fault` refuses an empty set as well."
    ),
}
