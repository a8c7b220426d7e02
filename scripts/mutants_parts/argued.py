"""Mutants that no test can or need notice, each with the reason."""

from __future__ import annotations

_OFTEN = "How often what could be undone is dropped changes only the memory needed."
_ROOM = "More than the fullest mempool needs, whose many items have small frames; it bounds memory."
_PACE = "How much is read or kept at once changes memory and pace, and nothing that comes of it."
_TURN = "How long a node lets one thing take is chosen, not derived; that there is such a bound is tested with less."


def _either_side(module: str, name: str, value: int, why: str) -> dict[str, str]:
    """A number of a module, one less and one more; ``name`` ends in its equals sign."""
    return {f"{module}.(module): {name}{value} -> {name}{other}": why for other in (value - 1, value + 1)}


_OWN_LOAD = "Each node's own: how much it does at a time, or how often."
_NUMBERS = {
    **_either_side("admission", "CLOCK_DISPARITY_MS = ", 500, "Each node's own: what is too early is fetched later."),
    **_either_side("arrivals", "MAX_WAITING = ", 64, "Each node's own: what finds no room comes by sync."),
    **_either_side("people", "MAX_LOOKED_AT = ", 1000, _OWN_LOAD),
    **_either_side("engine", "STATUS_EVERY_SLOTS = ", 8, _OWN_LOAD),
    **_either_side("engine", "MAX_REGOSSIP = ", 1024, _OWN_LOAD),
    **_either_side("production", "MAX_OPEN_TRANSACTIONS = ", 200000, "Each validator's own: a larger block is valid."),
    **_either_side("headers", "MAX_HEADER_BYTES = ", 512, "No header comes near: nine bounded fields take 250 bytes."),
    **_either_side("production", "ROOM_SHARE = ", 32, "Each validator's own: a larger block is valid."),
    **_either_side("serving", "MAX_RECENT_BLOCKS = ", 8, "Each node's own: older transactions come with their block."),
    **_either_side("serving", "max_request=", 16, "A question for a status is empty."),
    **_either_side("messages", "MAX_STATUS_BYTES = ", 256, "No status comes near: with a credential about 170 bytes."),
    **_either_side("serving", "max_request=", 64, "No question for blocks comes near: a digest and two numbers."),
    **_either_side("serving", "max_concurrent=", 8, _OWN_LOAD),
    **{f"{key} (2)": why for key, why in _either_side("serving", "max_concurrent=", 8, _OWN_LOAD).items()},
    **_either_side("serving", "max_concurrent=", 32, _OWN_LOAD),
    **_either_side("suppliers", "REST_MS = ", 2000, _OWN_LOAD),
    **_either_side("sync", "SHORT_BRANCH = ", 32, _OWN_LOAD),
}

#: By the key of the mutant.
ARGUED: dict[str, str] = {
    **_NUMBERS,
    "blocktree.(module): MAX_BLOCKS = 100000 -> MAX_BLOCKS = 100001": _PACE,
    "database.(module): ROWS_AT_ONCE = 256 -> ROWS_AT_ONCE = 255": _PACE,
    "database.(module): _BUSY_TIMEOUT_S = 10 -> _BUSY_TIMEOUT_S = 9": _TURN,
    "database.(module): _WAL_AUTOCHECKPOINT_PAGES = 4000 -> _WAL_AUTOCHECKPOINT_PAGES = 4001": _PACE,
    "schema.bounds: return (prefix, prefix + b'\\xff' * 128) -> return (prefix, prefix + b'\\xff' * 129)": (
        "No key is longer than 69 bytes."
    ),
    "chronicle.transaction_document: statements[0].speaker -> statements[1].speaker": (
        "Evidence is of two statements of one validator."
    ),
    "testimony.Testimony._is_on_its_way: waiting is not None and waiting.nonce < self._mempool.next_free(waiting.actor)"
    " -> waiting is not None and waiting.nonce <= self._mempool.next_free(waiting.actor)": (
        "`next_free` is the nonce of nothing that waits."
    ),
    "judgement.judge: mhp == votes.blind and header.mhp < votes.blind"
    " -> mhp == votes.blind and header.mhp <= votes.blind": ("Where all three are equal nothing is refused anyway."),
    "members.rotate: draft.put(account_key(actor), Account(0, identity, action.new_key))"
    " -> draft.put(account_key(actor), Account(1, identity, action.new_key))": (
        "`registry.apply` writes the nonce afterwards, as after every transaction."
    ),
    "merkle.(module): MAX_PATH = 32 -> MAX_PATH = 33": "A longer path proves nothing either; the bound saves work.",
    "reader._StoredView.__init__: newest = next(reader.headers(reader.head_height(), 1), None)"
    " -> newest = next(reader.headers(reader.head_height(), 2), None)": (
        "The first of them is taken, and there is none above the head."
    ),
    "recheck.(module): _AHEAD_BLOCKS = 16 -> _AHEAD_BLOCKS = 15": _PACE,
    "recheck.(module): _AHEAD_BLOCKS = 16 -> _AHEAD_BLOCKS = 17": _PACE,
    "recheck.(module): _READ_BLOCKS = 16 -> _READ_BLOCKS = 17": _PACE,
    "recheck._Recheck._reached: self._chain.unsettled >= _SETTLE_BLOCKS"
    " -> self._chain.unsettled > _SETTLE_BLOCKS": _OFTEN,
    "registry._apply: Reason.NONCE_USED if transaction.nonce < next_nonce else Reason.NONCE_GAP"
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
    "bodies.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 2) * FRAMING_BYTES": _ROOM,
    "bodies.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS - 1) * FRAMING_BYTES": _ROOM,
    "bodies.(module): _MAX_WAITING_BYTES = 2 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES"
    " -> _MAX_WAITING_BYTES = 3 * MAX_BYTES + (MAX_TRANSACTIONS + 1) * FRAMING_BYTES": _ROOM,
    "sync.Sync.__init__: self._last_ms = 0 -> self._last_ms = 1": "Written before it is read.",
    "tables._holds: range(len(lines), -1, -1) -> range(len(lines), -2, -1)": (
        "The empty beginning is TOML, so the search ends there at the latest."
    ),
    "view.(module): read_policy_text = lru_cache(maxsize=16)(decode_policy)"
    " -> read_policy_text = lru_cache(maxsize=15)(decode_policy)": _PACE,
    "view.(module): read_policy_text = lru_cache(maxsize=16)(decode_policy)"
    " -> read_policy_text = lru_cache(maxsize=17)(decode_policy)": _PACE,
}
