"""Mutants that no test can or need notice, each with the reason."""

from __future__ import annotations

_FAR_ABOVE = "No header comes near: nine bounded fields take less than 250 bytes."
_OWN_CLOCK = "Each node's own: what comes too early is dropped without blame, and fetched once a chain builds on it."
_OWN_ROOM = "Each node's own: what it lets wait is asked for by itself, and what finds no room comes by sync."
_OWN_MEMORY = "Each node's own: what it no longer hands out singly comes with its block."
_SHORTER = "A question for a status is empty."

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    "admission.(module): CLOCK_DISPARITY_MS = 500 -> CLOCK_DISPARITY_MS = 499": _OWN_CLOCK,
    "admission.(module): CLOCK_DISPARITY_MS = 500 -> CLOCK_DISPARITY_MS = 501": _OWN_CLOCK,
    "arrivals.(module): MAX_WAITING = 64 -> MAX_WAITING = 63": _OWN_ROOM,
    "arrivals.(module): MAX_WAITING = 64 -> MAX_WAITING = 65": _OWN_ROOM,
    "documents.transaction_document: headers[0].proposer -> headers[1].proposer": (
        "Evidence is of two headers of one validator."
    ),
    "engine.Engine._accuse: waiting is not None and waiting.nonce < nonce"
    " -> waiting is not None and waiting.nonce <= nonce": "`next_free` is the nonce of nothing that waits.",
    "headers.(module): MAX_HEADER_BYTES = 512 -> MAX_HEADER_BYTES = 511": _FAR_ABOVE,
    "headers.(module): MAX_HEADER_BYTES = 512 -> MAX_HEADER_BYTES = 513": _FAR_ABOVE,
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
    "serving.(module): MAX_RECENT_BLOCKS = 8 -> MAX_RECENT_BLOCKS = 7": _OWN_MEMORY,
    "serving.(module): MAX_RECENT_BLOCKS = 8 -> MAX_RECENT_BLOCKS = 9": _OWN_MEMORY,
    "serving.(module): max_request=16 -> max_request=15": _SHORTER,
    "serving.(module): max_request=16 -> max_request=17": _SHORTER,
    "statetree._apply: shared_bits = MAX_DEPTH - (number ^ next_number).bit_length()"
    " -> shared_bits = MAX_DEPTH - (number | next_number).bit_length()": (
        "Goes further up than it has to and comes down again: the same tree, later."
    ),
    "sync.Sync.__init__: self._last_ms = 0 -> self._last_ms = 1": "Written before it is read.",
    "votes._sets: codec.array(pairs, 1, batch, 'validators') -> codec.array(pairs, 0, batch, 'validators')": (
        "`set_fault` refuses an empty set as well."
    ),
}
