"""The whole protocol as a synchronous state machine: ``effects = engine.handle(event, now_ms)``.

Nothing in here waits, reads a clock, draws a random number or opens a socket; only :mod:`chain.storage`
touches the disk.  Files import only files above them in this list::

    errors        why something is refused, and whose fault it is
    codec         canonical encoding
    keys          Ed25519, the acceptance rule of signatures, did:key
    merkle        the root over a block's transactions
    statetree     the authenticated tree over the state
    policy        what may be recorded, and how a score follows from it
    genesis       the parameters that every node of one network shares
    transactions  what an actor signs
    blocks        what a validator signs
    votes         prevotes, precommits, finality
    forkchoice    which of two tips wins
    registry      the state, and what each transaction does to it
    ledger        one branch: state, votes and undo from the snapshot to the head
    mempool       transactions that wait for a block
    blocktree     the branches that can still win
    messages      what nodes say to each other
    events        what happens to an engine, and what it wants done
    production    when and what a validator signs
    sync          whom to ask for what
    engine        one node's protocol
    storage       SQLite
"""
