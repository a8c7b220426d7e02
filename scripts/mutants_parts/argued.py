"""Mutants that no test can or need notice, each with the reason."""

from __future__ import annotations

_FAR_ABOVE = "No header comes near: nine bounded fields take less than 250 bytes."
_OFTEN = "How often what could be undone is dropped changes only the memory needed."
_ROOM = "More than the fullest mempool needs, whose many items have small frames; it bounds memory."
_PACE = "How much is read or kept at once changes memory and pace, and nothing that comes of it."
_TURN = "How long a node lets one thing take is chosen, not derived; that there is such a bound is tested with less."

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    "blocktree.(module): MAX_BLOCKS = 100000 -> MAX_BLOCKS = 100001": _PACE,
    "database.(module): ROWS_AT_ONCE = 256 -> ROWS_AT_ONCE = 255": _PACE,
    "database.(module): _BUSY_TIMEOUT_S = 10 -> _BUSY_TIMEOUT_S = 9": _TURN,
    "database.(module): _WAL_AUTOCHECKPOINT_PAGES = 4000 -> _WAL_AUTOCHECKPOINT_PAGES = 4001": _PACE,
    "database.bounds: return (prefix, prefix + b'\\xff' * 128) -> return (prefix, prefix + b'\\xff' * 129)": (
        "No key is longer than 69 bytes."
    ),
    "headers.(module): MAX_HEADER_BYTES = 512 -> MAX_HEADER_BYTES = 511": _FAR_ABOVE,
    "headers.(module): MAX_HEADER_BYTES = 512 -> MAX_HEADER_BYTES = 513": _FAR_ABOVE,
    "judgement.judge: is_unknown = votes.mhp == counted_above and header.mhp < counted_above"
    " -> is_unknown = votes.mhp == counted_above and header.mhp <= counted_above": (
        "Where all three are equal nothing is refused anyway."
    ),
    "members.rotate: draft.put(account_key(actor), Account(0, identity, action.new_key))"
    " -> draft.put(account_key(actor), Account(1, identity, action.new_key))": (
        "`registry.apply` writes the nonce afterwards, as after every transaction."
    ),
    "merkle.(module): MAX_PATH = 32 -> MAX_PATH = 33": "A longer path proves nothing either; the bound saves work.",
    "migrations.(module): _SETTLE_BLOCKS = 64 -> _SETTLE_BLOCKS = 63": _OFTEN,
    "migrations.(module): _SETTLE_BLOCKS = 64 -> _SETTLE_BLOCKS = 65": _OFTEN,
    "migrations._announced: chain.add(trusted_block(body), arrived_in_slot=True)"
    " -> chain.add(trusted_block(body), arrived_in_slot=False)": (
        "Every block extends the one before it: there is no tie to break."
    ),
    "migrations._announced: chain.unsettled >= _SETTLE_BLOCKS -> chain.unsettled > _SETTLE_BLOCKS": _OFTEN,
    "prove._validators: not isinstance(entry, Validators) -> False": (
        "The key decides the type of what `decode_entry` returns; the type checker does not know that."
    ),
    "reader._StoredView.__init__: newest = next(reader.headers(reader.head_height(), 1), None)"
    " -> newest = next(reader.headers(reader.head_height(), 2), None)": (
        "The first of them is taken, and there is none above the head."
    ),
    "recheck.(module): _AHEAD_BLOCKS = 16 -> _AHEAD_BLOCKS = 15": _PACE,
    "recheck.(module): _AHEAD_BLOCKS = 16 -> _AHEAD_BLOCKS = 17": _PACE,
    "recheck.(module): _READ_BLOCKS = 16 -> _READ_BLOCKS = 17": _PACE,
    "recheck._Recheck._reached: self._chain.unsettled >= _SETTLE_BLOCKS"
    " -> self._chain.unsettled > _SETTLE_BLOCKS": _OFTEN,
    "registry.apply: Reason.NONCE_USED if transaction.nonce < next_nonce else Reason.NONCE_GAP"
    " -> Reason.NONCE_USED if transaction.nonce <= next_nonce else Reason.NONCE_GAP": ("The two are not equal here."),
    "sources.(module): MAX_READ_ENTRIES = 10000 -> MAX_READ_ENTRIES = 10001": _TURN,
    "sources.(module): MAX_READ_ENTRIES = 10000 -> MAX_READ_ENTRIES = 9999": _TURN,
    "sources.(module): MAX_REWOUND = 5000 -> MAX_REWOUND = 4999": _TURN,
    "sources.(module): MAX_REWOUND = 5000 -> MAX_REWOUND = 5001": _TURN,
    "sources.(module): _READ_HEADERS = 16 -> _READ_HEADERS = 15": _PACE,
    "sources.(module): _READ_HEADERS = 16 -> _READ_HEADERS = 17": _PACE,
    "statetree._apply: shared_bits = MAX_DEPTH - (number ^ next_number).bit_length()"
    " -> shared_bits = MAX_DEPTH - (number | next_number).bit_length()": (
        "Goes further up than it has to and comes down again: the same tree, later."
    ),
    "storage.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 2) * FRAMING_BYTES": _ROOM,
    "storage.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS - 1) * FRAMING_BYTES": _ROOM,
    "storage.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 3 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES": _ROOM,
    "storage.Storage._rank: for key, value in rows.items() if value is not None and key.startswith(MEMBERS)"
    " -> for key, value in rows.items() if value is not None or key.startswith(MEMBERS)": (
        "Members never leave, and what else has changed is no `Member` below."
    ),
    "sync.Sync.__init__: self._last_ms = 0 -> self._last_ms = 1": "Written before it is read.",
    "tables._holds: range(len(lines), -1, -1) -> range(len(lines), -2, -1)": (
        "The empty beginning is TOML, so the search ends there at the latest."
    ),
    "view.(module): read_policy_text = lru_cache(maxsize=16)(decode_policy)"
    " -> read_policy_text = lru_cache(maxsize=15)(decode_policy)": _PACE,
    "view.(module): read_policy_text = lru_cache(maxsize=16)(decode_policy)"
    " -> read_policy_text = lru_cache(maxsize=17)(decode_policy)": _PACE,
    "votes._sets: codec.array(pairs, 1, batch, 'validators') -> codec.array(pairs, 0, batch, 'validators')": (
        "`set_fault` refuses an empty set as well."
    ),
}
